//! ReserveSeats.

use model::normalize;
use proto::booking::v1 as pb;
use proto::booking::v1::reserve_seats_request::Customer as PbCustomer;
use proto::errors::v1::ErrorReason;
use service_kit::call::Deadline;
use service_kit::fingerprint::fingerprint_of_body;
use service_kit::{ApiError, FieldViolations};
use tonic::Request;

use super::{Bookings, Limits, choices, parse, requester};
use crate::commands::Reserve;
use crate::domain::{Customer, Requester};

impl Bookings {
    pub(super) async fn handle_reserve_seats(
        &self,
        request: Request<pb::ReserveSeatsRequest>,
    ) -> Result<pb::ReserveSeatsResponse, ApiError> {
        let deadline = Deadline::of(&request);
        let requester = if self.commands.counts_holds() {
            requester::counted(&request)
        } else {
            requester::of(&request)
        };
        let mut wanted = parse(request.into_inner(), self.limits)?;
        requester::check(&requester, &wanted.customer)?;
        wanted.requester = requester;
        let booked = self.commands.reserve(wanted, deadline).await?;
        Ok(pb::ReserveSeatsResponse {
            booking: Some(self.reply(booked).await?),
        })
    }
}

pub(super) fn parse(
    mut request: pb::ReserveSeatsRequest,
    limits: Limits,
) -> Result<Reserve, ApiError> {
    let seats_max = usize::from(limits.seats_per_booking_max);
    let seat_count = request.seat_labels.len() + choices::seat_count(&request.choices);
    let place_count = parse::place_count(&request.places);
    if place_count > 0 && place_count.saturating_add(seat_count) > seats_max {
        let message = format!(
            "places: {place_count}, and {seat_count} seats; a booking has at most {seats_max} of both"
        );
        return Err(
            ApiError::quota(ErrorReason::SeatsPerBookingExceeded, "places", message)
                .with("limit", seats_max),
        );
    }
    if seat_count > seats_max {
        let message = format!("{seat_count} seats; a booking has at most {seats_max}");
        return Err(
            ApiError::quota(ErrorReason::SeatsPerBookingExceeded, "seat_labels", message)
                .with("limit", seats_max),
        );
    }
    let mut violations = FieldViolations::default();
    let show_id = parse::show_id(&request.show_id, &mut violations);
    let request_id = parse::request_id(&request.request_id, &mut violations);
    if request.seat_labels.is_empty() && request.choices.is_empty() && request.places.is_empty() {
        violations.add("seat_labels", "name at least one seat, choice or place");
    }
    request.seat_labels.iter_mut().for_each(normalize);
    for places in &mut request.places {
        normalize(&mut places.area);
    }
    request.choices.iter_mut().for_each(choices::normalize);
    parse::labels("seat_labels", &request.seat_labels, &mut violations);
    let places = parse::places(&request.places, &mut violations);
    let choices = choices::parse(&request.choices, &mut violations);
    let customer = match &request.customer {
        Some(PbCustomer::CustomerId(id)) => parse::customer_id(id.clone(), &mut violations),
        Some(PbCustomer::Email(email)) => parse::email(email, &mut violations),
        None => {
            violations.add("customer", "must be set: customer_id or email");
            None
        }
    };
    let hold = request.hold_duration.as_ref();
    let hold = hold.and_then(|asked| violations.take("hold_duration", parse::hold(asked)));
    if !request.confirm && !request.payment_reference.is_empty() {
        violations.add("payment_reference", "needs confirm");
    }
    let reference = request.payment_reference.clone();
    let payment_reference = parse::payment_reference(reference, &mut violations);
    let (Some(show_id), Some(customer)) = (show_id, customer) else {
        return Err(violations.into_error());
    };
    violations.check()?;
    let fingerprint = fingerprint_of(&request, &customer);
    Ok(Reserve {
        show_id,
        labels: request.seat_labels,
        places,
        choices,
        customer,
        hold,
        sell: request.confirm,
        payment_reference,
        request_id,
        fingerprint,
        requester: Requester::unnamed(),
    })
}

/// The show's id is not in it: a request id belongs to one show.
fn fingerprint_of(request: &pb::ReserveSeatsRequest, customer: &Customer) -> i64 {
    let customer = match customer {
        Customer::Id(id) => PbCustomer::CustomerId(id.clone()),
        Customer::Email(email) => PbCustomer::Email(email.clone()),
    };
    let mut body = pb::ReserveSeatsRequest {
        show_id: String::new(),
        request_id: String::new(),
        customer: Some(customer),
        ..request.clone()
    };
    parse::sort(&mut body.seat_labels, &mut body.places);
    fingerprint_of_body("reserve", &body)
}
