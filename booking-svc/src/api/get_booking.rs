//! GetBooking.

use proto::booking::v1 as pb;
use service_kit::{ApiError, FieldViolations};
use tonic::Request;

use super::{Bookings, parse, requester};
use crate::domain::Rejection;

impl Bookings {
    pub(super) async fn handle_get_booking(
        &self,
        request: Request<pb::GetBookingRequest>,
    ) -> Result<pb::GetBookingResponse, ApiError> {
        let requester = requester::of(&request);
        let mut violations = FieldViolations::default();
        let Some(id) = parse::booking_id(&request.get_ref().booking_id, &mut violations) else {
            return Err(violations.into_error());
        };
        let record = self
            .store
            .booking(id)
            .await?
            .filter(|found| requester.may_see(&found.booking))
            .ok_or(Rejection::BookingNotFound(id))?;
        Ok(pb::GetBookingResponse {
            booking: Some(self.reply_record(record).await?),
        })
    }
}
