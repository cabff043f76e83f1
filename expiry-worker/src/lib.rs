//! expiry-worker: fails stale PENDING bookings, and writes nothing else. Any number of
//! replicas work side by side without doing anything twice.

pub mod api;
mod batch;
pub mod config;
mod metrics;
pub mod sweep;

use std::time::Duration;

use proto::expiry::v1::expiry_service_server::{ExpiryServiceServer, SERVICE_NAME};
use service_kit::health::Health;
use service_kit::postgres::{self, Database, Needs};
use service_kit::server::{self, Listener, MESSAGE_BYTES_MAX};
use service_kit::tls::Certificates;
use service_kit::{Shutdown, Supervisor, background};
use tokio::net::TcpListener;
use tokio::sync::Mutex;

use crate::api::Expiry;
use crate::config::Config;
use crate::sweep::{ScanCursor, Sweeper};

const NAME: &str = "expiry-worker";
/// The role that has this service's privileges.
const ROLE: &str = "expiry_worker";
/// The shortest sleep between two scans, whatever the poll interval: otherwise a hold that another
/// worker has locked would be scanned for without end.
const SLEEP_MIN: Duration = Duration::from_millis(20);

/// Works and serves on `listener` until the shutdown.
///
/// # Errors
///
/// If the database's schema is older than this release, or serving fails.
pub async fn run(config: Config, listener: TcpListener, shutdown: Shutdown) -> anyhow::Result<()> {
    let mut certificates = Certificates::default();
    let tls = certificates.server(&config.server.tls)?;
    let database = prepare(&config, &shutdown).await?;
    let health = Health::new(&[SERVICE_NAME]);
    metrics::register();
    let mut tasks = Supervisor::new(&health, &shutdown);
    certificates.watch(&mut tasks, &shutdown);
    tasks.restart("readiness", {
        let (database, health, shutdown) = (database.clone(), health.clone(), shutdown.clone());
        move || postgres::follow_readiness(database.clone(), health.clone(), shutdown.clone())
    });
    let sweeper = Sweeper::new(database.pool(&config.database), config.batch_max);
    tasks.restart("sweep", {
        let (sweeper, shutdown) = (sweeper.clone(), shutdown.clone());
        move || work(sweeper.clone(), config.poll_interval, shutdown.clone())
    });

    let expiry = Expiry {
        sweeper,
        shutdown: shutdown.clone(),
    };
    let service = ExpiryServiceServer::new(expiry).max_decoding_message_size(MESSAGE_BYTES_MAX);
    let listener = Listener { tcp: listener, tls };
    let serving = server::serve(&config.server, listener, service, &[], &health, &shutdown);
    tasks.run(serving).await
}

/// Works until nothing is stale.
///
/// # Errors
///
/// If the database's schema is older than this release, or the database does not answer.
pub async fn run_once(config: Config, shutdown: Shutdown) -> anyhow::Result<u64> {
    let database = prepare(&config, &shutdown).await?;
    let mut failed = 0;
    Sweeper::new(database.pool(&config.database), config.batch_max)
        .run_once(&shutdown.soft, &mut failed)
        .await?;
    Ok(failed)
}

async fn prepare(config: &Config, shutdown: &Shutdown) -> anyhow::Result<Database> {
    let database = config.database.database(NAME).map_err(anyhow::Error::msg)?;
    postgres::check_at_start(&database, Needs::Transactions, ROLE, shutdown)
        .await
        .map_err(anyhow::Error::msg)?;
    Ok(database)
}

/// Scans once in each poll interval.
async fn work(sweeper: Sweeper, poll_interval: Duration, shutdown: Shutdown) {
    let stop = &shutdown.soft;
    let cursor = Mutex::new(ScanCursor::default());
    background::run("sweep", stop, async || {
        let mut failed = 0;
        let swept = sweeper
            .scan(&mut *cursor.lock().await, stop, &mut failed)
            .await;
        if failed > 0 {
            tracing::debug!(failed, "failed stale bookings");
        }
        if swept.is_ok() {
            metrics::looked();
        }
        swept.map(|()| poll_interval.max(SLEEP_MIN))
    })
    .await;
}
