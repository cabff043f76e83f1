//! ConfirmBooking.

use proto::booking::v1 as pb;
use service_kit::call::Deadline;
use service_kit::{ApiError, FieldViolations};
use tonic::Request;

use super::{Bookings, parse};
use crate::verbs::Change;

impl Bookings {
    pub(super) async fn handle_confirm_booking(
        &self,
        request: Request<pb::ConfirmBookingRequest>,
    ) -> Result<pb::ConfirmBookingResponse, ApiError> {
        let deadline = Deadline::of(&request);
        let (change, reference) = parse_confirm(request.into_inner())?;
        let booked = self.verbs.confirm(change, reference, deadline).await?;
        Ok(pb::ConfirmBookingResponse {
            booking: Some(booked.into()),
        })
    }
}

fn parse_confirm(request: pb::ConfirmBookingRequest) -> Result<(Change, Option<String>), ApiError> {
    let mut violations = FieldViolations::default();
    let said = (&*request.booking_id, &*request.request_id, &*request.etag);
    // What is not said leaves no trace in the hash, so that it is the same in every release.
    let more = Some(request.payment_reference.as_bytes()).filter(|text| !text.is_empty());
    let change = parse::change("confirm", said, more, &mut violations);
    let reference = parse::payment_reference(request.payment_reference, &mut violations);
    let Some(change) = change else {
        return Err(violations.into_error());
    };
    violations.check()?;
    Ok((change, reference))
}
