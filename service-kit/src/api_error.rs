//! Errors as the contract has them: a gRPC code, a published reason, at most one of each
//! further detail. The only place where a [`Status`] is made.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use proto::errors::v1::ErrorReason;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, PreconditionViolation, QuotaViolation, StatusExt};

use crate::{call, cause};

/// `ErrorInfo.domain` of every error.
pub const DOMAIN: &str = "ticketing";

/// The most violations that one error tells; a caller needs no more to see what is wrong, and
/// details travel in an HTTP/2 header, which peers limit to 8 KiB or so.
const VIOLATIONS_MAX: usize = 100;
/// The most bytes of violations that one error tells; in that header they take a third more.
/// The first one is told in any case.
const VIOLATIONS_BYTES_MAX: usize = 4 * 1024;

/// What a caller is advised to wait before a further try, where nothing better is known.
pub const RETRY_AFTER: Duration = Duration::from_millis(500);

/// An error on its way to the caller.
#[derive(Debug, Clone, PartialEq)]
pub struct ApiError {
    code: Code,
    reason: ErrorReason,
    message: Cow<'static, str>,
    metadata: Vec<(&'static str, String)>,
    detail: Detail,
    /// What brought it about, in words for the log.
    cause: Option<Box<str>>,
    is_quiet: bool,
}

/// What the log is told of an error and its caller is not: the source of each [`Status`] that is
/// made here, by which it is also known from those that tonic makes.
#[derive(Debug, thiserror::Error)]
#[error("{reason}")]
pub(crate) struct Origin {
    /// The reason, as `ErrorInfo` has it.
    pub(crate) reason: &'static str,
    /// The cause, in words.
    pub(crate) cause: Option<Box<str>>,
    /// Whether it is no fault of ours to be logged, or logged already, whatever its code.
    pub(crate) is_quiet: bool,
}

#[derive(Debug, Clone, PartialEq)]
enum Detail {
    None,
    BadRequest(Vec<(String, String)>),
    Precondition {
        kind: String,
        subjects: Vec<(String, String)>,
    },
    Quota {
        subject: String,
    },
    Retry(Duration),
}

impl ApiError {
    /// An error without further detail.
    pub fn new(code: Code, reason: ErrorReason, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code,
            reason,
            message: message.into(),
            metadata: Vec::new(),
            detail: Detail::None,
            cause: None,
            is_quiet: false,
        }
    }

    /// INVALID_ARGUMENT for one field.
    pub fn invalid_field(path: impl Into<String>, message: impl Into<String>) -> Self {
        let mut violations = FieldViolations::default();
        violations.add(path, message);
        violations.into_error()
    }

    /// INVALID_ARGUMENT for fields, with a reason of its own.
    pub fn bad_request(reason: ErrorReason, violations: Vec<(String, String)>) -> Self {
        let message = match violations.as_slice() {
            [] => "the request is not valid".to_owned(),
            [(path, message)] => format!("{path}: {message}"),
            [(path, message), rest @ ..] => format!("{path}: {message} (and {} more)", rest.len()),
        };
        Self {
            detail: Detail::BadRequest(violations),
            ..Self::new(Code::InvalidArgument, reason, message)
        }
    }

    /// NOT_FOUND.
    pub fn not_found(reason: ErrorReason, message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::NotFound, reason, message)
    }

    /// FAILED_PRECONDITION; `subjects` are what stands in the way, each with a description.
    pub fn precondition(
        reason: ErrorReason,
        kind: impl Into<String>,
        message: impl Into<Cow<'static, str>>,
        subjects: Vec<(String, String)>,
    ) -> Self {
        Self {
            detail: Detail::Precondition {
                kind: kind.into(),
                subjects,
            },
            ..Self::new(Code::FailedPrecondition, reason, message)
        }
    }

    /// RESOURCE_EXHAUSTED by a cap on `subject`.
    pub fn quota(
        reason: ErrorReason,
        subject: impl Into<String>,
        message: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            detail: Detail::Quota {
                subject: subject.into(),
            },
            ..Self::new(Code::ResourceExhausted, reason, message)
        }
    }

    /// An error that may pass: the caller is told when to try again.
    pub fn retry(
        code: Code,
        reason: ErrorReason,
        message: impl Into<Cow<'static, str>>,
        after: Duration,
    ) -> Self {
        Self {
            detail: Detail::Retry(after),
            ..Self::new(code, reason, message)
        }
    }

    /// UNAVAILABLE because the database cannot be reached, or has no connection free.
    #[must_use]
    pub fn database_unavailable() -> Self {
        Self::retry(
            Code::Unavailable,
            ErrorReason::DatabaseUnavailable,
            "the database cannot be reached right now; the same request_id is safe to repeat",
            RETRY_AFTER,
        )
    }

    /// ABORTED after every attempt met other transactions.
    #[must_use]
    pub fn contention() -> Self {
        Self::retry(
            Code::Aborted,
            ErrorReason::Contention,
            "other transactions were in the way; nothing was changed",
            Duration::from_millis(50),
        )
    }

    /// UNAVAILABLE because the server has as much under way as it accepts.
    pub fn overloaded(message: impl Into<Cow<'static, str>>) -> Self {
        Self::retry(
            Code::Unavailable,
            ErrorReason::Overloaded,
            message,
            RETRY_AFTER,
        )
    }

    /// UNAVAILABLE because the server is about to stop.
    #[must_use]
    pub fn shutting_down() -> Self {
        Self::retry(
            Code::Unavailable,
            ErrorReason::ShuttingDown,
            "the server is about to stop",
            RETRY_AFTER,
        )
    }

    /// UNAVAILABLE because the server was interrupted in the middle of the call.
    #[must_use]
    pub fn outcome_unknown() -> Self {
        Self::retry(
            Code::Unavailable,
            ErrorReason::OutcomeUnknown,
            "the server was interrupted, and whether the call was done is not known; the same \
             request_id is safe to repeat",
            RETRY_AFTER,
        )
    }

    /// DEADLINE_EXCEEDED.
    #[must_use]
    pub fn deadline_exceeded() -> Self {
        Self::new(
            Code::DeadlineExceeded,
            ErrorReason::DeadlineExceeded,
            "the deadline has passed; repeat a mutation with the same request_id",
        )
    }

    /// INTERNAL because of `fault`, which is for the log alone.
    pub fn internal(fault: &(dyn std::error::Error + 'static)) -> Self {
        Self::new(Code::Internal, ErrorReason::Internal, "internal error").because_of(fault)
    }

    /// INTERNAL after a panic, which the process's panic hook has logged.
    pub(crate) fn panicked() -> Self {
        Self {
            is_quiet: true,
            ..Self::new(Code::Internal, ErrorReason::Internal, "internal error")
        }
    }

    /// Says for the log what brought the error about. It must not quote what callers sent.
    #[must_use]
    pub fn because(mut self, cause: impl Into<Box<str>>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    /// [`Self::because`] with the whole chain of an error.
    #[must_use]
    pub fn because_of(self, fault: &(dyn std::error::Error + 'static)) -> Self {
        self.because(cause::chain(fault))
    }

    /// Says that the caller brought it about, where its code says otherwise: no fault of ours to
    /// be logged.
    #[must_use]
    pub fn as_callers_doing(mut self) -> Self {
        self.is_quiet = true;
        self
    }

    /// Adds a pair to `ErrorInfo.metadata`, as the reason's documentation lists them.
    #[must_use]
    pub fn with(mut self, key: &'static str, value: impl ToString) -> Self {
        self.metadata.push((key, value.to_string()));
        self
    }

    /// The code it will travel under.
    #[must_use]
    pub fn code(&self) -> Code {
        self.code
    }
}

impl From<ApiError> for Status {
    fn from(error: ApiError) -> Self {
        let mut metadata: std::collections::HashMap<_, _> = error
            .metadata
            .into_iter()
            .map(|(key, value)| (key.to_owned(), value))
            .collect();
        metadata.insert("request_id".to_owned(), call::request_id());
        let reason = error.reason.as_str_name();
        let reason = reason.strip_prefix("ERROR_REASON_").unwrap_or(reason);
        let mut details = ErrorDetails::with_error_info(reason, DOMAIN, metadata);
        match error.detail {
            Detail::None => {}
            Detail::BadRequest(violations) => {
                let violations: Vec<_> = fitting(violations, 0)
                    .map(|(path, message)| FieldViolation::new(path, message))
                    .collect();
                details.set_bad_request(violations);
            }
            Detail::Precondition { kind, subjects } => {
                let violations: Vec<_> = fitting(subjects, kind.len())
                    .map(|(subject, what)| PreconditionViolation::new(kind.clone(), subject, what))
                    .collect();
                details.set_precondition_failure(violations);
            }
            Detail::Quota { subject } => {
                let violation = QuotaViolation::new(subject, error.message.clone());
                details.set_quota_failure(vec![violation]);
            }
            Detail::Retry(after) => {
                details.set_retry_info(Some(after));
            }
        }
        let mut status = Self::with_error_details(error.code, error.message, details);
        status.set_source(Arc::new(Origin {
            reason,
            cause: error.cause,
            is_quiet: error.is_quiet,
        }));
        status
    }
}

/// As many violations as fit a header, each with `bytes_more` beyond its two texts.
fn fitting(
    violations: Vec<(String, String)>,
    bytes_more: usize,
) -> impl Iterator<Item = (String, String)> {
    let mut bytes = 0;
    let fits = move |(one, other): &(String, String)| {
        let is_first = bytes == 0;
        bytes += one.len() + other.len() + bytes_more;
        is_first || bytes <= VIOLATIONS_BYTES_MAX
    };
    violations.into_iter().take(VIOLATIONS_MAX).take_while(fits)
}

/// Collects what is wrong with a request, so that the caller learns all of it at once.
#[derive(Debug, Default)]
pub struct FieldViolations(Vec<(String, String)>);

impl FieldViolations {
    /// Notes that the field at `path` is wrong.
    pub fn add(&mut self, path: impl Into<String>, message: impl Into<String>) {
        self.0.push((path.into(), message.into()));
    }

    /// The value of `parsed`, or a note that the field at `path` is wrong.
    pub fn take<T, E: ToString>(&mut self, path: &str, parsed: Result<T, E>) -> Option<T> {
        match parsed {
            Ok(value) => Some(value),
            Err(error) => {
                self.add(path, error.to_string());
                None
            }
        }
    }

    /// Whether nothing was noted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Fails if anything was noted.
    ///
    /// # Errors
    ///
    /// INVALID_ARGUMENT with every violation.
    pub fn check(self) -> Result<(), ApiError> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(self.into_error())
        }
    }

    /// The error, for a caller that knows it has noted something.
    #[must_use]
    pub fn into_error(self) -> ApiError {
        ApiError::bad_request(ErrorReason::InvalidField, self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_carries_reason_metadata_and_one_detail() {
        let error = ApiError::precondition(
            ErrorReason::SeatsUnavailable,
            "SEAT_UNAVAILABLE",
            "taken",
            vec![("A-1".to_owned(), "held".to_owned())],
        )
        .with("show_id", 7);
        let details = Status::from(error).get_error_details();
        let info = details.error_info().expect("ErrorInfo");
        assert_eq!(
            (&*info.reason, &*info.domain),
            ("SEATS_UNAVAILABLE", DOMAIN)
        );
        assert_eq!(info.metadata.get("show_id").map(String::as_str), Some("7"));
        let precondition = details.precondition_failure().expect("PreconditionFailure");
        assert_eq!(precondition.violations[0].subject, "A-1");
        assert!(details.retry_info().is_none());
    }

    #[test]
    fn all_bad_fields_are_told_at_once() {
        let mut violations = FieldViolations::default();
        violations.add("name", "must not be empty");
        violations.add("venue", "is too long");
        let status = Status::from(violations.check().expect_err("violations"));
        assert_eq!(status.code(), Code::InvalidArgument);
        let fields = status
            .get_details_bad_request()
            .expect("BadRequest")
            .field_violations;
        assert_eq!(
            fields.iter().map(|v| &*v.field).collect::<Vec<_>>(),
            ["name", "venue"]
        );
    }

    #[test]
    fn what_is_told_fits_a_header() {
        let mut violations = FieldViolations::default();
        for n in 0..90 {
            violations.add(format!("sections[{n}]"), "x".repeat(100));
        }
        let status = Status::from(violations.into_error());
        let told = status.get_details_bad_request().expect("BadRequest");
        assert!((30..40).contains(&told.field_violations.len()));
        assert!(
            status.details().len() < 6 * 1024,
            "{}",
            status.details().len()
        );

        let subjects = |length| {
            let subjects = (0..100).map(|n| (format!("{n:0length$}"), "is held".to_owned()));
            let reason = ErrorReason::SeatsUnavailable;
            let error =
                ApiError::precondition(reason, "SEAT_UNAVAILABLE", "taken", subjects.collect());
            let status = Status::from(error);
            assert!(status.details().len() < 6 * 1024);
            let told = status.get_details_precondition_failure();
            told.expect("PreconditionFailure").violations.len()
        };
        assert_eq!(subjects(5), 100, "labels as they are");
        assert!((20..40).contains(&subjects(120)));
    }
}
