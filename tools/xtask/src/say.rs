//! Speaking to the person at the terminal.

use std::fmt::Display;
use std::io::{Write as _, stdout};

/// Prints a line, at once and whole, whoever else prints at the same time.
pub(crate) fn say(line: impl Display) {
    let line = format!("{line}\n");
    let mut out = stdout().lock();
    // Nobody listens to a closed standard output, so there is nobody to tell of it.
    let _ = out.write_all(line.as_bytes()).and_then(|()| out.flush());
}
