//! Refusals as the contract's errors.

use proto::errors::v1::ErrorReason;
use service_kit::ApiError;
use service_kit::api_error::RETRY_AFTER;
use tonic::Code;

use crate::ledger::Refusal;
use crate::ledger_store::BooksError;

/// What a token makes the provider say instead of the answer.
pub(super) fn answer_lost() -> ApiError {
    ApiError::retry(
        Code::Unavailable,
        ErrorReason::PaymentAnswerLost,
        "the answer is lost, as the payment's token asked for",
        RETRY_AFTER,
    )
}

impl From<BooksError> for ApiError {
    fn from(error: BooksError) -> Self {
        match error {
            BooksError::Refused(refusal) => refusal.into(),
            fault => Self::internal(&fault),
        }
    }
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        let reused = |field: &str| {
            let what = "was used before, with another body";
            let violations = vec![(field.to_owned(), what.to_owned())];
            Self::bad_request(ErrorReason::PaymentKeyReused, violations)
        };
        match refusal {
            Refusal::NotFound(key) => {
                let reason = ErrorReason::PaymentNotFound;
                Self::not_found(reason, "no such payment has arrived").with("payment_key", key)
            }
            Refusal::PaymentKeyReused => reused("payment_key"),
            Refusal::RefundKeyReused => reused("refund_key"),
            Refusal::OtherAmount(amount) => {
                Self::invalid_field("amount", format!("does not fit the payment, of {amount}"))
            }
            Refusal::NotRefundable { key, left } => {
                let what = format!("{left} minor units of it can be refunded");
                let subjects = vec![(key.to_string(), what.clone())];
                Self::precondition(ErrorReason::NotRefundable, "NOT_REFUNDABLE", what, subjects)
                    .with("payment_key", key)
                    .with("refundable_minor_units", left)
            }
            Refusal::Full(limit) => {
                let reason = ErrorReason::PaymentsExceeded;
                Self::quota(reason, "payments", "no further payment can be kept")
                    .with("limit", limit)
            }
        }
    }
}
