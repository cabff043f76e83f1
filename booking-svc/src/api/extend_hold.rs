//! ExtendHold.

use std::time::Duration;

use proto::booking::v1 as pb;
use service_kit::call::Deadline;
use service_kit::{ApiError, FieldViolations};
use tonic::Request;

use super::{Bookings, parse, requester};
use crate::commands::Change;

impl Bookings {
    pub(super) async fn handle_extend_hold(
        &self,
        request: Request<pb::ExtendHoldRequest>,
    ) -> Result<pb::ExtendHoldResponse, ApiError> {
        let deadline = Deadline::of(&request);
        let requester = requester::of(&request);
        let (mut change, hold) = parse(&request.into_inner())?;
        change.requester = requester;
        let booked = self.commands.extend(change, hold, deadline).await?;
        Ok(pb::ExtendHoldResponse {
            booking: Some(self.reply(booked).await?),
        })
    }
}

pub(super) fn parse(request: &pb::ExtendHoldRequest) -> Result<(Change, Duration), ApiError> {
    let mut violations = FieldViolations::default();
    let said = (&*request.booking_id, &*request.request_id, &*request.etag);
    let body = pb::ExtendHoldRequest {
        booking_id: String::new(),
        request_id: String::new(),
        ..request.clone()
    };
    let change = parse::change("extend", said, &body, &mut violations);
    let hold = match &request.hold_duration {
        Some(asked) => violations.take("hold_duration", parse::hold(asked)),
        None => {
            violations.add("hold_duration", "must be set");
            None
        }
    };
    match (change, hold) {
        (Some(change), Some(hold)) => {
            violations.check()?;
            Ok((change, hold))
        }
        _ => Err(violations.into_error()),
    }
}
