//! Borrows connections, and returns them in a known state.
//!
//! A caller may leave while its statement runs, which would leave a connection with unfinished
//! work on it, perhaps an open transaction. So work that has begun on a connection is
//! finished in its own task, even without its caller; and a connection in an unknown state
//! is closed. Every wait for the database has a limit: one that hangs keeps its connections
//! open and does not answer.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use deadpool::Runtime;
use deadpool::managed::{self, Metrics, Object, PoolError, RecycleError, RecycleResult};
use futures_util::future::BoxFuture;
use service_kit::metrics;
use service_kit::postgres::{self, Database, Place, PoolMetrics};
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _, PgConnection};
use tokio::sync::oneshot;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;
use tracing::Instrument as _;

use super::error::StoreError;
use super::sqlstate;

/// The longest that connecting to the primary takes, once its address is known.
pub(super) const CONNECT_TIME_MAX: Duration = Duration::from_secs(3);
/// How long a connection may take to say that it is usable.
pub(super) const PING_TIME_MAX: Duration = Duration::from_secs(1);

/// Connections to one database.
pub(super) type Pool = managed::Pool<Manager>;

/// Makes connections to wherever the database is.
#[derive(Debug)]
pub(super) struct Manager {
    database: Database,
    /// How often a connection was lent again, having answered since.
    lent: AtomicU64,
    metrics: PoolMetrics,
}

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
        let place = place(&self.database).await?;
        // In a box, as above: it may include a TLS handshake.
        let connecting = Box::pin(async {
            let options = options(&place).await?;
            let connected = options.connect().await;
            connected.map_err(|error| place.failed(&sqlstate::in_words(&error)).into())
        });
        let connected = timeout(CONNECT_TIME_MAX, connecting).await;
        postgres::connected(matches!(connected, Ok(Ok(_))));
        match connected {
            Ok(Ok(connection)) => Ok(Session { connection, place }),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(place.failed("no answer in time").into()),
        }
    }

    async fn recycle(&self, session: &mut Session, _: &Metrics) -> RecycleResult<StoreError> {
        if self.database.is_outdated(&session.place) {
            return Err(RecycleError::message(
                "the primary is elsewhere, or was read-only since",
            ));
        }
        if !answers(&mut session.connection).await {
            return Err(RecycleError::message("it does not answer"));
        }
        self.lends_again();
        Ok(())
    }
}

/// How to connect to a place. Statement timeouts, keepalives and the like are settings of the
/// database role, so that they hold behind a pooler too; what sqlx cannot bound is bounded here.
pub(super) async fn options(place: &Place) -> Result<PgConnectOptions, StoreError> {
    let route = place.route().await?;
    let mut options: PgConnectOptions = route.url().parse()?;
    if let Some(socket) = route.socket() {
        options = options.socket(socket);
    }
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

/// A pool of so many connections, for one of which nobody waits longer. The metrics know it by its
/// name.
pub(super) fn pool(
    name: &'static str,
    database: &Database,
    connections_max: u16,
    wait_max: Duration,
) -> Pool {
    let manager = Manager {
        database: database.clone(),
        lent: AtomicU64::new(0),
        metrics: PoolMetrics::default(),
    };
    let pool = Pool::builder(manager)
        .max_size(connections_max.into())
        .wait_timeout(Some(wait_max))
        .runtime(Runtime::Tokio1)
        .build();
    let pool = pool.expect("there is a runtime for its timeouts");
    let shown = pool.clone();
    metrics::register(move |page| {
        shown.manager().metrics.collect(name, &shown.status(), page);
    });
    pool
}

impl Manager {
    fn lends_again(&self) {
        self.lent.fetch_add(1, Ordering::Relaxed);
    }
}

/// A connection of a pool.
async fn get(pool: &Pool) -> Result<Object<Manager>, StoreError> {
    let lent = &pool.manager().lent;
    let before = lent.load(Ordering::Relaxed);
    match pool.manager().metrics.wait(pool.get()).await {
        // Others gave theirs back meanwhile, so it is not the database that is away.
        Err(PoolError::Timeout(_)) if lent.load(Ordering::Relaxed) > before => {
            Err(StoreError::PoolBusy)
        }
        got => Ok(got?),
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
    let mut session = get(pool).await?;
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
