//! CatalogFeedService over gRPC, for the services of the same installation. It is served separately
//! from CatalogService, and shares no limit with it: streams, connections to the database, calls.

mod answer_proposal;
mod follow_shows;
mod get_feed;
mod get_show;

use std::sync::Arc;

use proto::catalog::internal::v1 as pb;
use proto::catalog::internal::v1::catalog_feed_service_server::CatalogFeedService;
use service_kit::FieldViolations;
use service_kit::server::Rooms;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::metrics;
use super::watch_shows::Entries;
use super::watcher::WatchLimits;
use crate::domain::{Cursor, FeedPosition};
use crate::store::{RevisionTracker, Store};

/// The most FollowShows streams at once. The contract has it.
const STREAMS_MAX: u16 = 256;

/// CatalogFeedService over a store.
#[derive(Debug)]
pub struct FeedApi {
    store: Arc<Store>,
    newest: RevisionTracker,
    limits: WatchLimits,
    streams: Arc<Semaphore>,
    stop: CancellationToken,
}

impl FeedApi {
    /// The service; its streams end when `stop` is cancelled.
    #[must_use]
    pub fn new(
        store: Arc<Store>,
        newest: RevisionTracker,
        limits: WatchLimits,
        stop: CancellationToken,
    ) -> Self {
        let streams = Arc::new(Semaphore::new(STREAMS_MAX.into()));
        metrics::register_streams("FollowShows", &streams, STREAMS_MAX);
        Self {
            store,
            newest,
            limits,
            streams,
            stop,
        }
    }
}

#[tonic::async_trait]
impl CatalogFeedService for FeedApi {
    type FollowShowsStream = Entries<pb::FollowShowsResponse>;

    async fn get_feed(
        &self,
        request: Request<pb::GetFeedRequest>,
    ) -> Result<Response<pb::GetFeedResponse>, Status> {
        let answer = get_feed::handle(self, request.into_inner()).await?;
        Ok(Response::new(answer))
    }

    async fn follow_shows(
        &self,
        request: Request<pb::FollowShowsRequest>,
    ) -> Result<Response<Self::FollowShowsStream>, Status> {
        let rooms = Rooms::of(&request);
        let entries = follow_shows::handle(self, request.into_inner(), rooms).await?;
        Ok(entries.respond())
    }

    async fn get_show(
        &self,
        request: Request<pb::GetShowRequest>,
    ) -> Result<Response<pb::GetShowResponse>, Status> {
        Ok(get_show::handle(self, request).await?)
    }

    async fn answer_proposal(
        &self,
        request: Request<pb::AnswerProposalRequest>,
    ) -> Result<Response<pb::AnswerProposalResponse>, Status> {
        let answer = answer_proposal::handle(self, request.into_inner()).await?;
        Ok(Response::new(answer))
    }
}

/// A reader's stored position, or a violation. `None` is the beginning.
fn cursor(
    violations: &mut FieldViolations,
    path: &str,
    position: Option<pb::FeedPosition>,
) -> Cursor {
    let position = position.unwrap_or_default();
    if position.revision < 0 {
        violations.add(format!("{path}.revision"), "must not be negative");
    }
    let timeline = if position.timeline_id.is_empty() {
        None
    } else {
        let parsed = Uuid::parse_str(&position.timeline_id);
        let parsed = parsed.map_err(|_| "must be a UUID".to_owned());
        violations.take(&format!("{path}.timeline_id"), parsed)
    };
    Cursor {
        revision: position.revision,
        timeline,
    }
}

fn position(at: FeedPosition) -> pb::FeedPosition {
    pb::FeedPosition {
        revision: at.revision,
        timeline_id: at.timeline.to_string(),
    }
}
