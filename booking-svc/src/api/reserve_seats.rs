//! ReserveSeats.

use std::collections::HashSet;
use std::time::Duration;

use proto::booking::v1 as pb;
use proto::booking::v1::reserve_seats_request::Customer as PbCustomer;
use proto::errors::v1::ErrorReason;
use service_kit::call::Deadline;
use service_kit::fingerprint::fingerprint;
use service_kit::{ApiError, FieldViolations, wire};
use tonic::Request;

use super::{Bookings, HOLD_MAX, HOLD_MIN, Limits, parse};
use crate::domain::Customer;
use crate::verbs::Reserve;

impl Bookings {
    pub(super) async fn handle_reserve_seats(
        &self,
        request: Request<pb::ReserveSeatsRequest>,
    ) -> Result<pb::ReserveSeatsResponse, ApiError> {
        let deadline = Deadline::of(&request);
        let wanted = parse_reserve(request.into_inner(), self.limits)?;
        let booked = self.verbs.reserve(wanted, deadline).await?;
        Ok(pb::ReserveSeatsResponse {
            booking: Some(booked.into()),
        })
    }
}

fn parse_reserve(request: pb::ReserveSeatsRequest, limits: Limits) -> Result<Reserve, ApiError> {
    let seats_max = usize::from(limits.seats_per_booking_max);
    let seat_count = request.seat_labels.len();
    if seat_count > seats_max {
        let message = format!("seat_labels: {seat_count} seats; a booking has at most {seats_max}");
        return Err(
            ApiError::quota(ErrorReason::SeatsPerBookingExceeded, "seat_labels", message)
                .with("limit", seats_max),
        );
    }
    let mut violations = FieldViolations::default();
    let show_id = parse::show_id(&request.show_id, &mut violations);
    let request_id = parse::request_id(&request.request_id, &mut violations);
    if seat_count == 0 {
        violations.add("seat_labels", "must name a seat at least");
    }
    let mut seen = HashSet::new();
    for (place, label) in request.seat_labels.iter().enumerate() {
        if !seen.insert(label) {
            violations.add(format!("seat_labels[{place}]"), "stands twice");
        }
    }
    let customer = match request.customer {
        Some(PbCustomer::CustomerId(id)) => parse::customer_id(id, &mut violations),
        Some(PbCustomer::Email(email)) => parse::email(&email, &mut violations),
        None => {
            violations.add("customer", "must be set: customer_id or email");
            None
        }
    };
    let hold = request.hold_duration.as_ref();
    let hold = hold.and_then(|asked| violations.take("hold_duration", self::hold(asked)));
    let (Some(show_id), Some(customer)) = (show_id, customer) else {
        return Err(violations.into_error());
    };
    violations.check()?;
    let fingerprint = fingerprint_of(
        &request.seat_labels,
        &customer,
        request.hold_duration.as_ref(),
    );
    Ok(Reserve {
        show_id,
        labels: request.seat_labels,
        customer,
        hold,
        request_id,
        fingerprint,
    })
}

fn hold(asked: &prost_types::Duration) -> Result<Duration, String> {
    let hold = wire::duration(asked)?;
    if !(HOLD_MIN..=HOLD_MAX).contains(&hold) {
        return Err("must be 10 s to 1800 s".to_owned());
    }
    if hold.subsec_nanos() % 1_000_000 != 0 {
        return Err("must be whole milliseconds".to_owned());
    }
    Ok(hold)
}

/// Seats may be named in another order, and an unset hold stays unset whatever the default
/// becomes: the caller has sent the same.
fn fingerprint_of(
    labels: &[String],
    customer: &Customer,
    hold: Option<&prost_types::Duration>,
) -> i64 {
    let mut labels: Vec<&[u8]> = labels.iter().map(String::as_bytes).collect();
    labels.sort_unstable();
    let (kind, customer) = match customer {
        Customer::Id(id) => ("id", id),
        Customer::Email(email) => ("email", email),
    };
    let hold = hold.map_or(String::new(), |hold| {
        format!("{}.{}", hold.seconds, hold.nanos)
    });
    let rest = [kind.as_bytes(), customer.as_bytes(), hold.as_bytes()];
    fingerprint("reserve", rest.into_iter().chain(labels))
}
