//! A lane's backlog: batches and orders that it must finish, beside the queue.
//!
//! Invariants: an order that breaks a transaction fails alone; what a lane takes from the queue stays
//! with it until it is answered, or waits for a lock ([`super::contention`]).

use std::collections::VecDeque;
use std::iter;
use std::mem::take;
use std::sync::Arc;
use std::time::Duration;

use model::BookingId;
use uuid::Uuid;

use super::batch::{BATCH_ORDERS_MAX, BATCH_SEATS_MAX, Batch, LaneError, Trouble, Waiting};
use super::contention::ContentionQueue;
use super::queue::{Queue, Turn};
use crate::domain::{NotGranted, Outcome};

/// How often a transaction is tried that meets others, or whose connection breaks.
const ATTEMPTS_MAX: u32 = 6;
/// How often an order comes again because holds had to be ended first: another replica may have
/// taken what that brought, each time.
const ROUNDS_MAX: u8 = 16;

/// A lane's backlog, beside the queue.
#[derive(Debug, Default)]
pub(super) struct Desk {
    /// Where orders go that need a lock that somebody else has.
    contention: Arc<ContentionQueue>,
    /// Orders that come again, those first that must be decided first.
    again: VecDeque<Waiting>,
    /// Batches that are tried again, or in parts.
    failed: VecDeque<Batch>,
}

impl Desk {
    pub(super) fn new(contention: Arc<ContentionQueue>) -> Self {
        Self {
            contention,
            ..Self::default()
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.again.is_empty() && self.failed.is_empty()
    }

    /// What comes next: what has failed, then what is new.
    pub(super) fn next(&mut self, turn: &Turn<'_, Waiting>) -> Batch {
        self.next_failed().unwrap_or_else(|| self.fill(turn))
    }

    /// What has failed and is to be tried again.
    pub(super) fn next_failed(&mut self) -> Option<Batch> {
        self.failed.pop_front()
    }

    /// A batch whose locks can be sent behind the COMMIT of `batch`; none if something has
    /// failed, or if few wait: they do better to wait for the others that come meanwhile.
    pub(super) fn behind<'a>(
        &mut self,
        batch: &Batch,
        queue: &'a Queue<Waiting>,
    ) -> Option<(Batch, Turn<'a, Waiting>)> {
        let waiting = self.again.len() + queue.len();
        if waiting == 0 || 2 * waiting < batch.orders.len() || !self.failed.is_empty() {
            return None;
        }
        let turn = queue.own_turn();
        let next = self.fill(&turn);
        (!next.is_empty()).then_some((next, turn))
    }

    /// A batch of what comes again, then of the queue in its order.
    fn fill(&mut self, turn: &Turn<'_, Waiting>) -> Batch {
        let mut batch = Batch::default();
        let mut seats = 0;
        while batch.orders.len() < BATCH_ORDERS_MAX && seats < BATCH_SEATS_MAX {
            let Some(waiting) = self.again.pop_front().or_else(|| turn.pop()) else {
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

    /// Answers a batch whose transaction is durable; some of its orders may come again.
    pub(super) fn settle(&mut self, batch: Batch, outcomes: Vec<Outcome>) {
        let waiting = iter::zip(batch.orders, batch.callers);
        for ((order, caller), outcome) in iter::zip(waiting, outcomes) {
            match outcome {
                Ok(booking) => caller.answer(Ok(Ok(booking))),
                Err(NotGranted::Refused(refusal)) => caller.answer(Ok(Err(refusal))),
                Err(NotGranted::SaleChanged) => caller.answer(Err(LaneError::SaleChanged)),
                Err(NotGranted::PicksTaken(picks)) => {
                    caller.answer(Err(LaneError::PicksTaken(picks)));
                }
                Err(NotGranted::Lapsed(bookings)) if caller.rounds < ROUNDS_MAX => {
                    let waiting = Waiting { order, caller };
                    self.come_again(waiting, bookings);
                }
                Err(NotGranted::Lapsed(_)) => caller.answer(Err(LaneError::Contention)),
                Err(NotGranted::Fault(what)) => caller.answer(Err(LaneError::fault(what))),
            }
        }
    }

    /// Has an order come again behind an `Expire` of each of these holds; if somebody has one of
    /// them locked, when that is over.
    fn come_again(&mut self, waiting: Waiting, holds: Vec<BookingId>) {
        let Some(mut waiting) = self.contention.divert_behind(waiting, &holds) else {
            return;
        };
        let deadline = waiting.caller.deadline;
        let expiries = holds.into_iter();
        self.again
            .extend(expiries.map(|id| Waiting::expiry_of(id, deadline)));
        waiting.caller.rounds += 1;
        self.again.push_back(waiting);
    }

    /// Gives away what comes again.
    pub(super) fn take_again(&mut self) -> VecDeque<Waiting> {
        take(&mut self.again)
    }

    /// Takes a batch back that met trouble: it is tried again, in halves if it is at fault
    /// itself, or is given up. One that met a lock goes where such orders wait.
    pub(super) fn take_back(&mut self, mut batch: Batch, trouble: Trouble) {
        let tried = &mut batch.tried;
        let mut at_once = false;
        let error = match trouble {
            // Nothing was sent: say so at once, rather than let callers wait.
            Trouble::NoConnection if !tried.in_doubt => {
                return batch.give_up(&LaneError::DatabaseUnavailable);
            }
            Trouble::Fault(_) if batch.orders.len() > 1 => {
                return self.failed.extend(batch.halves());
            }
            Trouble::Fault(what) => return batch.give_up(&LaneError::fault(what)),
            // As a fault, but it may have been carried out, as when a connection is lost.
            Trouble::Panic { committing } => {
                tried.in_doubt |= committing;
                if batch.orders.len() > 1 {
                    return self.failed.extend(batch.halves());
                }
                let what = "a step of its transaction panicked";
                return batch.give_up(&LaneError::fault(what));
            }
            Trouble::ConnectionLost { committing } => {
                tried.in_doubt |= committing;
                LaneError::DatabaseUnavailable
            }
            Trouble::Unexpected => {
                // No attempt: it has yet to be made in the ordinary way.
                tried.unexpected = true;
                return self.failed.push_front(batch);
            }
            Trouble::Contention { writing } => {
                return self.contention.take_over(batch, writing);
            }
            Trouble::NoConnection | Trouble::Timeout => LaneError::DatabaseUnavailable,
            Trouble::CopyMet => {
                // The other transaction has committed: there is nothing to wait for.
                at_once = !tried.copy_met;
                tried.copy_met = true;
                LaneError::Contention
            }
        };
        tried.attempts += 1;
        if tried.attempts >= ATTEMPTS_MAX {
            return batch.give_up(&error);
        }
        tried.pause = if at_once {
            Duration::ZERO
        } else {
            backoff(tried.attempts)
        };
        self.failed.push_back(batch);
    }
}

/// Longer with each attempt, with jitter so that two lanes do not meet again.
fn backoff(attempt: u32) -> Duration {
    let base = 2_u64.saturating_pow(attempt) * 5;
    let jitter = Uuid::new_v4().as_u64_pair().0 % base;
    Duration::from_millis(base + jitter)
}

#[cfg(test)]
mod tests;
