//! CancelShow.

use proto::catalog::v1 as pb;
use service_kit::{ApiError, FieldViolations};

use super::{CatalogApi, convert, parse};
use crate::store::{CancelShow, RequestKey};

pub(super) async fn handle(
    api: &CatalogApi,
    request: pb::CancelShowRequest,
) -> Result<pb::CancelShowResponse, ApiError> {
    let (cancel, key) = parse(request)?;
    let show = api.store.mutate(cancel, key).await?;
    Ok(pb::CancelShowResponse {
        show: Some(convert::show(&show)),
    })
}

fn parse(mut request: pb::CancelShowRequest) -> Result<(CancelShow, Option<RequestKey>), ApiError> {
    let mut violations = FieldViolations::default();
    let id = parse::request_id(&mut violations, &std::mem::take(&mut request.request_id));
    let key = parse::request_key::<CancelShow>(id, &request);
    let id = parse::show_id(&mut violations, "show_id", &request.show_id);
    let etag = parse::etag(&mut violations, "etag", request.etag);
    match id {
        Some(id) if violations.is_empty() => Ok((CancelShow { id, etag }, key)),
        _ => Err(violations.into_error()),
    }
}
