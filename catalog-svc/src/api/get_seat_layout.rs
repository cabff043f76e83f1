//! GetSeatLayout.

use model::SeatLayout;
use proto::catalog::v1 as pb;
use service_kit::{ApiError, FieldViolations};

use super::{CatalogApi, layout};

pub(super) async fn handle(
    api: &CatalogApi,
    request: pb::GetSeatLayoutRequest,
) -> Result<pb::GetSeatLayoutResponse, ApiError> {
    let mut violations = FieldViolations::default();
    let id = violations.take("layout_id", request.layout_id.parse());
    let id = id.ok_or_else(|| violations.into_error())?;
    let found = api.store.get_seat_layout(id).await?;
    let mut layout = layout::write(&found);
    // Given coordinates take precedence over computed ones.
    if request.with_coordinates && layout.coordinates.is_none() {
        let indexed = SeatLayout::new(found.description.clone());
        layout.coordinates = indexed.ok().as_ref().map(layout::coordinates);
    }
    Ok(pb::GetSeatLayoutResponse {
        layout: Some(layout),
    })
}
