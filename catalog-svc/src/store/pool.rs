//! How connections are had, and given back in a known state.
//!
//! A caller may go away while its statement runs, which would leave a connection with whatever
//! was under way on it, an open transaction included. So what is begun on a connection is
//! finished in a task of its own, whoever waits for it; and a connection whose state is not known
//! is closed. No wait for the database is without a limit: one that hangs keeps its connections
//! open and says nothing.

use std::time::Duration;

use deadpool::Runtime;
use deadpool::managed::{self, Metrics, Object, RecycleError, RecycleResult};
use futures_util::future::BoxFuture;
use model::ShowId;
use service_kit::args::DatabaseArgs;
use service_kit::postgres::{Database, Place};
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _, PgConnection};
use tokio::sync::{Semaphore, oneshot};
use tokio::time::timeout;
use tokio_util::task::TaskTracker;
use tracing::Instrument as _;

use super::cache::ShowCache;
use super::error::StoreError;
use super::followers::Followers;
use super::replica::{REPLICA_WAIT_MAX, Replica};
use super::revision_tracker::RevisionTracker;
use super::sqlstate;
use super::unreadable::Unreadable;

/// The most connections for what the process does by itself: it asks for what was written, keeps
/// the shows' times, and sweeps. Calls never wait for them, nor they for calls.
const BACKGROUND_CONNECTIONS_MAX: u16 = 3;
/// The longest that background work, or another service, waits for a connection.
const BACKGROUND_WAIT_MAX: Duration = Duration::from_secs(2);
/// The longest that connecting to the primary takes, once it is known where that is.
pub(super) const CONNECT_TIME_MAX: Duration = Duration::from_secs(3);
/// How long a connection may take to say that it is usable.
pub(super) const PING_TIME_MAX: Duration = Duration::from_secs(1);
/// The longest that anything keeps a connection: a little more than the `statement_timeout` of
/// our role. A database that has not answered by then has vanished.
const LOAN_TIME_MAX: Duration = Duration::from_secs(12);
/// The longest that giving up the connections may take at the end of the process.
const CLOSE_TIME_MAX: Duration = Duration::from_secs(1);
/// The most pages of the feed that are read at once by either kind of readers, so that the streams
/// of many watchers leave connections for calls.
const FEED_READS_MAX: usize = 2;
/// The most connections for other services of the installation: two read pages of the feed, the
/// others answer at once.
const SERVICE_CONNECTIONS_MAX: u16 = 4;

/// Who reads: each kind has connections of its own, so that none is in the other's way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reader {
    /// Anybody.
    Public,
    /// A service of the same installation.
    Service,
}

/// Connections to one database.
pub(super) type Pool = managed::Pool<Manager>;

/// Makes connections to wherever the database is.
#[derive(Debug)]
pub(super) struct Manager(Database);

/// A connection, and where it leads.
#[derive(Debug)]
pub(super) struct Session {
    connection: PgConnection,
    place: Place,
}

impl managed::Manager for Manager {
    type Type = Session;
    type Error = StoreError;

    async fn create(&self) -> Result<Session, StoreError> {
        let place = place(&self.0).await?;
        match timeout(CONNECT_TIME_MAX, options(&place)?.connect()).await {
            Ok(Ok(connection)) => Ok(Session { connection, place }),
            Ok(Err(error)) => Err(place.failed(&sqlstate::in_words(&error)).into()),
            Err(_) => Err(place.failed("no answer in time").into()),
        }
    }

    async fn recycle(&self, session: &mut Session, _: &Metrics) -> RecycleResult<StoreError> {
        if self.0.is_outdated(&session.place) {
            return Err(RecycleError::message(
                "the primary is elsewhere, or was read-only since",
            ));
        }
        if !answers(&mut session.connection).await {
            return Err(RecycleError::message("it does not answer"));
        }
        Ok(())
    }
}

/// How to connect to a place. Statement timeouts, keepalives and the like are settings of the
/// database role, so that they hold behind a pooler too; what sqlx cannot bound is bounded here.
pub(super) fn options(place: &Place) -> Result<PgConnectOptions, StoreError> {
    let options: PgConnectOptions = place.url().parse()?;
    // Values travel in binary, and a pooler may refuse the parameter.
    let options = options.extra_float_digits(None);
    Ok(options.disable_statement_logging())
}

/// Where to connect to: the primary, if readiness has found it.
pub(super) async fn place(database: &Database) -> Result<Place, StoreError> {
    let primary = database.primary().borrow().clone();
    match primary {
        Some(place) => Ok(place),
        // In a box: every call that waits for a connection would carry it.
        None => Ok(Box::pin(database.find()).await?),
    }
}

/// Whether a connection answers in time. A transaction that was dropped on it is rolled back.
async fn answers(connection: &mut PgConnection) -> bool {
    matches!(timeout(PING_TIME_MAX, connection.ping()).await, Ok(Ok(())))
}

/// The shows in PostgreSQL.
#[derive(Debug)]
pub struct Store {
    pub(super) database: Database,
    calls: Pool,
    background: Pool,
    services: Pool,
    /// What is under way on connections.
    loans: TaskTracker,
    pub(super) replica: Option<Replica>,
    pub(super) cache: ShowCache,
    pub(super) newest: RevisionTracker,
    pub(super) unreadable: Unreadable,
    pub(super) followers: Followers,
    public_feed_reads: Semaphore,
    service_feed_reads: Semaphore,
}

impl Store {
    /// The store in a database, of which there may be a replica to read from. Connections are
    /// made when they are needed.
    #[must_use]
    pub fn new(database: &Database, args: &DatabaseArgs, replica: Option<Database>) -> Self {
        let pool = |database: &Database, connections_max: u16, wait_max: Duration| {
            let pool = Pool::builder(Manager(database.clone()))
                .max_size(connections_max.into())
                .wait_timeout(Some(wait_max))
                .runtime(Runtime::Tokio1)
                .build();
            pool.expect("there is a runtime for its timeouts")
        };
        let calls_max = args.database_connections_max;
        let loans = TaskTracker::new();
        Self {
            calls: pool(database, calls_max, args.database_wait_max),
            background: pool(database, BACKGROUND_CONNECTIONS_MAX, BACKGROUND_WAIT_MAX),
            services: pool(database, SERVICE_CONNECTIONS_MAX, BACKGROUND_WAIT_MAX),
            replica: replica.map(|replica| {
                Replica::new(pool(&replica, calls_max, REPLICA_WAIT_MAX), loans.clone())
            }),
            database: database.clone(),
            loans,
            cache: ShowCache::new(),
            newest: RevisionTracker::default(),
            unreadable: Unreadable::default(),
            followers: Followers::default(),
            public_feed_reads: Semaphore::new(FEED_READS_MAX),
            service_feed_reads: Semaphore::new(FEED_READS_MAX),
        }
    }

    /// Does `work` for a call, on a connection of the calls' pool. A caller that goes away
    /// stops waiting for a connection, but not what is under way on one.
    pub(super) async fn with_connection<T, W>(
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
        with_connection(&self.calls, &self.loans, LOAN_TIME_MAX, verb, work).await
    }

    /// Does `work` for a reader, as [`Self::with_connection`] does.
    pub(super) async fn with_connection_for<T, W>(
        &self,
        reader: Reader,
        verb: &'static str,
        work: W,
    ) -> Result<T, StoreError>
    where
        T: Send + 'static,
        W: for<'c> FnOnce(&'c mut PgConnection) -> BoxFuture<'c, Result<T, StoreError>>
            + Send
            + 'static,
    {
        let pool = match reader {
            Reader::Public => &self.calls,
            Reader::Service => &self.services,
        };
        with_connection(pool, &self.loans, LOAN_TIME_MAX, verb, work).await
    }

    /// The places of those who read pages of the feed.
    pub(super) fn feed_reads(&self, reader: Reader) -> &Semaphore {
        match reader {
            Reader::Public => &self.public_feed_reads,
            Reader::Service => &self.service_feed_reads,
        }
    }

    /// Does `work` for the process itself, on a connection that calls do not wait for.
    pub(super) async fn with_background_connection<T, W>(
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
        with_connection(&self.background, &self.loans, LOAN_TIME_MAX, verb, work).await
    }

    /// The newest revision that this process knows.
    #[must_use]
    pub fn newest(&self) -> &RevisionTracker {
        &self.newest
    }

    /// Sees that no read that begins from now on is older than a write of ours.
    pub(super) fn wrote(&self, id: ShowId, revision: i64) {
        self.cache.wrote(id, revision);
        self.newest.raise(revision);
    }

    /// Gives up all connections, once what is under way on them is done.
    pub async fn close(&self) {
        self.loans.close();
        if timeout(CLOSE_TIME_MAX, self.loans.wait()).await.is_err() {
            tracing::warn!("connections to the database were still in use at the end");
        }
    }
}

/// Does `work` on a connection of `pool`, for so long at most, in a task among `loans`.
pub(super) async fn with_connection<T, W>(
    pool: &Pool,
    loans: &TaskTracker,
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
    let mut session = pool.get().await?;
    let (sender, receiver) = oneshot::channel();
    let loan = async move {
        let worked = timeout(time_max, work(&mut session.connection)).await;
        let result = worked.unwrap_or(Err(StoreError::NoAnswer));
        let is_spoiled = result.as_ref().is_err_and(StoreError::spoils_connection);
        if let Err(Err(error)) = sender.send(result) {
            tracing::warn!(%error, "a call failed after its caller had left");
        }
        if is_spoiled || !answers(&mut session.connection).await {
            // To close it well takes the database's part, which may have vanished.
            let closing = Object::take(session).connection.close();
            let _ = timeout(PING_TIME_MAX, closing).await;
        }
    };
    loans.spawn(loan.instrument(tracing::info_span!("db", verb)));
    // The sender is dropped unused only by a panic.
    receiver
        .await
        .unwrap_or_else(|_| Err(StoreError::fault("a store task panicked")))
}
