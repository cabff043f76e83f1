//! What callers order, and why it may be refused.

use std::sync::Arc;
use std::time::Duration;

use model::{BookingId, ShowId};
use time::OffsetDateTime;
use uuid::Uuid;

use super::booking::{BookingState, Customer, FailureReason};
use super::sale::{Sale, SaleState};

/// One request to change something, valid in itself.
#[derive(Debug, Clone)]
pub struct Order {
    /// The show it is about.
    pub show_id: ShowId,
    /// The caller's id for it, or one that was made up: each change is stored under one.
    pub request_id: Uuid,
    /// Whether the id is the caller's, so that it may have been used before.
    pub repeatable: bool,
    /// A hash of the verb and the body.
    pub fingerprint: i64,
    /// What to do.
    pub command: Command,
}

impl Order {
    /// What tells it from every other: request ids are unique within a show.
    #[must_use]
    pub fn key(&self) -> (ShowId, Uuid) {
        (self.show_id, self.request_id)
    }
}

/// What to do.
#[derive(Debug, Clone)]
pub enum Command {
    /// Hold seats.
    Reserve {
        /// The show, as the seats and prices were looked up in it.
        sale: Arc<Sale>,
        /// The seats, ascending, none twice, all of them in the sale's layout.
        ordinals: Vec<u32>,
        /// For whom.
        customer: Customer,
        /// For how long.
        hold: Duration,
    },
    /// Turn a hold into a sale.
    Confirm {
        /// Which booking.
        booking_id: BookingId,
        /// The version it must still have.
        version: Option<i32>,
    },
    /// Give a booking up.
    Cancel {
        /// Which booking.
        booking_id: BookingId,
        /// The version it must still have.
        version: Option<i32>,
    },
    /// Fail a booking if its hold has ended: a reserve wants its seats.
    Expire {
        /// Which booking.
        booking_id: BookingId,
    },
    /// End a booking, if it has not ended: its show was cancelled.
    Void {
        /// Which booking.
        booking_id: BookingId,
    },
}

impl Command {
    /// The booking that it is about, unless it makes one.
    #[must_use]
    pub fn booking_id(&self) -> Option<BookingId> {
        match self {
            Self::Reserve { .. } => None,
            Self::Confirm { booking_id, .. }
            | Self::Cancel { booking_id, .. }
            | Self::Expire { booking_id }
            | Self::Void { booking_id } => Some(*booking_id),
        }
    }

    /// Whether it frees the seats of its booking.
    #[must_use]
    pub fn frees_seats(&self) -> bool {
        matches!(
            self,
            Self::Cancel { .. } | Self::Expire { .. } | Self::Void { .. }
        )
    }

    /// How many seats it may touch at the most, a measure of its size.
    #[must_use]
    pub fn size(&self) -> usize {
        match self {
            Self::Reserve { ordinals, .. } => ordinals.len(),
            Self::Confirm { .. } => 1,
            Self::Cancel { .. } | Self::Expire { .. } | Self::Void { .. } => 2,
        }
    }
}

/// Why an order is refused. Nothing was changed.
#[derive(Debug, Clone, PartialEq)]
pub enum Refusal {
    /// There is no such show.
    ShowNotFound(ShowId),
    /// The show is not on sale.
    ShowNotOnSale(ShowId, SaleState),
    /// The show has started.
    ShowStarted(ShowId, OffsetDateTime),
    /// Somebody else has these seats.
    SeatsUnavailable(ShowId, Vec<(String, Taken)>),
    /// There is no such booking.
    BookingNotFound(BookingId),
    /// Its hold ended at this time.
    HoldExpired(BookingId, OffsetDateTime),
    /// The verb is not for its state.
    BookingState {
        /// The booking.
        booking_id: BookingId,
        /// The state it is in.
        state: BookingState,
        /// Why it failed, if it has.
        failure_reason: Option<FailureReason>,
        /// Since when.
        since: OffsetDateTime,
    },
    /// The booking has another version by now, this one.
    VersionMismatch(BookingId, i32),
    /// The request id was used for another body.
    RequestIdReused,
}

/// How a seat is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// By a PENDING booking.
    Held,
    /// By a CONFIRMED booking.
    Booked,
}
