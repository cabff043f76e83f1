//! ListSeats.

use model::ShowId;
use proto::booking::v1 as pb;
use service_kit::fingerprint::fingerprint;
use service_kit::{ApiError, FieldViolations, paging};

use super::{Bookings, convert, parse};
use crate::store::SeatStatus;

impl Bookings {
    pub(super) async fn handle_list_seats(
        &self,
        request: pb::ListSeatsRequest,
    ) -> Result<pb::ListSeatsResponse, ApiError> {
        let page_size = paging::page_size(request.page_size)?;
        let (show_id, status) = parse_filter(&request)?;
        let query = fingerprint(
            "list_seats",
            [
                show_id.uuid().as_bytes(),
                request.status.to_be_bytes().as_slice(),
            ],
        );
        let from = paging::cursor(query, &request.page_token, |text| text.parse().ok())?;

        let sale = self.sales.get(show_id).await?;
        let page = self
            .store
            .seats(&sale, status, from.unwrap_or(0), page_size)
            .await?;

        let seats = page.items.into_iter();
        let seats = seats.map(|(position, status)| convert::seat(&sale, position, status));
        let next_page_token = page
            .next
            .map(|position| paging::page_token(query, &position.to_string()));
        Ok(pb::ListSeatsResponse {
            seats: seats.collect(),
            next_page_token: next_page_token.unwrap_or_default(),
        })
    }
}

/// Of which show, and with which status.
fn parse_filter(request: &pb::ListSeatsRequest) -> Result<(ShowId, Option<SeatStatus>), ApiError> {
    let mut violations = FieldViolations::default();
    let status = violations.take("status", convert::seat_status(request.status));
    let show_id = parse::show_id(&request.show_id, &mut violations);
    match (show_id, status) {
        (Some(show_id), Some(status)) => Ok((show_id, status)),
        _ => Err(violations.into_error()),
    }
}
