//! Orders: requests that are valid in themselves.

use std::sync::Arc;
use std::time::Duration;

use model::{BookingId, ShowId};
use time::OffsetDateTime;
use uuid::Uuid;

use super::booking::Customer;
use super::choice::{Picks, Surroundings};
use super::customer::CustomerId;
use super::payment::{AttemptEnd, NewAttempt};
use super::places::Places;
use super::quota::QuotaHolder;
use super::requester::Requester;
use super::sale::Sale;

/// One request to change something, valid in itself.
#[derive(Debug, Clone)]
pub struct Order {
    /// The show it is about.
    pub show_id: ShowId,
    /// The caller's id for it, or one that was made up: each change is stored under one.
    pub request_id: Uuid,
    /// Whether the id is the caller's, so that it may have been used before.
    pub repeatable: bool,
    /// A hash of the command and the body.
    pub fingerprint: i64,
    /// Who asks for it.
    pub requester: Arc<Requester>,
    /// What to do.
    pub command: Command,
}

impl Order {
    /// What identifies it: request ids are unique within a show.
    #[must_use]
    pub fn key(&self) -> (ShowId, Uuid) {
        (self.show_id, self.request_id)
    }
}

/// The commands of orders.
#[derive(Debug, Clone)]
pub enum Command {
    /// Hold seats, or sell them at once.
    Reserve(Reservation),
    /// Turn a hold into a sale.
    Confirm {
        /// Which booking.
        booking_id: BookingId,
        /// The version it must still have.
        version: Option<i32>,
        /// The reference of a payment taken outside Ticketing.
        payment_reference: Option<String>,
    },
    /// Give a booking up.
    Cancel {
        /// Which booking.
        booking_id: BookingId,
        /// The version it must still have.
        version: Option<i32>,
    },
    /// Give a part of a booking up; all of it is a cancel.
    Release {
        /// Which booking.
        booking_id: BookingId,
        /// The version it must still have.
        version: Option<i32>,
        /// The show, which names the booking's seats.
        sale: Arc<Sale>,
        /// The labels of the seats to return, none twice.
        labels: Vec<String>,
        /// The places to return, no area twice.
        places: Vec<Places>,
    },
    /// Have a hold end later.
    Extend {
        /// Which booking.
        booking_id: BookingId,
        /// The version it must still have.
        version: Option<i32>,
        /// How long from now it lasts, unless it already lasts longer.
        hold: Duration,
        /// The longest that it may last since the booking was made.
        lifetime_max: Duration,
    },
    /// Give other seats for some of a booking's own.
    Swap {
        /// Which booking.
        booking_id: BookingId,
        /// The version it must still have.
        version: Option<i32>,
        /// The sale that seats and prices were looked up in.
        sale: Arc<Sale>,
        /// The labels of the seats to return, none twice.
        labels: Vec<String>,
        /// The ordinals of as many seats to take, ascending, none twice, all of them in the
        /// sale's layout.
        ordinals: Vec<u32>,
        /// The seats around them, if the show's orphan rule needs them.
        around: Option<Surroundings>,
    },
    /// Fail a booking if its hold has ended: another order needs its seats.
    Expire {
        /// Which booking.
        booking_id: BookingId,
    },
    /// End a booking, if it has not ended: its show was cancelled.
    Void {
        /// Which booking.
        booking_id: BookingId,
    },
    /// Begin to pay for a booking, or confirm it if it costs nothing.
    Pay {
        /// Which booking.
        booking_id: BookingId,
        /// The version it must still have.
        version: Option<i32>,
        /// The payment; none: confirm it if it costs nothing.
        attempt: Option<NewAttempt>,
    },
    /// Record the outcome of an attempt to pay.
    Settle(Settlement),
}

/// The request for a new booking.
#[derive(Debug, Clone)]
pub struct Reservation {
    /// The sale that seats and prices were looked up in.
    pub sale: Arc<Sale>,
    /// The ordinals of the seats, ascending, none twice, all of them in the sale's layout.
    pub ordinals: Vec<u32>,
    /// The places, ascending by area, no area twice, all of them in the sale's layout.
    pub places: Vec<Places>,
    /// Which of them were not named, but picked.
    pub picks: Picks,
    /// The seats around the named ones, if the show's orphan rule needs them.
    pub around: Option<Surroundings>,
    /// The customer.
    pub customer: Customer,
    /// The customer of `CustomerService` that it is for, if it is for one.
    pub linked_customer: Option<CustomerId>,
    /// For how long.
    pub hold: Duration,
    /// Whether to sell at once, without a hold.
    pub sell: bool,
    /// The reference of a payment taken outside Ticketing; only if it is sold at once.
    pub payment_reference: Option<String>,
}

impl Reservation {
    /// The number of its seats and places.
    #[must_use]
    pub fn count(&self) -> u32 {
        let places: u32 = self.places.iter().map(|places| places.quantity).sum();
        u32::try_from(self.ordinals.len()).map_or(u32::MAX, |seats| seats.saturating_add(places))
    }
}

impl Command {
    /// The booking that it is about, unless it makes one.
    #[must_use]
    pub fn booking_id(&self) -> Option<BookingId> {
        match self {
            Self::Reserve(_) => None,
            Self::Confirm { booking_id, .. }
            | Self::Cancel { booking_id, .. }
            | Self::Release { booking_id, .. }
            | Self::Extend { booking_id, .. }
            | Self::Swap { booking_id, .. }
            | Self::Expire { booking_id }
            | Self::Void { booking_id }
            | Self::Pay { booking_id, .. }
            | Self::Settle(Settlement { booking_id, .. }) => Some(*booking_id),
        }
    }

    /// The seats that it wants to have, by ordinal.
    #[must_use]
    pub fn takes_seats(&self) -> &[u32] {
        match self {
            Self::Reserve(Reservation { ordinals, .. }) | Self::Swap { ordinals, .. } => ordinals,
            Self::Settle(Settlement {
                reinstatement: Some(reinstatement),
                ..
            }) => &reinstatement.ordinals,
            _ => &[],
        }
    }

    /// The places that it wants to have.
    #[must_use]
    pub fn takes_places(&self) -> &[Places] {
        match self {
            Self::Reserve(Reservation { places, .. }) => places,
            Self::Settle(Settlement {
                reinstatement: Some(reinstatement),
                ..
            }) => &reinstatement.places,
            _ => &[],
        }
    }

    /// The seats whose owners the decision needs, by ordinal, besides the wanted ones.
    #[must_use]
    pub fn looks_at_seats(&self) -> &[u32] {
        match self {
            Self::Reserve(Reservation { around, .. }) | Self::Swap { around, .. } => {
                around.as_ref().map_or(&[], Surroundings::ordinals)
            }
            _ => &[],
        }
    }

    /// Whether it frees seats or places of its booking.
    #[must_use]
    pub fn frees_seats(&self) -> bool {
        match self {
            Self::Reserve(_) | Self::Confirm { .. } | Self::Extend { .. } | Self::Pay { .. } => {
                false
            }
            // Of a show that was cancelled during the payment.
            Self::Settle(settlement) => settlement.ending == AttemptEnd::Taken,
            Self::Cancel { .. }
            | Self::Release { .. }
            | Self::Swap { .. }
            | Self::Expire { .. }
            | Self::Void { .. } => true,
        }
    }

    /// The quota holder that it adds places to, if the show has a quota.
    #[must_use]
    pub fn quota_holder(&self) -> Option<QuotaHolder> {
        match self {
            Self::Reserve(wanted) => {
                let quota = wanted.sale.terms.places_per_customer_max.is_some();
                quota.then(|| QuotaHolder::of(&wanted.customer, wanted.linked_customer))
            }
            Self::Settle(Settlement {
                reinstatement: Some(reinstatement),
                ..
            }) => {
                let quota = reinstatement.sale.terms.places_per_customer_max.is_some();
                quota.then(|| reinstatement.holder.clone())
            }
            _ => None,
        }
    }

    /// How many seats and areas it may touch, roughly, a measure of its size.
    #[must_use]
    pub fn size(&self) -> usize {
        let freed = if self.frees_seats() { 2 } else { 0 };
        let seats = self.takes_seats().len() + self.looks_at_seats().len();
        (seats + self.takes_places().len() + freed).max(1)
    }
}

/// The outcome of an attempt, for its booking.
#[derive(Debug, Clone)]
pub struct Settlement {
    /// The booking.
    pub booking_id: BookingId,
    /// The attempt.
    pub key: Uuid,
    /// The attempt's deadline.
    pub deadline_at: OffsetDateTime,
    /// The outcome.
    pub ending: AttemptEnd,
    /// What is needed to give an expired booking its seats back.
    pub reinstatement: Option<Reinstatement>,
}

/// The lost seats and places of a booking, to be given back to it if they are free.
#[derive(Debug, Clone)]
pub struct Reinstatement {
    /// The show, as it was looked up.
    pub sale: Arc<Sale>,
    /// Its quota holder.
    pub holder: QuotaHolder,
    /// The ordinals of the booking's seats, ascending.
    pub ordinals: Vec<u32>,
    /// The booking's places, by area.
    pub places: Vec<Places>,
}
