//! A pool that is bounded in size, in waiting and in how long a connection may be silent.

use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use deadpool::managed::{self, Metrics, PoolError, RecycleError, RecycleResult};
use deadpool_postgres::{ClientWrapper, Runtime};
use tokio::task::AbortHandle;
use tokio::time::timeout;

use super::database::Database;
use super::driver::Loan;
use super::failure::{ConnectError, DbError};
use super::metrics::PoolMetrics;
use super::place::Place;
use crate::args::DatabaseArgs;
use crate::metrics;

/// A connection that answered so lately is lent without asking it first.
const SURE_FOR: Duration = Duration::from_millis(500);
/// How long one that is asked may take to answer. What its last user left under way, having gone
/// away meanwhile, counts.
const PING_MAX: Duration = Duration::from_secs(1);

/// A pool for single statements and short transactions.
pub type Pool = managed::Pool<Manager, Lent>;

/// Makes connections, and sees that those which are lent again answer.
#[derive(Debug)]
pub struct Manager {
    database: Database,
    /// How often a connection was lent again, having answered since.
    lent: AtomicU64,
    metrics: PoolMetrics,
}

/// A connection of the pool.
#[derive(Debug)]
pub struct Session {
    client: ClientWrapper,
    place: Place,
    loan: Loan,
    /// Ends the connection's task, and the connection with it.
    driver: AbortHandle,
    /// None if it must be asked before it is lent.
    answered_at: Option<Instant>,
}

/// A connection that is lent: it goes back to the pool when this is dropped, even in the midst of
/// a statement, and is lent again only if it answers by then. It is closed if it is not given back
/// in 12 s.
#[derive(Debug)]
pub struct Lent(managed::Object<Manager>);

impl Database {
    /// A pool of connections. A call waits for one no longer than the arguments say; how many
    /// wait is bounded by the server's limit of calls.
    #[must_use]
    pub fn pool(&self, args: &DatabaseArgs) -> Pool {
        let manager = Manager {
            database: self.clone(),
            lent: AtomicU64::new(0),
            metrics: PoolMetrics::default(),
        };
        let pool = Pool::builder(manager)
            .max_size(args.database_connections_max.into())
            .wait_timeout(Some(args.database_wait_max))
            .runtime(Runtime::Tokio1)
            .build();
        let pool = pool.expect("there is a runtime for its timeouts");
        let shown = pool.clone();
        metrics::register(move |page| {
            shown
                .manager()
                .metrics
                .collect("calls", &shown.status(), page);
        });
        pool
    }
}

/// A connection of the pool.
///
/// # Errors
///
/// If none comes free in time, as the database does not answer or as others have them all, or if the
/// database cannot be reached.
pub async fn get(pool: &Pool) -> Result<Lent, DbError> {
    let lent = &pool.manager().lent;
    let before = lent.load(Ordering::Relaxed);
    match pool.manager().metrics.wait(pool.get()).await {
        // Others gave theirs back meanwhile, so it is not the database that is away.
        Err(PoolError::Timeout(_)) if lent.load(Ordering::Relaxed) > before => {
            Err(DbError::PoolBusy)
        }
        got => Ok(got?),
    }
}

impl Manager {
    fn lends_again(&self) {
        self.lent.fetch_add(1, Ordering::Relaxed);
    }
}

impl managed::Manager for Manager {
    type Type = Session;
    type Error = ConnectError;

    async fn create(&self) -> Result<Session, ConnectError> {
        let loan = Loan::default();
        // In a box: every call that waits for a connection would carry it.
        let opened = Box::pin(self.database.open(&loan)).await?;
        Ok(Session {
            driver: opened.driver.abort_handle(),
            place: opened.place,
            client: ClientWrapper::new(opened.client, opened.driver),
            loan,
            answered_at: Some(Instant::now()),
        })
    }

    async fn recycle(&self, session: &mut Session, _: &Metrics) -> RecycleResult<ConnectError> {
        if session.client.is_closed() {
            return Err(RecycleError::message("it is closed"));
        }
        if self.database.is_outdated(&session.place) {
            return Err(RecycleError::message("the database was read-only since"));
        }
        let answered_at = session.answered_at;
        if answered_at.is_some_and(|at| at.elapsed() < SURE_FOR) {
            self.lends_again();
            return Ok(());
        }
        match timeout(PING_MAX, session.client.simple_query("")).await {
            Ok(Ok(_)) => {
                session.answered_at = Some(Instant::now());
                self.lends_again();
                Ok(())
            }
            Ok(Err(_)) => Err(RecycleError::message("it is broken")),
            Err(_) => {
                tracing::debug!("a connection of the pool does not answer, and is closed");
                Err(RecycleError::message("it does not answer"))
            }
        }
    }
}

impl From<managed::Object<Manager>> for Lent {
    fn from(object: managed::Object<Manager>) -> Self {
        object.loan.begin();
        Self(object)
    }
}

impl Lent {
    /// Closes the connection, in whatever state it is.
    pub fn close(mut self) {
        self.0.answered_at = None;
        self.0.driver.abort();
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        self.0.loan.end();
    }
}

impl Deref for Lent {
    type Target = ClientWrapper;

    fn deref(&self) -> &ClientWrapper {
        &self.0.client
    }
}

impl DerefMut for Lent {
    fn deref_mut(&mut self) -> &mut ClientWrapper {
        &mut self.0.client
    }
}
