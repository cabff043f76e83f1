//! What a service checks of its database before it serves.

use std::time::Duration;

use tokio::time::sleep;
use tokio_postgres::{Client, SimpleQueryMessage};

use super::SCHEMA_VERSION;
use super::database::{Database, Opened};
use super::driver::Loan;
use super::readiness::is_read_only;
use crate::cause;
use crate::shutdown::Shutdown;
use crate::sqlstate::{self, Failure};

/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(500);
/// Which schema has the table of the schema's versions: `public`, or ours where that was dropped.
const FIND_VERSIONS: &str = "SELECT relnamespace::regnamespace FROM pg_catalog.pg_class
    WHERE relname = '_sqlx_migrations' AND relnamespace IN (
        SELECT oid FROM pg_catalog.pg_namespace WHERE nspname IN ('public', 'ticketing'))
    ORDER BY relnamespace::regnamespace::text LIMIT 1";

/// What stands in the way of serving.
enum Obstacle {
    /// It may go by itself.
    Passing(String),
    /// Somebody has to do something.
    Lasting(String),
}

/// Refuses to run on a schema that is older than this release.
///
/// Waits for a database that cannot be reached yet or takes no writes, as it may be when all of a
/// system is started at once or a standby is promoted, until the shutdown.
///
/// # Errors
///
/// If the schema is older, in one line; or if the shutdown came first.
pub async fn check_schema(database: &Database, shutdown: &Shutdown) -> Result<(), String> {
    let mut last = String::new();
    let waiting = async {
        loop {
            match check(database).await {
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

async fn check(database: &Database) -> Result<(), Obstacle> {
    let opened = database.open(&Loan::default()).await;
    let Opened { client, place, .. } =
        opened.map_err(|error| Obstacle::Passing(error.to_string()))?;
    if is_read_only(&client)
        .await
        .map_err(|error| obstacle(&error))?
    {
        return Err(Obstacle::Passing("it is read-only".to_owned()));
    }
    let version = schema_version(&client).await;
    let version = version.map_err(|error| obstacle(&error))?;
    if version < SCHEMA_VERSION {
        return Err(Obstacle::Lasting(format!(
            "the database's schema is at version {version}; this release needs {SCHEMA_VERSION}: \
             run `migrate up`"
        )));
    }
    database.primary_is_at(&place);
    Ok(())
}

/// The version of the schema; 0 before the first migration.
///
/// # Errors
///
/// If the database does not answer, or its role may not read the version.
async fn schema_version(client: &Client) -> Result<i64, tokio_postgres::Error> {
    // Whoever may read the catalogs alone is told what is missing.
    let Some(schema) = first_value(client, FIND_VERSIONS).await? else {
        return Ok(0);
    };
    let query = format!("SELECT max(version) FROM {schema}._sqlx_migrations WHERE success");
    let newest = first_value(client, &query).await?;
    Ok(newest.and_then(|newest| newest.parse().ok()).unwrap_or(0))
}

/// The first value of a statement's first row. Nothing is prepared: behind a pooler that may not
/// be there the next time.
pub(super) async fn first_value(
    client: &Client,
    statement: &str,
) -> Result<Option<String>, tokio_postgres::Error> {
    let messages = client.simple_query(statement).await?;
    let row = messages.into_iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some(row),
        _ => None,
    });
    Ok(row.and_then(|row| row.get(0).map(str::to_owned)))
}

fn obstacle(error: &tokio_postgres::Error) -> Obstacle {
    let words = cause::chain(error);
    match sqlstate::classify(error) {
        Failure::Fault | Failure::Duplicate => Obstacle::Lasting(words),
        Failure::ConnectionLost | Failure::Contention | Failure::Timeout => {
            Obstacle::Passing(words)
        }
    }
}
