//! CancelBooking.

use model::normalize;
use proto::booking::v1 as pb;
use service_kit::call::Deadline;
use service_kit::{ApiError, FieldViolations};
use tonic::Request;

use super::{Bookings, parse, requester};
use crate::commands::Change;
use crate::domain::Places;

impl Bookings {
    pub(super) async fn handle_cancel_booking(
        &self,
        request: Request<pb::CancelBookingRequest>,
    ) -> Result<pb::CancelBookingResponse, ApiError> {
        let deadline = Deadline::of(&request);
        let requester = requester::of(&request);
        let (mut change, given_up) = parse(request.into_inner())?;
        change.requester = requester;
        let booked = self.commands.cancel(change, given_up, deadline).await?;
        Ok(pb::CancelBookingResponse {
            booking: Some(self.reply(booked).await?),
        })
    }
}

/// What to change, and the labels and places to return.
pub(super) type Cancel = (Change, (Vec<String>, Vec<Places>));

pub(super) fn parse(mut request: pb::CancelBookingRequest) -> Result<Cancel, ApiError> {
    let mut violations = FieldViolations::default();
    request.seat_labels.iter_mut().for_each(normalize);
    for places in &mut request.places {
        normalize(&mut places.area);
    }
    let places = parse::places(&request.places, &mut violations);
    parse::labels("seat_labels", &request.seat_labels, &mut violations);
    let said = (&*request.booking_id, &*request.request_id, &*request.etag);
    let change = parse::change("cancel", said, &body_of(&request), &mut violations);
    let Some(change) = change else {
        return Err(violations.into_error());
    };
    violations.check()?;
    Ok((change, (request.seat_labels, places)))
}

fn body_of(request: &pb::CancelBookingRequest) -> pb::CancelBookingRequest {
    let mut body = pb::CancelBookingRequest {
        booking_id: String::new(),
        request_id: String::new(),
        ..request.clone()
    };
    parse::sort(&mut body.seat_labels, &mut body.places);
    body
}
