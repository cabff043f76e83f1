//! payment-sim: the simulated payment provider. It keeps its payments in memory, and in a file if
//! you name one, and does what the tokens of its payments say, failures included.
//!
//! Imports point one way: `api → ledger_store → journal → ledger`. The ledger is pure.

pub mod api;
pub mod config;
pub mod journal;
pub mod ledger;
pub mod ledger_store;

use proto::payment::v1::payment_provider_server::{PaymentProviderServer, SERVICE_NAME};
use service_kit::health::Health;
use service_kit::server::{self, Listener};
use service_kit::tls::Certificates;
use service_kit::{Shutdown, Supervisor};
use tokio::net::TcpListener;

use crate::api::Provider;
use crate::config::Config;
use crate::ledger_store::LedgerStore;

/// The largest request that is decoded, in bytes; the longest token takes a quarter of it.
const MESSAGE_BYTES_MAX: usize = 16 * 1024;

/// Serves on `listener` until the shutdown.
///
/// # Errors
///
/// If the state file cannot be read, written or locked, or serving fails. After a failed write the
/// file's contents are unknown; opening it again finds them out, so the process ends.
pub async fn run(config: Config, listener: TcpListener, shutdown: Shutdown) -> anyhow::Result<()> {
    let mut certificates = Certificates::default();
    let tls = certificates.server(&config.server.tls)?;
    let ledger_store = LedgerStore::open(config.state.as_deref(), config.payments_max)?;
    let health = Health::new(&[SERVICE_NAME]);
    health.set_ready(true);
    let mut tasks = Supervisor::new(&health, &shutdown);
    certificates.watch(&mut tasks, &shutdown);
    tasks.essential("ledger", {
        let (ledger_store, stop) = (ledger_store.clone(), shutdown.soft.clone());
        async move {
            stop.run_until_cancelled(ledger_store.broken())
                .await
                .map_or(Ok(()), Err)
        }
    });
    let provider = Provider::new(ledger_store, shutdown.soft.clone());
    let service = PaymentProviderServer::new(provider).max_decoding_message_size(MESSAGE_BYTES_MAX);
    let listener = Listener { tcp: listener, tls };
    let serving = server::serve(&config.server, listener, service, &[], &health, &shutdown);
    tasks.run(serving).await
}
