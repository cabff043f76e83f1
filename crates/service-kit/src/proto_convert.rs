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
    const WRONG: &str = "must be a time of the years 1 to 9999, with 0 to 999,999,999 nanos";
    let at = OffsetDateTime::from_unix_timestamp(timestamp.seconds).ok();
    match (at, nanos(timestamp.nanos)) {
        (Some(at), Some(nanos)) if at.year() >= 1 => {
            at.replace_microsecond(nanos / 1_000).map_err(|_| WRONG)
        }
        _ => Err(WRONG),
    }
}

/// The length of a protobuf duration.
///
/// # Errors
///
/// A text for the caller, if it is negative or malformed: protobuf requires seconds and nanoseconds
/// of one sign, and fewer nanoseconds than a second has.
pub fn duration(duration: &prost_types::Duration) -> Result<Duration, &'static str> {
    let seconds = u64::try_from(duration.seconds).ok();
    match (seconds, nanos(duration.nanos)) {
        (Some(seconds), Some(nanos)) => Ok(Duration::new(seconds, nanos)),
        _ => Err("must be a duration that is not negative, with 0 to 999,999,999 nanos"),
    }
}

/// Nanoseconds beside seconds.
fn nanos(nanos: i32) -> Option<u32> {
    u32::try_from(nanos)
        .ok()
        .filter(|nanos| *nanos < 1_000_000_000)
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

#[cfg(test)]
mod tests {
    use super::*;

    const SECONDS: [i64; 9] = [
        i64::MIN,
        i64::MIN + 1,
        -315_576_000_001,
        -1,
        0,
        1,
        315_576_000_001,
        i64::MAX - 1,
        i64::MAX,
    ];
    const NANOS: [i32; 9] = [
        i32::MIN,
        -1_000_000_000,
        -999_999_999,
        -1,
        0,
        1,
        999_999_999,
        1_000_000_000,
        i32::MAX,
    ];

    #[test]
    fn a_duration_is_read_as_it_is_written_or_not_at_all() {
        for (seconds, nanos) in SECONDS.into_iter().flat_map(|s| NANOS.map(|n| (s, n))) {
            let read = duration(&prost_types::Duration { seconds, nanos });
            let is_one = seconds >= 0 && (0..=999_999_999).contains(&nanos);
            assert_eq!(read.is_ok(), is_one, "{seconds} s {nanos} ns: {read:?}");
            if let Ok(read) = read {
                let written = (u64::try_from(seconds), u32::try_from(nanos));
                assert_eq!(written, (Ok(read.as_secs()), Ok(read.subsec_nanos())));
            }
        }
    }

    #[test]
    fn an_instant_is_read_as_it_is_written_or_not_at_all() {
        let first = -62_135_596_800;
        let last = 253_402_300_799;
        let seconds = SECONDS
            .into_iter()
            .chain([first - 1, first, last, last + 1]);
        for (seconds, nanos) in seconds.flat_map(|s| NANOS.map(|n| (s, n))) {
            let read = instant(&Timestamp { seconds, nanos });
            let is_one = (first..=last).contains(&seconds) && (0..=999_999_999).contains(&nanos);
            assert_eq!(read.is_ok(), is_one, "{seconds} s {nanos} ns: {read:?}");
            if let Ok(read) = read {
                assert_eq!(read.unix_timestamp(), seconds);
                assert_eq!(read.microsecond(), nanos.unsigned_abs() / 1_000);
            }
        }
    }
}
