//! GetBooking.

use proto::booking::v1 as pb;
use service_kit::{ApiError, FieldViolations};

use super::{Bookings, parse};
use crate::domain::Rejection;

impl Bookings {
    pub(super) async fn handle_get_booking(
        &self,
        request: pb::GetBookingRequest,
    ) -> Result<pb::GetBookingResponse, ApiError> {
        let mut violations = FieldViolations::default();
        let Some(id) = parse::booking_id(&request.booking_id, &mut violations) else {
            return Err(violations.into_error());
        };
        let record = self
            .store
            .booking(id)
            .await?
            .ok_or(Rejection::BookingNotFound(id))?;
        Ok(pb::GetBookingResponse {
            booking: Some(self.reply_record(record).await?),
        })
    }
}
