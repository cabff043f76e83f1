//! What group commit does, in numbers.
//!
//! A batch is counted when its transaction is durable. One whose COMMIT got lost on the way is tried
//! again, and finds what it has done: its changes are counted by nobody then.

use std::collections::HashSet;
use std::sync::Arc;

use service_kit::metrics::{self, Counter, CounterBy, Histogram, LATENCY, Page, SIZES};

use super::batch::{Batch, BatchError, PendingOrder};
use super::contention::ContentionQueue;
use super::queue::Queue;
use crate::domain::{BookingState, NotGranted, Order, Outcome, Verb, Writes};

/// Orders of each batch that was carried out.
static BATCH_ORDERS: Histogram = Histogram::new(SIZES);
/// From when an order was queued until it was durable.
static ORDER_TIME: Histogram = Histogram::new(LATENCY);
static OPTIMISTIC: Counter = Counter::new();
static LOCKED: Counter = Counter::new();
static CONTENDED: Counter = Counter::new();
static MISSES: Counter = Counter::new();
static FAILURES: CounterBy<1> = CounterBy::new();
static SHED: Counter = Counter::new();
static BLOCKED: Counter = Counter::new();
static SEATS_SOLD: Counter = Counter::new();
static CHANGES: [Counter; VERBS.len()] = [const { Counter::new() }; VERBS.len()];

/// All verbs, in the order of their numbers.
const VERBS: [Verb; 13] = [
    Verb::Reserve,
    Verb::Confirm,
    Verb::Cancel,
    Verb::Expire,
    Verb::Void,
    Verb::Sell,
    Verb::Extend,
    Verb::Swap,
    Verb::Release,
    Verb::Pay,
    Verb::Decline,
    Verb::Reinstate,
    Verb::Repay,
];

/// How a batch was carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BatchPath {
    /// Written without having been locked.
    Optimistic,
    /// Decided over locked rows.
    Locked,
    /// The same of orders that had to wait for a lock.
    Contended,
}

/// What a transaction changes, to be counted once it is durable.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Changes {
    by_verb: [u16; VERBS.len()],
    seats_sold: u64,
}

impl Changes {
    /// What becomes of `orders`; nothing while nobody reads it.
    pub(super) fn of(orders: &[Order], outcomes: &[Outcome], writes: &Writes) -> Self {
        if metrics::is_on() {
            Self::count(orders, outcomes, writes)
        } else {
            Self::default()
        }
    }

    fn count(orders: &[Order], outcomes: &[Outcome], writes: &Writes) -> Self {
        let mut changes = Self::default();
        let mut sales = HashSet::new();
        for transition in &writes.transitions {
            changes.by_verb[transition.verb as usize] += 1;
            let is_sale = transition.to == BookingState::Confirmed
                && transition.from != Some(BookingState::Confirmed);
            if is_sale {
                sales.insert(transition.request_id);
            }
        }
        for (order, outcome) in orders.iter().zip(outcomes) {
            if let Ok(booking) = outcome
                && sales.contains(&order.request_id)
            {
                changes.seats_sold += booking.place_count() as u64;
            }
        }
        changes
    }

    /// Counts them: they are durable.
    pub(super) fn committed(&self) {
        SEATS_SOLD.add(self.seats_sold);
        for (count, counter) in self.by_verb.iter().zip(&CHANGES) {
            if *count > 0 {
                counter.add((*count).into());
            }
        }
    }
}

/// Notes that a batch was carried out, and how long its orders took that are answered now.
pub(super) fn committed(batch: &Batch, outcomes: &[Outcome], path: BatchPath) {
    if batch.is_empty() {
        return;
    }
    #[expect(clippy::cast_precision_loss, reason = "at most 256")]
    BATCH_ORDERS.observe(batch.orders.len() as f64);
    match path {
        BatchPath::Optimistic => OPTIMISTIC.increment(),
        BatchPath::Locked => LOCKED.increment(),
        BatchPath::Contended => CONTENDED.increment(),
    }
    let Some(now) = metrics::now() else { return };
    for (responder, outcome) in batch.responders.iter().zip(outcomes) {
        let comes_again = matches!(outcome, Err(NotGranted::Lapsed(_)));
        if let Some(queued_at) = responder.queued_at
            && !comes_again
        {
            ORDER_TIME.observe_time(now.saturating_duration_since(queued_at));
        }
    }
}

/// Notes that a batch came to nothing.
pub(super) fn failed(error: &BatchError) {
    match error {
        BatchError::Unexpected => MISSES.increment(),
        error => FAILURES.add([cause(error)], 1),
    }
}

/// Notes that the queue was full.
pub(super) fn shed() {
    SHED.increment();
}

/// Notes that an order waits for a lock that somebody else has.
pub(super) fn blocked() {
    BLOCKED.increment();
}

const CAUSES: [&str; 7] = [
    "no_connection",
    "connection_lost",
    "contention",
    "copy_met",
    "timeout",
    "fault",
    "panic",
];

fn cause(error: &BatchError) -> &'static str {
    match error {
        BatchError::NoConnection => "no_connection",
        BatchError::ConnectionLost { .. } => "connection_lost",
        BatchError::Contention { .. } => "contention",
        BatchError::CopyMet => "copy_met",
        BatchError::Unexpected => "unexpected",
        BatchError::Timeout => "timeout",
        BatchError::Fault(_) => "fault",
        BatchError::Panic { .. } => "panic",
    }
}

/// Has the metrics show the queues, and all that is counted here.
pub(super) fn register(queue: &Arc<Queue<PendingOrder>>, contention: &Arc<ContentionQueue>) {
    let (queue, contention) = (Arc::clone(queue), Arc::clone(contention));
    for cause in CAUSES {
        FAILURES.add([cause], 0);
    }
    metrics::register(move |page| {
        let load = queue.load();
        collect_queues(page, load.waiting, contention.len());
        let help = "Commit workers in the midst of a transaction";
        page.amount("ticketing_commit_workers_busy", help, &[], load.busy);
        let help = "Commit workers";
        page.amount("ticketing_commit_workers", help, &[], load.workers);
        collect_batches(page);
        collect_changes(page);
    });
}

fn collect_queues(page: &mut Page, waiting: usize, contended: usize) {
    for (queue, orders) in [("commit", waiting), ("contention", contended)] {
        let help =
            "Orders that wait, by queue: for a commit worker, or for a lock of somebody else";
        let of = &[("queue", queue)];
        page.amount("ticketing_queue_orders", help, of, orders);
    }
    let help = "The most orders of the commit queue";
    page.amount(
        "ticketing_queue_orders_max",
        help,
        &[],
        super::queue::WAITING_MAX,
    );
    let help = "Orders that were refused because the commit queue was full";
    page.counter("ticketing_orders_shed_total", help, &[], &SHED);
    let help = "Orders that had to wait for a lock of somebody else";
    page.counter("ticketing_orders_contended_total", help, &[], &BLOCKED);
    let help = "From when an order was queued until its transaction was durable";
    page.histogram("ticketing_order_commit_seconds", help, &[], &ORDER_TIME);
}

fn collect_batches(page: &mut Page) {
    let help = "Orders of each batch that was carried out in one transaction";
    page.histogram("ticketing_commit_batch_orders", help, &[], &BATCH_ORDERS);
    for (path, count) in [
        ("optimistic", &OPTIMISTIC),
        ("locked", &LOCKED),
        ("contended", &CONTENDED),
    ] {
        page.counter(
            "ticketing_commit_batches_total",
            "Batches that were carried out: written without locks, over locked rows, or with locks that were waited for",
            &[("path", path)],
            count,
        );
    }
    page.counter(
        "ticketing_commit_optimistic_misses_total",
        "Batches that were written without locks in vain, and done again over locked rows",
        &[],
        &MISSES,
    );
    page.counter_by(
        "ticketing_commit_failures_total",
        "Transactions of batches that came to nothing, by cause; most are tried again",
        ["cause"],
        &FAILURES,
    );
}

fn collect_changes(page: &mut Page) {
    let help = "Seats and places that were sold";
    page.counter("ticketing_seats_sold_total", help, &[], &SEATS_SOLD);
    for (verb, count) in VERBS.into_iter().zip(&CHANGES) {
        page.counter(
            "ticketing_booking_changes_total",
            "Changes of bookings, by verb as their log has it",
            &[("verb", verb.as_str())],
            count,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verbs_stand_at_their_numbers() {
        for (number, verb) in VERBS.into_iter().enumerate() {
            assert_eq!(verb as usize, number, "{verb:?}");
        }
    }
}
