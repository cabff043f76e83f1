//! Payments of bookings, as the contract has them.

use model::BookingId;
use proto::booking::v1 as pb;
use proto::errors::v1::ErrorReason;
use proto::money::v1::Money;
use service_kit::api_error::RETRY_AFTER;
use service_kit::{ApiError, FieldViolations, proto_convert};
use tonic::Code;
use uuid::Uuid;

use super::Bookings;
use crate::commands::BookingView;
use crate::domain::{FailureReason, PaymentRecord, PaymentState};
use crate::payments::{PayError, PaymentToken, TOKEN_CHARS_MAX};
use crate::store::BookingRecord;

impl Bookings {
    /// The booking that a command returned, with the current state of its payment, read only if
    /// there is one.
    pub(super) async fn reply(&self, booked: BookingView) -> Result<pb::Booking, ApiError> {
        let record = match booked.booking.payment {
            Some(payment) => {
                let show_id = booked.booking.booking_id.show();
                // Boxed: every call would carry the future of a look-up that few make.
                Box::pin(self.store.payment(show_id, payment.key)).await?
            }
            None => None,
        };
        Ok(with_payment(booked, record.as_ref()))
    }

    /// The reply for a stored booking.
    pub(super) async fn reply_record(
        &self,
        record: BookingRecord,
    ) -> Result<pb::Booking, ApiError> {
        let BookingRecord { booking, payment } = record;
        let sale = self.sales.of(&booking).await?;
        Ok(with_payment(
            BookingView { booking, sale },
            payment.as_ref(),
        ))
    }
}

fn with_payment(booked: BookingView, payment: Option<&PaymentRecord>) -> pb::Booking {
    let mut booking = pb::Booking::from(booked);
    booking.payment = payment.map(pb::Payment::from);
    booking
}

impl From<&PaymentRecord> for pb::Payment {
    fn from(record: &PaymentRecord) -> Self {
        let money = |minor_units| Money {
            minor_units,
            currency_code: record.currency.as_str().to_owned(),
        };
        let some = |minor_units| (minor_units > 0).then(|| money(minor_units));
        Self {
            state: state(record).into(),
            payment_key: record.key.to_string(),
            amount: Some(money(record.amount)),
            decline_reason: record
                .decline_reason
                .map_or(String::new(), |reason| reason.as_str().to_owned()),
            refunded_amount: some(record.refunded),
            refund_due_amount: some(record.refund_due),
            start_time: Some(proto_convert::timestamp(record.started_at)),
            deadline_time: Some(proto_convert::timestamp(record.deadline_at)),
        }
    }
}

fn state(record: &PaymentRecord) -> pb::PaymentState {
    match record.state {
        PaymentState::Started => pb::PaymentState::Started,
        PaymentState::Declined => pb::PaymentState::Declined,
        PaymentState::Captured if record.refund_declined > 0 => pb::PaymentState::RefundDeclined,
        PaymentState::Captured if record.refund_due > 0 => pb::PaymentState::RefundRequired,
        PaymentState::Captured if record.refunded == record.amount => pb::PaymentState::Refunded,
        PaymentState::Captured => pb::PaymentState::Captured,
    }
}

/// The payment token; optional.
pub(super) fn token(text: String, violations: &mut FieldViolations) -> Option<PaymentToken> {
    if text.is_empty() {
        return None;
    }
    let message = format!("must have at most {TOKEN_CHARS_MAX} characters");
    violations.take(
        "payment_token",
        PaymentToken::try_from(text).map_err(|_| message),
    )
}

/// Another call is paying for the booking.
pub(super) fn pending(id: BookingId, key: Uuid) -> ApiError {
    ApiError::precondition(
        ErrorReason::PaymentPending,
        "PAYMENT_PENDING",
        "a payment for the booking is in progress",
        vec![(id.to_string(), "is being paid".to_owned())],
    )
    .with("booking_id", id)
    .with("payment_key", key)
}

/// A priced booking is not confirmed without payment.
pub(super) fn required(id: Option<BookingId>) -> ApiError {
    let (subject, why) = match id {
        Some(_) => ("payment_token", "must be set"),
        None => ("confirm", "cannot be set: the booking has to be paid first"),
    };
    let error = ApiError::precondition(
        ErrorReason::PaymentRequired,
        "PAYMENT_REQUIRED",
        "the booking has to be paid to be confirmed",
        vec![(subject.to_owned(), why.to_owned())],
    );
    match id {
        Some(id) => error.with("booking_id", id),
        None => error,
    }
}

/// There is no payment provider.
pub(super) fn not_offered() -> ApiError {
    ApiError::precondition(
        ErrorReason::PaymentNotOffered,
        "PAYMENT_NOT_OFFERED",
        "this server has no payment provider",
        vec![(
            "payment_token".to_owned(),
            "cannot be used without a payment provider".to_owned(),
        )],
    )
}

impl From<PayError> for ApiError {
    fn from(error: PayError) -> Self {
        match error {
            PayError::Rejected(rejection) => rejection.into(),
            PayError::Undecided(error) => error.into(),
            PayError::Sales(error) => error.into(),
            PayError::Declined {
                booking_id,
                key,
                reason,
                expires_at,
            } => {
                let (reason, ends) = (reason.as_str(), proto_convert::rfc3339(expires_at));
                Self::precondition(
                    ErrorReason::PaymentDeclined,
                    "PAYMENT_DECLINED",
                    format!("payment declined ({reason}); the seats stay held until {ends}"),
                    vec![(
                        booking_id.to_string(),
                        format!("payment declined: {reason}"),
                    )],
                )
                .with("booking_id", booking_id)
                .with("payment_key", key)
                .with("decline_reason", reason)
                .with("expire_time", ends)
            }
            PayError::TooLate {
                booking_id,
                key,
                failure_reason,
            } => {
                let error = Self::precondition(
                    ErrorReason::PaymentTooLate,
                    "PAYMENT_TOO_LATE",
                    "the payment came after the booking had ended and will be refunded",
                    vec![(booking_id.to_string(), "was paid too late".to_owned())],
                )
                .with("booking_id", booking_id)
                .with("payment_key", key);
                match failure_reason.map(FailureReason::as_str) {
                    Some(reason) => error.with("failure_reason", reason),
                    None => error,
                }
            }
            PayError::Unsettled { booking_id, key } => Self::retry(
                Code::Unavailable,
                ErrorReason::PaymentUnavailable,
                "the outcome of the payment is not known yet; retry with the same request_id",
                RETRY_AFTER,
            )
            .because(format!("payment {key} is not settled"))
            .with("booking_id", booking_id)
            .with("payment_key", key),
            error @ PayError::NoAmount(_) => Self::internal(&error),
        }
    }
}
