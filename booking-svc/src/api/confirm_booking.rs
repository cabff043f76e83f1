//! ConfirmBooking.

use proto::booking::v1 as pb;
use service_kit::call::Deadline;
use service_kit::{ApiError, FieldViolations};
use tonic::Request;

use super::{Bookings, parse, payment, requester};
use crate::commands::{Change, Paid};

impl Bookings {
    pub(super) async fn handle_confirm_booking(
        &self,
        request: Request<pb::ConfirmBookingRequest>,
    ) -> Result<pb::ConfirmBookingResponse, ApiError> {
        let deadline = Deadline::of(&request);
        let requester = requester::of(&request);
        let (mut change, paid) = parse(request.into_inner())?;
        change.requester = requester;
        let booked = self.commands.confirm(change, paid, deadline).await?;
        Ok(pb::ConfirmBookingResponse {
            booking: Some(self.reply(booked).await?),
        })
    }
}

pub(super) fn parse(request: pb::ConfirmBookingRequest) -> Result<(Change, Paid), ApiError> {
    let mut violations = FieldViolations::default();
    let said = (&*request.booking_id, &*request.request_id, &*request.etag);
    let body = pb::ConfirmBookingRequest {
        booking_id: String::new(),
        request_id: String::new(),
        ..request.clone()
    };
    let change = parse::change("confirm", said, &body, &mut violations);
    if !request.payment_token.is_empty() && !request.payment_reference.is_empty() {
        violations.add("payment_token", "cannot be combined with payment_reference");
    }
    let reference = parse::payment_reference(request.payment_reference, &mut violations);
    let token = payment::token(request.payment_token, &mut violations);
    let Some(change) = change else {
        return Err(violations.into_error());
    };
    violations.check()?;
    Ok((change, token.map_or(Paid::Elsewhere(reference), Paid::Here)))
}
