//! How PostgreSQL is reached over tokio-postgres: one way to connect, a pool that is bounded
//! in size and in waiting, the schema's version, and readiness.

use std::time::Duration;

use deadpool_postgres::{
    Manager, ManagerConfig, Object, Pool, PoolError, RecyclingMethod, Runtime, TimeoutType,
};
use tokio_postgres::{Client, Config, NoTls};

use crate::api_error::ApiError;
use crate::args::DatabaseArgs;
use crate::cause;
use crate::health::Health;
use crate::shutdown::Shutdown;
use crate::sqlstate::{self, Failure};

/// The schema version that this release of the services needs at least.
pub const SCHEMA_VERSION: i64 = 29;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// A peer that vanished is noticed within 4 s: by keepalives while we wait for an answer, by
/// the user timeout while we send.
const KEEPALIVE: Duration = Duration::from_secs(1);
const KEEPALIVE_RETRIES: u32 = 3;
const TCP_USER_TIMEOUT: Duration = Duration::from_secs(3);
const READINESS_INTERVAL: Duration = Duration::from_secs(1);
const READINESS_TIMEOUT: Duration = Duration::from_secs(2);

/// Why the database did not do what it was asked.
///
/// Its text has the whole chain of causes: the drivers' own says no more than "db error".
#[derive(Debug, thiserror::Error)]
pub enum DbError {
    /// A statement failed.
    #[error("{}", cause::chain(.0))]
    Statement(tokio_postgres::Error),
    /// No connection could be had from the pool.
    #[error("no connection: {}", cause::chain(.0))]
    Pool(PoolError),
}

impl From<tokio_postgres::Error> for DbError {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Statement(error)
    }
}

impl From<PoolError> for DbError {
    fn from(error: PoolError) -> Self {
        Self::Pool(error)
    }
}

impl From<DbError> for ApiError {
    fn from(error: DbError) -> Self {
        let failure = match &error {
            DbError::Statement(error) | DbError::Pool(PoolError::Backend(error)) => {
                sqlstate::classify(error)
            }
            DbError::Pool(_) => Failure::ConnectionLost,
        };
        match failure {
            Failure::ConnectionLost | Failure::Timeout => {
                Self::database_unavailable().because_of(&error)
            }
            Failure::Contention => Self::contention().because_of(&error),
            Failure::Duplicate | Failure::Fault => Self::internal(&error),
        }
    }
}

/// The connection settings for a URL: timeouts and keepalives that notice a lost peer.
///
/// # Errors
///
/// If the URL is malformed.
pub fn config(url: &str, application_name: &str) -> Result<Config, tokio_postgres::Error> {
    let mut config: Config = url.parse()?;
    config
        .application_name(application_name)
        .connect_timeout(CONNECT_TIMEOUT)
        .keepalives(true)
        .keepalives_idle(KEEPALIVE)
        .keepalives_interval(KEEPALIVE)
        .keepalives_retries(KEEPALIVE_RETRIES)
        .tcp_user_timeout(TCP_USER_TIMEOUT);
    Ok(config)
}

/// A connection outside the pool; a task drives it until the client is dropped.
///
/// # Errors
///
/// If no connection can be made in 3 s for each host.
pub async fn connect(config: &Config) -> Result<Client, tokio_postgres::Error> {
    let (client, connection) = config.connect(NoTls).await?;
    // Its error reaches whoever uses the client.
    tokio::spawn(connection);
    Ok(client)
}

/// A pool for single statements. A call waits for a connection no longer than the arguments
/// say; how many wait is bounded by the server's limit of calls.
///
/// # Errors
///
/// If the URL is malformed.
pub fn pool(
    args: &DatabaseArgs,
    application_name: &str,
) -> Result<Pool, Box<dyn std::error::Error + Send + Sync>> {
    let config = config(args.url(), application_name)?;
    let recycling = ManagerConfig {
        recycling_method: RecyclingMethod::Fast,
    };
    let pool = Pool::builder(Manager::from_config(config, NoTls, recycling))
        .max_size(args.database_connections_max.into())
        .wait_timeout(Some(args.database_wait_max))
        .create_timeout(Some(CONNECT_TIMEOUT))
        .recycle_timeout(Some(CONNECT_TIMEOUT))
        .runtime(Runtime::Tokio1)
        .build()?;
    Ok(pool)
}

/// A connection of the pool.
///
/// # Errors
///
/// If none comes free in time, or the database cannot be reached.
pub async fn get(pool: &Pool) -> Result<Object, DbError> {
    Ok(pool.get().await?)
}

/// Refuses to run on a schema that is older than this release.
///
/// Waits for a database that cannot be reached yet, as it may be when all of a system is
/// started at once, until the shutdown.
///
/// # Errors
///
/// If the schema is older, in one line; or if the shutdown came first.
pub async fn check_schema(pool: &Pool, shutdown: &Shutdown) -> Result<(), String> {
    wait_for_schema(|| schema_version(pool), shutdown).await
}

/// [`check_schema`] for whoever reaches the database in another way.
///
/// # Errors
///
/// As [`check_schema`].
pub async fn wait_for_schema<F, E>(
    version: impl Fn() -> F,
    shutdown: &Shutdown,
) -> Result<(), String>
where
    F: Future<Output = Result<i64, E>>,
    E: std::fmt::Display,
{
    let mut told = false;
    loop {
        let why = match version().await {
            Ok(version) if version >= SCHEMA_VERSION => return Ok(()),
            Ok(version) => {
                return Err(format!(
                    "the database's schema is at version {version}; this release needs \
                     {SCHEMA_VERSION}: run `migrate up`"
                ));
            }
            Err(error) => error,
        };
        if !told {
            tracing::warn!(error = %why, "waiting for the database");
            told = true;
        }
        tokio::select! {
            () = tokio::time::sleep(READINESS_INTERVAL) => {}
            () = shutdown.soft.cancelled() => return Err(format!("the database was never reached: {why}")),
        }
    }
}

async fn schema_version(pool: &Pool) -> Result<i64, DbError> {
    const QUERY: &str =
        "SELECT coalesce(max(version), 0) FROM public._sqlx_migrations WHERE success";
    let client = get(pool).await?;
    match client.query_one(QUERY, &[]).await {
        Ok(row) => Ok(row.get(0)),
        // There is no such table before the first migration, or it is not ours to read.
        Err(error) if sqlstate::classify(&error) == Failure::Fault => Ok(0),
        Err(error) => Err(error.into()),
    }
}

/// Keeps the health in step with the database until the shutdown.
pub async fn follow_readiness(pool: Pool, health: Health, shutdown: Shutdown) {
    let ask = || async {
        match ping(&pool).await {
            Ok(()) => Some(true),
            // A pool whose connections are all in use says nothing about the database.
            Err(DbError::Pool(PoolError::Timeout(TimeoutType::Wait))) => None,
            Err(_) => Some(false),
        }
    };
    follow_readiness_by(ask, health, shutdown).await;
}

/// [`follow_readiness`] for whoever reaches the database in another way: `ask` says whether it
/// answers, or that it cannot be known.
pub async fn follow_readiness_by<F>(ask: impl Fn() -> F, health: Health, shutdown: Shutdown)
where
    F: Future<Output = Option<bool>>,
{
    let mut ready = None;
    while !shutdown.soft.is_cancelled() {
        let answer = tokio::time::timeout(READINESS_TIMEOUT, ask()).await;
        let answers = answer.unwrap_or(Some(false)).or(ready).unwrap_or(false);
        if ready != Some(answers) && !shutdown.soft.is_cancelled() {
            if answers {
                tracing::info!("the database answers");
            } else {
                tracing::warn!("the database does not answer");
            }
            health.set_ready(answers).await;
            ready = Some(answers);
        }
        tokio::select! {
            () = tokio::time::sleep(READINESS_INTERVAL) => {}
            () = shutdown.soft.cancelled() => {}
        }
    }
}

async fn ping(pool: &Pool) -> Result<(), DbError> {
    get(pool).await?.simple_query("").await?;
    Ok(())
}
