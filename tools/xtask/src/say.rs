//! Printing to the terminal.

use std::fmt::Display;
use std::io::{Write as _, stdout};

/// Prints a line at once and whole, even if others print at the same time.
pub(crate) fn say(line: impl Display) {
    let line = format!("{line}\n");
    let mut out = stdout().lock();
    // A closed standard output has no reader, so the error is ignored.
    let _ = out.write_all(line.as_bytes()).and_then(|()| out.flush());
}
