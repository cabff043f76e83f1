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
        let (filter, status) = parse_filter(&request)?;
        let query = fingerprint_of(filter, status);
        let from = paging::cursor(query, &request.page_token, |text| text.parse().ok())?;

        let sale = self.sales.get(filter.show_id).await?;
        if status == pb::SeatStatus::Blocked {
            // No seat is.
            return Ok(pb::ListSeatsResponse::default());
        }
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

/// The seats that are asked for, and by which status.
fn parse_filter(request: &pb::ListSeatsRequest) -> Result<(SeatFilter, pb::SeatStatus), ApiError> {
    let mut violations = FieldViolations::default();
    let status = violations.take("status", convert::seat_status(request.status));
    let show_id = parse::show_id(&request.show_id, &mut violations);
    let (Some(show_id), Some(asked)) = (show_id, status) else {
        return Err(violations.into_error());
    };
    let status = match asked {
        pb::SeatStatus::Available => Some(SeatStatus::Available),
        pb::SeatStatus::Held => Some(SeatStatus::Held),
        pb::SeatStatus::Booked => Some(SeatStatus::Booked),
        pb::SeatStatus::Unspecified | pb::SeatStatus::Blocked => None,
    };
    Ok((SeatFilter { show_id, status }, asked))
}

fn fingerprint_of(filter: SeatFilter, asked: pb::SeatStatus) -> i64 {
    let status = match asked {
        pb::SeatStatus::Unspecified => "",
        asked => asked.as_str_name(),
    };
    fingerprint(
        "list_seats",
        [
            filter.show_id.uuid().as_bytes().as_slice(),
            status.as_bytes(),
        ],
    )
}
