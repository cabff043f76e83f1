//! The one place that turns what the store says into errors of the contract.

use proto::errors::v1::ErrorReason;
use service_kit::sqlstate::Failure;
use service_kit::{ApiError, FieldViolations};
use tonic::Code;

use crate::domain::{Refusal, ScheduleField, ScheduleProblem};
use crate::store::StoreError;

/// The error of a call in whose request a show's fields stand below `prefix`.
pub(super) fn of(error: StoreError, prefix: &str) -> ApiError {
    match error {
        StoreError::Refused(refusal) => refused(refusal, prefix),
        StoreError::RequestIdReused => {
            let message = "was used before, for a call with another body".to_owned();
            ApiError::bad_request(
                ErrorReason::RequestIdReused,
                vec![("request_id".to_owned(), message)],
            )
        }
        StoreError::CursorAhead { newest } => ApiError::new(
            Code::OutOfRange,
            ErrorReason::CursorOutOfRange,
            "after_revision lies ahead of the newest revision: read from 0",
        )
        .with("newest_revision", newest),
        StoreError::RevisionAhead { newest } => ApiError::new(
            Code::OutOfRange,
            ErrorReason::CursorOutOfRange,
            "min_revision lies ahead of the newest revision: it must be one that a write returned",
        )
        .with("newest_revision", newest),
        error => match error.failure() {
            Some(Failure::ConnectionLost | Failure::Timeout) => ApiError::database_unavailable(),
            Some(Failure::Contention) => ApiError::contention(),
            Some(Failure::Duplicate | Failure::Fault) | None => ApiError::internal(&error),
        },
    }
}

/// The error of a call whose request has no fields of a show that the store could refuse.
impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        of(error, "")
    }
}

fn refused(refusal: Refusal, prefix: &str) -> ApiError {
    match refusal {
        Refusal::NotFound(id) => {
            let message = format!("there is no show {id}");
            ApiError::not_found(ErrorReason::ShowNotFound, message).with("show_id", id)
        }
        Refusal::Etag { id, now } => {
            let message = format!("show {id} was written since; its etag is {now:?} now");
            ApiError::new(Code::Aborted, ErrorReason::EtagMismatch, message).with("etag", now)
        }
        Refusal::State { id, is, wanted } => {
            let message = format!("show {id} is {is}; it would have to be {wanted}");
            let subjects = vec![(id.to_string(), message.clone())];
            ApiError::precondition(ErrorReason::ShowState, "SHOW_STATE", message, subjects)
                .with("show_id", id)
                .with("state", is)
        }
        Refusal::Schedule(problem) => {
            let mut violations = FieldViolations::default();
            note_schedule(&mut violations, prefix, problem);
            violations.into_error()
        }
    }
}

/// Notes a problem with a show's times, whose fields stand below `prefix`.
pub(super) fn note_schedule(
    violations: &mut FieldViolations,
    prefix: &str,
    problem: ScheduleProblem,
) {
    let field = match problem.field {
        ScheduleField::Start => "start_time",
        ScheduleField::End => "end_time",
    };
    violations.add(format!("{prefix}{field}"), problem.message);
}
