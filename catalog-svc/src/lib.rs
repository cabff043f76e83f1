//! catalog-svc: shows, their seat layouts and prices, and the feed of their revisions.
//!
//! Imports point one way: `api → store → domain`. Protobuf types stay in `api`, the database's
//! types in `store`; `domain` uses neither.

pub mod api;
pub mod config;
pub mod domain;
pub mod store;

use std::sync::Arc;

use futures_util::join;
use proto::catalog::internal::v1::catalog_feed_service_server::{self, CatalogFeedServiceServer};
use proto::catalog::v1::catalog_service_server::{self, CatalogServiceServer};
use service_kit::health::Health;
use service_kit::postgres::{self, Database, Needs};
use service_kit::server::{self, Listener, MESSAGE_BYTES_MAX};
use service_kit::tls::Certificates;
use service_kit::{Shutdown, Supervisor};
use tokio::net::TcpListener;

use crate::api::{CatalogApi, FeedApi};
use crate::config::Config;
use crate::store::{RevisionTracker, Store};

const NAME: &str = "catalog-svc";
/// The role that has this service's privileges.
const ROLE: &str = "catalog_svc";

/// The largest answer, in bytes. New shows are answered in less than 4 MiB, the default limit of
/// clients; layouts and prices of earlier releases may be larger.
const ANSWER_BYTES_MAX: usize = 5 * MESSAGE_BYTES_MAX;

/// The methods whose requests have layouts or prices. UpdateShow too: clients send the show that they read.
const LARGE_REQUESTS: &[&str] = &[
    "/ticketing.catalog.v1.CatalogService/CreateSeatLayout",
    "/ticketing.catalog.v1.CatalogService/CreateShow",
    "/ticketing.catalog.v1.CatalogService/ChangeSeatLayout",
    "/ticketing.catalog.v1.CatalogService/SetPrices",
    "/ticketing.catalog.v1.CatalogService/UpdateShow",
];

/// The services that it serves, by full name: public, and internal.
const SERVICES: &[&str] = &[
    catalog_service_server::SERVICE_NAME,
    catalog_feed_service_server::SERVICE_NAME,
];

/// Where it serves.
#[derive(Debug)]
pub struct Listeners {
    /// CatalogService, for all callers.
    pub public: TcpListener,
    /// CatalogFeedService, for other services of the installation.
    pub internal: TcpListener,
}

/// Serves on `listeners` until the shutdown; then finishes the calls in progress.
///
/// # Errors
///
/// If the database's schema is older than this release, or serving fails.
pub async fn run(config: Config, listeners: Listeners, shutdown: Shutdown) -> anyhow::Result<()> {
    let mut certificates = Certificates::default();
    let tls = certificates.server(&config.server.tls)?;
    let internal_tls = match &config.internal_tls_client_ca {
        None => tls.clone(),
        ca => {
            let ca = ("--internal-tls-client-ca", ca);
            certificates.server_for("internal server", &config.server.tls, ca)?
        }
    };
    let database = config.database.database(NAME).map_err(anyhow::Error::msg)?;
    let replica = config.read_database_url.as_ref();
    let replica = replica.map(|url| Database::new(url, NAME));
    for (name, database) in [
        ("DATABASE_URL", Some(&database)),
        ("TICKETING_READ_DATABASE_URL", replica.as_ref()),
    ] {
        let checked = database.map_or(Ok(()), Database::check_for_sqlx);
        checked.map_err(|why| anyhow::anyhow!("{name} {why}"))?;
    }
    let store = Arc::new(Store::new(&database, &config.database, replica));
    postgres::check_at_start(&database, Needs::Sessions, ROLE, &shutdown)
        .await
        .map_err(anyhow::Error::msg)?;

    let health = Health::new(SERVICES);
    let newest = store.newest().clone();
    store.register_metrics();
    let mut tasks = start_tasks(&store, &database, &newest, &health, &shutdown);
    certificates.watch(&mut tasks, &shutdown);

    let (limits, stop) = (config.watch_limits(), &shutdown.soft);
    let api = CatalogApi::new(Arc::clone(&store), newest.clone(), limits, stop.clone());
    let service = CatalogServiceServer::new(api)
        .max_decoding_message_size(MESSAGE_BYTES_MAX)
        .max_encoding_message_size(ANSWER_BYTES_MAX);
    let feed = FeedApi::new(Arc::clone(&store), newest, limits, stop.clone());
    let feed = CatalogFeedServiceServer::new(feed)
        .max_decoding_message_size(MESSAGE_BYTES_MAX)
        .max_encoding_message_size(ANSWER_BYTES_MAX);
    let public = health.listing(&SERVICES[..1]);
    let internal = health.listing(&SERVICES[1..]);
    let args = &config.server;
    let at = Listener {
        tcp: listeners.public,
        tls,
    };
    let public = server::serve(args, at, service, LARGE_REQUESTS, &public, &shutdown);
    let at = Listener {
        tcp: listeners.internal,
        tls: internal_tls,
    };
    let internal = server::serve(args, at, feed, &[], &internal, &shutdown);
    // One that fails has the other stop too.
    let serving = async {
        let (public, internal) = join!(public, internal);
        public.and(internal)
    };
    let served = tasks.run(serving).await;
    shutdown.hard.run_until_cancelled(store.close()).await;
    served
}

/// Starts the background tasks; all of them end at the soft stop.
fn start_tasks(
    store: &Arc<Store>,
    database: &Database,
    newest: &RevisionTracker,
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
        move || Arc::clone(&store).schedule_worker(stop.clone())
    });
    tasks.restart("readiness", {
        let (database, health, shutdown) = (database.clone(), health.clone(), shutdown.clone());
        move || postgres::follow_readiness(database.clone(), health.clone(), shutdown.clone())
    });
    tasks
}
