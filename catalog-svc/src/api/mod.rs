//! CatalogService over gRPC: parse the request, act on the store, reply. A file per RPC.
//! Protobuf types stay in here.

mod cancel_show;
mod convert;
mod create_show;
mod delete_show;
mod error;
mod get_show;
mod layout;
mod list_shows;
mod mask;
mod parse;
mod update_show;
mod watch_shows;
mod watcher;

use std::sync::Arc;

use proto::catalog::v1::catalog_service_server::CatalogService;
use proto::catalog::v1::{
    CancelShowRequest, CancelShowResponse, CreateShowRequest, CreateShowResponse,
    DeleteShowRequest, DeleteShowResponse, GetShowRequest, GetShowResponse, ListShowsRequest,
    ListShowsResponse, UpdateShowRequest, UpdateShowResponse, WatchShowsRequest,
};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

pub use self::watcher::WatchLimits;
use crate::store::{Newest, Store};

/// CatalogService over a store.
#[derive(Debug)]
pub struct CatalogApi {
    store: Arc<Store>,
    newest: Newest,
    limits: WatchLimits,
    streams: Arc<Semaphore>,
    stop: CancellationToken,
}

impl CatalogApi {
    /// The service; its streams end when `stop` is cancelled.
    #[must_use]
    pub fn new(
        store: Arc<Store>,
        newest: Newest,
        limits: WatchLimits,
        stop: CancellationToken,
    ) -> Self {
        let streams = Arc::new(Semaphore::new(limits.streams_max.into()));
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
    type WatchShowsStream = watch_shows::Entries;

    async fn create_show(
        &self,
        request: Request<CreateShowRequest>,
    ) -> Result<Response<CreateShowResponse>, Status> {
        Ok(Response::new(
            create_show::handle(self, request.into_inner()).await?,
        ))
    }

    async fn get_show(
        &self,
        request: Request<GetShowRequest>,
    ) -> Result<Response<GetShowResponse>, Status> {
        Ok(Response::new(
            get_show::handle(self, request.into_inner()).await?,
        ))
    }

    async fn list_shows(
        &self,
        request: Request<ListShowsRequest>,
    ) -> Result<Response<ListShowsResponse>, Status> {
        Ok(Response::new(
            list_shows::handle(self, request.into_inner()).await?,
        ))
    }

    async fn update_show(
        &self,
        request: Request<UpdateShowRequest>,
    ) -> Result<Response<UpdateShowResponse>, Status> {
        Ok(Response::new(
            update_show::handle(self, request.into_inner()).await?,
        ))
    }

    async fn cancel_show(
        &self,
        request: Request<CancelShowRequest>,
    ) -> Result<Response<CancelShowResponse>, Status> {
        Ok(Response::new(
            cancel_show::handle(self, request.into_inner()).await?,
        ))
    }

    async fn delete_show(
        &self,
        request: Request<DeleteShowRequest>,
    ) -> Result<Response<DeleteShowResponse>, Status> {
        Ok(Response::new(
            delete_show::handle(self, request.into_inner()).await?,
        ))
    }

    async fn watch_shows(
        &self,
        request: Request<WatchShowsRequest>,
    ) -> Result<Response<Self::WatchShowsStream>, Status> {
        Ok(Response::new(
            watch_shows::handle(self, request.into_inner()).await?,
        ))
    }
}
