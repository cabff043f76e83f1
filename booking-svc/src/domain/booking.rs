//! A booking, its states, and the one table that says which verb leads from which to which.

use model::{BookingId, Currency};
use time::OffsetDateTime;
use uuid::Uuid;

/// Seats that one customer holds, has bought, or had.
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
    /// Who it is for.
    pub customer: Customer,
    /// Its seats in ascending order, never none.
    pub seats: Vec<HeldSeat>,
    /// The sum of its seats' prices, in minor units.
    pub total: i64,
    /// What is owed to the customer, in minor units: 1 to `total`, none if nothing is.
    pub refund_due: Option<i64>,
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
}

/// A seat of a booking, with its price as it was when it was reserved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeldSeat {
    /// Its place in the show's layout.
    pub ordinal: u32,
    /// In minor units.
    pub price: i64,
}

/// Who a booking is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Customer {
    /// The caller's own id of the customer.
    Id(String),
    /// An e-mail address, in lower case.
    Email(String),
}

/// Where a booking is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BookingState {
    /// Holds its seats until `expires_at`.
    Pending,
    /// Has its seats.
    Confirmed,
    /// Was given up.
    Cancelled,
    /// Came to nothing.
    Failed,
}

/// Why a booking failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
    /// Its customer, or somebody for them.
    Customer,
    /// The organiser cancelled its show.
    ShowCancelled,
}

/// What can happen to a booking.
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
}

/// One row of the log: what a verb did to a booking.
#[derive(Debug, Clone, PartialEq)]
pub struct Transition {
    /// The booking.
    pub booking_id: BookingId,
    /// The booking's version that it led to.
    pub version: i32,
    /// What happened.
    pub verb: Verb,
    /// Where it was; none when it was made.
    pub from: Option<BookingState>,
    /// Where it is.
    pub to: BookingState,
    /// Under which id, unique within the show.
    pub request_id: Uuid,
    /// A hash of the verb and the body of the request.
    pub fingerprint: i64,
}

/// Where `verb` leads a booking that is in `state`; none if it may not. A booking that does
/// not exist yet has no state.
#[must_use]
pub fn next_state(state: Option<BookingState>, verb: Verb) -> Option<BookingState> {
    use BookingState::{Cancelled, Confirmed, Failed, Pending};
    match (state, verb) {
        (None, Verb::Reserve) => Some(Pending),
        (Some(Pending), Verb::Confirm) => Some(Confirmed),
        (Some(Pending | Confirmed), Verb::Cancel) | (Some(Confirmed), Verb::Void) => {
            Some(Cancelled)
        }
        (Some(Pending), Verb::Expire | Verb::Void) => Some(Failed),
        (None, Verb::Confirm | Verb::Cancel | Verb::Expire | Verb::Void)
        | (Some(_), Verb::Reserve)
        | (Some(Confirmed | Cancelled | Failed), Verb::Confirm | Verb::Expire)
        | (Some(Cancelled | Failed), Verb::Cancel | Verb::Void) => None,
    }
}

impl Booking {
    /// Whether its hold has ended at `now`, whether or not anyone has written so.
    #[must_use]
    pub fn lapsed(&self, now: OffsetDateTime) -> bool {
        self.state == BookingState::Pending && self.expires_at <= now
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

    /// What is owed for it when it is cancelled: its whole price if it was paid, and nothing
    /// for a hold.
    #[must_use]
    pub fn refund(&self) -> Option<i64> {
        (self.state == BookingState::Confirmed && self.total > 0).then_some(self.total)
    }

    /// The booking as a transition left it, before whatever came after: what the call that
    /// made the transition returned.
    #[must_use]
    pub fn as_of(mut self, version: i32, state: BookingState) -> Self {
        self.version = version;
        self.state = state;
        if matches!(state, BookingState::Pending) {
            self.confirmed_at = None;
        }
        if !matches!(state, BookingState::Cancelled) {
            self.cancelled_at = None;
            self.cancel_reason = None;
            self.refund_due = None;
        }
        if !matches!(state, BookingState::Failed) {
            self.failed_at = None;
            self.failure_reason = None;
        }
        self
    }
}

/// Names as the database and error metadata have them.
macro_rules! named {
    ($type:ty { $($variant:ident = $name:literal),* $(,)? }) => {
        impl $type {
            /// Its name in the database and in error metadata.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }

            /// The value of that name.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                match name { $($name => Some(Self::$variant),)* _ => None }
            }
        }
    };
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
});
