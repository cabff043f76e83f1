//! Orders that one transaction decides, and the callers that wait for them.
//!
//! Invariant: an order is answered once.

use std::collections::HashSet;
use std::fmt::Display;
use std::iter;
use std::mem::take;
use std::sync::Arc;
use std::time::Duration;

use model::BookingId;
use service_kit::metrics;
use tokio::sync::oneshot;
use tokio::time::Instant;
use uuid::Uuid;

use super::lock_keys::LockKey;
use crate::domain::{Booking, Command, Order, Rejection, Requester};

/// The most orders that one transaction decides.
pub(super) const BATCH_ORDERS_MAX: usize = 256;
/// The most seats that one transaction touches, unless a single order has more.
pub(super) const BATCH_SEATS_MAX: usize = 2_000;

/// Why an order got no decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OrderError {
    /// The queue is full.
    Overloaded,
    /// The order's deadline passed before it was decided.
    DeadlineExceeded,
    /// The database cannot be reached. Safe to repeat under the same request id.
    DatabaseUnavailable,
    /// Every attempt met other transactions, or another session holds a lock that it needs.
    Contention,
    /// The sale was looked up at an older revision.
    SaleChanged,
    /// These picked seats are taken.
    PicksTaken(Vec<u32>),
    /// The service is stopping; nothing was done.
    ShuttingDown,
    /// The task that had the order was lost: whether the order was carried out is not known. Safe to
    /// repeat under the same request id.
    OutcomeUnknown,
    /// A fault of ours. It is logged where the call is answered, under the call's log id.
    Fault(Fault),
}

/// A fault, in words for the log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Fault(Arc<str>);

impl OrderError {
    /// Whether the order may have been carried out all the same, or may be yet.
    #[must_use]
    pub fn may_be_carried_out(&self) -> bool {
        match self {
            Self::DeadlineExceeded
            | Self::DatabaseUnavailable
            | Self::OutcomeUnknown
            | Self::Fault(_) => true,
            Self::Overloaded
            | Self::Contention
            | Self::SaleChanged
            | Self::PicksTaken(_)
            | Self::ShuttingDown => false,
        }
    }

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

    pub(super) fn fault(what: impl Display) -> Self {
        Self::Fault(Fault(what.to_string().into()))
    }
}

/// The answer to an order.
pub type Answer = Result<Result<Booking, Rejection>, OrderError>;

/// An order in the queue.
#[derive(Debug)]
pub(super) struct PendingOrder {
    pub(super) order: Order,
    pub(super) responder: Responder,
}

/// The caller that waits for an order.
#[derive(Debug)]
pub(super) struct Responder {
    pub(super) deadline: Instant,
    /// When it was queued; none for orders that the worker made itself, and if nobody wants to know.
    pub(super) queued_at: Option<std::time::Instant>,
    /// How often the order has come before.
    pub(super) rounds: u8,
    /// Whether it may have been carried out by a COMMIT that got lost, in another batch.
    in_doubt: bool,
    /// None for orders that the worker made itself.
    answer: Option<oneshot::Sender<Answer>>,
    /// Set as soon as the order has had to wait for a lock that another session holds. Boxed, as few
    /// have.
    contended: Option<Box<Contended>>,
}

/// The state of an order that waits for a lock that another session holds.
#[derive(Debug)]
pub(super) struct Contended {
    /// When it is answered without having been decided.
    pub(super) give_up_at: Instant,
    /// The largest batch in which it is tried.
    pub(super) batch_max: usize,
    /// A lock that was not free at the last try, if known.
    pub(super) waits_for: Option<LockKey>,
}

impl PendingOrder {
    pub(super) fn new(order: Order, deadline: Instant, answer: oneshot::Sender<Answer>) -> Self {
        let responder = Responder {
            deadline,
            queued_at: metrics::now(),
            rounds: 0,
            in_doubt: false,
            answer: Some(answer),
            contended: None,
        };
        Self { order, responder }
    }

    pub(super) fn expiry_of(booking_id: BookingId, deadline: Instant) -> Self {
        let order = Order {
            show_id: booking_id.show(),
            request_id: Uuid::now_v7(),
            repeatable: false,
            fingerprint: 0,
            requester: Requester::unnamed(),
            command: Command::Expire { booking_id },
        };
        let responder = Responder {
            deadline,
            queued_at: None,
            rounds: 0,
            in_doubt: false,
            answer: None,
            contended: None,
        };
        Self { order, responder }
    }

    /// The order, if its caller still waits and has time left.
    pub(super) fn if_wanted(self) -> Option<Self> {
        let Some(answer) = &self.responder.answer else {
            return Some(self);
        };
        if answer.is_closed() {
            return None;
        }
        if self.responder.deadline <= Instant::now() {
            self.responder.answer(Err(OrderError::DeadlineExceeded));
            return None;
        }
        Some(self)
    }

    /// Its state while it waits for a lock.
    pub(super) fn contended(&self) -> Option<&Contended> {
        self.responder.contended.as_deref()
    }

    /// The same, set first if the order begins to wait for a lock; it then waits until
    /// `give_up_at`.
    pub(super) fn contend(&mut self, give_up_at: Instant) -> &mut Contended {
        self.responder.contended.get_or_insert_with(|| {
            Box::new(Contended {
                give_up_at,
                batch_max: BATCH_ORDERS_MAX,
                waits_for: None,
            })
        })
    }

    /// Answers an order that cannot have a lock.
    pub(super) fn fail_all(self) {
        let in_doubt = self.responder.in_doubt;
        self.responder.answer(Err(if in_doubt {
            OrderError::DatabaseUnavailable
        } else {
            OrderError::Contention
        }));
    }
}

impl Responder {
    pub(super) fn answer(self, answer: Answer) {
        // The caller may have left; a fault is then logged, since nobody else reports it.
        let undelivered = match self.answer {
            Some(sender) => sender.send(answer).err(),
            None => Some(answer),
        };
        if let Some(Err(OrderError::Fault(fault))) = undelivered {
            tracing::error!(%fault, "an order failed after its caller had left");
        }
    }
}

/// Orders that one transaction decides.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) orders: Vec<Order>,
    /// The caller of each.
    pub(super) responders: Vec<Responder>,
    pub(super) tried: Attempt,
}

/// The attempts at a batch so far.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Attempt {
    pub(super) attempts: u32,
    /// How long to wait before the next.
    pub(super) pause: Duration,
    /// Whether a COMMIT may have got lost.
    pub(super) in_doubt: bool,
    /// Whether an order of it had been carried out before.
    pub(super) copy_met: bool,
    /// Whether it was written without locks, and not all was as expected.
    pub(super) unexpected: bool,
    /// Whether it takes only locks that are free.
    nowait: bool,
}

impl Batch {
    /// Whether to ask first which of its orders have been carried out before.
    pub(super) fn expects_replays(&self) -> bool {
        self.tried.in_doubt || self.tried.copy_met || self.tried.nowait
    }

    /// Whether it may be written as is expected, without locks.
    pub(super) fn can_try_optimistic(&self) -> bool {
        self.tried.attempts == 0 && !self.expects_replays() && !self.tried.unexpected
    }

    /// How long to wait before the next try.
    pub(super) fn pause(&self) -> Duration {
        self.tried.pause
    }

    pub(super) fn is_empty(&self) -> bool {
        self.orders.is_empty()
    }

    /// A batch that takes only locks that are free.
    pub(super) fn nowait() -> Self {
        let mut batch = Self::default();
        batch.tried.nowait = true;
        batch
    }

    pub(super) fn is_at_once(&self) -> bool {
        self.tried.nowait
    }

    pub(super) fn push(&mut self, waiting: PendingOrder) {
        self.tried.in_doubt |= waiting.responder.in_doubt;
        self.orders.push(waiting.order);
        self.responders.push(waiting.responder);
    }

    /// Its orders one by one. Each takes the batch's doubt along.
    pub(super) fn into_waiting(self) -> impl Iterator<Item = PendingOrder> {
        let in_doubt = self.tried.in_doubt;
        iter::zip(self.orders, self.responders).map(move |(order, mut responder)| {
            responder.in_doubt |= in_doubt;
            PendingOrder { order, responder }
        })
    }

    /// Takes the orders at these places out of it, in their order.
    pub(super) fn take_out(&mut self, places: &HashSet<usize>) -> Vec<PendingOrder> {
        if places.is_empty() {
            return Vec::new();
        }
        let tried = self.tried;
        let mut out = Vec::with_capacity(places.len());
        for (place, waiting) in take(self).into_waiting().enumerate() {
            if places.contains(&place) {
                out.push(waiting);
            } else {
                self.push(waiting);
            }
        }
        self.tried = tried;
        out
    }

    /// Drops the orders whose callers have left; none that may have been done.
    pub(super) fn drop_abandoned(&mut self) {
        if self.tried.in_doubt {
            return;
        }
        let orders = self.orders.drain(..).zip(self.responders.drain(..));
        let wanted: Vec<_> = orders
            .map(|(order, responder)| PendingOrder { order, responder })
            .filter_map(PendingOrder::if_wanted)
            .collect();
        wanted.into_iter().for_each(|waiting| self.push(waiting));
    }

    /// Two halves, with fresh counts of tries; a possible COMMIT stays in doubt.
    pub(super) fn bisect(mut self) -> [Self; 2] {
        let half = self.orders.len() / 2;
        let tried = Attempt {
            attempts: 0,
            pause: Duration::ZERO,
            ..self.tried
        };
        let second = Self {
            orders: self.orders.split_off(half),
            responders: self.responders.split_off(half),
            tried,
        };
        self.tried = tried;
        [self, second]
    }

    pub(super) fn fail_all(self, error: &OrderError) {
        for responder in self.responders {
            responder.answer(Err(error.clone()));
        }
    }
}

/// Why a batch was not carried out, or perhaps was not.
#[derive(Debug)]
pub(super) enum BatchError {
    /// No connection is available.
    NoConnection,
    /// The connection broke, or was closed.
    ConnectionLost {
        /// Whether a COMMIT was on its way.
        committing: bool,
    },
    /// Other transactions were in the way.
    Contention {
        /// Whether it had all of its locks, and met the other lock while writing.
        writing: bool,
    },
    /// An order had been carried out before.
    CopyMet,
    /// It was written without locks, and something stood in the way: nothing was done.
    Unexpected,
    /// The database took too long.
    Timeout,
    /// A fault of ours, or of one of the orders.
    Fault(String),
    /// A step of its transaction panicked, and left the connection in the midst of something.
    Panic {
        /// Whether a COMMIT may have been on its way.
        committing: bool,
    },
}
