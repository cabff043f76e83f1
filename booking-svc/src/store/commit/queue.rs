//! The queue before the commit workers: first come, first served.
//!
//! Invariants: an entry waits only while a worker is busy; if that worker hangs and another is free,
//! it waits for [`PATIENCE`] at most; when no worker is left the queue is empty.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

/// The most entries of a queue.
pub(super) const WAITING_MAX: usize = 10_000;
/// A second worker begins when so many entries wait. A transaction has a fixed cost, so a few
/// orders do better to wait for the next one than to have one of their own.
const CROWD: usize = 64;
/// How long fewer entries than that wait for a busy worker, in case it hangs.
const PATIENCE: Duration = Duration::from_millis(10);

/// A queue that several workers serve.
#[derive(Debug)]
pub(super) struct Queue<T> {
    state: Mutex<State<T>>,
    changed: Notify,
}

#[derive(Debug)]
struct State<T> {
    waiting: VecDeque<T>,
    /// Transactions in progress.
    busy: usize,
    /// When the last one began.
    taken_at: Instant,
    open: bool,
    /// How many workers there are.
    workers: usize,
}

/// What a queue and its workers have to do.
#[derive(Debug, Clone, Copy)]
pub(super) struct Load {
    pub(super) waiting: usize,
    /// Transactions that are under way.
    pub(super) busy: usize,
    pub(super) workers: usize,
}

/// Why the queue takes no entry.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NotQueued {
    /// It is full.
    Full,
    /// It is closed: no worker is left.
    Closed,
}

/// The right to run a transaction now. Its worker is busy until it is dropped.
#[derive(Debug)]
pub(super) struct Permit<'a, T> {
    queue: &'a Queue<T>,
}

/// Held by a worker that serves the queue. Dropping the last one closes the queue and drops its
/// entries, since no worker would take them.
#[derive(Debug)]
pub(super) struct Serving<T>(Arc<Queue<T>>);

impl<T> Queue<T> {
    pub(super) fn new() -> Self {
        Self {
            state: Mutex::new(State {
                waiting: VecDeque::new(),
                busy: 0,
                taken_at: Instant::now(),
                open: true,
                workers: 0,
            }),
            changed: Notify::new(),
        }
    }

    /// Another worker serves the queue from now on.
    pub(super) fn serve(self: &Arc<Self>) -> Serving<T> {
        self.state().workers += 1;
        Serving(Arc::clone(self))
    }

    /// Appends an entry.
    ///
    /// # Errors
    ///
    /// If it is full or closed.
    pub(super) fn push(&self, item: T) -> Result<(), NotQueued> {
        let mut state = self.state();
        if !state.open {
            return Err(NotQueued::Closed);
        }
        if state.waiting.len() >= WAITING_MAX {
            return Err(NotQueued::Full);
        }
        state.waiting.push_back(item);
        let first_or_crowd = matches!(state.waiting.len(), 1 | CROWD);
        drop(state);
        if first_or_crowd {
            self.changed.notify_one();
        }
        Ok(())
    }

    /// Closes the queue: it takes no more entries, and its entries are still served.
    pub(super) fn close(&self) {
        self.state().open = false;
        self.changed.notify_waiters();
    }

    /// Waits for a permit; none when the queue is closed and empty.
    pub(super) async fn permit(&self) -> Option<Permit<'_, T>> {
        loop {
            let changed = self.changed.notified();
            let patience_ends = {
                let mut state = self.state();
                let patience_ends = state.taken_at + PATIENCE;
                let crowd = state.waiting.len() >= CROWD || patience_ends <= Instant::now();
                let waits = !state.waiting.is_empty();
                if waits && (state.busy == 0 || crowd || !state.open) {
                    return Some(self.begin(&mut state));
                }
                if !state.open {
                    return None;
                }
                waits.then_some(patience_ends)
            };
            match patience_ends {
                // Either way it checks again.
                Some(instant) => drop(timeout_at(instant, changed).await),
                None => changed.await,
            }
        }
    }

    /// How many entries it has.
    pub(super) fn len(&self) -> usize {
        self.state().waiting.len()
    }

    /// What it and its workers have to do.
    pub(super) fn load(&self) -> Load {
        let state = self.state();
        Load {
            waiting: state.waiting.len(),
            busy: state.busy,
            workers: state.workers,
        }
    }

    /// A permit at once, for a worker that has work of its own, or whose last transaction is all
    /// but done.
    pub(super) fn acquire(&self) -> Permit<'_, T> {
        self.begin(&mut self.state())
    }

    fn begin(&self, state: &mut State<T>) -> Permit<'_, T> {
        state.busy += 1;
        state.taken_at = Instant::now();
        Permit { queue: self }
    }

    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Drop for Serving<T> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.workers -= 1;
        if state.workers == 0 {
            state.open = false;
            let waiting = std::mem::take(&mut state.waiting);
            drop(state);
            drop(waiting);
        }
    }
}

impl<T> Permit<'_, T> {
    /// The next in the queue.
    pub(super) fn pop(&self) -> Option<T> {
        self.queue.state().waiting.pop_front()
    }
}

impl<T> Drop for Permit<'_, T> {
    fn drop(&mut self) {
        let mut state = self.queue.state();
        state.busy -= 1;
        let waits = !state.waiting.is_empty();
        drop(state);
        if waits {
            self.queue.changed.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use tokio::time::Instant;

    use super::*;

    /// A queue with so much in it.
    fn queue(waiting: usize) -> Queue<usize> {
        let queue = Queue::new();
        for item in 0..waiting {
            queue.push(item).expect("room");
        }
        queue
    }

    #[tokio::test(start_paused = true)]
    async fn a_worker_serves_at_once_if_none_is_busy_and_first_come_first() {
        let queue = queue(2);
        let permit = queue.permit().now_or_never().flatten().expect("a permit");
        assert_eq!(
            (permit.pop(), permit.pop(), permit.pop()),
            (Some(0), Some(1), None)
        );
        drop(permit);
        let (permit, pushed) = futures_util::join!(queue.permit(), async { queue.push(2) });
        assert_eq!(
            (permit.and_then(|permit| permit.pop()), pushed),
            (Some(2), Ok(()))
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_second_worker_starts_for_a_crowd_or_after_the_patience() {
        let queue = queue(CROWD - 1);
        let busy = queue.acquire();
        assert!(queue.permit().now_or_never().is_none());
        let began = Instant::now();
        let permit = queue.permit().await.expect("a permit");
        assert_eq!(began.elapsed().as_millis(), PATIENCE.as_millis());
        drop(permit);

        let (permit, pushed) = futures_util::join!(queue.permit(), async { queue.push(7) });
        assert!(permit.is_some() && pushed.is_ok());
        assert!(began.elapsed() < PATIENCE * 2, "the crowd was enough");
        drop(permit);
        drop(busy);
        assert!(queue.permit().now_or_never().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn waiting_entries_are_served_when_the_busy_worker_is_done() {
        let queue = queue(1);
        let busy = queue.acquire();
        let began = Instant::now();
        let (permit, ()) = futures_util::join!(queue.permit(), async { drop(busy) });
        assert!(permit.is_some());
        assert_eq!(began.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_bounded_and_serves_waiting_entries_after_it_is_closed() {
        let queue = queue(WAITING_MAX);
        assert_eq!(queue.push(0), Err(NotQueued::Full));
        let busy = queue.acquire();
        queue.close();
        assert_eq!(queue.push(0), Err(NotQueued::Closed));
        let permit = queue.permit().await.expect("what waits is served");
        while permit.pop().is_some() {}
        drop(permit);
        drop(busy);
        assert!(queue.permit().await.is_none());
    }

    #[test]
    fn the_last_worker_closes_the_queue_and_drops_waiting_orders() {
        let waits = Arc::new(());
        let queue = Arc::new(Queue::new());
        let (one, other) = (queue.serve(), queue.serve());
        queue.push(Arc::clone(&waits)).expect("room");
        drop(one);
        assert_eq!((queue.len(), Arc::strong_count(&waits)), (1, 2));
        drop(other);
        assert_eq!((queue.len(), Arc::strong_count(&waits)), (0, 1));
        assert_eq!(queue.push(waits), Err(NotQueued::Closed));
    }

    #[tokio::test(start_paused = true)]
    async fn closing_wakes_every_worker() {
        let queue = queue(0);
        let (first, second, ()) =
            futures_util::join!(queue.permit(), queue.permit(), async { queue.close() });
        assert!(first.is_none() && second.is_none());
    }
}
