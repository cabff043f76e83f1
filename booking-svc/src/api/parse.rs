//! Parses the parts that several requests share into values that cannot be invalid.

use std::collections::HashSet;
use std::time::Duration;

use model::{AREAS_MAX, BookingId, ShowId};
use prost::Message;
use proto::booking::v1 as pb;
use service_kit::fingerprint::fingerprint;
use service_kit::{FieldViolations, proto_convert};
use uuid::Uuid;

use super::{HOLD_MAX, HOLD_MIN, SEATS_PER_BOOKING_MAX};
use crate::commands::Change;
use crate::domain::{Customer, Email, Places, Requester};

const CUSTOMER_ID_CHARS_MAX: usize = 128;
const PAYMENT_REFERENCE_CHARS_MAX: usize = 128;

/// A show's id, required. A UUID that no show can have parses; the look-up then finds no such
/// show.
pub(super) fn show_id(text: &str, violations: &mut FieldViolations) -> Option<ShowId> {
    violations.take("show_id", ShowId::asked_for(text))
}

/// A booking's id, required. A UUID that no booking can have parses; the look-up then finds no
/// such booking.
pub(super) fn booking_id(text: &str, violations: &mut FieldViolations) -> Option<BookingId> {
    violations.take("booking_id", BookingId::asked_for(text))
}

/// A request id, which is optional.
pub(super) fn request_id(text: &str, violations: &mut FieldViolations) -> Option<Uuid> {
    violations
        .take("request_id", proto_convert::request_id(text))
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
            .ok_or("is not an etag of this service"),
    )
}

/// A customer's own id.
pub(super) fn customer_id(id: String, violations: &mut FieldViolations) -> Option<Customer> {
    let fits = (1..=CUSTOMER_ID_CHARS_MAX).contains(&id.chars().count())
        && !id.chars().any(char::is_control);
    let message =
        format!("must have 1 to {CUSTOMER_ID_CHARS_MAX} characters, without control characters");
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

/// The parts of every change of a booking. `body` is the rest of the request, for the fingerprint:
/// without the ids, and with its lists in one order.
pub(super) fn change(
    verb: &str,
    (booking_id, request_id, etag): (&str, &str, &str),
    body: &impl Message,
    violations: &mut FieldViolations,
) -> Option<Change> {
    let id = self::booking_id(booking_id, violations);
    let request_id = self::request_id(request_id, violations);
    let version = self::etag("etag", etag, violations);
    let booking_id = id?;
    let body = body.encode_to_vec();
    Some(Change {
        booking_id,
        version,
        request_id,
        fingerprint: fingerprint(verb, [booking_id.uuid().as_bytes().as_slice(), &body]),
        requester: Requester::unnamed(),
    })
}

/// Labels of seats at `field`, none twice.
pub(super) fn labels(field: &str, labels: &[String], violations: &mut FieldViolations) {
    if labels.len() > usize::from(SEATS_PER_BOOKING_MAX) {
        violations.add(
            field,
            format!("names more than {SEATS_PER_BOOKING_MAX} seats"),
        );
        return;
    }
    let mut seen = HashSet::new();
    for (place, label) in labels.iter().enumerate() {
        if !seen.insert(label) {
            violations.add(format!("{field}[{place}]"), "is listed twice");
        }
    }
}

/// How many places of how many areas, no area twice.
pub(super) fn places(asked: &[pb::PlaceRequest], violations: &mut FieldViolations) -> Vec<Places> {
    if asked.len() > AREAS_MAX {
        violations.add("places", format!("names more than {AREAS_MAX} areas"));
        return Vec::new();
    }
    let mut seen = HashSet::new();
    let mut places = Vec::with_capacity(asked.len());
    for (place, pb::PlaceRequest { area, quantity }) in asked.iter().enumerate() {
        if !seen.insert(area) {
            violations.add(format!("places[{place}].area"), "is listed twice");
        }
        match u32::try_from(*quantity) {
            Ok(quantity) if (1..=u32::from(SEATS_PER_BOOKING_MAX)).contains(&quantity) => {
                places.push(Places {
                    area: area.as_str().into(),
                    quantity,
                });
            }
            _ => violations.add(
                format!("places[{place}].quantity"),
                format!("must be 1 to {SEATS_PER_BOOKING_MAX}"),
            ),
        }
    }
    places
}

/// The total number of requested places, even if other parts of them are invalid.
pub(super) fn place_count(asked: &[pb::PlaceRequest]) -> usize {
    let counts = asked
        .iter()
        .map(|places| usize::try_from(places.quantity).unwrap_or(0));
    counts.fold(0, usize::saturating_add)
}

/// Sorts labels and places: requests that differ only in their order are the same.
pub(super) fn sort(labels: &mut [String], places: &mut [pb::PlaceRequest]) {
    labels.sort_unstable();
    places.sort_unstable_by(|one, other| {
        (&one.area, one.quantity).cmp(&(&other.area, other.quantity))
    });
}

/// How long a hold is to last.
pub(super) fn hold(asked: &prost_types::Duration) -> Result<Duration, String> {
    let hold = proto_convert::duration(asked)?;
    if !(HOLD_MIN..=HOLD_MAX).contains(&hold) {
        return Err("must be 10 s to 1800 s".to_owned());
    }
    if hold.subsec_nanos() % 1_000_000 != 0 {
        return Err("must be whole milliseconds".to_owned());
    }
    Ok(hold)
}

/// The reference of a payment taken outside Ticketing; optional.
pub(super) fn payment_reference(text: String, violations: &mut FieldViolations) -> Option<String> {
    if text.is_empty() {
        return None;
    }
    let fits =
        text.chars().count() <= PAYMENT_REFERENCE_CHARS_MAX && !text.chars().any(char::is_control);
    let message = format!(
        "must have at most {PAYMENT_REFERENCE_CHARS_MAX} characters, without control characters"
    );
    violations.take("payment_reference", fits.then_some(text).ok_or(message))
}
