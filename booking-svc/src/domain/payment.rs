//! Payments of a booking: attempts, their ends, and refunds.

use std::time::Duration;

use model::{BookingId, Currency};
use time::OffsetDateTime;
use uuid::Uuid;

use super::named::named;

/// A booking's newest attempt to pay, as its row has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Payment {
    /// Its key at the provider.
    pub key: Uuid,
    /// Where it is.
    pub state: PaymentState,
}

/// Where an attempt is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PaymentState {
    /// Its outcome is not known yet.
    Started,
    /// The money was taken.
    Captured,
    /// No money was taken, nor will be.
    Declined,
}

/// Why no money was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeclineReason {
    /// For a reason that the provider does not name.
    Other,
    /// The payer has too little.
    InsufficientFunds,
    /// The card or account has expired, or was closed.
    Expired,
    /// The card or account is not what the payer said it is.
    Incorrect,
    /// Above a limit of the payer's.
    OverLimit,
    /// The payer would have to prove who they are.
    AuthenticationRequired,
    /// The provider takes it for fraud.
    SuspectedFraud,
    /// It cannot be paid in that currency.
    CurrencyNotSupported,
    /// It was not done before the attempt's deadline, or the provider refused to begin; it was
    /// made sure that no money is taken.
    NotCompleted,
}

/// The final outcome of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttemptEnd {
    /// The money was taken.
    Taken,
    /// No money was taken, nor will be.
    NotTaken(DeclineReason),
}

/// The state of a refund.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefundState {
    /// It has yet to be given back.
    Due,
    /// The payer gets the money.
    Refunded,
    /// The provider declined it: a person has to handle it.
    Declined,
}

/// An attempt to begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewAttempt {
    /// Its key at the provider.
    pub key: Uuid,
    /// How long it may take.
    pub timeout: Duration,
    /// How long after the booking was made a further attempt may begin.
    pub lifetime_max: Duration,
}

/// The writes of a transaction about payments. Most have none.
#[derive(Debug, Default)]
pub struct PaymentWrites {
    /// Attempts that begin.
    pub started: Vec<StartedPayment>,
    /// Attempts that have ended.
    pub settled: Vec<SettledPayment>,
    /// Refunds that become due.
    pub refunds: Vec<OwedRefund>,
}

impl PaymentWrites {
    /// Whether there is nothing to write.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.started.is_empty() && self.settled.is_empty() && self.refunds.is_empty()
    }
}

/// An attempt that begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StartedPayment {
    /// The booking.
    pub booking_id: BookingId,
    /// The attempt's key.
    pub key: Uuid,
    /// In minor units.
    pub amount: i64,
    /// The currency of that.
    pub currency: Currency,
    /// From when on it is settled by voiding it.
    pub deadline_at: OffsetDateTime,
}

/// An attempt that has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SettledPayment {
    /// The booking.
    pub booking_id: BookingId,
    /// The attempt's key.
    pub key: Uuid,
    /// The outcome.
    pub ending: AttemptEnd,
}

/// A refund that becomes due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OwedRefund {
    /// The booking.
    pub booking_id: BookingId,
    /// The attempt that took it.
    pub payment_key: Uuid,
    /// The refund's key at the provider.
    pub key: Uuid,
    /// In minor units.
    pub amount: i64,
}

/// An attempt, as it is on record.
#[derive(Debug, Clone, PartialEq)]
pub struct PaymentRecord {
    /// Its key.
    pub key: Uuid,
    /// The booking.
    pub booking_id: BookingId,
    /// Where it is.
    pub state: PaymentState,
    /// In minor units.
    pub amount: i64,
    /// The currency of every amount in it.
    pub currency: Currency,
    /// Why no money was taken; set exactly if it was declined.
    pub decline_reason: Option<DeclineReason>,
    /// When it began.
    pub started_at: OffsetDateTime,
    /// From when on it is settled by voiding it.
    pub deadline_at: OffsetDateTime,
    /// How long it was until then when this was read.
    pub time_left: Duration,
    /// The amount refunded, in minor units.
    pub refunded: i64,
    /// The amount still to be refunded.
    pub refund_due: i64,
    /// The amount whose refund the provider declined.
    pub refund_declined: i64,
}

/// A refund that has yet to be made.
#[derive(Debug, Clone, PartialEq)]
pub struct DueRefund {
    /// Its key.
    pub key: Uuid,
    /// In minor units.
    pub amount: i64,
    /// The attempt that took the money.
    pub payment: PaymentRecord,
}

named!(PaymentState {
    Started = "STARTED",
    Captured = "CAPTURED",
    Declined = "DECLINED",
});
named!(DeclineReason {
    Other = "OTHER",
    InsufficientFunds = "INSUFFICIENT_FUNDS",
    Expired = "EXPIRED",
    Incorrect = "INCORRECT",
    OverLimit = "OVER_LIMIT",
    AuthenticationRequired = "AUTHENTICATION_REQUIRED",
    SuspectedFraud = "SUSPECTED_FRAUD",
    CurrencyNotSupported = "CURRENCY_NOT_SUPPORTED",
    NotCompleted = "NOT_COMPLETED",
});
named!(RefundState {
    Due = "DUE",
    Refunded = "REFUNDED",
    Declined = "DECLINED",
});
