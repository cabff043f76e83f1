//! CancelBooking.

use proto::booking::v1 as pb;
use service_kit::ApiError;
use service_kit::call::Deadline;
use tonic::Request;

use super::{Bookings, parse};

impl Bookings {
    pub(super) async fn handle_cancel_booking(
        &self,
        request: Request<pb::CancelBookingRequest>,
    ) -> Result<pb::CancelBookingResponse, ApiError> {
        let deadline = Deadline::of(&request);
        let pb::CancelBookingRequest {
            booking_id,
            request_id,
            etag,
        } = request.into_inner();
        let change = parse::change("cancel", &booking_id, &request_id, &etag)?;
        let booked = self.verbs.cancel(change, deadline).await?;
        Ok(pb::CancelBookingResponse {
            booking: Some(booked.into()),
        })
    }
}
