//! A commit worker's backlog: batches and orders that it must finish before it takes new ones.
//!
//! Invariants: an order that breaks a transaction fails alone; an order that a worker takes from the
//! queue stays with it until it is answered, or waits for a lock ([`super::contention`]).

use std::collections::VecDeque;
use std::iter;
use std::mem::take;
use std::sync::Arc;
use std::time::Duration;

use model::BookingId;
use uuid::Uuid;

use super::batch::{
    BATCH_ORDERS_MAX, BATCH_SEATS_MAX, Batch, BatchError, OrderError, PendingOrder,
};
use super::contention::ContentionQueue;
use super::metrics;
use super::queue::{Permit, Queue};
use crate::domain::{NotGranted, Outcome};

/// The most tries of a transaction that meets conflicts, or whose connection breaks.
const ATTEMPTS_MAX: u32 = 6;
/// The most times that an order is decided again behind an `Expire`: each time another replica may
/// have taken the freed seats.
const ROUNDS_MAX: u8 = 16;

/// The work that a commit worker must finish before it takes new orders.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    /// For orders that need a lock that another session holds.
    contention: Arc<ContentionQueue>,
    /// Orders to decide again, in order.
    again: VecDeque<PendingOrder>,
    /// Batches to retry, whole or in halves.
    failed: VecDeque<Batch>,
}

impl Backlog {
    pub(super) fn new(contention: Arc<ContentionQueue>) -> Self {
        Self {
            contention,
            ..Self::default()
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.again.is_empty() && self.failed.is_empty()
    }

    /// The next batch: a failed one, else one of new orders.
    pub(super) fn next(&mut self, permit: &Permit<'_, PendingOrder>) -> Batch {
        self.next_failed().unwrap_or_else(|| self.fill(permit))
    }

    /// The next failed batch to retry.
    pub(super) fn next_failed(&mut self) -> Option<Batch> {
        self.failed.pop_front()
    }

    /// A batch whose locks can be sent behind the COMMIT of `batch`; none if a batch has
    /// failed, or if few orders wait: for those it is better to wait until more arrive.
    pub(super) fn behind<'a>(
        &mut self,
        batch: &Batch,
        queue: &'a Queue<PendingOrder>,
    ) -> Option<(Batch, Permit<'a, PendingOrder>)> {
        let waiting = self.again.len() + queue.len();
        if waiting == 0 || 2 * waiting < batch.orders.len() || !self.failed.is_empty() {
            return None;
        }
        let permit = queue.acquire();
        let next = self.fill(&permit);
        (!next.is_empty()).then_some((next, permit))
    }

    /// A batch of orders to decide again, then of the queue in its order.
    fn fill(&mut self, permit: &Permit<'_, PendingOrder>) -> Batch {
        let mut batch = Batch::default();
        let mut seats = 0;
        while batch.orders.len() < BATCH_ORDERS_MAX && seats < BATCH_SEATS_MAX {
            let Some(waiting) = self.again.pop_front().or_else(|| permit.pop()) else {
                break;
            };
            let waiting = waiting.if_wanted();
            if let Some(waiting) = waiting.and_then(|waiting| self.contention.divert(waiting)) {
                seats += waiting.order.command.size();
                batch.push(waiting);
            }
        }
        batch
    }

    /// Answers a batch whose transaction is durable; some of its orders may be decided again.
    pub(super) fn settle(&mut self, batch: Batch, outcomes: Vec<Outcome>) {
        let waiting = iter::zip(batch.orders, batch.responders);
        for ((order, responder), outcome) in iter::zip(waiting, outcomes) {
            match outcome {
                Ok(booking) => responder.answer(Ok(Ok(booking))),
                Err(NotGranted::Rejected(rejection)) => responder.answer(Ok(Err(rejection))),
                Err(NotGranted::SaleChanged) => responder.answer(Err(OrderError::SaleChanged)),
                Err(NotGranted::PicksTaken(picks)) => {
                    responder.answer(Err(OrderError::PicksTaken(picks)));
                }
                Err(NotGranted::Lapsed(bookings)) if responder.rounds < ROUNDS_MAX => {
                    let waiting = PendingOrder { order, responder };
                    self.come_again(waiting, bookings);
                }
                Err(NotGranted::Lapsed(_)) => responder.answer(Err(OrderError::Contention)),
                Err(NotGranted::Fault(what)) => responder.answer(Err(OrderError::fault(what))),
            }
        }
    }

    /// Queues an order again behind an `Expire` of each of these holds; if another session has one of
    /// them locked, once that ends.
    fn come_again(&mut self, waiting: PendingOrder, holds: Vec<BookingId>) {
        let Some(mut waiting) = self.contention.divert_behind(waiting, &holds) else {
            return;
        };
        let deadline = waiting.responder.deadline;
        let expiries = holds.into_iter();
        self.again
            .extend(expiries.map(|id| PendingOrder::expiry_of(id, deadline)));
        waiting.responder.rounds += 1;
        self.again.push_back(waiting);
    }

    /// Hands over the orders to decide again.
    pub(super) fn take_again(&mut self) -> VecDeque<PendingOrder> {
        take(&mut self.again)
    }

    /// Takes back a batch that failed: it is retried, in halves if the batch itself is at fault, or
    /// answered with the error. A batch that met a lock goes to the contention queue.
    pub(super) fn requeue(&mut self, mut batch: Batch, batch_error: BatchError) {
        metrics::failed(&batch_error);
        let tried = &mut batch.tried;
        let mut nowait = false;
        let error = match batch_error {
            // Nothing was sent: answer at once, rather than let callers wait.
            BatchError::NoConnection if !tried.in_doubt => {
                return batch.fail_all(&OrderError::DatabaseUnavailable);
            }
            BatchError::Fault(_) if batch.orders.len() > 1 => {
                return self.failed.extend(batch.bisect());
            }
            BatchError::Fault(what) => return batch.fail_all(&OrderError::fault(what)),
            // As a fault, but it may have been carried out, as when a connection is lost.
            BatchError::Panic { committing } => {
                tried.in_doubt |= committing;
                if batch.orders.len() > 1 {
                    return self.failed.extend(batch.bisect());
                }
                let what = "a step of its transaction panicked";
                return batch.fail_all(&OrderError::fault(what));
            }
            BatchError::ConnectionLost { committing } => {
                tried.in_doubt |= committing;
                OrderError::DatabaseUnavailable
            }
            BatchError::Unexpected => {
                // No attempt: it has yet to be made in the ordinary way.
                tried.unexpected = true;
                return self.failed.push_front(batch);
            }
            BatchError::Contention { writing } => {
                return self.contention.take_over(batch, writing);
            }
            BatchError::NoConnection | BatchError::Timeout => OrderError::DatabaseUnavailable,
            BatchError::CopyMet => {
                // The other transaction has committed: there is nothing to wait for.
                nowait = !tried.copy_met;
                tried.copy_met = true;
                OrderError::Contention
            }
        };
        tried.attempts += 1;
        if tried.attempts >= ATTEMPTS_MAX {
            return batch.fail_all(&error);
        }
        tried.pause = if nowait {
            Duration::ZERO
        } else {
            backoff(tried.attempts)
        };
        self.failed.push_back(batch);
    }
}

/// Longer with each attempt, with jitter so that two workers do not collide again.
fn backoff(attempt: u32) -> Duration {
    let base = 2_u64.saturating_pow(attempt) * 5;
    let jitter = Uuid::new_v4().as_u64_pair().0 % base;
    Duration::from_millis(base + jitter)
}

#[cfg(test)]
mod tests;
