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
    let id = id.ok_or_else(|| violations.into_error())?;
    let show = api.store.get_show(id).await?;
    Ok(pb::GetShowResponse {
        show: Some(convert::show(&show)),
    })
}
