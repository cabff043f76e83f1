//! ConfirmBooking.

use proto::booking::v1 as pb;
use service_kit::ApiError;
use service_kit::call::Deadline;
use tonic::Request;

use super::{Bookings, parse};

impl Bookings {
    pub(super) async fn handle_confirm_booking(
        &self,
        request: Request<pb::ConfirmBookingRequest>,
    ) -> Result<pb::ConfirmBookingResponse, ApiError> {
        let deadline = Deadline::of(&request);
        let pb::ConfirmBookingRequest {
            booking_id,
            request_id,
            etag,
        } = request.into_inner();
        let change = parse::change("confirm", &booking_id, &request_id, &etag)?;
        let booked = self.verbs.confirm(change, deadline).await?;
        Ok(pb::ConfirmBookingResponse {
            booking: Some(booked.into()),
        })
    }
}
