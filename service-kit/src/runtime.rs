//! The runtime that a service runs on.

use std::future::Future;
use std::num::NonZeroU16;
use std::thread::available_parallelism;

/// Runs `work` on `threads` threads; if not said, on half of the cores that the process may
/// use, one at least. More threads than there is work for wake each other up: on two cores
/// shared with PostgreSQL, one thread took a fifth less CPU for a booking than two.
///
/// # Errors
///
/// If the system gives no threads.
pub fn run<F: Future>(threads: Option<NonZeroU16>, work: F) -> std::io::Result<F::Output> {
    let threads = match threads {
        Some(threads) => threads.get().into(),
        None => (available_parallelism()?.get() / 2).max(1),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        .enable_all()
        .build()?;
    Ok(runtime.block_on(work))
}
