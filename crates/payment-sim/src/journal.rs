//! The journal, the file of the ledger: a JSON object on a line for each event, written once and never
//! changed.
//!
//! What must always hold: an event is on disk before anybody gets an answer that depends on it, so
//! no answer depends on an unfinished last line. Its length is bounded by the ledger's limits.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};

use crate::ledger::LedgerEvent;

/// The longest line that is read; written lines have at most 300 bytes.
const LINE_BYTES_MAX: u64 = 4 * 1024;

/// The file, with its end as the place to write.
#[derive(Debug)]
pub struct Journal {
    file: File,
    is_broken: bool,
}

/// Why the file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// It cannot be opened, read or written.
    #[error("{}: {error}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The error.
        error: io::Error,
    },
    /// Another process has it.
    #[error("{} is in use by another process", .0.display())]
    InUse(PathBuf),
    /// A line is no event, or does not follow from those before it.
    #[error("{} line {line}: {what}", path.display())]
    BadLine {
        /// The file.
        path: PathBuf,
        /// Its number, from 1.
        line: u64,
        /// The fault.
        what: String,
    },
}

impl Journal {
    /// Opens the file, creates it if it does not exist, and passes on its events in order.
    ///
    /// # Errors
    ///
    /// If it cannot be locked or read, or an event is refused.
    pub fn open(
        path: &Path,
        mut replay: impl FnMut(&LedgerEvent) -> Result<(), &'static str>,
    ) -> Result<Self, JournalError> {
        let failed = |error| JournalError::Io {
            path: path.to_owned(),
            error,
        };
        let mut options = OpenOptions::new();
        options.read(true).append(true).create(true);
        let file = options.open(path).map_err(failed)?;
        file.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => JournalError::InUse(path.to_owned()),
            TryLockError::Error(error) => failed(error),
        })?;
        sync_folder(path).map_err(failed)?;

        let mut reader = BufReader::new(&file);
        let (mut number, mut length) = (0, 0);
        let mut line = Vec::new();
        loop {
            line.clear();
            let mut limited = (&mut reader).take(LINE_BYTES_MAX);
            let bytes = limited.read_until(b'\n', &mut line).map_err(failed)?;
            number += 1;
            if bytes == 0 {
                break;
            }
            if line.last() != Some(&b'\n') && !is_at_end(&mut reader).map_err(failed)? {
                return Err(bad_line(path, number, "it is too long"));
            }
            if line.last() != Some(&b'\n') {
                tracing::warn!(line = number, "dropped an event that was not written whole");
                file.set_len(length).map_err(failed)?;
                file.sync_all().map_err(failed)?;
                break;
            }
            let event = serde_json::from_slice(&line);
            let event = event.map_err(|error| bad_line(path, number, &error.to_string()))?;
            replay(&event).map_err(|what| bad_line(path, number, what))?;
            length += bytes as u64;
        }
        Ok(Self {
            file,
            is_broken: false,
        })
    }

    /// Writes an event; it is on disk when this returns. After a failure it is unknown what is on
    /// disk, so every further write fails: opening the file again finds it out.
    ///
    /// # Errors
    ///
    /// If it cannot be written.
    pub fn append(&mut self, event: &LedgerEvent) -> io::Result<()> {
        if self.is_broken {
            return Err(io::Error::other("an earlier write has failed"));
        }
        let mut line = serde_json::to_vec(event)?;
        line.push(b'\n');
        let file = &mut self.file;
        let written = file.write_all(&line).and_then(|()| file.sync_data());
        self.is_broken = written.is_err();
        written
    }
}

/// A new file is safe only with its folder.
fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| *folder != Path::new(""));
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

fn is_at_end(reader: &mut BufReader<&File>) -> io::Result<bool> {
    Ok(reader.fill_buf()?.is_empty())
}

fn bad_line(path: &Path, line: u64, what: &str) -> JournalError {
    JournalError::BadLine {
        path: path.to_owned(),
        line,
        what: what.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use uuid::Uuid;

    use super::*;

    fn event(n: i64) -> LedgerEvent {
        let key = Uuid::from_u128(7);
        LedgerEvent::Void { key, at: n }
    }

    fn events_in(path: &Path) -> Result<Vec<LedgerEvent>, JournalError> {
        let mut events = Vec::new();
        Journal::open(path, |event| {
            events.push(event.clone());
            Ok(())
        })?;
        Ok(events)
    }

    fn written(path: &Path, events: &[LedgerEvent]) {
        let mut journal = Journal::open(path, |_| Ok(())).expect("a journal");
        for event in events {
            journal.append(event).expect("a write");
        }
    }

    #[test]
    fn what_was_written_is_read_again_in_order() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("state");
        written(&path, &[event(1), event(2)]);
        written(&path, &[event(3)]);
        let events = events_in(&path).expect("events");
        assert_eq!(events, [event(1), event(2), event(3)]);
    }

    #[test]
    fn a_line_cut_off_at_any_byte_is_dropped_and_written_over() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("state");
        written(&path, &[event(1)]);
        let whole = fs::read(&path).expect("the file");
        for cut in 1..whole.len() {
            let text = [whole.as_slice(), &whole[..cut]].concat();
            fs::write(&path, text).expect("a write");
            written(&path, &[event(2)]);
            assert_eq!(
                events_in(&path).expect("events"),
                [event(1), event(2)],
                "{cut}"
            );
        }
    }

    #[test]
    fn what_is_no_deed_is_named_and_kept() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("state");
        written(&path, &[event(1), event(2)]);
        let whole = fs::read_to_string(&path).expect("the file");
        let too_long = "x".repeat(10_000);
        for (text, named) in [
            (whole.replacen("void", "vOid", 1), "line 1"),
            (format!("{whole}nonsense\n"), "line 3"),
            (format!("{whole}{too_long}"), "line 3: it is too long"),
        ] {
            fs::write(&path, &text).expect("a write");
            let error = events_in(&path).expect_err("a bad line").to_string();
            assert!(error.contains(named), "{error}");
            assert_eq!(fs::read_to_string(&path).expect("the file"), text);
        }
    }

    #[test]
    fn a_file_has_one_user() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("state");
        let journal = Journal::open(&path, |_| Ok(())).expect("a journal");
        let error = events_in(&path).expect_err("it is in use").to_string();
        assert!(error.ends_with("is in use by another process"), "{error}");
        drop(journal);
        assert_eq!(events_in(&path).expect("no events"), []);
    }

    #[test]
    fn after_a_failed_write_nothing_is_written() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("state");
        fs::write(&path, "").expect("a file");
        let mut journal = Journal {
            file: File::open(&path).expect("a file that cannot be written"),
            is_broken: false,
        };
        journal.append(&event(1)).expect_err("no right to write");
        journal.file = OpenOptions::new().append(true).open(&path).expect("a file");
        journal.append(&event(1)).expect_err("it is broken");
        assert_eq!(fs::read(&path).expect("the file"), b"");
    }
}
