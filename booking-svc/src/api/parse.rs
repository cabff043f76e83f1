//! What several requests have in common, as values that cannot be invalid.

use model::{BookingId, ShowId};
use service_kit::fingerprint::fingerprint;
use service_kit::{ApiError, FieldViolations, wire};
use uuid::Uuid;

use crate::domain::{Customer, Email};
use crate::verbs::Change;

const CUSTOMER_ID_CHARS_MAX: usize = 128;

/// A show's id that is required.
pub(super) fn show_id(text: &str, violations: &mut FieldViolations) -> Option<ShowId> {
    violations.take("show_id", text.parse())
}

/// A booking's id that is required.
pub(super) fn booking_id(text: &str, violations: &mut FieldViolations) -> Option<BookingId> {
    violations.take("booking_id", text.parse())
}

/// A request id, which is optional.
pub(super) fn request_id(text: &str, violations: &mut FieldViolations) -> Option<Uuid> {
    violations
        .take("request_id", wire::request_id(text))
        .flatten()
}

/// A version out of the etag at `path`, which is optional.
pub(super) fn etag(path: &str, text: &str, violations: &mut FieldViolations) -> Option<i32> {
    if text.is_empty() {
        return None;
    }
    let version = text
        .strip_prefix('v')
        .and_then(|version| version.parse().ok());
    violations.take(
        path,
        version
            .filter(|version| *version >= 1)
            .ok_or("is no etag of this service"),
    )
}

/// A customer's own id.
pub(super) fn customer_id(id: String, violations: &mut FieldViolations) -> Option<Customer> {
    let fits = (1..=CUSTOMER_ID_CHARS_MAX).contains(&id.chars().count())
        && !id.chars().any(char::is_control);
    let message = format!(
        "must have 1 to {CUSTOMER_ID_CHARS_MAX} characters, none of them control characters"
    );
    violations.take(
        "customer_id",
        fits.then_some(Customer::Id(id)).ok_or(message),
    )
}

/// A customer's e-mail address.
pub(super) fn email(email: &str, violations: &mut FieldViolations) -> Option<Customer> {
    let email = violations.take("email", email.parse::<Email>());
    email.map(|email| Customer::Email(email.as_str().to_owned()))
}

/// What ConfirmBooking and CancelBooking have in common.
///
/// # Errors
///
/// INVALID_ARGUMENT with every field that is wrong.
pub(super) fn change(
    verb: &str,
    booking_id: &str,
    request_id: &str,
    etag: &str,
) -> Result<Change, ApiError> {
    let mut violations = FieldViolations::default();
    let id = self::booking_id(booking_id, &mut violations);
    let request_id = self::request_id(request_id, &mut violations);
    let version = self::etag("etag", etag, &mut violations);
    let Some(booking_id) = id else {
        return Err(violations.into_error());
    };
    violations.check()?;
    let fingerprint = fingerprint(
        verb,
        [booking_id.uuid().as_bytes().as_slice(), etag.as_bytes()],
    );
    Ok(Change {
        booking_id,
        version,
        request_id,
        fingerprint,
    })
}
