//! CancelBooking.

use proto::booking::v1 as pb;
use service_kit::call::Deadline;
use service_kit::{ApiError, FieldViolations};
use tonic::Request;

use super::{Bookings, parse};
use crate::verbs::Change;

impl Bookings {
    pub(super) async fn handle_cancel_booking(
        &self,
        request: Request<pb::CancelBookingRequest>,
    ) -> Result<pb::CancelBookingResponse, ApiError> {
        let deadline = Deadline::of(&request);
        let (change, labels) = parse_cancel(request.into_inner())?;
        let booked = self.verbs.cancel(change, labels, deadline).await?;
        Ok(pb::CancelBookingResponse {
            booking: Some(booked.into()),
        })
    }
}

fn parse_cancel(request: pb::CancelBookingRequest) -> Result<(Change, Vec<String>), ApiError> {
    let mut violations = FieldViolations::default();
    let labels = request.seat_labels;
    let said = (&*request.booking_id, &*request.request_id, &*request.etag);
    let change = parse::change("cancel", said, parse::sorted(&labels), &mut violations);
    parse::labels("seat_labels", &labels, &mut violations);
    let Some(change) = change else {
        return Err(violations.into_error());
    };
    violations.check()?;
    Ok((change, labels))
}
