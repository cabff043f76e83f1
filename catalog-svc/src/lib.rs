//! catalog-svc: shows, their seat layouts and prices, and the feed of their revisions.
//!
//! Imports point one way: `api → store → domain`. Protobuf types stay in `api`, the database's
//! in `store`, and `domain` knows neither.

pub mod api;
pub mod config;
pub mod domain;
pub mod store;

use std::sync::Arc;

use anyhow::Context as _;
use proto::catalog::v1::catalog_service_server::{CatalogServiceServer, SERVICE_NAME};
use service_kit::health::Health;
use service_kit::server::{self, MESSAGE_BYTES_MAX};
use service_kit::{Shutdown, postgres};
use tokio::net::TcpListener;
use tokio_util::task::TaskTracker;

use crate::api::CatalogApi;
use crate::config::Config;
use crate::store::{Newest, Store};

/// The largest answer, in bytes. A show has more fields than the request that created it, and
/// the currency in every section, but is never twice as large.
const ANSWER_BYTES_MAX: usize = 2 * MESSAGE_BYTES_MAX;

/// Serves on `listener` until the shutdown; then finishes what is under way.
///
/// # Errors
///
/// If the database's schema is older than this release, or serving fails.
pub async fn run(config: Config, listener: TcpListener, shutdown: Shutdown) -> anyhow::Result<()> {
    let store = Store::new(&config.database, config.read_database_url.as_deref())
        .context("the database's URL")?;
    let store = Arc::new(store);
    let checked = postgres::wait_for_schema(|| store.schema_version(), &shutdown).await;
    checked.map_err(anyhow::Error::msg)?;

    let health = Health::new(&[SERVICE_NAME]).await;
    let newest = store.newest().clone();
    let tasks = start_tasks(&store, &newest, &health, &shutdown);

    let stop = shutdown.soft.clone();
    let api = CatalogApi::new(Arc::clone(&store), newest, config.watch_limits(), stop);
    let service = CatalogServiceServer::new(api)
        .max_decoding_message_size(MESSAGE_BYTES_MAX)
        .max_encoding_message_size(ANSWER_BYTES_MAX);
    let served = server::serve(&config.server, listener, service, &health, &shutdown).await;

    // If the server failed by itself, the tasks must be told.
    shutdown.soft.cancel();
    let rest = async {
        tasks.wait().await;
        store.close().await;
    };
    tokio::select! {
        () = rest => {}
        () = shutdown.hard.cancelled() => {}
    }
    served.map_err(anyhow::Error::from_boxed)
}

/// Starts what goes on beside the calls; all of it ends at the soft stop.
fn start_tasks(
    store: &Arc<Store>,
    newest: &Newest,
    health: &Health,
    shutdown: &Shutdown,
) -> TaskTracker {
    let tasks = TaskTracker::new();
    let (of_store, newest, stop) = (Arc::clone(store), newest.clone(), shutdown.soft.clone());
    tasks.spawn(async move { newest.follow(&of_store, stop).await });

    let (of_store, stop) = (Arc::clone(store), shutdown.soft.clone());
    tasks.spawn(async move { of_store.sweep_requests(stop).await });

    let (of_store, health, shutdown) = (Arc::clone(store), health.clone(), shutdown.clone());
    tasks.spawn(async move {
        postgres::follow_readiness_by(|| of_store.answers(), health, shutdown).await;
    });
    tasks.close();
    tasks
}
