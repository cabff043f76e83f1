//! An error as it travels: in headers, for which proxies and clients have buffers of fixed sizes.
//! nginx has 4 KiB for all headers of an answer, and other peers 8 KiB. So an error is cut to fit:
//! it lists the first items, and counts the omitted ones.

use std::collections::HashMap;
use std::sync::Arc;

use tonic::Status;
use tonic_types::{ErrorDetails, FieldViolation, PreconditionViolation, QuotaViolation, StatusExt};

use super::{ApiError, DOMAIN, Detail};
use crate::log_id;

/// The key of `ErrorInfo.metadata` for the number of items omitted from an error's lists.
pub(super) const OMITTED: &str = "omitted_count";
/// For how many there are in all. Set if some were left out.
pub(super) const TOTAL: &str = "total_count";

/// The most bytes of all headers of an answer.
const HEADERS_BYTES_MAX: usize = 4 * 1024;
/// The bytes of the other headers, and of these headers' names.
const OTHER_HEADERS_BYTES: usize = 320;
/// The most bytes of `google.rpc.Status`, however short the message; base64 makes 4 of 3.
const DETAILS_BYTES_MAX: usize = 2_867;
/// The most bytes of a message as a header has it.
const MESSAGE_BYTES_MAX: usize = 512;
/// The most bytes of one value of `ErrorInfo.metadata`.
pub(super) const METADATA_VALUE_BYTES_MAX: usize = 768;
/// The most bytes of the name of a field, a seat or an area: 100 characters of any script.
const SUBJECT_BYTES_MAX: usize = 400;
/// Maximum bytes of one item's description.
const DESCRIPTION_BYTES_MAX: usize = 256;

/// The bytes that protobuf adds to the texts of a violation.
const VIOLATION_BYTES: usize = 14;
/// The overhead of a list: the type's URL, and the two counts in metadata.
const LIST_BYTES: usize = 160;

/// How many names a message has.
const NAMES_IN_MESSAGE_MAX: usize = 5;
/// The most bytes of them, as a header has them; there is one in any case.
const NAMES_IN_MESSAGE_BYTES_MAX: usize = 240;

/// The part for the log and not for the caller: the source of each [`Status`] that is
/// made here, which also distinguishes it from tonic's own.
#[derive(Debug, thiserror::Error)]
#[error("{reason}")]
pub(crate) struct Origin {
    /// The reason, as `ErrorInfo` has it.
    pub(crate) reason: &'static str,
    /// The cause, in words.
    pub(crate) cause: Option<Box<str>>,
    /// Whether not to log it: it is no fault of ours, or was logged already.
    pub(crate) is_quiet: bool,
}

impl From<ApiError> for Status {
    fn from(error: ApiError) -> Self {
        let reason = error.reason.as_str_name();
        let reason = reason.strip_prefix("ERROR_REASON_").unwrap_or(reason);
        let message = cut(&error.message, MESSAGE_BYTES_MAX, bytes_in_header);
        let mut metadata = metadata(error.metadata);
        let rest = ErrorDetails::with_error_info(reason, DOMAIN, metadata.clone());
        let room = room(&message, rest, error.code);
        let mut details = ErrorDetails::new();
        let (shown, total) = match error.detail {
            Detail::None => (0, 0),
            Detail::BadRequest(fields) => {
                let total = fields.len();
                let fields = fitting(fields, room, 0);
                let violations = fields.iter().cloned();
                let violations = violations.map(|(path, what)| FieldViolation::new(path, what));
                details.set_bad_request(violations.collect::<Vec<_>>());
                (fields.len(), total)
            }
            Detail::Precondition { kind, subjects } => {
                let total = subjects.len();
                let subjects = fitting(subjects, room, kind.len());
                let violation =
                    |(subject, what)| PreconditionViolation::new(kind.clone(), subject, what);
                let violations = subjects.iter().cloned().map(violation);
                details.set_precondition_failure(violations.collect::<Vec<_>>());
                (subjects.len(), total)
            }
            Detail::Quota { subject } => {
                details.set_quota_failure(vec![QuotaViolation::new(subject, message.clone())]);
                (0, 0)
            }
            Detail::QuotaUntil { subject, after } => {
                details.set_quota_failure(vec![QuotaViolation::new(subject, message.clone())]);
                details.set_retry_info(Some(after));
                (0, 0)
            }
            Detail::Retry(after) => {
                details.set_retry_info(Some(after));
                (0, 0)
            }
        };
        let total = total + error.omitted as usize;
        if shown < total {
            metadata.insert(OMITTED.to_owned(), (total - shown).to_string());
            metadata.insert(TOTAL.to_owned(), total.to_string());
        }
        details.set_error_info(reason, DOMAIN, metadata);
        let mut status = Self::with_error_details(error.code, message, details);
        status.set_source(Arc::new(Origin {
            reason,
            cause: error.cause,
            is_quiet: error.is_quiet,
        }));
        status
    }
}

fn metadata(pairs: Vec<(&'static str, String)>) -> HashMap<String, String> {
    let pairs = pairs.into_iter().map(|(key, value)| {
        let value = cut(&value, METADATA_VALUE_BYTES_MAX, str::len);
        (key.to_owned(), value)
    });
    let id = ("log_id".to_owned(), log_id::current());
    pairs.chain([id]).collect()
}

/// The bytes that violations may take in protobuf, next to the rest of an error.
fn room(message: &str, rest: ErrorDetails, code: tonic::Code) -> usize {
    let headers = HEADERS_BYTES_MAX - OTHER_HEADERS_BYTES - bytes_in_header(message);
    let details = DETAILS_BYTES_MAX.min(headers * 3 / 4);
    let rest = Status::with_error_details(code, message, rest);
    details.saturating_sub(rest.details().len() + LIST_BYTES)
}

/// The first items that fit, each with `more` bytes in addition to its two texts.
fn fitting(items: Vec<(String, String)>, room: usize, more: usize) -> Vec<(String, String)> {
    let mut bytes = 0;
    let cut = items.into_iter().map(|(subject, what)| {
        let subject = cut(&subject, SUBJECT_BYTES_MAX, str::len);
        (subject, cut(&what, DESCRIPTION_BYTES_MAX, str::len))
    });
    let fits = cut.take_while(|(subject, what)| {
        bytes += subject.len() + what.len() + more + VIOLATION_BYTES;
        bytes <= room
    });
    fits.collect()
}

/// Cuts a text to `bytes_max` by a measure that grows with its length.
fn cut(text: &str, bytes_max: usize, measure: impl Fn(&str) -> usize) -> String {
    const MORE: &str = "…";
    if measure(text) <= bytes_max {
        return text.to_owned();
    }
    let room = bytes_max - measure(MORE);
    let ends = text.char_indices().map(|(at, _)| &text[..at]);
    let longest = ends.take_while(|start| measure(start) <= room).last();
    longest.unwrap_or_default().to_owned() + MORE
}

/// The bytes of a text in the header `grpc-message`, where most characters but letters are written as
/// "%20".
fn bytes_in_header(text: &str) -> usize {
    let bytes = text.bytes();
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.:,;/()[]=".contains(byte);
    bytes.map(|byte| if plain(&byte) { 1 } else { 3 }).sum()
}

/// The first of some names, as a message has them, and how many more there are.
#[must_use]
pub fn some_of<T: AsRef<str>>(names: &[T]) -> String {
    let mut text = String::new();
    for (place, name) in names.iter().map(AsRef::as_ref).enumerate() {
        let is_full = place == NAMES_IN_MESSAGE_MAX
            || bytes_in_header(&text) + bytes_in_header(name) > NAMES_IN_MESSAGE_BYTES_MAX;
        if place > 0 && is_full {
            return format!("{text} and {} more", names.len() - place);
        }
        if place > 0 {
            text.push_str(", ");
        }
        text.push_str(name);
    }
    text
}
