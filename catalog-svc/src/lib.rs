//! catalog-svc: shows, their seat layouts and prices, and the feed of their revisions.
//!
//! Imports point one way: `api → store → domain`. Protobuf types stay in `api`, the database's
//! in `store`, and `domain` knows neither.

pub mod api;
pub mod config;
pub mod domain;
pub mod store;

use std::sync::Arc;

use proto::catalog::v1::catalog_service_server::{CatalogServiceServer, SERVICE_NAME};
use service_kit::health::Health;
use service_kit::postgres::{self, Database};
use service_kit::server::{self, MESSAGE_BYTES_MAX};
use service_kit::{Shutdown, Supervisor};
use tokio::net::TcpListener;

use crate::api::CatalogApi;
use crate::config::Config;
use crate::store::{Newest, Store};

const NAME: &str = "catalog-svc";

/// The largest answer, in bytes. A show has a layout and prices, and may have both once more in a
/// proposal: each came in a request, and beside them there is little.
const ANSWER_BYTES_MAX: usize = 5 * MESSAGE_BYTES_MAX;

/// Serves on `listener` until the shutdown; then finishes what is under way.
///
/// # Errors
///
/// If the database's schema is older than this release, or serving fails.
pub async fn run(config: Config, listener: TcpListener, shutdown: Shutdown) -> anyhow::Result<()> {
    let database = config.database.database(NAME).map_err(anyhow::Error::msg)?;
    let replica = config.read_database_url.as_ref();
    let replica = replica.map(|url| Database::new(url, NAME));
    let store = Arc::new(Store::new(&database, &config.database, replica));
    postgres::check_schema(&database, &shutdown)
        .await
        .map_err(anyhow::Error::msg)?;

    let health = Health::new(&[SERVICE_NAME]).await;
    let newest = store.newest().clone();
    let tasks = start_tasks(&store, &database, &newest, &health, &shutdown);

    let stop = shutdown.soft.clone();
    let api = CatalogApi::new(Arc::clone(&store), newest, config.watch_limits(), stop);
    let service = CatalogServiceServer::new(api)
        .max_decoding_message_size(MESSAGE_BYTES_MAX)
        .max_encoding_message_size(ANSWER_BYTES_MAX);
    let serving = server::serve(&config.server, listener, service, &health, &shutdown);
    let served = tasks.run(serving).await;
    shutdown.hard.run_until_cancelled(store.close()).await;
    served
}

/// Starts what goes on beside the calls; all of it ends at the soft stop.
fn start_tasks(
    store: &Arc<Store>,
    database: &Database,
    newest: &Newest,
    health: &Health,
    shutdown: &Shutdown,
) -> Supervisor {
    let mut tasks = Supervisor::new(health, shutdown);
    let stop = &shutdown.soft;
    tasks.restart("revisions", {
        let (newest, store, stop) = (newest.clone(), Arc::clone(store), stop.clone());
        move || newest.clone().follow(Arc::clone(&store), stop.clone())
    });
    tasks.restart("sweep", {
        let (store, stop) = (Arc::clone(store), stop.clone());
        move || Arc::clone(&store).sweep_requests(stop.clone())
    });
    tasks.restart("schedules", {
        let (store, stop) = (Arc::clone(store), stop.clone());
        move || Arc::clone(&store).keep_schedules(stop.clone())
    });
    tasks.restart("readiness", {
        let (database, health, shutdown) = (database.clone(), health.clone(), shutdown.clone());
        move || postgres::follow_readiness(database.clone(), health.clone(), shutdown.clone())
    });
    tasks
}
