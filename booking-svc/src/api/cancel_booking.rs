//! CancelBooking.

use proto::booking::v1 as pb;
use service_kit::call::Deadline;
use service_kit::{ApiError, FieldViolations};
use tonic::Request;

use super::{Bookings, parse};
use crate::domain::Places;
use crate::verbs::Change;

impl Bookings {
    pub(super) async fn handle_cancel_booking(
        &self,
        request: Request<pb::CancelBookingRequest>,
    ) -> Result<pb::CancelBookingResponse, ApiError> {
        let deadline = Deadline::of(&request);
        let (change, given_up) = parse_cancel(request.into_inner())?;
        let booked = self.verbs.cancel(change, given_up, deadline).await?;
        Ok(pb::CancelBookingResponse {
            booking: Some(self.tell(booked).await?),
        })
    }
}

/// What to change, and the labels and places to give up.
type Cancel = (Change, (Vec<String>, Vec<Places>));

fn parse_cancel(request: pb::CancelBookingRequest) -> Result<Cancel, ApiError> {
    let mut violations = FieldViolations::default();
    let labels = request.seat_labels;
    let places = parse::places(&request.places, &mut violations);
    let said = (&*request.booking_id, &*request.request_id, &*request.etag);
    let places_said = parse::places_said(&places);
    let what = parse::sorted(&labels);
    let what = what
        .into_iter()
        .chain(places_said.iter().map(Vec::as_slice));
    let change = parse::change("cancel", said, what, &mut violations);
    parse::labels("seat_labels", &labels, &mut violations);
    let Some(change) = change else {
        return Err(violations.into_error());
    };
    violations.check()?;
    Ok((change, (labels, places)))
}
