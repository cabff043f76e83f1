//! CatalogService over gRPC: parse the request, act on the store, reply. A file per RPC, but
//! one for the verbs of a show's life. CatalogFeedService is in `internal`. Protobuf types stay in
//! here.

mod batch_get_shows;
mod change_seat_layout;
mod convert;
mod create_seat_layout;
mod create_show;
mod delete_seat_layout;
mod delete_show;
mod error;
mod get_seat_layout;
mod get_show;
mod internal;
mod layout;
mod lifecycle;
mod list_seat_layouts;
mod list_shows;
mod mask;
mod metrics;
mod parse;
mod prices;
mod proposal;
mod set_prices;
mod update_show;
mod watch_shows;
mod watcher;
mod whole;

use std::sync::Arc;

use proto::catalog::v1 as pb;
use proto::catalog::v1::catalog_service_server::CatalogService;
use service_kit::call::{Deadline, LargeTurn};
use service_kit::server::Rooms;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

pub use self::internal::FeedApi;
pub use self::watcher::WatchLimits;
use crate::store::{RevisionTracker, Store};

/// CatalogService over a store.
#[derive(Debug)]
pub struct CatalogApi {
    store: Arc<Store>,
    newest: RevisionTracker,
    limits: WatchLimits,
    streams: Arc<Semaphore>,
    stop: CancellationToken,
}

impl CatalogApi {
    /// The service; its streams end when `stop` is cancelled.
    #[must_use]
    pub fn new(
        store: Arc<Store>,
        newest: RevisionTracker,
        limits: WatchLimits,
        stop: CancellationToken,
    ) -> Self {
        let streams = Arc::new(Semaphore::new(limits.streams_max.into()));
        metrics::register_streams("WatchShows", &streams, limits.streams_max);
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
impl CatalogService for CatalogApi {
    type WatchShowsStream = watch_shows::Entries<pb::WatchShowsResponse>;

    async fn create_seat_layout(
        &self,
        request: Request<pb::CreateSeatLayoutRequest>,
    ) -> Result<Response<pb::CreateSeatLayoutResponse>, Status> {
        let answer = create_seat_layout::handle(self, request.into_inner()).await?;
        Ok(Response::new(answer))
    }

    async fn get_seat_layout(
        &self,
        request: Request<pb::GetSeatLayoutRequest>,
    ) -> Result<Response<pb::GetSeatLayoutResponse>, Status> {
        let answer = get_seat_layout::handle(self, request.into_inner()).await?;
        Ok(Response::new(answer))
    }

    async fn list_seat_layouts(
        &self,
        request: Request<pb::ListSeatLayoutsRequest>,
    ) -> Result<Response<pb::ListSeatLayoutsResponse>, Status> {
        let answer = list_seat_layouts::handle(self, request.into_inner()).await?;
        Ok(Response::new(answer))
    }

    async fn delete_seat_layout(
        &self,
        request: Request<pb::DeleteSeatLayoutRequest>,
    ) -> Result<Response<pb::DeleteSeatLayoutResponse>, Status> {
        let answer = delete_seat_layout::handle(self, request.into_inner()).await?;
        Ok(Response::new(answer))
    }

    async fn create_show(
        &self,
        request: Request<pb::CreateShowRequest>,
    ) -> Result<Response<pb::CreateShowResponse>, Status> {
        let answer = create_show::handle(self, request.into_inner()).await?;
        Ok(Response::new(answer))
    }

    async fn get_show(
        &self,
        request: Request<pb::GetShowRequest>,
    ) -> Result<Response<pb::GetShowResponse>, Status> {
        Ok(get_show::handle(self, request).await?)
    }

    async fn batch_get_shows(
        &self,
        request: Request<pb::BatchGetShowsRequest>,
    ) -> Result<Response<pb::BatchGetShowsResponse>, Status> {
        let answer = batch_get_shows::handle(self, request.into_inner()).await?;
        Ok(Response::new(answer))
    }

    async fn list_shows(
        &self,
        request: Request<pb::ListShowsRequest>,
    ) -> Result<Response<pb::ListShowsResponse>, Status> {
        let answer = list_shows::handle(self, request.into_inner()).await?;
        Ok(Response::new(answer))
    }

    async fn update_show(
        &self,
        request: Request<pb::UpdateShowRequest>,
    ) -> Result<Response<pb::UpdateShowResponse>, Status> {
        let answer = update_show::handle(self, request.into_inner()).await?;
        Ok(Response::new(answer))
    }

    async fn set_prices(
        &self,
        request: Request<pb::SetPricesRequest>,
    ) -> Result<Response<pb::SetPricesResponse>, Status> {
        let answer = set_prices::handle(self, request.into_inner()).await?;
        Ok(Response::new(answer))
    }

    async fn change_seat_layout(
        &self,
        request: Request<pb::ChangeSeatLayoutRequest>,
    ) -> Result<Response<pb::ChangeSeatLayoutResponse>, Status> {
        let (deadline, turn) = (Deadline::of(&request), LargeTurn::of(&request));
        let answer =
            change_seat_layout::handle(self, request.into_inner(), deadline, &turn).await?;
        Ok(Response::new(answer))
    }

    async fn publish_show(
        &self,
        request: Request<pb::PublishShowRequest>,
    ) -> Result<Response<pb::PublishShowResponse>, Status> {
        let answer = lifecycle::handle(self, request.into_inner()).await?;
        Ok(Response::new(answer))
    }

    async fn pause_show(
        &self,
        request: Request<pb::PauseShowRequest>,
    ) -> Result<Response<pb::PauseShowResponse>, Status> {
        let answer = lifecycle::handle(self, request.into_inner()).await?;
        Ok(Response::new(answer))
    }

    async fn resume_show(
        &self,
        request: Request<pb::ResumeShowRequest>,
    ) -> Result<Response<pb::ResumeShowResponse>, Status> {
        let answer = lifecycle::handle(self, request.into_inner()).await?;
        Ok(Response::new(answer))
    }

    async fn close_show(
        &self,
        request: Request<pb::CloseShowRequest>,
    ) -> Result<Response<pb::CloseShowResponse>, Status> {
        let answer = lifecycle::handle(self, request.into_inner()).await?;
        Ok(Response::new(answer))
    }

    async fn cancel_show(
        &self,
        request: Request<pb::CancelShowRequest>,
    ) -> Result<Response<pb::CancelShowResponse>, Status> {
        let answer = lifecycle::handle(self, request.into_inner()).await?;
        Ok(Response::new(answer))
    }

    async fn delete_show(
        &self,
        request: Request<pb::DeleteShowRequest>,
    ) -> Result<Response<pb::DeleteShowResponse>, Status> {
        let deadline = Deadline::of(&request);
        let answer = delete_show::handle(self, request.into_inner(), deadline).await?;
        Ok(Response::new(answer))
    }

    async fn watch_shows(
        &self,
        request: Request<pb::WatchShowsRequest>,
    ) -> Result<Response<Self::WatchShowsStream>, Status> {
        let rooms = Rooms::of(&request);
        let entries = watch_shows::handle(self, request.into_inner(), rooms).await?;
        Ok(entries.respond())
    }
}
