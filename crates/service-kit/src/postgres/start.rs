//! What a service checks of its database before it serves.

use std::time::Duration;

use tokio::time::sleep;

use super::SCHEMA_VERSION;
use super::database::{Database, Opened};
use super::driver::Loan;
use super::failure::DbError;
use super::inspect::{
    Pooling, SERVER_VERSION_MIN, has_role, is_read_only, pooling, schema_version, server_version,
};
use crate::shutdown::Shutdown;
use crate::sqlstate::{self, Failure};

/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(500);

/// What a service needs of the connections that it is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// Transactions, and statements that stay prepared.
    Transactions,
    /// A session each, to listen on.
    Sessions,
}

/// What stands in the way of serving.
enum Obstacle {
    /// It may go by itself.
    Passing(String),
    /// Somebody has to do something.
    Lasting(String),
}

/// Refuses to run on a server or a schema that is older than this release, under another service's
/// role than `role`, or behind a pooler that would make calls fail.
///
/// Waits for a database that cannot be reached yet or takes no writes, as it may be when all of a
/// system is started at once or a standby is promoted, until the shutdown.
///
/// # Errors
///
/// What is wrong, in one line; or that the shutdown came first.
pub async fn check_at_start(
    database: &Database,
    needs: Needs,
    role: &str,
    shutdown: &Shutdown,
) -> Result<(), String> {
    let mut last = String::new();
    let waiting = async {
        loop {
            match check(database, needs, role).await {
                Ok(()) => return Ok(()),
                Err(Obstacle::Lasting(why)) => return Err(why),
                Err(Obstacle::Passing(why)) if why == last => {}
                Err(Obstacle::Passing(why)) => {
                    tracing::warn!(reason = why, "waiting for the database");
                    last = why;
                }
            }
            sleep(PAUSE).await;
        }
    };
    let checked = shutdown.soft.run_until_cancelled(waiting).await;
    checked.unwrap_or_else(|| Err(format!("the database was never ready: {last}")))
}

async fn check(database: &Database, needs: Needs, role: &str) -> Result<(), Obstacle> {
    let opened = database.open(&Loan::default()).await;
    let Opened { client, place, .. } = opened.map_err(DbError::Connect)?;
    let version = server_version(&client).await?;
    if version < SERVER_VERSION_MIN {
        return Err(Obstacle::Lasting(format!(
            "the database is PostgreSQL {version}; {SERVER_VERSION_MIN} is needed at least"
        )));
    }
    let version = schema_version(&client).await?;
    if version < SCHEMA_VERSION {
        return Err(Obstacle::Lasting(format!(
            "the database's schema is at version {version}; this release needs {SCHEMA_VERSION}: \
             run `migrate up`"
        )));
    }
    if !has_role(&client, role).await? {
        return Err(Obstacle::Lasting(format!(
            "{place}: the role of DATABASE_URL is not {role}, nor a member of it, and lacks \
             privileges: name {role}, or grant it to that role"
        )));
    }
    if is_read_only(&client).await? {
        let why = format!("{place} is read-only: a standby, or by default_transaction_read_only");
        return Err(Obstacle::Passing(why));
    }
    match (pooling(database).await?, needs) {
        (Pooling::None, _) | (Pooling::ByTransaction, Needs::Transactions) => {}
        (Pooling::ByTransaction, Needs::Sessions) => {
            return Err(Obstacle::Lasting(format!(
                "{place} is a pooler that shares sessions by transaction, and this service listens on \
             one: connect it to PostgreSQL itself, or set pool_mode = session for its role"
            )));
        }
        (Pooling::WithoutStatements, _) => {
            return Err(Obstacle::Lasting(format!(
                "{place} is a pooler that forgets prepared statements: PgBouncer must be 1.21 or newer, \
             with max_prepared_statements above 0"
            )));
        }
    }
    database.primary_is_at(&place);
    Ok(())
}

impl<E: Into<DbError>> From<E> for Obstacle {
    fn from(error: E) -> Self {
        let error = error.into();
        let is_lasting = match &error {
            DbError::Statement(error) => {
                matches!(
                    sqlstate::classify(error),
                    Failure::Fault | Failure::Duplicate
                )
            }
            DbError::Connect(_) | DbError::PoolExhausted | DbError::PoolBusy => false,
        };
        let words = error.to_string();
        if is_lasting {
            Self::Lasting(words)
        } else {
            Self::Passing(words)
        }
    }
}
