//! GetShow, for a service that copies the show.

use proto::catalog::internal::v1 as pb;
use service_kit::{ApiError, FieldViolations};

use super::FeedApi;
use crate::api::{convert, parse};

pub(super) async fn handle(
    api: &FeedApi,
    request: pb::GetShowRequest,
) -> Result<pb::GetShowResponse, ApiError> {
    let mut violations = FieldViolations::default();
    let id = parse::show_id(&mut violations, "show_id", &request.show_id);
    let id = id.ok_or_else(|| violations.into_error())?;
    let (feed, show) = api.store.show_to_copy(id).await?;
    Ok(pb::GetShowResponse {
        show: Some(convert::show(&show)),
        installation_id: feed.installation.to_string(),
    })
}
