//! What the optimistic cache hands to a transaction, and what it gets back: a batch to be written
//! without locking it first, and the time of the write.

use std::collections::BTreeMap;
use std::iter;

use model::ShowId;
use time::OffsetDateTime;

use crate::domain::{AreaWrite, Command, Order, Outcome, Writes};

/// Sales as they are expected.
pub(super) type ExpectedSales = BTreeMap<ShowId, ExpectedSale>;

/// What is expected of a sale, beside that it is not cancelled.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct ExpectedSale {
    /// The revision, if it matters.
    pub(super) revision: Option<i64>,
    /// Until when it is on sale as it is, if that will change by itself.
    pub(super) until: Option<OffsetDateTime>,
}

/// A batch of which all is granted, if all is as expected.
#[derive(Debug)]
pub(super) struct OptimisticPlan {
    /// What becomes of each order.
    pub(super) outcomes: Vec<Outcome>,
    /// What is to be written, each part with what is expected of it.
    pub(super) writes: Writes,
    /// The areas of which that takes places, or gives them back, in the order of locks.
    pub(super) areas: Vec<AreaWrite>,
    /// Whether those can be counted when all else has been done: nobody seems to give any back, and
    /// there is nothing to do behind them in the order of locks.
    pub(super) counted_last: bool,
    /// The sales that it rests on.
    pub(super) sales: ExpectedSales,
    /// The time of it all, or a little earlier.
    pub(super) now: OffsetDateTime,
}

impl OptimisticPlan {
    /// What has become of `orders`, as they were written.
    pub(super) fn at(self, orders: &[Order], written: WriteTimes) -> Vec<Outcome> {
        let mut outcomes = self.outcomes;
        for (order, outcome) in iter::zip(orders, &mut outcomes) {
            let Ok(booking) = outcome else { continue };
            // Nothing but what `rows` lets in.
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
    /// The time that what is new in it has.
    pub(super) made: OffsetDateTime,
    /// The database's clock when that was done.
    pub(super) clock: OffsetDateTime,
}
