//! GetShow.

use proto::catalog::v1 as pb;
use service_kit::{ApiError, FieldViolations};

use super::{CatalogApi, convert, parse};

pub(super) async fn handle(
    api: &CatalogApi,
    request: pb::GetShowRequest,
) -> Result<pb::GetShowResponse, ApiError> {
    let mut violations = FieldViolations::default();
    let id = parse::show_id(&mut violations, "show_id", &request.show_id);
    let min_revision = parse::min_revision(&mut violations, request.min_revision);
    let (Some(id), Some(min_revision)) = (id, min_revision) else {
        return Err(violations.into_error());
    };
    let show = api.store.get_show(id, min_revision).await?;
    Ok(pb::GetShowResponse {
        show: Some(convert::show(&show)),
    })
}
