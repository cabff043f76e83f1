//! ConfirmBooking.

use proto::booking::v1 as pb;
use service_kit::call::Deadline;
use service_kit::{ApiError, FieldViolations};
use tonic::Request;

use super::{Bookings, parse, payment};
use crate::verbs::{Change, Paid};

impl Bookings {
    pub(super) async fn handle_confirm_booking(
        &self,
        request: Request<pb::ConfirmBookingRequest>,
    ) -> Result<pb::ConfirmBookingResponse, ApiError> {
        let deadline = Deadline::of(&request);
        let (change, paid) = parse_confirm(request.into_inner())?;
        let booked = self.verbs.confirm(change, paid, deadline).await?;
        Ok(pb::ConfirmBookingResponse {
            booking: Some(self.tell(booked).await?),
        })
    }
}

fn parse_confirm(request: pb::ConfirmBookingRequest) -> Result<(Change, Paid), ApiError> {
    let mut violations = FieldViolations::default();
    let said = (&*request.booking_id, &*request.request_id, &*request.etag);
    // What is not said leaves no trace in the hash, so that it is the same in every release.
    let (verb, more) = match (&*request.payment_token, &*request.payment_reference) {
        ("", "") => ("confirm", None),
        ("", reference) => ("confirm", Some(reference.as_bytes())),
        (token, _) => ("pay", Some(token.as_bytes())),
    };
    let change = parse::change(verb, said, more, &mut violations);
    if !request.payment_token.is_empty() && !request.payment_reference.is_empty() {
        violations.add("payment_token", "excludes payment_reference");
    }
    let reference = parse::payment_reference(request.payment_reference, &mut violations);
    let token = payment::token(request.payment_token, &mut violations);
    let Some(change) = change else {
        return Err(violations.into_error());
    };
    violations.check()?;
    Ok((change, token.map_or(Paid::Elsewhere(reference), Paid::Here)))
}
