//! GetFeed.

use proto::catalog::internal::v1 as pb;
use service_kit::{ApiError, FieldViolations};
use uuid::Uuid;

use super::{FeedApi, cursor, position};
use crate::store::{Follower, Reader};

pub(super) async fn handle(
    api: &FeedApi,
    request: pb::GetFeedRequest,
) -> Result<pb::GetFeedResponse, ApiError> {
    let mut violations = FieldViolations::default();
    let cursor = cursor(&mut violations, "position", request.position);
    let id = match &*request.follower_id {
        "" => None,
        id => {
            let parsed = Uuid::parse_str(id).map_err(|_| "must be a UUID".to_owned());
            violations.take("follower_id", parsed)
        }
    };
    violations.check()?;
    let revision = cursor.revision;
    let feed = match id {
        Some(id) => {
            let follower = Follower { id, revision };
            api.store.feed_for(follower, cursor).await?
        }
        None => api.store.feed(Reader::Service, cursor).await?,
    };
    Ok(pb::GetFeedResponse {
        installation_id: feed.installation.to_string(),
        newest: Some(position(feed.newest)),
        has_position: feed.has_cursor,
    })
}
