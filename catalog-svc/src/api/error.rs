//! The one place that converts errors of the store into errors of the contract.

use model::ShowId;
use proto::errors::v1::ErrorReason;
use service_kit::api_error::some_of;
use service_kit::sqlstate::Failure;
use service_kit::{ApiError, FieldViolations};
use tonic::Code;

use crate::domain::{Rejection, ShowState, next_states};
use crate::store::StoreError;

/// The error of a call in whose request a show's fields are below `prefix`.
pub(super) fn of(error: StoreError, prefix: &str) -> ApiError {
    match error {
        StoreError::Rejected(rejection) => refused(rejection, prefix),
        StoreError::RequestIdReused => {
            let message = "was used before for another request".to_owned();
            ApiError::bad_request(
                ErrorReason::RequestIdReused,
                vec![("request_id".to_owned(), message)],
            )
        }
        StoreError::CursorAhead { newest } => ApiError::new(
            Code::OutOfRange,
            ErrorReason::CursorOutOfRange,
            "the feed does not have this revision, or has another history: read from 0",
        )
        .with("newest_revision", newest),
        StoreError::RevisionAhead { newest } => ApiError::new(
            Code::OutOfRange,
            ErrorReason::CursorOutOfRange,
            "min_revision is ahead of the newest revision: it must be one that a write returned",
        )
        .with("newest_revision", newest),
        StoreError::PoolBusy => ApiError::database_busy(),
        StoreError::Unreadable(ref shows) => {
            let ids: Vec<_> = shows.iter().map(|(id, _)| id).collect();
            ApiError::internal(&error).with_list("show_id", &ids)
        }
        error => match error.failure() {
            Some(Failure::ConnectionLost | Failure::Timeout) => {
                ApiError::database_unavailable().because_of(&error)
            }
            Some(Failure::Contention) => ApiError::contention().because_of(&error),
            Some(Failure::Duplicate | Failure::Fault) | None => ApiError::internal(&error),
        },
    }
}

/// The error of a call whose request has no fields of a show that the store could reject.
impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        of(error, "")
    }
}

/// The message for an unknown layout id.
pub(super) const NO_LAYOUT: &str = "there is no such layout";

fn refused(rejection: Rejection, prefix: &str) -> ApiError {
    match rejection {
        Rejection::NotFound(ids) => no_shows(&ids),
        Rejection::LayoutNotFound(id) => {
            let message = format!("there is no seat layout {id}");
            ApiError::not_found(ErrorReason::SeatLayoutNotFound, message).with("layout_id", id)
        }
        Rejection::Etag { id, now } => {
            let message = format!("show {id} has changed; its etag is now {now:?}");
            ApiError::new(Code::Aborted, ErrorReason::EtagMismatch, message).with("etag", now)
        }
        Rejection::State { id, is } => {
            let allowed: Vec<_> = next_states(is).map(ShowState::as_str).collect();
            let message = match allowed.as_slice() {
                [] => format!("show {id} is {is}, which does not allow this"),
                next => format!(
                    "show {id} is {is}, which does not allow this; it can become {}",
                    next.join(" or ")
                ),
            };
            of_show(ErrorReason::ShowState, "SHOW_STATE", id, message)
                .with("state", is)
                .with("allowed_states", allowed.join(","))
        }
        Rejection::LayoutInUse { id, show } => {
            let message = format!("show {show} uses seat layout {id}, or is about to");
            let subjects = vec![(id.to_string(), message.clone())];
            let reason = ErrorReason::SeatLayoutInUse;
            ApiError::precondition(reason, "SEAT_LAYOUT_IN_USE", message, subjects)
                .with("layout_id", id)
                .with("show_id", show)
        }
        Rejection::SeatsBooked { id, labels } => {
            let names = some_of(&labels);
            let message = format!("seats that show {id} would lose have live bookings: {names}");
            let subject = |label| (label, "has a live booking".to_owned());
            let subjects = labels.into_iter().map(subject).collect();
            let reason = ErrorReason::SeatsBooked;
            ApiError::precondition(reason, "SEAT_BOOKED", message, subjects).with("show_id", id)
        }
        Rejection::HasBookings(id) => {
            let message = format!("show {id} has had bookings; it can be cancelled");
            of_show(
                ErrorReason::ShowHasBookings,
                "SHOW_HAS_BOOKINGS",
                id,
                message,
            )
        }
        Rejection::ProposalPending(id) => {
            let message = format!("another change of show {id} is waiting for the booking service");
            of_show(
                ErrorReason::ProposalPending,
                "PROPOSAL_PENDING",
                id,
                message,
            )
        }
        Rejection::Invalid(problems) => {
            let mut violations = FieldViolations::default();
            violations.omit(problems.omitted());
            for problem in problems {
                violations.add(format!("{prefix}{}", problem.path), problem.message);
            }
            violations.into_error()
        }
    }
}

fn no_shows(ids: &[ShowId]) -> ApiError {
    let message = match ids {
        [id] => format!("there is no show {id}"),
        ids => format!("there are no shows for {} of the ids", ids.len()),
    };
    ApiError::not_found(ErrorReason::ShowNotFound, message).with_list("show_id", ids)
}

/// FAILED_PRECONDITION about a show.
fn of_show(reason: ErrorReason, kind: &str, id: ShowId, message: String) -> ApiError {
    let subjects = vec![(id.to_string(), message.clone())];
    ApiError::precondition(reason, kind, message, subjects).with("show_id", id)
}
