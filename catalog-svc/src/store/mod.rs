//! Shows in PostgreSQL, in schema `catalog`. A verb is a file, with its SQL.
//!
//! Every write of a show takes the feed's next revision by updating the one row of
//! `catalog.feed`, in the statement that writes the show. An update of that row waits for the
//! transaction that updated it before, so the order of revisions is the order of commits.
//! Locks are taken in one order: the request's row, the show's, its layout's, the feed's.

mod batch_get_shows;
mod cache;
mod change_seat_layout;
mod change_state;
mod clock;
mod column;
mod create_show;
mod delete_show;
mod error;
mod feed;
mod follow_revisions;
mod followers;
mod get_show;
mod layouts;
mod list_shows;
mod metrics;
mod mutation;
mod outcome;
mod pool;
mod proposals;
mod read;
mod replica;
mod requests;
mod revision_tracker;
mod rows;
mod schedule_worker;
mod set_prices;
mod sqlstate;
mod unreadable;
mod update_show;
mod write_show;

use std::time::Duration;

use futures_util::future::BoxFuture;
use model::ShowId;
use service_kit::args::DatabaseArgs;
use service_kit::postgres::Database;
use sqlx::PgConnection;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

pub use change_seat_layout::ChangeSeatLayout;
pub use change_state::{Cancel, ChangeState, Close, LifeVerb, Pause, Publish, Resume};
pub use create_show::CreateShow;
pub use delete_show::DeleteShow;
pub use error::StoreError;
pub use followers::Follower;
pub use layouts::{CreateSeatLayout, DeleteSeatLayout};
pub use list_shows::ListShows;
pub use mutation::Mutation;
pub use proposals::AnswerProposal;
pub use requests::{Outcome, RequestKey};
pub use revision_tracker::RevisionTracker;
pub use set_prices::SetPrices;
pub use update_show::UpdateShow;

use cache::ShowCache;
use followers::Followers;
use pool::{Pool, pool, with_connection};
use replica::{REPLICA_WAIT_MAX, Replica};
use unreadable::Unreadable;

/// The most connections for background tasks: the revision tracker, the schedule worker, the sweep.
/// Calls never wait for them, nor they for calls.
const BACKGROUND_CONNECTIONS_MAX: u16 = 3;
/// The longest that background work, or another service, waits for a connection.
const BACKGROUND_WAIT_MAX: Duration = Duration::from_secs(2);
/// The longest that anything keeps a connection: a little more than the `statement_timeout` of
/// our role. A database that has not answered by then counts as gone.
const LOAN_TIME_MAX: Duration = Duration::from_secs(12);
/// The longest that giving up the connections may take at the end of the process.
const CLOSE_TIME_MAX: Duration = Duration::from_secs(1);
/// The most pages of the feed that are read at once for each kind of reader, so that the streams
/// of many watchers leave connections for calls.
const FEED_READS_MAX: usize = 2;
/// The most connections for other services of the installation: two read pages of the feed, the
/// others serve single calls.
const SERVICE_CONNECTIONS_MAX: u16 = 4;

/// The kind of reader: each kind has its own connections, so that none blocks the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reader {
    /// Any caller.
    Public,
    /// A service of the same installation.
    Service,
}

/// The shows in PostgreSQL.
#[derive(Debug)]
pub struct Store {
    database: Database,
    calls: Pool,
    background: Pool,
    services: Pool,
    /// The work in progress on connections.
    loans: TaskTracker,
    replica: Option<Replica>,
    cache: ShowCache,
    newest: RevisionTracker,
    unreadable: Unreadable,
    followers: Followers,
    public_feed_reads: Semaphore,
    service_feed_reads: Semaphore,
}

impl Store {
    /// The store in a database, of which there may be a replica to read from. Connections are
    /// made when they are needed.
    #[must_use]
    pub fn new(database: &Database, args: &DatabaseArgs, replica: Option<Database>) -> Self {
        let calls_max = args.database_connections_max;
        let loans = TaskTracker::new();
        Self {
            calls: pool("calls", database, calls_max, args.database_wait_max),
            background: pool(
                "background",
                database,
                BACKGROUND_CONNECTIONS_MAX,
                BACKGROUND_WAIT_MAX,
            ),
            services: pool(
                "services",
                database,
                SERVICE_CONNECTIONS_MAX,
                BACKGROUND_WAIT_MAX,
            ),
            replica: replica.map(|replica| {
                Replica::new(
                    pool("replica", &replica, calls_max, REPLICA_WAIT_MAX),
                    loans.clone(),
                )
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

    /// Does `work` for a call, on a connection of the calls' pool. If the caller leaves, it
    /// stops waiting for a connection; work that has begun on one is finished.
    async fn with_connection<T, W>(&self, verb: &'static str, work: W) -> Result<T, StoreError>
    where
        T: Send + 'static,
        W: for<'c> FnOnce(&'c mut PgConnection) -> BoxFuture<'c, Result<T, StoreError>>
            + Send
            + 'static,
    {
        with_connection(&self.calls, &self.loans, LOAN_TIME_MAX, verb, work).await
    }

    /// Does `work` for a reader, as [`Self::with_connection`] does.
    async fn with_connection_for<T, W>(
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

    /// The permits for reading pages of the feed.
    fn feed_reads(&self, reader: Reader) -> &Semaphore {
        match reader {
            Reader::Public => &self.public_feed_reads,
            Reader::Service => &self.service_feed_reads,
        }
    }

    /// Does `work` for the process itself, on a connection that calls do not wait for.
    async fn with_background_connection<T, W>(
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
    fn wrote(&self, id: ShowId, revision: i64) {
        self.cache.wrote(id, revision);
        self.newest.raise(revision);
    }

    /// Has the metrics show what is written, and who follows it.
    pub fn register_metrics(&self) {
        metrics::register(&self.newest, &self.followers);
    }

    /// Gives up all connections, once what is under way on them is done.
    pub async fn close(&self) {
        self.loans.close();
        if timeout(CLOSE_TIME_MAX, self.loans.wait()).await.is_err() {
            tracing::warn!("connections to the database were still in use at the end");
        }
    }
}
