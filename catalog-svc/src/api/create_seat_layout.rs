//! CreateSeatLayout.

use proto::catalog::v1 as pb;
use service_kit::{ApiError, FieldViolations};

use super::{CatalogApi, layout, parse};
use crate::store::{CreateSeatLayout, RequestKey};

pub(super) async fn handle(
    api: &CatalogApi,
    request: pb::CreateSeatLayoutRequest,
) -> Result<pb::CreateSeatLayoutResponse, ApiError> {
    let (create, key) = parse(request)?;
    let created = api.store.mutate(create, key).await?;
    Ok(pb::CreateSeatLayoutResponse {
        layout: Some(layout::write(&created)),
    })
}

fn parse(
    mut request: pb::CreateSeatLayoutRequest,
) -> Result<(CreateSeatLayout, Option<RequestKey>), ApiError> {
    let mut violations = FieldViolations::default();
    let id = parse::request_id(&mut violations, &std::mem::take(&mut request.request_id));
    let key = parse::request_key::<CreateSeatLayout>(id, &request);
    let Some(described) = request.layout else {
        violations.add("layout", "must be set");
        return Err(violations.into_error());
    };
    match layout::parse(&mut violations, described, None) {
        Some(layout) if violations.is_empty() => Ok((CreateSeatLayout(layout), key)),
        _ => Err(violations.into_error()),
    }
}
