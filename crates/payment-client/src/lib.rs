//! The client of any `ticketing.payment.v1.PaymentProvider`: it repeats a call until it has an
//! answer that fits it, or until there is no time left.
//!
//! What must always hold: only an answer that says so, without contradicting itself or the call,
//! counts as money; and only such an answer, or a refusal of the only call there was, counts as "no
//! money". Everything else is unresolved. Protobuf stays in here.

mod ask;
mod client;
mod read;
mod values;

pub use client::{PaymentClient, endpoint};
pub use values::{
    Attempt, DeclineReason, PaymentKey, PaymentOutcome, PaymentToken, RefundKey, RefundOutcome,
    TOKEN_CHARS_MAX, TokenError, UnresolvedReason, Unsettled,
};
