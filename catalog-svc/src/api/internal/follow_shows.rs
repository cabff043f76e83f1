//! FollowShows: WatchShows with its own stream limit, which also identifies the catalog.

use std::sync::Arc;

use proto::catalog::internal::v1 as pb;
use proto::catalog::internal::v1::follow_shows_response::Change;
use service_kit::server::Rooms;
use service_kit::{ApiError, FieldViolations};

use super::{FeedApi, cursor, position};
use crate::api::convert;
use crate::api::watch_shows::{Entries, Opening};
use crate::api::watcher::FeedMessage;
use crate::domain::{Entry, FeedPosition};
use crate::store::Reader;

pub(super) async fn handle(
    api: &FeedApi,
    request: pb::FollowShowsRequest,
    rooms: Rooms,
) -> Result<Entries<pb::FollowShowsResponse>, ApiError> {
    let mut violations = FieldViolations::default();
    let after = cursor(&mut violations, "after", request.after);
    violations.check()?;
    let opening = Opening {
        store: Arc::clone(&api.store),
        reader: Reader::Service,
        rooms,
        newest: api.newest.subscribe(),
        limits: api.limits,
        places: Arc::clone(&api.streams),
        stop: api.stop.clone(),
    };
    opening.open(after).await
}

impl FeedMessage for pb::FollowShowsResponse {
    const METHOD: &'static str = "FollowShows";

    fn entry(entry: &Entry, at: FeedPosition) -> Self {
        let change = match entry {
            Entry::Show(show) => Change::Show(convert::show(show)),
            Entry::Deleted { id, .. } => Change::DeletedShowId(id.to_string()),
            Entry::Unreadable { id, .. } => Change::UnreadableShowId(id.to_string()),
        };
        Self {
            position: Some(position(at)),
            change: Some(change),
        }
    }

    fn bookmark(at: FeedPosition) -> Self {
        Self {
            position: Some(position(at)),
            change: None,
        }
    }
}
