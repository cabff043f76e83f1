//! Small conversions between protobuf's well-known types and Rust's.

use std::time::Duration;

use prost_types::Timestamp;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use uuid::Uuid;

/// An instant as protobuf writes it.
#[must_use]
pub fn timestamp(at: OffsetDateTime) -> Timestamp {
    Timestamp {
        seconds: at.unix_timestamp(),
        nanos: i32::try_from(at.nanosecond()).unwrap_or_default(),
    }
}

/// The instant of a protobuf timestamp, in the microseconds that the database keeps.
///
/// # Errors
///
/// A text for the caller, if it lies outside the years 1 to 9999 or has impossible nanoseconds.
pub fn instant(timestamp: &Timestamp) -> Result<OffsetDateTime, &'static str> {
    let nanos = u32::try_from(timestamp.nanos)
        .ok()
        .filter(|nanos| *nanos < 1_000_000_000);
    let at = OffsetDateTime::from_unix_timestamp(timestamp.seconds).ok();
    match (at, nanos) {
        (Some(at), Some(nanos)) if at.year() >= 1 => at
            .replace_microsecond(nanos / 1_000)
            .map_err(|_| "is not a valid timestamp"),
        _ => Err("is not a valid timestamp"),
    }
}

/// The length of a protobuf duration.
///
/// # Errors
///
/// A text for the caller, if it is negative or malformed.
pub fn duration(duration: &prost_types::Duration) -> Result<Duration, &'static str> {
    (*duration)
        .try_into()
        .map_err(|_| "must be a duration that is not negative")
}

/// The text of an instant in error messages and metadata, RFC 3339 in UTC.
#[must_use]
pub fn rfc3339(at: OffsetDateTime) -> String {
    at.to_offset(time::UtcOffset::UTC)
        .format(&Rfc3339)
        .unwrap_or_default()
}

/// The id in a request's optional `request_id`.
///
/// # Errors
///
/// A text for the caller, if it is no UUID.
pub fn request_id(text: &str) -> Result<Option<Uuid>, &'static str> {
    if text.is_empty() {
        return Ok(None);
    }
    match Uuid::try_parse(text) {
        Ok(id) if !id.is_nil() => Ok(Some(id)),
        _ => Err("must be a UUID"),
    }
}
