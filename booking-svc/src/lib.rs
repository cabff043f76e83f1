//! booking-svc: sales, seat inventory, bookings. It never sells a seat twice.
//!
//! Imports point one way: `api → verbs, wind_up → payments → sales, links, picker → store,
//! catalog → domain`. See ARCHITECTURE.md for the way of a reserve call.

pub mod api;
pub mod catalog;
pub mod config;
pub mod domain;
pub mod links;
pub mod payments;
pub mod picker;
pub mod sales;
pub mod store;
pub mod verbs;
pub mod wind_up;

use futures_util::FutureExt as _;
use proto::booking::v1::booking_service_server::{self, BookingServiceServer};
use proto::booking::v1::customer_service_server::{self, CustomerServiceServer};
use service_kit::health::{Health, Need};
use service_kit::postgres::{self, Needs};
use service_kit::server::{self, MESSAGE_BYTES_MAX};
use service_kit::{Shutdown, Supervisor};
use tokio::net::TcpListener;
use tonic::service::Routes;

use crate::api::{Bookings, Customers};
use crate::catalog::{Catalog, Freshness, StaleCatalog};
use crate::config::Config;
use crate::links::Links;
use crate::payments::Payments;
use crate::sales::Sales;
use crate::store::{Lanes, Store};
use crate::verbs::{Paying, Verbs};

const NAME: &str = "booking-svc";

/// What it serves, by full name.
const SERVICES: &[&str] = &[
    booking_service_server::SERVICE_NAME,
    customer_service_server::SERVICE_NAME,
];

/// Serves on `listener` until the shutdown; then finishes what is under way.
///
/// # Errors
///
/// If the database's schema is older than this release, or serving fails.
pub async fn run(config: Config, listener: TcpListener, shutdown: Shutdown) -> anyhow::Result<()> {
    let database = config.database.database(NAME).map_err(anyhow::Error::msg)?;
    postgres::check_at_start(&database, Needs::Transactions, &shutdown)
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

    let store = Store::new(database.pool(&config.database));
    let catalog = Catalog::new(config.catalog_url.clone());
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
        move || catalog::follow(catalog.clone(), sales.clone(), shutdown.clone())
    });
    tasks.restart("answers", {
        let (sales, shutdown) = (sales.clone(), shutdown.clone());
        move || catalog::tell_answers(catalog.clone(), sales.clone(), shutdown.clone())
    });
    tasks.restart("sweep", {
        let (store, stop) = (store.clone(), shutdown.soft.clone());
        move || store.clone().sweep_requests(stop.clone())
    });
    let (lanes, lane_tasks) = Lanes::new(config.lane_terms(), &database);
    for (name, lane) in lane_tasks {
        tasks.essential(name, lane.map(Ok));
    }
    tasks.restart("cancelled shows", {
        let (sales, lanes, shutdown) = (sales.clone(), lanes.clone(), shutdown.clone());
        move || wind_up::wind_up(sales.clone(), lanes.clone(), shutdown.clone())
    });
    let payments = config.payment_provider.as_ref().map(|provider| {
        Payments::new(
            provider.uri().into(),
            sales.clone(),
            lanes.clone(),
            config.payment_terms(),
        )
    });
    if let Some(payments) = payments.clone() {
        let shutdown = shutdown.clone();
        tasks.restart("payments", move || {
            payments::keep_settled(payments.clone(), shutdown.clone())
        });
    }
    let paying = Paying {
        payments,
        unpaid: config.is_unpaid_allowed(),
    };
    let verbs = Verbs::new(
        sales.clone(),
        Links::new(store.clone()),
        lanes,
        config.hold_terms(),
        paying,
    );
    let customers = Customers {
        store: store.clone(),
    };
    let bookings = Bookings {
        verbs,
        sales,
        store,
        limits: config.limits(),
    };
    let service = BookingServiceServer::new(bookings).max_decoding_message_size(MESSAGE_BYTES_MAX);
    let mut beside = Routes::builder();
    beside.add_service(
        CustomerServiceServer::new(customers).max_decoding_message_size(MESSAGE_BYTES_MAX),
    );
    // With the last handler, the last payment and the winding up the last way into the lanes is
    // gone: they run dry.
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
