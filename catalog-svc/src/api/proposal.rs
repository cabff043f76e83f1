//! Waiting for the booking service's answer to a proposal.

use std::time::Duration;

use proto::errors::v1::ErrorReason;
use service_kit::ApiError;
use service_kit::api_error::RETRY_AFTER;
use tokio::time::Instant;
use tonic::Code;

use super::CatalogApi;
use crate::domain::{Answered, Proposed};
use crate::store::StoreError;

/// The longest that a call waits.
const WAIT_MAX: Duration = Duration::from_secs(10);
/// What is left of a call's time to reply that there was no answer.
const TIME_TO_REPLY: Duration = Duration::from_millis(100);
/// The pause between two checks, however fast the feed grows.
const PAUSE: Duration = Duration::from_millis(20);

/// Waits until a proposal is accepted, as long as the caller does.
pub(super) async fn wait(
    api: &CatalogApi,
    proposed: Proposed,
    deadline: Instant,
) -> Result<(), ApiError> {
    let last_moment = deadline.checked_sub(TIME_TO_REPLY).unwrap_or(deadline);
    let until = last_moment.min(Instant::now() + WAIT_MAX);
    let mut newest = api.newest.subscribe();
    loop {
        newest.borrow_and_update();
        match api.store.answer_to(proposed).await? {
            Some(Answered::Accepted) => return Ok(()),
            Some(Answered::Refused(rejection)) => {
                return Err(StoreError::Rejected(rejection).into());
            }
            None => {}
        }
        tokio::select! {
            // Its sender lives as long as the server.
            _ = newest.changed() => tokio::time::sleep(PAUSE).await,
            () = tokio::time::sleep_until(until) => return Err(no_answer(proposed)),
            () = api.stop.cancelled() => return Err(ApiError::shutting_down()),
        }
    }
}

fn no_answer(proposed: Proposed) -> ApiError {
    let message = format!(
        "the booking service has not answered; the change of show {} stays proposed",
        proposed.id
    );
    let reason = ErrorReason::BookingServiceUnavailable;
    ApiError::retry(Code::Unavailable, reason, message, RETRY_AFTER)
}
