//! ListSeats.

use proto::booking::v1 as pb;
use service_kit::fingerprint::fingerprint;
use service_kit::{ApiError, FieldViolations, paging};

use super::{Bookings, convert, parse};
use crate::store::{SeatFilter, SeatStatus};

impl Bookings {
    pub(super) async fn handle_list_seats(
        &self,
        request: pb::ListSeatsRequest,
    ) -> Result<pb::ListSeatsResponse, ApiError> {
        let page_size = paging::page_size(request.page_size)?;
        let Some(filter) = parse_filter(&request)? else {
            // No seat is BLOCKED.
            return Ok(pb::ListSeatsResponse::default());
        };
        let query = fingerprint_of(filter);
        let from = paging::cursor(query, &request.page_token, |text| text.parse().ok())?;

        let sale = self.sales.get(filter.show_id).await?;
        let page = self
            .store
            .seats(filter, from.unwrap_or(0), page_size)
            .await?;

        let seats = page
            .items
            .into_iter()
            .map(|(seat, status)| convert::seat(&sale, seat, status));
        let next_page_token = page
            .next
            .map(|seat| paging::page_token(query, &seat.to_string()));
        Ok(pb::ListSeatsResponse {
            seats: seats.collect(),
            next_page_token: next_page_token.unwrap_or_default(),
        })
    }
}

/// The seats that are asked for; none if there can be none.
fn parse_filter(request: &pb::ListSeatsRequest) -> Result<Option<SeatFilter>, ApiError> {
    let mut violations = FieldViolations::default();
    let status = violations.take("status", convert::seat_status(request.status));
    let Some(show_id) = parse::show_id(&request.show_id, &mut violations) else {
        return Err(violations.into_error());
    };
    violations.check()?;
    Ok(match status.flatten() {
        Some(pb::SeatStatus::Blocked) => None,
        Some(pb::SeatStatus::Available) => Some(Some(SeatStatus::Available)),
        Some(pb::SeatStatus::Held) => Some(Some(SeatStatus::Held)),
        Some(pb::SeatStatus::Booked) => Some(Some(SeatStatus::Booked)),
        Some(pb::SeatStatus::Unspecified) | None => Some(None),
    }
    .map(|status| SeatFilter { show_id, status }))
}

fn fingerprint_of(filter: SeatFilter) -> i64 {
    let status = filter.status.map(SeatStatus::as_str).unwrap_or_default();
    fingerprint(
        "list_seats",
        [
            filter.show_id.uuid().as_bytes().as_slice(),
            status.as_bytes(),
        ],
    )
}
