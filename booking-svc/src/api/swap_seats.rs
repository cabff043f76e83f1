//! SwapSeats.

use model::normalize;
use proto::booking::v1 as pb;
use service_kit::call::Deadline;
use service_kit::{ApiError, FieldViolations};
use tonic::Request;

use super::{Bookings, SEATS_PER_BOOKING_MAX, parse, requester};
use crate::commands::Change;

/// The swap: the labels of the seats to return, and of the seats to take.
#[derive(Debug)]
pub(super) struct Swap {
    pub(super) change: Change,
    pub(super) from: Vec<String>,
    pub(super) to: Vec<String>,
}

impl Bookings {
    pub(super) async fn handle_swap_seats(
        &self,
        request: Request<pb::SwapSeatsRequest>,
    ) -> Result<pb::SwapSeatsResponse, ApiError> {
        let deadline = Deadline::of(&request);
        let requester = requester::of(&request);
        let Swap {
            mut change,
            from,
            to,
        } = parse(request.into_inner())?;
        change.requester = requester;
        let booked = self.commands.swap(change, from, to, deadline).await?;
        Ok(pb::SwapSeatsResponse {
            booking: Some(self.reply(booked).await?),
        })
    }
}

pub(super) fn parse(mut request: pb::SwapSeatsRequest) -> Result<Swap, ApiError> {
    let mut violations = FieldViolations::default();
    request.from_seat_labels.iter_mut().for_each(normalize);
    request.to_seat_labels.iter_mut().for_each(normalize);
    let said = (&*request.booking_id, &*request.request_id, &*request.etag);
    let change = parse::change("swap", said, &body_of(&request), &mut violations);
    let (from, to) = (request.from_seat_labels, request.to_seat_labels);
    let seats_max = usize::from(SEATS_PER_BOOKING_MAX);
    if !(1..=seats_max).contains(&from.len()) {
        violations.add(
            "from_seat_labels",
            format!("must name 1 to {seats_max} seats"),
        );
    } else if to.len() != from.len() {
        let message = format!(
            "must name as many seats as from_seat_labels: {}",
            from.len()
        );
        violations.add("to_seat_labels", message);
    } else {
        parse::labels("from_seat_labels", &from, &mut violations);
        parse::labels("to_seat_labels", &to, &mut violations);
    }
    let Some(change) = change else {
        return Err(violations.into_error());
    };
    violations.check()?;
    Ok(Swap { change, from, to })
}

fn body_of(request: &pb::SwapSeatsRequest) -> pb::SwapSeatsRequest {
    let mut body = pb::SwapSeatsRequest {
        booking_id: String::new(),
        request_id: String::new(),
        ..request.clone()
    };
    parse::sort(&mut body.from_seat_labels, &mut []);
    parse::sort(&mut body.to_seat_labels, &mut []);
    body
}
