//! DeleteShow.

use proto::catalog::v1 as pb;
use service_kit::{ApiError, FieldViolations};
use tokio::time::Instant;

use super::{CatalogApi, parse, proposal};
use crate::domain::Decided;
use crate::store::{DeleteShow, RequestKey};

pub(super) async fn handle(
    api: &CatalogApi,
    request: pb::DeleteShowRequest,
    deadline: Instant,
) -> Result<pb::DeleteShowResponse, ApiError> {
    let (delete, key) = parse(request)?;
    if let Decided::Later(proposed) = api.store.mutate(delete, key).await? {
        proposal::wait(api, proposed, deadline).await?;
    }
    Ok(pb::DeleteShowResponse {})
}

fn parse(mut request: pb::DeleteShowRequest) -> Result<(DeleteShow, Option<RequestKey>), ApiError> {
    let mut violations = FieldViolations::default();
    let id = parse::request_id(&mut violations, &std::mem::take(&mut request.request_id));
    let key = parse::request_key::<DeleteShow>(id, &request);
    let id = parse::show_id(&mut violations, "show_id", &request.show_id);
    let etag = parse::etag(&mut violations, "etag", request.etag);
    match id {
        Some(id) if violations.is_empty() => Ok((DeleteShow { id, etag }, key)),
        _ => Err(violations.into_error()),
    }
}
