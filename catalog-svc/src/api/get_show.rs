//! GetShow.

use proto::catalog::v1 as pb;
use service_kit::call::Deadline;
use service_kit::server::Rooms;
use service_kit::{ApiError, FieldViolations};
use tonic::{Request, Response};

use super::{CatalogApi, convert, parse, whole};

pub(super) async fn handle(
    api: &CatalogApi,
    request: Request<pb::GetShowRequest>,
) -> Result<Response<pb::GetShowResponse>, ApiError> {
    let (rooms, deadline) = (Rooms::of(&request), Deadline::of(&request));
    let request = request.into_inner();
    let mut violations = FieldViolations::default();
    let id = parse::show_id(&mut violations, "show_id", &request.show_id);
    let min_revision = parse::min_revision(&mut violations, request.min_revision);
    let (Some(id), Some(min_revision)) = (id, min_revision) else {
        return Err(violations.into_error());
    };
    let read = async || Ok(api.store.get_show(id, min_revision).await?);
    let (show, room) = whole::show(&rooms, deadline, read, |show| show).await?;
    let answer = pb::GetShowResponse {
        show: Some(convert::show(&show)),
    };
    Ok(whole::respond(answer, room))
}
