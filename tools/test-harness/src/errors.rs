//! Reading the contract's errors, and asserting on them.

use std::collections::HashMap;
use std::fmt::Debug;
use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::StatusExt as _;

/// `ErrorInfo.reason`, as "SEATS_UNAVAILABLE"; empty without an `ErrorInfo` of this product.
#[must_use]
pub fn reason(status: &Status) -> String {
    let info = status.get_details_error_info();
    info.filter(|info| info.domain == "ticketing")
        .map(|info| info.reason)
        .unwrap_or_default()
}

/// `ErrorInfo.metadata`.
#[must_use]
pub fn metadata(status: &Status) -> HashMap<String, String> {
    let info = status.get_details_error_info();
    info.map(|info| info.metadata).unwrap_or_default()
}

/// The subjects of a `PreconditionFailure`, as seats' labels, sorted.
#[must_use]
pub fn subjects(status: &Status) -> Vec<String> {
    let failure = status.get_details_precondition_failure();
    let violations = failure.map(|failure| failure.violations);
    sorted(violations.into_iter().flatten().map(|v| v.subject))
}

/// The paths of a `BadRequest`, as `sections[2].name`, sorted.
#[must_use]
pub fn fields(status: &Status) -> Vec<String> {
    let bad = status.get_details_bad_request();
    let violations = bad.map(|bad| bad.field_violations);
    sorted(violations.into_iter().flatten().map(|v| v.field))
}

/// The subjects of a `QuotaFailure`, sorted.
#[must_use]
pub fn quota_subjects(status: &Status) -> Vec<String> {
    let failure = status.get_details_quota_failure();
    let violations = failure.map(|failure| failure.violations);
    sorted(violations.into_iter().flatten().map(|v| v.subject))
}

/// Whether the error says when to try again.
#[must_use]
pub fn has_retry_info(status: &Status) -> bool {
    status.get_details_retry_info().is_some()
}

fn sorted(names: impl Iterator<Item = String>) -> Vec<String> {
    let mut names: Vec<_> = names.collect();
    names.sort();
    names
}

/// When to try again, if the error says so.
#[must_use]
pub fn retry_after(status: &Status) -> Option<Duration> {
    status.get_details_retry_info()?.retry_delay
}

/// Asserts that an error is this one, and has the details that every error of the contract has.
///
/// # Panics
///
/// If it is another; the message has the whole of it.
#[track_caller]
pub fn assert_error(status: &Status, code: Code, reason: &str) {
    let found = (status.code(), self::reason(status));
    assert_eq!(found, (code, reason.to_owned()), "{}", describe(status));
    let id = metadata(status).remove("log_id").unwrap_or_default();
    assert!(!id.is_empty(), "no log_id in {}", describe(status));
}

/// Asserts that a call was refused with this error, and returns it for further checks.
///
/// # Panics
///
/// If the call was answered, or refused with another error.
#[track_caller]
pub fn assert_refused<T: Debug>(outcome: Result<T, Status>, code: Code, reason: &str) -> Status {
    match outcome {
        Ok(answer) => panic!("not refused with {code:?} {reason:?}, but answered: {answer:?}"),
        Err(status) => {
            assert_error(&status, code, reason);
            status
        }
    }
}

/// An error in one line with its details, for a test's message.
#[must_use]
pub fn describe(status: &Status) -> String {
    format!(
        "{:?} {:?} {:?} metadata {:?} subjects {:?} fields {:?}",
        status.code(),
        reason(status),
        status.message(),
        metadata(status),
        subjects(status),
        fields(status),
    )
}

#[cfg(test)]
mod tests {
    use proto::errors::v1::ErrorReason;
    use service_kit::ApiError;

    use super::*;

    fn taken() -> Status {
        let subjects = ["B-2", "A-1"].map(|seat| (seat.to_owned(), "held".to_owned()));
        let reason = ErrorReason::SeatsUnavailable;
        let mut status: Status =
            ApiError::precondition(reason, "SEAT_UNAVAILABLE", "taken", subjects.into()).into();
        // Outside of a call there is no log id.
        let mut details = status.get_error_details();
        let metadata = HashMap::from([("log_id".to_owned(), "7".to_owned())]);
        details.set_error_info("SEATS_UNAVAILABLE", "ticketing", metadata);
        status = Status::with_error_details(status.code(), status.message(), details);
        status
    }

    #[test]
    fn an_error_is_read_as_it_was_made() {
        let status = taken();
        assert_error(&status, Code::FailedPrecondition, "SEATS_UNAVAILABLE");
        assert_eq!(subjects(&status), ["A-1", "B-2"]);
        assert!(fields(&status).is_empty());
        let bad = Status::from(ApiError::invalid_field("venue", "is too long"));
        assert_eq!(fields(&bad), ["venue"]);
    }

    #[test]
    #[should_panic(expected = r#"subjects ["A-1", "B-2"]"#)]
    fn the_wrong_error_is_shown_whole() {
        assert_error(&taken(), Code::FailedPrecondition, "SHOW_STARTED");
    }

    #[test]
    #[should_panic(expected = "but answered: 5")]
    fn an_answer_is_no_refusal() {
        assert_refused(Ok(5), Code::NotFound, "SHOW_NOT_FOUND");
    }
}
