//! What several requests have in common, as values that cannot be invalid.

use model::{BookingId, ShowId};
use service_kit::fingerprint::fingerprint;
use service_kit::{ApiError, FieldViolations, wire};
use uuid::Uuid;

use crate::domain::Customer;
use crate::verbs::Change;

const CUSTOMER_ID_CHARS_MAX: usize = 128;
const EMAIL_CHARS_MAX: usize = 254;
const EMAIL_CHARS_MIN: usize = 3;

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

/// A booking's version out of its etag, which is optional.
pub(super) fn etag(text: &str, violations: &mut FieldViolations) -> Option<i32> {
    if text.is_empty() {
        return None;
    }
    let version = text
        .strip_prefix('v')
        .and_then(|version| version.parse().ok());
    violations.take(
        "etag",
        version
            .filter(|version| *version >= 1)
            .ok_or("is no etag of a booking"),
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

/// A customer's e-mail address. Only what is surely none is refused: whether mail arrives is
/// not for this service to find out.
pub(super) fn email(email: &str, violations: &mut FieldViolations) -> Option<Customer> {
    let fits = (EMAIL_CHARS_MIN..=EMAIL_CHARS_MAX).contains(&email.chars().count())
        && !email.chars().any(|c| c.is_control() || c.is_whitespace())
        && email
            .rsplit_once('@')
            .is_some_and(|(name, host)| !name.is_empty() && !host.is_empty());
    let customer = fits.then(|| Customer::Email(email.to_lowercase()));
    // Lower case can be longer than what it is made from.
    let customer = customer.filter(|customer| {
        matches!(customer, Customer::Email(email) if email.chars().count() <= EMAIL_CHARS_MAX)
    });
    let message = format!("must be an e-mail address of at most {EMAIL_CHARS_MAX} characters");
    violations.take("email", customer.ok_or(message))
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
    let version = self::etag(etag, &mut violations);
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
