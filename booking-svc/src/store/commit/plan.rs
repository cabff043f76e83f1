//! What the optimistic cache hands to a transaction, and what it gets back: a batch to be written
//! without locking it first, and the time of the write.

use std::collections::BTreeMap;
use std::iter;

use model::ShowId;
use time::OffsetDateTime;

use crate::domain::{AreaWrite, Command, Order, Outcome, Writes};

/// Sales as they are expected.
pub(super) type ExpectedSales = BTreeMap<ShowId, ExpectedSale>;

/// The expectations of a sale, besides that it is not cancelled.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct ExpectedSale {
    /// The revision, if it matters.
    pub(super) revision: Option<i64>,
    /// Until when its state holds, if a scheduled time changes it.
    pub(super) until: Option<OffsetDateTime>,
}

/// A batch of which all is granted, if all is as expected.
#[derive(Debug)]
pub(super) struct OptimisticPlan {
    /// The outcome of each order.
    pub(super) outcomes: Vec<Outcome>,
    /// The writes, each part with its expectation.
    pub(super) writes: Writes,
    /// The areas of which that takes places, or gives them back, in the order of locks.
    pub(super) areas: Vec<AreaWrite>,
    /// Whether areas can be counted last, when all else is written: no place was given back lately,
    /// and no lock comes after them in the order of locks.
    pub(super) counted_last: bool,
    /// The sales that it rests on.
    pub(super) sales: ExpectedSales,
    /// The time of it all, or a little earlier.
    pub(super) now: OffsetDateTime,
}

impl OptimisticPlan {
    /// The outcomes of `orders`, with the times of the write.
    pub(super) fn at(self, orders: &[Order], written: WriteTimes) -> Vec<Outcome> {
        let mut outcomes = self.outcomes;
        for (order, outcome) in iter::zip(orders, &mut outcomes) {
            let Ok(booking) = outcome else { continue };
            // Only the commands that `rows` allows.
            let is_new = matches!(order.command, Command::Reserve(_));
            let later = if is_new { written.made } else { written.moment } - self.now;
            if is_new {
                booking.created_at += later;
                booking.expires_at += later;
            }
            for time in [&mut booking.confirmed_at, &mut booking.cancelled_at] {
                *time = time.map(|time| time + later);
            }
        }
        outcomes
    }
}

/// When a batch was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct WriteTimes {
    /// The time that its changes have.
    pub(super) moment: OffsetDateTime,
    /// The time of its new bookings.
    pub(super) made: OffsetDateTime,
    /// The database's clock when that was done.
    pub(super) clock: OffsetDateTime,
}
