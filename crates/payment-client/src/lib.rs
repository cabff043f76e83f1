//! The client of any `ticketing.payment.v1.PaymentProvider`: it repeats a call until it has an
//! answer that fits it, or until there is no time left.
//!
//! What must always hold: nothing is taken for money but an answer that says so without
//! contradicting itself or the question, and nothing for "no money" but such an answer or a
//! refusal of the only call there was. All else is unresolved. Protobuf stays in here.

mod ask;
mod client;
mod read;
mod values;

pub use client::PaymentClient;
pub use values::{
    Attempt, DeclineReason, PaymentKey, PaymentOutcome, PaymentToken, RefundKey, RefundOutcome,
    TOKEN_CHARS_MAX, TokenError, UnresolvedReason, Unsettled,
};
