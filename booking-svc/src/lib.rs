//! booking-svc: sales, seat inventory, bookings. It never sells a seat twice.
//!
//! Imports point one way: `api → commands, cancelled_shows → payments, feed → sales,
//! customer_resolver, allocator, hold_limits → catalog → store → domain`. ARCHITECTURE.md describes the
//! life of a reserve call.

pub mod allocator;
pub mod api;
pub mod cancelled_shows;
pub mod catalog;
pub mod commands;
pub mod config;
pub mod customer_resolver;
pub mod domain;
pub mod feed;
pub mod hold_limits;
pub mod payments;
pub mod sales;
pub mod store;

use futures_util::FutureExt as _;
use proto::booking::v1::booking_service_server::{self, BookingServiceServer};
use proto::booking::v1::customer_service_server::{self, CustomerServiceServer};
use service_kit::health::{Health, Need};
use service_kit::postgres::{self, Needs};
use service_kit::server::{self, Listener, MESSAGE_BYTES_MAX};
use service_kit::tls::Channels;
use service_kit::{Shutdown, Supervisor, metrics};
use tokio::net::TcpListener;
use tonic::service::Routes;

use crate::api::{Bookings, Customers};
use crate::catalog::{Catalog, Freshness, StaleCatalog};
use crate::commands::{BookingCommands, Paying};
use crate::config::Config;
use crate::customer_resolver::CustomerResolver;
use crate::payments::Payments;
use crate::sales::Sales;
use crate::store::{GroupCommit, Store};

const NAME: &str = "booking-svc";
/// The role that has this service's privileges.
const ROLE: &str = "booking_svc";

/// The services that it serves, by full name.
const SERVICES: &[&str] = &[
    booking_service_server::SERVICE_NAME,
    customer_service_server::SERVICE_NAME,
];

/// Serves on `listener` until the shutdown; then finishes the calls in progress.
///
/// # Errors
///
/// If the database's schema is older than this release, or serving fails.
pub async fn run(config: Config, listener: TcpListener, shutdown: Shutdown) -> anyhow::Result<()> {
    let tls = config.tls()?;
    let catalog_bearer = config.catalog_bearer().map_err(anyhow::Error::msg)?;
    let payment_bearer = config.payment_bearer().map_err(anyhow::Error::msg)?;
    let database = config.database.database(NAME).map_err(anyhow::Error::msg)?;
    postgres::check_at_start(&database, Needs::Transactions, ROLE, &shutdown)
        .await
        .map_err(anyhow::Error::msg)?;
    let health = Health::new(SERVICES);
    if config.stale_catalog == StaleCatalog::Refuse {
        health.set_need(booking_service_server::SERVICE_NAME, Need::Awaited);
    }
    let mut tasks = Supervisor::new(&health, &shutdown);
    tasks.restart("readiness", {
        let (database, health, shutdown) = (database.clone(), health.clone(), shutdown.clone());
        move || postgres::follow_readiness(database.clone(), health.clone(), shutdown.clone())
    });

    tls.certificates.watch(&mut tasks, &shutdown);

    let store = Store::new(database.pool(&config.database));
    let catalog = Catalog::new(config.catalog_url.clone(), catalog_bearer).with_tls(tls.catalog);
    let freshness = Freshness::new(config.staleness_terms());
    let sales = Sales::new(store.clone(), catalog.clone(), freshness.clone());
    tasks.restart("staleness", {
        let (freshness, health, shutdown) = (freshness.clone(), health.clone(), shutdown.clone());
        let service = booking_service_server::SERVICE_NAME;
        move || {
            catalog::watch_staleness(freshness.clone(), health.clone(), service, shutdown.clone())
        }
    });
    tasks.restart("feed", {
        let (catalog, sales, shutdown) = (catalog.clone(), sales.clone(), shutdown.clone());
        move || feed::follow(catalog.clone(), sales.clone(), shutdown.clone())
    });
    tasks.restart("answers", {
        let (sales, shutdown) = (sales.clone(), shutdown.clone());
        move || feed::relay_answers(catalog.clone(), sales.clone(), shutdown.clone())
    });
    tasks.restart("sweep", {
        let (store, stop) = (store.clone(), shutdown.soft.clone());
        move || store.clone().sweep_requests(stop.clone())
    });
    if metrics::is_on() {
        store::register_open_work();
        let (store, stop) = (store.clone(), shutdown.soft.clone());
        tasks.restart("open work", move || {
            store.clone().count_open_work(stop.clone())
        });
    }
    let (group_commit, worker_tasks) = GroupCommit::new(config.group_commit_config(), &database);
    for (name, worker) in worker_tasks {
        tasks.essential(name, worker.map(Ok));
    }
    tasks.restart("cancelled shows", {
        let (sales, group_commit, shutdown) =
            (sales.clone(), group_commit.clone(), shutdown.clone());
        move || {
            cancelled_shows::cancelled_shows(sales.clone(), group_commit.clone(), shutdown.clone())
        }
    });
    let payments = config.payment_provider.as_ref().map(|provider| {
        let endpoint = payment_client::endpoint(provider.endpoint());
        Payments::new(
            Channels::new(endpoint, tls.provider),
            payment_bearer,
            sales.clone(),
            group_commit.clone(),
            config.payment_terms(),
        )
    });
    if let Some(payments) = payments.clone() {
        let shutdown = shutdown.clone();
        tasks.restart("payments", move || {
            payments::reconcile(payments.clone(), shutdown.clone())
        });
    }
    let paying = Paying {
        payments,
        unpaid: config.is_unpaid_allowed(),
    };
    let commands = BookingCommands::new(
        sales.clone(),
        CustomerResolver::new(store.clone()),
        group_commit,
        config.hold_terms(),
        paying,
    )
    .with_hold_limits(config.hold_limits());
    let bookings = Bookings {
        commands,
        sales,
        store,
        limits: config.limits(),
    };
    let customers = Customers {
        bookings: bookings.clone(),
    };
    let service = BookingServiceServer::new(bookings).max_decoding_message_size(MESSAGE_BYTES_MAX);
    let mut beside = Routes::builder();
    beside.add_service(
        CustomerServiceServer::new(customers).max_decoding_message_size(MESSAGE_BYTES_MAX),
    );
    let listener = Listener {
        tcp: listener,
        tls: tls.server,
    };
    // The commit workers end once the last handle to them is dropped: with the last handler, the
    // last payment and the cancelled-shows worker.
    let serving = server::serve_with(
        &config.server,
        listener,
        service,
        beside,
        &health,
        &shutdown,
    );
    tasks.run(serving).await
}
