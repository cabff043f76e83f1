//! GetFeed.

use proto::catalog::internal::v1 as pb;
use service_kit::{ApiError, FieldViolations};

use super::{FeedApi, cursor, position};
use crate::store::Reader;

pub(super) async fn handle(
    api: &FeedApi,
    request: pb::GetFeedRequest,
) -> Result<pb::GetFeedResponse, ApiError> {
    let mut violations = FieldViolations::default();
    let cursor = cursor(&mut violations, "position", request.position);
    violations.check()?;
    let feed = api.store.feed(Reader::Service, cursor).await?;
    Ok(pb::GetFeedResponse {
        installation_id: feed.installation.to_string(),
        newest: Some(position(feed.newest)),
        has_position: feed.has_cursor,
    })
}
