//! Orders that one transaction decides, and who waits for them; what a lane has before it.
//!
//! Invariants: an order is answered once; one that breaks a transaction fails alone; what a
//! lane takes from the queue stays with it until it is answered.

use std::collections::VecDeque;
use std::fmt::Display;
use std::iter;
use std::sync::Arc;
use std::time::Duration;

use model::BookingId;
use tokio::sync::oneshot;
use tokio::time::Instant;
use uuid::Uuid;

use super::queue::{Queue, Turn};
use crate::domain::{Booking, Command, NotGranted, Order, Outcome, Refusal};

/// The most orders that one transaction decides.
const BATCH_ORDERS_MAX: usize = 256;
/// The most seats that one transaction touches, unless a single order has more.
const BATCH_SEATS_MAX: usize = 2_000;
/// How often a transaction is tried that meets others, or whose connection breaks.
const ATTEMPTS_MAX: u32 = 6;
/// How often an order comes again because holds had to be ended first: another replica may have
/// taken what that brought, each time.
const ROUNDS_MAX: u8 = 16;

/// Why an order got no decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LaneError {
    /// The queue is full.
    Overloaded,
    /// The order's time was over before its turn came.
    DeadlineExceeded,
    /// The database cannot be reached. Safe to repeat under the same request id.
    DatabaseUnavailable,
    /// Every attempt met other transactions.
    Contention,
    /// The sale was looked up at an older revision.
    SaleChanged,
    /// These seats, which were picked, cannot be had.
    PicksTaken(Vec<u32>),
    /// The service is stopping; nothing was done.
    ShuttingDown,
    /// The task that had the order was lost: whether it was carried out is not known. Safe to
    /// repeat under the same request id.
    OutcomeUnknown,
    /// A fault of ours. Whoever answers the call logs it, under the call's own id.
    Fault(Fault),
}

/// A fault, in words for the log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Fault(Arc<str>);

impl LaneError {
    /// Whether it is about this order, so that others may do better.
    #[must_use]
    pub fn is_local(&self) -> bool {
        match self {
            Self::DeadlineExceeded
            | Self::Contention
            | Self::SaleChanged
            | Self::PicksTaken(_)
            | Self::Fault(_) => true,
            Self::Overloaded
            | Self::DatabaseUnavailable
            | Self::ShuttingDown
            | Self::OutcomeUnknown => false,
        }
    }

    fn fault(what: impl Display) -> Self {
        Self::Fault(Fault(what.to_string().into()))
    }
}

/// The answer to an order.
pub type Answer = Result<Result<Booking, Refusal>, LaneError>;

/// An order in the queue.
#[derive(Debug)]
pub(super) struct Waiting {
    order: Order,
    caller: Caller,
}

#[derive(Debug)]
struct Caller {
    deadline: Instant,
    /// How often the order has come before.
    rounds: u8,
    /// None for orders that the lane made itself.
    answer: Option<oneshot::Sender<Answer>>,
}

impl Waiting {
    pub(super) fn new(order: Order, deadline: Instant, answer: oneshot::Sender<Answer>) -> Self {
        let caller = Caller {
            deadline,
            rounds: 0,
            answer: Some(answer),
        };
        Self { order, caller }
    }

    fn expiry_of(booking_id: BookingId, deadline: Instant) -> Self {
        let order = Order {
            show_id: booking_id.show(),
            request_id: Uuid::now_v7(),
            repeatable: false,
            fingerprint: 0,
            command: Command::Expire { booking_id },
        };
        let caller = Caller {
            deadline,
            rounds: 0,
            answer: None,
        };
        Self { order, caller }
    }

    /// The order, if somebody waits for it who has time left.
    fn if_wanted(self) -> Option<Self> {
        let Some(answer) = &self.caller.answer else {
            return Some(self);
        };
        if answer.is_closed() {
            return None;
        }
        if self.caller.deadline <= Instant::now() {
            self.caller.answer(Err(LaneError::DeadlineExceeded));
            return None;
        }
        Some(self)
    }
}

impl Caller {
    fn answer(self, answer: Answer) {
        // Whoever went away is not told.
        let unheard = match self.answer {
            Some(sender) => sender.send(answer).err(),
            None => Some(answer),
        };
        if let Some(Err(LaneError::Fault(fault))) = unheard {
            tracing::error!(%fault, "an order was given up that nobody waits for");
        }
    }
}

/// Orders that one transaction decides.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) orders: Vec<Order>,
    /// Who waits for each.
    callers: Vec<Caller>,
    tried: Tried,
}

/// What came of the attempts at a batch so far.
#[derive(Debug, Default, Clone, Copy)]
struct Tried {
    attempts: u32,
    /// How long to wait before the next.
    pause: Duration,
    /// Whether a COMMIT may have got lost.
    in_doubt: bool,
    /// Whether an order was met that had been carried out before.
    copy_met: bool,
    /// Whether it was written without locks, and not all was as expected.
    unexpected: bool,
}

impl Batch {
    /// Whether to ask first which of its orders have been carried out before.
    pub(super) fn copies_likely(&self) -> bool {
        self.tried.in_doubt || self.tried.copy_met
    }

    /// Whether it may be written as is expected, without locks.
    pub(super) fn may_go_ahead(&self) -> bool {
        self.tried.attempts == 0 && !self.copies_likely() && !self.tried.unexpected
    }

    /// How long to wait before it is tried.
    pub(super) fn pause(&self) -> Duration {
        self.tried.pause
    }

    pub(super) fn is_empty(&self) -> bool {
        self.orders.is_empty()
    }

    fn push(&mut self, waiting: Waiting) {
        self.orders.push(waiting.order);
        self.callers.push(waiting.caller);
    }

    /// Leaves out the orders that nobody waits for any more; none that may have been done.
    pub(super) fn retain_wanted(&mut self) {
        if self.tried.in_doubt {
            return;
        }
        let orders = self.orders.drain(..).zip(self.callers.drain(..));
        let wanted: Vec<_> = orders
            .map(|(order, caller)| Waiting { order, caller })
            .filter_map(Waiting::if_wanted)
            .collect();
        wanted.into_iter().for_each(|waiting| self.push(waiting));
    }

    /// Two halves, as if none of it had been tried; but a doubt stays.
    fn halves(mut self) -> [Self; 2] {
        let half = self.orders.len() / 2;
        let tried = Tried {
            attempts: 0,
            pause: Duration::ZERO,
            ..self.tried
        };
        let second = Self {
            orders: self.orders.split_off(half),
            callers: self.callers.split_off(half),
            tried,
        };
        self.tried = tried;
        [self, second]
    }

    fn give_up(self, error: &LaneError) {
        for caller in self.callers {
            caller.answer(Err(error.clone()));
        }
    }
}

/// Why a batch was not carried out, or perhaps was not.
#[derive(Debug)]
pub(super) enum Trouble {
    /// No connection can be had.
    NoConnection,
    /// The connection broke, or was given up.
    ConnectionLost {
        /// Whether a COMMIT was on its way.
        committing: bool,
    },
    /// Other transactions were in the way.
    Contention,
    /// An order had been carried out before.
    CopyMet,
    /// It was written without locks, and something stood in the way: nothing was done.
    Unexpected,
    /// The database took too long.
    Timeout,
    /// A fault of ours, or of one of the orders.
    Fault(String),
}

/// What a lane has before it, beside the queue.
#[derive(Debug, Default)]
pub(super) struct Desk {
    /// Orders that come again, those first that must be decided first.
    again: VecDeque<Waiting>,
    /// Batches that are tried again, or in parts.
    failed: VecDeque<Batch>,
}

impl Desk {
    pub(super) fn is_empty(&self) -> bool {
        self.again.is_empty() && self.failed.is_empty()
    }

    /// What comes next: what has failed, then what is new.
    pub(super) fn next(&mut self, turn: &Turn<'_, Waiting>) -> Batch {
        self.failed.pop_front().unwrap_or_else(|| self.fill(turn))
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
            if let Some(waiting) = waiting.if_wanted() {
                seats += waiting.order.command.size();
                batch.push(waiting);
            }
        }
        batch
    }

    /// Answers a batch whose transaction is durable; some of its orders may come again.
    pub(super) fn settle(&mut self, batch: Batch, outcomes: Vec<Outcome>) {
        let waiting = iter::zip(batch.orders, batch.callers);
        for ((order, mut caller), outcome) in iter::zip(waiting, outcomes) {
            match outcome {
                Ok(booking) => caller.answer(Ok(Ok(booking))),
                Err(NotGranted::Refused(refusal)) => caller.answer(Ok(Err(refusal))),
                Err(NotGranted::SaleChanged) => caller.answer(Err(LaneError::SaleChanged)),
                Err(NotGranted::PicksTaken(picks)) => {
                    caller.answer(Err(LaneError::PicksTaken(picks)));
                }
                Err(NotGranted::Lapsed(bookings)) if caller.rounds < ROUNDS_MAX => {
                    let deadline = caller.deadline;
                    let expiries = bookings.into_iter();
                    self.again
                        .extend(expiries.map(|id| Waiting::expiry_of(id, deadline)));
                    caller.rounds += 1;
                    self.again.push_back(Waiting { order, caller });
                }
                Err(NotGranted::Lapsed(_)) => caller.answer(Err(LaneError::Contention)),
                Err(NotGranted::Fault(what)) => caller.answer(Err(LaneError::fault(what))),
            }
        }
    }

    /// Takes a batch back that met trouble: it is tried again, in halves if it is at fault
    /// itself, or is given up.
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
            Trouble::ConnectionLost { committing } => {
                tried.in_doubt |= committing;
                LaneError::DatabaseUnavailable
            }
            Trouble::Unexpected => {
                // No attempt: it has yet to be made in the ordinary way.
                tried.unexpected = true;
                return self.failed.push_front(batch);
            }
            Trouble::NoConnection | Trouble::Timeout => LaneError::DatabaseUnavailable,
            Trouble::Contention => LaneError::Contention,
            Trouble::CopyMet => {
                // Whoever was ahead of us has committed: there is nothing to wait for.
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
