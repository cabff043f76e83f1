//! Orders that wait for a lock that a session outside of this process's batches holds, perhaps for
//! long: a console, a report, another service. A batch that meets such a lock is handed over to
//! here, and one worker with its own connection retries it: it takes only locks that are free, so
//! it never waits. Orders that get their locks are decided at once; the others stay here and are
//! tried again.
//!
//! The locks that were not free are remembered while an order waits. Other orders that need them
//! come here directly, so that the commit workers do not meet the same lock again.
//!
//! Invariants: an order stays here for [`WAIT_MAX`] at most, and is answered before its caller's
//! deadline; an order that needs no such lock is never held up by one that does; while no order
//! waits here no lock is remembered, and the check costs one load of a flag.

use std::collections::{HashMap, HashSet, VecDeque};
use std::iter;
use std::mem::take;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use model::BookingId;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use super::batch::{BATCH_ORDERS_MAX, BATCH_SEATS_MAX, Batch, PendingOrder};
use super::lock_keys::LockKey;
use super::metrics;
use super::tx::Blocked;
use crate::domain::{Command, Order};

/// The most orders that wait; a further one is answered at once.
const WAITING_MAX: usize = 10_000;
/// The longest that an order waits.
pub(in crate::store) const WAIT_MAX: Duration = Duration::from_secs(5);
/// The longest that an order to void a booking does: the next page of its show waits for it, and it
/// is given again.
const VOID_WAIT_MAX: Duration = Duration::from_millis(500);
/// How long before its caller's deadline an order is answered, so that the answer arrives in time; or
/// a quarter of the remaining time, if that is less.
const ANSWER_MARGIN: Duration = Duration::from_millis(500);
/// The first pause before orders are retried; longer each time.
const PAUSE_MIN: Duration = Duration::from_millis(5);
const PAUSE_MAX: Duration = Duration::from_millis(50);
/// Of the orders that wait for the same lock, the most that are tried at a time.
const PROBES_MAX: usize = 32;
/// The most locks that are remembered as taken; beyond it all are forgotten.
const TAKEN_MAX: usize = 65_536;
/// The longest that a commit worker waits for a lock while orders wait here: where one row is
/// locked others may be, and each costs a batch that wait once.
const LOCK_WAIT_MAX: Duration = Duration::from_millis(10);

/// The queue of those orders.
#[derive(Debug)]
pub(super) struct ContentionQueue {
    state: Mutex<State>,
    /// Whether an order waits here, or is in the worker's hands.
    active: AtomicBool,
    changed: Notify,
}

#[derive(Debug)]
struct State {
    waiting: VecDeque<PendingOrder>,
    /// Locks that were not free at the last try.
    taken: HashSet<LockKey>,
    /// The time of the next try, and the pause before it.
    next_at: Instant,
    pause: Duration,
    /// Whether there are orders from a commit worker that were not tried here yet.
    is_fresh: bool,
    open: bool,
}

/// Held by the worker that serves the queue. Dropping it closes the queue: no other worker would
/// answer the waiting orders.
pub(super) struct Serving<'a>(&'a ContentionQueue);

impl Drop for Serving<'_> {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl Default for ContentionQueue {
    fn default() -> Self {
        Self {
            state: Mutex::new(State {
                waiting: VecDeque::new(),
                taken: HashSet::new(),
                next_at: Instant::now(),
                pause: Duration::ZERO,
                is_fresh: false,
                open: true,
            }),
            active: AtomicBool::new(false),
            changed: Notify::new(),
        }
    }
}

impl ContentionQueue {
    /// A worker serves the queue as long as the value lives.
    pub(super) fn serve(&self) -> Serving<'_> {
        Serving(self)
    }

    /// How long a commit worker waits for a lock: `max` while no order waits here.
    pub(super) fn lock_wait(&self, max: Duration) -> Duration {
        if self.is_active() {
            max.min(LOCK_WAIT_MAX)
        } else {
            max
        }
    }

    /// How many orders wait.
    pub(super) fn len(&self) -> usize {
        self.state().waiting.len()
    }

    fn is_active(&self) -> bool {
        self.active.load(Ordering::Relaxed)
    }

    /// Takes an order that needs a lock that is known to be taken; returns any other.
    pub(super) fn divert(&self, waiting: PendingOrder) -> Option<PendingOrder> {
        if !self.is_active() {
            return Some(waiting);
        }
        let mut state = self.state();
        let keys = LockKey::of(&waiting.order);
        match keys.into_iter().find(|key| state.taken.contains(key)) {
            Some(key) => self.add(&mut state, waiting, (Some(key), BATCH_ORDERS_MAX)),
            None => return Some(waiting),
        }
        None
    }

    /// Takes an order that must wait for an `Expire`, if that needs a lock that is known to be taken;
    /// returns any other.
    pub(super) fn divert_behind(
        &self,
        waiting: PendingOrder,
        holds: &[BookingId],
    ) -> Option<PendingOrder> {
        if !self.is_active() {
            return Some(waiting);
        }
        let mut state = self.state();
        let mut keys = holds
            .iter()
            .flat_map(|id| [LockKey::Booking(*id), LockKey::Parts(*id)]);
        match keys.find(|key| state.taken.contains(key)) {
            Some(key) => self.add(&mut state, waiting, (Some(key), BATCH_ORDERS_MAX)),
            None => return Some(waiting),
        }
        None
    }

    /// Takes a batch that met a lock. If it met it while writing, although its own locks were
    /// free, it is unknown which order is to blame: it is tried in halves.
    pub(super) fn take_over(&self, batch: Batch, writing: bool) {
        let was_at_once = batch.is_at_once();
        let batch_max = if writing && was_at_once {
            (batch.orders.len() / 2).max(1)
        } else {
            BATCH_ORDERS_MAX
        };
        let mut state = self.state();
        for waiting in batch.into_waiting() {
            self.add(&mut state, waiting, (None, batch_max));
        }
        if !was_at_once {
            // Most of its orders can get their locks.
            state.is_fresh = true;
            state.next_at = Instant::now();
            drop(state);
            self.changed.notify_one();
        }
    }

    /// Takes back orders to decide again.
    pub(super) fn requeue(&self, again: impl IntoIterator<Item = PendingOrder>) {
        let mut state = self.state();
        for waiting in again {
            self.add(&mut state, waiting, (None, BATCH_ORDERS_MAX));
        }
    }

    /// Keeps the orders of a batch that could not get their locks, and records which locks are free
    /// and which are not.
    pub(super) fn keep_blocked(&self, batch: &mut Batch, blocked: Vec<Blocked>) {
        let mut state = self.state();
        let mut lacking: HashMap<usize, &Blocked> = HashMap::new();
        for order in &blocked {
            lacking.insert(order.place, order);
        }
        for (place, order) in batch.orders.iter().enumerate() {
            state.note(order, lacking.get(&place).map_or(&[], |order| &order.keys));
        }
        let places: HashSet<usize> = blocked.iter().map(|order| order.place).collect();
        let keys = blocked.into_iter().map(|order| order.keys);
        for (waiting, keys) in iter::zip(batch.take_out(&places), keys) {
            let key = keys.into_iter().next();
            self.add(&mut state, waiting, (key, BATCH_ORDERS_MAX));
        }
    }

    /// Notes that the worker is done with a batch, and whether any of its orders was decided: if not,
    /// there is a pause before the next.
    pub(super) fn tried(&self, progress: bool) {
        let mut state = self.state();
        state.pause = if progress || state.is_fresh {
            Duration::ZERO
        } else {
            (state.pause * 2).clamp(PAUSE_MIN, PAUSE_MAX)
        };
        state.next_at = Instant::now() + state.pause;
        self.rest_if_empty(&mut state);
    }

    /// The next batch to try, once it is time; none when the queue is closed.
    pub(super) async fn next(&self) -> Option<Batch> {
        loop {
            let changed = self.changed.notified();
            let due = {
                let mut state = self.state();
                if !state.open {
                    return None;
                }
                if state.next_at <= Instant::now() {
                    let batch = state.batch();
                    if !batch.is_empty() {
                        return Some(batch);
                    }
                    // All of its callers have left.
                    self.rest_if_empty(&mut state);
                }
                (!state.waiting.is_empty()).then_some(state.next_at)
            };
            match due {
                // Either way it checks again.
                Some(due) => drop(timeout_at(due, changed).await),
                None => changed.await,
            }
        }
    }

    /// Takes no more orders, and answers those that wait: a closed queue is empty.
    pub(super) fn close(&self) {
        let mut state = self.state();
        state.open = false;
        take(&mut state.waiting)
            .into_iter()
            .for_each(PendingOrder::fail_all);
        drop(state);
        self.changed.notify_one();
    }

    fn add(
        &self,
        state: &mut State,
        mut waiting: PendingOrder,
        (waits_for, batch_max): (Option<LockKey>, usize),
    ) {
        if !state.open || state.waiting.len() >= WAITING_MAX {
            return waiting.fail_all();
        }
        let wait_max = match waiting.order.command {
            Command::Void { .. } => VOID_WAIT_MAX,
            _ => WAIT_MAX,
        };
        let give_up_at = give_up_at(waiting.responder.deadline, wait_max);
        if waiting.contended().is_none() {
            metrics::blocked();
        }
        let contended = waiting.contend(give_up_at);
        contended.waits_for = waits_for;
        contended.batch_max = contended.batch_max.min(batch_max);
        state.waiting.push_back(waiting);
        let was_active = self.active.swap(true, Ordering::Relaxed);
        if !was_active {
            self.changed.notify_one();
        }
    }

    /// Forgets the remembered locks, if no order waits any more.
    fn rest_if_empty(&self, state: &mut State) {
        if state.waiting.is_empty() {
            state.taken.clear();
            self.active.store(false, Ordering::Relaxed);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// When a caller that begins to wait for a lock is answered at the latest: in `wait_max`, or a little
/// before its own deadline.
pub(in crate::store) fn give_up_at(deadline: Instant, wait_max: Duration) -> Instant {
    let now = Instant::now();
    let left = deadline.saturating_duration_since(now);
    now + wait_max.min(left - ANSWER_MARGIN.min(left / 4))
}

impl State {
    /// Records which of an order's locks are free: all but `lacking`.
    fn note(&mut self, order: &Order, lacking: &[LockKey]) {
        if self.taken.len() + lacking.len() > TAKEN_MAX {
            self.taken.clear();
        }
        if !self.taken.is_empty() {
            for key in LockKey::of(order) {
                self.taken.remove(&key);
            }
        }
        self.taken.extend(lacking.iter().cloned());
    }

    /// The next orders to try, longest untried first: all that wait for no remembered lock, and
    /// a few for each remembered lock.
    fn batch(&mut self) -> Batch {
        let now = Instant::now();
        self.is_fresh = false;
        let mut batch = Batch::nowait();
        let (mut seats, mut orders_max) = (0, BATCH_ORDERS_MAX);
        let mut probes: HashMap<LockKey, usize> = HashMap::new();
        for waiting in take(&mut self.waiting) {
            let Some(contended) = waiting.contended() else {
                continue;
            };
            if contended.give_up_at <= now {
                waiting.fail_all();
                continue;
            }
            let together_max = orders_max.min(contended.batch_max);
            let mut fits = batch.orders.len() < together_max && seats < BATCH_SEATS_MAX;
            if let Some(key) = contended
                .waits_for
                .as_ref()
                .filter(|key| fits && self.taken.contains(key))
            {
                let probes = probes.entry(key.clone()).or_default();
                *probes += 1;
                fits = *probes <= PROBES_MAX;
            }
            let Some(waiting) = waiting.if_wanted() else {
                continue;
            };
            if fits {
                seats += waiting.order.command.size();
                orders_max = together_max;
                batch.push(waiting);
            } else {
                self.waiting.push_back(waiting);
            }
        }
        batch
    }
}

#[cfg(test)]
mod tests;
