//! DeleteSeatLayout.

use proto::catalog::v1 as pb;
use service_kit::{ApiError, FieldViolations};

use super::{CatalogApi, parse};
use crate::store::{DeleteSeatLayout, RequestKey};

pub(super) async fn handle(
    api: &CatalogApi,
    request: pb::DeleteSeatLayoutRequest,
) -> Result<pb::DeleteSeatLayoutResponse, ApiError> {
    let (delete, key) = parse(request)?;
    api.store.mutate(delete, key).await?;
    Ok(pb::DeleteSeatLayoutResponse {})
}

fn parse(
    mut request: pb::DeleteSeatLayoutRequest,
) -> Result<(DeleteSeatLayout, Option<RequestKey>), ApiError> {
    let mut violations = FieldViolations::default();
    let id = parse::request_id(&mut violations, &std::mem::take(&mut request.request_id));
    let key = parse::request_key::<DeleteSeatLayout>(id, &request);
    match violations.take("layout_id", request.layout_id.parse()) {
        Some(id) if violations.is_empty() => Ok((DeleteSeatLayout(id), key)),
        _ => Err(violations.into_error()),
    }
}
