//! How connections are had, and given back in a known state.
//!
//! A caller may go away while its statement runs. sqlx would then give the connection back
//! with whatever was under way on it, an open transaction included. So what is begun on a
//! connection is finished in a task of its own, whoever waits for it; and a connection whose
//! state is not known is closed.

use std::str::FromStr as _;
use std::time::Duration;

use futures_util::future::BoxFuture;
use service_kit::args::DatabaseArgs;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{ConnectOptions as _, PgConnection, PgPool};
use tokio::sync::{Semaphore, oneshot};
use tracing::Instrument as _;

use super::cache::ShowCache;
use super::error::StoreError;
use super::newest::Newest;
use super::replica::{REPLICA_WAIT_MAX, Replica};
use crate::domain::ShowInfo;

/// What PostgreSQL calls our sessions.
const APPLICATION_NAME: &str = "catalog-svc";
/// The most connections for what the process does by itself: one listens, the others ask for
/// what was written, ask whether the database answers, and sweep. Calls never wait for
/// them, nor they for calls.
const BACKGROUND_CONNECTIONS_MAX: u32 = 3;
/// The longest that background work waits for a connection.
const BACKGROUND_WAIT_MAX: Duration = Duration::from_secs(2);
/// The longest that anything keeps a connection: a little more than the `statement_timeout` of
/// our role. A database that has not answered by then has vanished.
const LOAN_TIME_MAX: Duration = Duration::from_secs(12);
/// A connection that was not used for so long is closed.
const IDLE_MAX: Duration = Duration::from_secs(10 * 60);
/// The longest that closing the pools may take at the end of the process.
const CLOSE_TIME_MAX: Duration = Duration::from_secs(2);
/// The most pages of the feed that are read at once, so that the streams of many watchers
/// leave connections for calls.
const FEED_READS_MAX: usize = 2;

/// The shows in PostgreSQL.
#[derive(Debug)]
pub struct Store {
    calls: PgPool,
    background: PgPool,
    pub(super) replica: Option<Replica>,
    pub(super) cache: ShowCache,
    pub(super) newest: Newest,
    pub(super) feed_reads: Semaphore,
}

impl Store {
    /// The store in the database of `args`, of which there may be a replica to read from.
    /// Connections are made when they are needed.
    ///
    /// # Errors
    ///
    /// If a URL is malformed.
    pub fn new(args: &DatabaseArgs, replica_url: Option<&str>) -> Result<Self, sqlx::Error> {
        // Statement timeouts, keepalives and the like are settings of the database role, so
        // that they hold behind a pooler too; what sqlx cannot bound, LOAN_TIME_MAX does.
        let pool = |url: &str, connections_max: u32, wait_max: Duration| {
            let options = PgConnectOptions::from_str(url)?
                .application_name(APPLICATION_NAME)
                .disable_statement_logging();
            let pool = PgPoolOptions::new()
                .max_connections(connections_max)
                .acquire_timeout(wait_max)
                .acquire_slow_threshold(Duration::MAX)
                .idle_timeout(IDLE_MAX)
                .connect_lazy_with(options);
            Ok::<_, sqlx::Error>(pool)
        };
        let calls_max = args.database_connections_max.into();
        let replica = replica_url.map(|url| pool(url, calls_max, REPLICA_WAIT_MAX));
        Ok(Self {
            calls: pool(args.url(), calls_max, args.database_wait_max)?,
            background: pool(args.url(), BACKGROUND_CONNECTIONS_MAX, BACKGROUND_WAIT_MAX)?,
            replica: replica.transpose()?.map(Replica::new),
            cache: ShowCache::new(),
            newest: Newest::default(),
            feed_reads: Semaphore::new(FEED_READS_MAX),
        })
    }

    /// Does `work` for a call, on a connection of the calls' pool. A caller that goes away
    /// stops waiting for a connection, but not what is under way on one.
    pub(super) async fn lend<T, W>(&self, verb: &'static str, work: W) -> Result<T, StoreError>
    where
        T: Send + 'static,
        W: for<'c> FnOnce(&'c mut PgConnection) -> BoxFuture<'c, Result<T, StoreError>>
            + Send
            + 'static,
    {
        lend(&self.calls, LOAN_TIME_MAX, verb, work).await
    }

    /// Does `work` for the process itself, on a connection that calls do not wait for.
    pub(super) async fn lend_background<T, W>(
        &self,
        verb: &'static str,
        work: W,
    ) -> Result<T, StoreError>
    where
        T: Send + 'static,
        W: for<'c> FnOnce(&'c mut PgConnection) -> BoxFuture<'c, Result<T, StoreError>>
            + Send
            + 'static,
    {
        lend(&self.background, LOAN_TIME_MAX, verb, work).await
    }

    /// The pool whose connections may be kept for long.
    pub(super) fn background(&self) -> &PgPool {
        &self.background
    }

    /// The newest revision that this process knows.
    #[must_use]
    pub fn newest(&self) -> &Newest {
        &self.newest
    }

    /// Sees that no read that begins from now on is older than a write of ours.
    pub(super) fn wrote(&self, show: &ShowInfo) {
        self.cache.wrote(show.id, show.revision);
        self.newest.raise(show.revision);
    }

    /// Gives up all connections, once what is under way on them is done.
    pub async fn close(&self) {
        let of_replica = async {
            if let Some(replica) = &self.replica {
                replica.pool().close().await;
            }
        };
        let closing =
            async { tokio::join!(self.calls.close(), self.background.close(), of_replica) };
        if tokio::time::timeout(CLOSE_TIME_MAX, closing).await.is_err() {
            tracing::warn!("connections to the database were still in use at the end");
        }
    }
}

/// Does `work` on a connection of `pool`, for so long at most.
pub(super) async fn lend<T, W>(
    pool: &PgPool,
    time_max: Duration,
    verb: &'static str,
    work: W,
) -> Result<T, StoreError>
where
    T: Send + 'static,
    W: for<'c> FnOnce(&'c mut PgConnection) -> BoxFuture<'c, Result<T, StoreError>>
        + Send
        + 'static,
{
    let mut connection = pool.acquire().await?;
    let (sender, receiver) = oneshot::channel();
    let loan = async move {
        let worked = tokio::time::timeout(time_max, work(&mut connection)).await;
        let result = worked.unwrap_or(Err(StoreError::NoAnswer));
        if result.as_ref().is_err_and(StoreError::spoils_connection) {
            connection.close_on_drop();
        }
        drop(connection);
        if let Err(Err(error)) = sender.send(result) {
            tracing::warn!(%error, "a call failed after its caller had left");
        }
    };
    tokio::spawn(loan.instrument(tracing::info_span!("db", verb)));
    // The sender is dropped unused only by a panic.
    receiver
        .await
        .unwrap_or_else(|_| Err(StoreError::fault("a store task panicked")))
}
