//! Errors as the contract has them: a gRPC code, a published reason, at most one of each
//! further detail. The only place where a [`tonic::Status`] is made.

mod status;
mod violations;

use std::borrow::Cow;
use std::fmt::Display;
use std::time::Duration;

use proto::errors::v1::ErrorReason;
use tonic::Code;

use crate::cause;

pub(crate) use self::status::Origin;
pub use self::status::some_of;
pub use self::violations::FieldViolations;

/// `ErrorInfo.domain` of every error.
pub const DOMAIN: &str = "ticketing";

/// The default advice how long to wait before a retry.
pub const RETRY_AFTER: Duration = Duration::from_millis(500);

/// An error on its way to the caller.
#[derive(Debug, Clone, PartialEq)]
pub struct ApiError {
    code: Code,
    reason: ErrorReason,
    message: Cow<'static, str>,
    metadata: Vec<(&'static str, String)>,
    detail: Detail,
    /// The number of items omitted from the detail.
    omitted: u32,
    /// Its cause, as text for the log.
    cause: Option<Box<str>>,
    is_quiet: bool,
}

#[derive(Debug, Clone, PartialEq)]
enum Detail {
    None,
    /// Paths of fields, each with its violation.
    BadRequest(Vec<(String, String)>),
    /// The subjects of violations, each with a description.
    Precondition {
        kind: Box<str>,
        subjects: Vec<(String, String)>,
    },
    Quota {
        subject: String,
    },
    Retry(Duration),
    QuotaUntil {
        subject: &'static str,
        after: Duration,
    },
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
            omitted: 0,
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

    /// INVALID_ARGUMENT for fields, with a specific reason.
    pub fn bad_request(reason: ErrorReason, violations: Vec<(String, String)>) -> Self {
        Self::bad_request_of(reason, violations, 0)
    }

    /// The same, with `omitted` further violations.
    fn bad_request_of(
        reason: ErrorReason,
        violations: Vec<(String, String)>,
        omitted: usize,
    ) -> Self {
        let message = match violations.as_slice() {
            [] => "the request is not valid".to_owned(),
            [(path, message)] if omitted == 0 => format!("{path}: {message}"),
            [(path, message), rest @ ..] => {
                format!("{path}: {message} (and {} more)", rest.len() + omitted)
            }
        };
        Self {
            detail: Detail::BadRequest(violations),
            omitted: u32::try_from(omitted).unwrap_or(u32::MAX),
            ..Self::new(Code::InvalidArgument, reason, message)
        }
    }

    /// NOT_FOUND.
    pub fn not_found(reason: ErrorReason, message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::NotFound, reason, message)
    }

    /// FAILED_PRECONDITION; `subjects` are the things that violate it, each with a description.
    pub fn precondition(
        reason: ErrorReason,
        kind: impl Into<Box<str>>,
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

    /// RESOURCE_EXHAUSTED by a cap on `subject` that has room again after a time.
    pub fn quota_until(
        reason: ErrorReason,
        subject: &'static str,
        message: impl Into<Cow<'static, str>>,
        after: Duration,
    ) -> Self {
        Self {
            detail: Detail::QuotaUntil { subject, after },
            ..Self::new(Code::ResourceExhausted, reason, message)
        }
    }

    /// A transient error: it says when to try again.
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
            "the database cannot be reached, or takes no writes; it is safe to retry with the same request_id",
            RETRY_AFTER,
        )
    }

    /// ABORTED after every attempt met other transactions.
    #[must_use]
    pub fn contention() -> Self {
        Self::retry(
            Code::Aborted,
            ErrorReason::Contention,
            "there was too much contention; nothing was changed, try again",
            Duration::from_millis(50),
        )
    }

    /// UNAVAILABLE because the server is at its limit of concurrent work.
    pub fn overloaded(message: impl Into<Cow<'static, str>>) -> Self {
        Self::retry(
            Code::Unavailable,
            ErrorReason::Overloaded,
            message,
            RETRY_AFTER,
        )
    }

    /// UNAVAILABLE because other calls have all connections to the database, which answers.
    #[must_use]
    pub fn database_busy() -> Self {
        Self::overloaded("the server has more calls than connections to its database")
    }

    /// UNAVAILABLE because the server is about to stop.
    #[must_use]
    pub fn shutting_down() -> Self {
        Self::retry(
            Code::Unavailable,
            ErrorReason::ShuttingDown,
            "the server is shutting down",
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
            "the deadline has passed; retry a mutation with the same request_id",
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

    /// Adds a list to `ErrorInfo.metadata`, separated by commas: its first items, if not all fit,
    /// and how many were left out.
    #[must_use]
    pub fn with_list<T: Display>(self, key: &'static str, items: &[T]) -> Self {
        let mut list = String::new();
        for (place, item) in items.iter().map(ToString::to_string).enumerate() {
            if place > 0 && list.len() + item.len() >= status::METADATA_VALUE_BYTES_MAX {
                let (omitted, total) = (items.len() - place, items.len());
                let cut = self.with(key, list);
                return cut
                    .with(status::OMITTED, omitted)
                    .with(status::TOTAL, total);
            }
            if place > 0 {
                list.push(',');
            }
            list.push_str(&item);
        }
        self.with(key, list)
    }

    /// Sets the error's cause for the log. It must not quote callers' data.
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

    /// Marks an error that the caller has caused, although its code says otherwise: it is not
    /// logged as a fault of ours.
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

#[cfg(test)]
mod tests;
