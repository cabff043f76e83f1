//! A booking, its states, and the one table that says which command leads from which to which.

use std::sync::Arc;

use model::{BookingId, Currency};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use uuid::Uuid;

use super::customer::CustomerId;
use super::named::named;
use super::payment::{Payment, PaymentState};
use super::places::HeldPlaces;

/// Seats and places of one show for one customer: held, sold, or given back.
#[derive(Debug, Clone, PartialEq)]
pub struct Booking {
    /// Its id, which names its show too.
    pub booking_id: BookingId,
    /// Where it is in its life.
    pub state: BookingState,
    /// Why it failed; set exactly when it has.
    pub failure_reason: Option<FailureReason>,
    /// Who cancelled it; set exactly when it is cancelled.
    pub cancel_reason: Option<CancelReason>,
    /// 1 when it is made; each transition adds 1.
    pub version: i32,
    /// Its customer.
    pub customer: Customer,
    /// The customer of `CustomerService` that it belongs to, if it is for one.
    pub linked_customer: Option<CustomerId>,
    /// Its seats in ascending order. It has a seat or a place.
    pub seats: Vec<HeldSeat>,
    /// Its places by area, ascending by name, no area twice.
    pub places: Vec<HeldPlaces>,
    /// The sum of its seats' and places' prices, in minor units.
    pub total: i64,
    /// The price of everything returned after it was confirmed, in minor units, if something
    /// was. With `total`, the amount paid for it.
    pub released: Option<i64>,
    /// The refund due to the customer, in minor units: `released`, and `total` too once it is
    /// cancelled; none if nothing is due.
    pub refund_due: Option<i64>,
    /// The reference of a payment taken outside Ticketing.
    pub payment_reference: Option<String>,
    /// The newest attempt to pay it here, if there was one.
    pub payment: Option<Payment>,
    /// The currency of every price in it.
    pub currency: Currency,
    /// When it was made.
    pub created_at: OffsetDateTime,
    /// When its hold ends, or would have ended.
    pub expires_at: OffsetDateTime,
    /// When it was confirmed.
    pub confirmed_at: Option<OffsetDateTime>,
    /// When it was cancelled.
    pub cancelled_at: Option<OffsetDateTime>,
    /// When it failed.
    pub failed_at: Option<OffsetDateTime>,
    /// The ordinals, ascending, of the orphans that were left when its seats were last chosen by
    /// label, where the show's orphan rule asks.
    pub orphans: Vec<u32>,
}

/// A seat of a booking, with its price as it was when it was reserved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldSeat {
    /// The number that it keeps for its show's whole life.
    pub ordinal: u32,
    /// In minor units.
    pub price: i64,
    /// The name of the price tier.
    pub tier: Arc<str>,
}

/// The values of a booking that a transition has replaced.
#[derive(Debug, Clone, PartialEq)]
pub struct Prior {
    /// The seats.
    pub seats: Vec<HeldSeat>,
    /// The places.
    pub places: Vec<HeldPlaces>,
    /// The sum of their prices, in minor units.
    pub total: i64,
    /// The price of everything returned after it was confirmed, in minor units.
    pub released: Option<i64>,
    /// When the hold ended, or would have ended.
    pub expires_at: OffsetDateTime,
    /// Its former orphans.
    pub orphans: Vec<u32>,
}

/// The customer of a booking.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Customer {
    /// The caller's own id of the customer.
    Id(String),
    /// An e-mail address, in lower case.
    Email(String),
}

/// Where a booking is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum BookingState {
    /// Holds its seats until `expires_at`.
    Pending,
    /// Has its seats.
    Confirmed,
    /// Ended by its customer, its seller or its show.
    Cancelled,
    /// Came to nothing.
    Failed,
}

/// Why a booking failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum FailureReason {
    /// Its hold ended first.
    Expired,
    /// The payment was declined.
    PaymentDeclined,
    /// Its show was cancelled first.
    ShowCancelled,
}

/// Who cancelled a booking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CancelReason {
    /// Its customer, or a caller on their behalf.
    Customer,
    /// The organiser cancelled its show.
    ShowCancelled,
}

/// The commands that change a booking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// Makes it.
    Reserve,
    /// Turns its hold into a sale.
    Confirm,
    /// Gives it up.
    Cancel,
    /// Fails it, because its hold has ended.
    Expire,
    /// Ends it, because its show was cancelled.
    Void,
    /// Makes it, confirmed at once.
    Sell,
    /// Has its hold end later.
    Extend,
    /// Exchanges some of its seats for others.
    Swap,
    /// Gives a part of it up.
    Release,
    /// Begins an attempt to pay it.
    Pay,
    /// Ends an attempt that took no money.
    Decline,
    /// Sells it after its hold has ended, because its money was taken late.
    Reinstate,
    /// Records the refund of money that was taken too late.
    Repay,
}

/// One row of the log: the change that a command made to a booking.
#[derive(Debug, Clone, PartialEq)]
pub struct Transition {
    /// The booking.
    pub booking_id: BookingId,
    /// The booking's version that it led to.
    pub version: i32,
    /// The command.
    pub verb: Verb,
    /// Its state before; none when it was made.
    pub from: Option<BookingState>,
    /// Where it is.
    pub to: BookingState,
    /// Under which id, unique within the show.
    pub request_id: Uuid,
    /// A hash of the command and the body of the request.
    pub fingerprint: i64,
    /// The values that it replaced, if more than the state.
    pub prior: Option<Prior>,
    /// Who did it, as the log says it.
    pub actor: Arc<str>,
}

/// Where `verb` leads a booking that is in `state`; none if it is not allowed. A booking that does
/// not exist yet has no state. While a PENDING booking is being paid
/// ([`Booking::is_being_paid`]) only the end of the attempt, the hold or the show changes it.
#[must_use]
pub fn next_state(state: Option<BookingState>, verb: Verb) -> Option<BookingState> {
    use BookingState::{Cancelled, Confirmed, Failed, Pending};
    match (verb, state) {
        (Verb::Reserve, None) => Some(Pending),
        (Verb::Sell, None) => Some(Confirmed),
        (Verb::Extend | Verb::Pay, Some(Pending)) => Some(Pending),
        (Verb::Decline, Some(ended_or_not @ (Pending | Failed))) => Some(ended_or_not),
        (Verb::Repay, Some(Pending | Failed)) => Some(Failed),
        (Verb::Reinstate, Some(Failed)) => Some(Confirmed),
        (Verb::Swap | Verb::Release, Some(live @ (Pending | Confirmed))) => Some(live),
        (Verb::Confirm, Some(Pending)) => Some(Confirmed),
        (Verb::Cancel, Some(Pending | Confirmed)) | (Verb::Void, Some(Confirmed)) => {
            Some(Cancelled)
        }
        (Verb::Expire | Verb::Void, Some(Pending)) => Some(Failed),
        (Verb::Reserve | Verb::Sell, Some(_))
        | (Verb::Reinstate, Some(Pending))
        | (
            Verb::Confirm
            | Verb::Expire
            | Verb::Extend
            | Verb::Pay
            | Verb::Decline
            | Verb::Reinstate
            | Verb::Repay,
            Some(Confirmed),
        )
        | (_, None | Some(Cancelled | Failed)) => None,
    }
}

impl Booking {
    /// Whether its hold has ended at `now`, even if its row does not say so yet.
    #[must_use]
    pub fn lapsed(&self, now: OffsetDateTime) -> bool {
        self.state == BookingState::Pending && self.expires_at <= now
    }

    /// How many places it counts for its customer's quota.
    #[must_use]
    pub fn place_count(&self) -> usize {
        let in_areas = self.places.iter().map(|places| places.quantity as usize);
        self.seats.len() + in_areas.sum::<usize>()
    }

    /// Whether an attempt to pay it is in progress.
    #[must_use]
    pub fn is_being_paid(&self) -> bool {
        self.payment
            .is_some_and(|payment| payment.state == PaymentState::Started)
    }

    /// Since when it is in its state.
    #[must_use]
    pub fn since(&self) -> OffsetDateTime {
        let since = match self.state {
            BookingState::Pending => None,
            BookingState::Confirmed => self.confirmed_at,
            BookingState::Cancelled => self.cancelled_at,
            BookingState::Failed => self.failed_at,
        };
        since.unwrap_or(self.created_at)
    }

    /// The refund due when it is cancelled: all that was paid, and nothing for a hold.
    #[must_use]
    pub fn refund(&self) -> Option<i64> {
        let paid = self.total + self.released.unwrap_or(0);
        (self.state == BookingState::Confirmed && paid > 0).then_some(paid)
    }

    /// The values that a transition is about to replace.
    #[must_use]
    pub fn prior(&self) -> Prior {
        Prior {
            seats: self.seats.clone(),
            places: self.places.clone(),
            total: self.total,
            released: self.released,
            expires_at: self.expires_at,
            orphans: self.orphans.clone(),
        }
    }

    /// Notes that something of it is given back that was paid for, at this price.
    pub fn give_back(&mut self, price: i64) {
        if price > 0 {
            self.released = Some(self.released.unwrap_or(0) + price);
            self.refund_due = self.released;
        }
    }

    /// Sets the total to what its seats and places cost.
    pub fn add_up(&mut self) {
        let seats: i64 = self.seats.iter().map(|seat| seat.price).sum();
        self.total = seats + self.places.iter().map(HeldPlaces::total).sum::<i64>();
    }

    /// The booking as a transition left it, before later ones: what the call that made the
    /// transition returned. `replaced` is what the first of the later ones that replaced more
    /// than the state has replaced. Its payment keeps its current state.
    #[must_use]
    pub fn as_of(mut self, version: i32, state: BookingState, replaced: Option<Prior>) -> Self {
        self.version = version;
        self.state = state;
        if let Some(prior) = replaced {
            self.seats = prior.seats;
            self.places = prior.places;
            self.total = prior.total;
            self.released = prior.released;
            self.expires_at = prior.expires_at;
            self.orphans = prior.orphans;
        }
        if matches!(state, BookingState::Pending) {
            self.confirmed_at = None;
            self.payment_reference = None;
        }
        if !matches!(state, BookingState::Cancelled) {
            self.cancelled_at = None;
            self.cancel_reason = None;
            if !matches!(state, BookingState::Failed) {
                self.refund_due = self.released;
            }
        }
        if !matches!(state, BookingState::Failed) {
            self.failed_at = None;
            self.failure_reason = None;
        }
        self
    }
}

named!(BookingState {
    Pending = "PENDING",
    Confirmed = "CONFIRMED",
    Cancelled = "CANCELLED",
    Failed = "FAILED",
});
named!(FailureReason {
    Expired = "EXPIRED",
    PaymentDeclined = "PAYMENT_DECLINED",
    ShowCancelled = "SHOW_CANCELLED",
});
named!(CancelReason {
    Customer = "CUSTOMER",
    ShowCancelled = "SHOW_CANCELLED",
});
named!(Verb {
    Reserve = "RESERVE",
    Confirm = "CONFIRM",
    Cancel = "CANCEL",
    Expire = "EXPIRE",
    Void = "VOID",
    Sell = "SELL",
    Extend = "EXTEND",
    Swap = "SWAP",
    Release = "RELEASE",
    Pay = "PAY",
    Decline = "DECLINE",
    Reinstate = "REINSTATE",
    Repay = "REPAY",
});
