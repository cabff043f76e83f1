//! GetShow, for a service that copies the show.

use proto::catalog::internal::v1 as pb;
use service_kit::call::Deadline;
use service_kit::server::Rooms;
use service_kit::{ApiError, FieldViolations};
use tonic::{Request, Response};

use super::FeedApi;
use crate::api::{convert, parse, whole};

pub(super) async fn handle(
    api: &FeedApi,
    request: Request<pb::GetShowRequest>,
) -> Result<Response<pb::GetShowResponse>, ApiError> {
    let (rooms, deadline) = (Rooms::of(&request), Deadline::of(&request));
    let mut violations = FieldViolations::default();
    let id = parse::show_id(&mut violations, "show_id", &request.get_ref().show_id);
    let id = id.ok_or_else(|| violations.into_error())?;
    let read = async || Ok(api.store.show_to_copy(id).await?);
    let ((feed, show), room) = whole::show(&rooms, deadline, read, |(_, show)| show).await?;
    let answer = pb::GetShowResponse {
        show: Some(convert::show(&show)),
        installation_id: feed.installation.to_string(),
    };
    Ok(whole::respond(answer, room))
}
