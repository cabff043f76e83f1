//! Makes a task panic when the process gets SIGUSR2, so that tests of the real binaries can check
//! the consequences. Not in release builds.

use std::future::{Future, pending};

use tokio::signal::unix::{SignalKind, signal};

/// The environment variable that names the task.
const VARIABLE: &str = "TICKETING_DEBUG_PANIC_TASK";

/// `task`, which panics at the signal if it is the one that is named. It listens from now on.
pub(crate) fn in_task<T>(
    name: &'static str,
    task: impl Future<Output = T>,
) -> impl Future<Output = T> {
    let is_named = std::env::var(VARIABLE).is_ok_and(|named| named == name);
    let signals = is_named.then(|| signal(SignalKind::user_defined2()));
    let panics = async move {
        match signals {
            Some(Ok(mut signals)) => {
                signals.recv().await;
                panic!("{VARIABLE} names this task");
            }
            _ => pending().await,
        }
    };
    async move {
        tokio::select! {
            done = task => done,
            () = panics => unreachable!("it never returns"),
        }
    }
}
