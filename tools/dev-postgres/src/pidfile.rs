//! `postmaster.pid`: what a running server says about itself in its data folder.

use std::{fs, io, path::Path, process::Command};

pub(crate) const NAME: &str = "postmaster.pid";

/// The lines of `postmaster.pid` that matter here.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct PidFile {
    pub(crate) pid: u32,
    /// Written a moment after the pid.
    pub(crate) port: Option<u16>,
    pub(crate) status: Status,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    Ready,
    Stopping,
    /// Starting, or not said yet.
    Other,
}

impl PidFile {
    /// Reads it; `None` when there is none, or not yet a whole one.
    pub(crate) fn read(data_dir: &Path) -> io::Result<Option<Self>> {
        match fs::read_to_string(data_dir.join(NAME)) {
            Ok(text) => Ok(Self::parse(&text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Line 1 is the pid, 4 the port, 8 the status, padded.
    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines().map(str::trim);
        let pid = lines.next()?.parse().ok()?;
        let port = lines.nth(2).and_then(|port| port.parse().ok());
        let status = match lines.nth(3) {
            Some("ready") => Status::Ready,
            Some("stopping") => Status::Stopping,
            _ => Status::Other,
        };
        Some(Self { pid, port, status })
    }
}

/// What runs under a process id.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Occupant {
    Nobody,
    Postgres,
    Another,
}

/// Finds what runs under `pid`: ids are reused, soon so in containers.
pub(crate) fn occupant(pid: u32) -> Occupant {
    match command_name(pid) {
        None => Occupant::Nobody,
        Some(name) if name == "postgres" => Occupant::Postgres,
        Some(_) => Occupant::Another,
    }
}

fn command_name(pid: u32) -> Option<String> {
    // `ps` is missing from small containers, `/proc` from macOS.
    let name = if Path::new("/proc/self/comm").exists() {
        fs::read_to_string(format!("/proc/{pid}/comm")).ok()?
    } else {
        let output = Command::new("ps")
            .args(["-o", "comm=", "-p", &pid.to_string()])
            .output()
            .ok()?;
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let name = name.trim().rsplit('/').next()?;
    (!name.is_empty()).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_running_servers_file() {
        let text = "81\n/data\n1700000000\n5433\n\n127.0.0.1\n  7 0\nready   \n";
        let read = PidFile::parse(text);
        assert_eq!(
            read,
            Some(PidFile {
                pid: 81,
                port: Some(5433),
                status: Status::Ready
            })
        );
    }

    #[test]
    fn a_file_half_written_is_not_ready() {
        assert_eq!(PidFile::parse(""), None);
        let read = PidFile::parse("81\n/data\n");
        assert_eq!(
            read,
            Some(PidFile {
                pid: 81,
                port: None,
                status: Status::Other
            })
        );
    }

    #[test]
    fn this_test_is_not_postgres() {
        assert_eq!(occupant(std::process::id()), Occupant::Another);
        assert_eq!(occupant(u32::MAX - 1), Occupant::Nobody);
    }
}
