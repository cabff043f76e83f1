//! Why an order may be rejected.

use std::time::Duration;

use model::{BookingId, Currency, ShowId};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::serde::rfc3339;
use uuid::Uuid;

use super::booking::{BookingState, FailureReason};
use super::choose::Unmet;
use super::named::named;
use super::sale::{Sale, SaleState};

/// Why an order is rejected. Nothing was changed. Stored rejections ([`Self::is_stored`]) are read by
/// earlier and later releases: variants keep their names and their fields.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Rejection {
    /// There is no such show.
    ShowNotFound(ShowId),
    /// The show is not on sale, by its state at this moment; with the time when it goes on sale
    /// automatically, if that is in the future.
    ShowNotOnSale(
        ShowId,
        SaleState,
        #[serde(with = "rfc3339::option")] Option<OffsetDateTime>,
    ),
    /// The show has started.
    ShowStarted(ShowId, #[serde(with = "rfc3339")] OffsetDateTime),
    /// A booking of the show has this many seats at most.
    TooManySeats(u16),
    /// A booking of the show has this many seats and places at most.
    TooManyPlaces(u16),
    /// The customer's live bookings of the show would have more places than they may.
    CustomerHasTooMany {
        /// The most that they may have.
        limit: u16,
        /// The number of places that they have.
        taken: usize,
    },
    /// These seats are not available.
    SeatsUnavailable(ShowId, Vec<(String, Taken)>),
    /// There is no such booking.
    BookingNotFound(BookingId),
    /// Its hold ended at this time.
    HoldExpired(BookingId, #[serde(with = "rfc3339")] OffsetDateTime),
    /// The command is not for its state.
    BookingState {
        /// The booking.
        booking_id: BookingId,
        /// The state it is in.
        state: BookingState,
        /// Why it failed, if it has.
        failure_reason: Option<FailureReason>,
        /// Since when.
        #[serde(with = "rfc3339")]
        since: OffsetDateTime,
    },
    /// The booking has another version, this one.
    VersionMismatch(BookingId, i32),
    /// The booking does not have these seats.
    NotInBooking(BookingId, Vec<String>),
    /// The booking does not have that many places of these areas, but this many.
    PlacesNotInBooking(BookingId, Vec<(String, u32)>),
    /// These areas do not have that many places left, but this many.
    AreasFull(ShowId, Vec<(String, u32)>),
    /// The hold would last too long since the booking was made.
    LifetimeExceeded {
        /// The booking.
        booking_id: BookingId,
        /// The longest from now that it may last.
        left: Duration,
    },
    /// The new seats cost more than the returned ones, and the booking is paid.
    SwapCostsMore {
        /// The booking.
        booking_id: BookingId,
        /// How much more, in minor units.
        by: i64,
        /// The currency of that.
        currency: Currency,
    },
    /// The request id was used for another body.
    RequestIdReused,
    /// The booking is being paid, under this key.
    PaymentPending(BookingId, Uuid),
    /// A priced booking must be paid here; with the booking, if there is one.
    PaymentRequired(Option<BookingId>),
    /// A choice cannot be met.
    ChoiceUnavailable(ShowId, Unmet),
    /// These seats would be left as orphans, and need not be.
    OrphanSeats(ShowId, Vec<String>),
}

impl Rejection {
    /// Whether a replay of the request is rejected the same way, whatever has changed. Not stored: an
    /// unknown id, which may be created later; a reused request id, which decides nothing; and a
    /// missing payment, which depends on a setting.
    #[must_use]
    pub fn is_stored(&self) -> bool {
        !matches!(
            self,
            Self::ShowNotFound(_)
                | Self::BookingNotFound(_)
                | Self::RequestIdReused
                | Self::PaymentRequired(_)
        )
    }

    /// The same, with the listed seats and areas in the order of the request: the error may name only
    /// the first ones.
    #[must_use]
    pub fn in_order_of<'a>(mut self, names: impl Iterator<Item = &'a str> + Clone) -> Self {
        let place = |name: &str| {
            let place = names.clone().position(|named| named == name);
            place.unwrap_or(usize::MAX)
        };
        match &mut self {
            Self::SeatsUnavailable(_, seats) => seats.sort_by_cached_key(|(seat, _)| place(seat)),
            Self::AreasFull(_, areas) => areas.sort_by_cached_key(|(area, _)| place(area)),
            _ => {}
        }
        self
    }
}

/// Why a seat is not available.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Taken {
    /// A PENDING booking holds it.
    Held,
    /// A CONFIRMED booking has it.
    Booked,
    /// It is not for sale.
    Blocked,
}

named!(Taken {
    Held = "HELD",
    Booked = "BOOKED",
    Blocked = "BLOCKED",
});

impl Sale {
    /// Why nothing can be reserved at `now`, unless something can.
    #[must_use]
    pub fn rejection_at(&self, now: OffsetDateTime) -> Option<Rejection> {
        let terms = &self.terms;
        let state = match terms.state_at(now) {
            SaleState::OnSale if self.withdrawn.show => SaleState::Closed,
            SaleState::OnSale if terms.sales_close_at.is_none() && terms.start_at <= now => {
                return Some(Rejection::ShowStarted(self.show_id, terms.start_at));
            }
            SaleState::OnSale => return None,
            state => state,
        };
        let opens_at = terms.sales_open_at.filter(|_| state == SaleState::Draft);
        Some(Rejection::ShowNotOnSale(self.show_id, state, opens_at))
    }
}
