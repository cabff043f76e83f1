//! A process that ends with ours, however ours ends.

use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};

/// How a process is ended when its owner is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Asked to stop in good order; killed if it has not within ten seconds.
    Terminate,
    /// Killed outright.
    Kill,
}

/// Ends one process once this one is gone, even when it was killed without a chance to tidy
/// up: a shell waits for the end of a pipe that only we write to.
///
/// Dropping it leaves the process alone. Do so when the process has ended: its id may then be
/// given to another.
#[derive(Debug)]
pub struct Lifeline {
    shell: Child,
}

/// A shell's `read` ends when no process holds the other end of its standard input.
const SHELL: &str = "
trap '' HUP INT QUIT TERM
while read -r _; do :; done
if [ \"$2\" = terminate ]; then
    kill -TERM \"$1\"
    tenths=100
    while [ $tenths -gt 0 ] && kill -0 \"$1\"; do
        tenths=$((tenths - 1))
        sleep 0.1
    done
fi 2>/dev/null
kill -KILL \"$1\" 2>/dev/null
";

impl Lifeline {
    /// Ties `process` to ours.
    ///
    /// # Errors
    ///
    /// If `sh` cannot be run.
    pub fn tie(process: u32, ending: Ending) -> io::Result<Self> {
        let how = match ending {
            Ending::Terminate => "terminate",
            Ending::Kill => "kill",
        };
        let shell = Command::new("sh")
            .args(["-c", SHELL, "ticketing-lifeline", &process.to_string(), how])
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // Ctrl-C in a terminal is for the owner.
            .process_group(0)
            .spawn()?;
        Ok(Self { shell })
    }
}

impl Drop for Lifeline {
    fn drop(&mut self) {
        // It can only fail to be killed if it has ended.
        let _ = self.shell.kill();
        let _ = self.shell.wait();
    }
}
