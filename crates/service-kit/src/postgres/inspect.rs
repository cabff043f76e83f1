//! What can be asked of a database before it is relied on. Nothing here prepares a statement
//! but what finds out whether that can be done: behind a pooler it may not be there the next time.

use std::time::Duration;

use tokio::time::timeout;
use tokio_postgres::{Client, SimpleQueryMessage};

use super::database::Database;
use super::failure::DbError;
use crate::sqlstate;

/// The oldest major release of PostgreSQL that will do.
pub const SERVER_VERSION_MIN: u32 = 15;

/// Finds the schema that has the table of the schema's versions: `public`, or ours where
/// `public` is not there or not the owner's to use.
pub const FIND_VERSIONS: &str = "SELECT nspname::text
    FROM pg_catalog.pg_class JOIN pg_catalog.pg_namespace AS n ON n.oid = relnamespace
    WHERE relname = '_sqlx_migrations' AND nspname IN ('public', 'ticketing')
    ORDER BY nspname LIMIT 1";

/// A backend's id, which two connections share if a pooler gives them the same session.
const BACKEND: &str = "SELECT pg_backend_pid()";
/// How long a second transaction may wait for a session beside the first.
const SECOND_SESSION_MAX: Duration = Duration::from_secs(2);

/// What is between us and the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pooling {
    /// Each connection has a session of its own, as far as could be seen.
    None,
    /// A pooler that shares sessions by transaction, and knows prepared statements.
    ByTransaction,
    /// A pooler that forgets prepared statements from one transaction to the next.
    WithoutStatements,
}

/// The server's major release.
///
/// # Errors
///
/// If the database does not answer.
pub async fn server_version(client: &Client) -> Result<u32, tokio_postgres::Error> {
    let number = first_value(client, "SHOW server_version_num").await?;
    let number = number.and_then(|number| number.parse::<u32>().ok());
    Ok(number.unwrap_or_default() / 10_000)
}

/// Whether the session may do what a role may.
///
/// # Errors
///
/// If the database does not answer, or there is no such role.
pub(super) async fn has_role(client: &Client, role: &str) -> Result<bool, tokio_postgres::Error> {
    let query = format!("SELECT pg_has_role(current_user, '{role}', 'USAGE')");
    let answer = first_value(client, &query).await?;
    Ok(answer.as_deref() == Some("t"))
}

/// Whether what the session begins now cannot write: on a standby, or by
/// `default_transaction_read_only`.
///
/// # Errors
///
/// If the database does not answer.
pub async fn is_read_only(client: &Client) -> Result<bool, tokio_postgres::Error> {
    let answer = first_value(client, "SHOW transaction_read_only").await?;
    Ok(answer.as_deref() == Some("on"))
}

/// The version of the schema; 0 before the first migration.
///
/// # Errors
///
/// If the database does not answer, or the role may not read the version.
pub async fn schema_version(client: &Client) -> Result<i64, tokio_postgres::Error> {
    let Some(schema) = first_value(client, FIND_VERSIONS).await? else {
        return Ok(0);
    };
    let query = format!("SELECT max(version) FROM {schema}._sqlx_migrations WHERE success");
    let newest = first_value(client, &query).await?;
    Ok(newest.and_then(|newest| newest.parse().ok()).unwrap_or(0))
}

/// Finds out whether a pooler shares sessions among connections, by two of them: one prepares a
/// statement, the other begins a transaction in the session that was used last, the first executes
/// its statement again.
///
/// A pooler that others use at the same moment may give them other sessions and not be noticed.
///
/// # Errors
///
/// If the database does not answer.
pub async fn pooling(database: &Database) -> Result<Pooling, DbError> {
    let (one, other) = (connected(database).await?, connected(database).await?);
    let prepared = async {
        let statement = one.prepare(BACKEND).await?;
        let row = one.query_one(&statement, &[]).await?;
        Ok((statement, row.get::<_, i32>(0)))
    };
    let (statement, first) = match prepared.await {
        Ok(prepared) => prepared,
        Err(error) if sqlstate::is_statement_lost(&error) => return Ok(Pooling::WithoutStatements),
        Err(error) => return Err(error.into()),
    };
    other.batch_execute("BEGIN").await?;
    let others = first_value(&other, BACKEND).await?;
    let again = timeout(SECOND_SESSION_MAX, one.query_one(&statement, &[])).await;
    other.batch_execute("ROLLBACK").await?;
    let second = match again {
        Ok(Ok(row)) => Some(row.get::<_, i32>(0)),
        Ok(Err(error)) if sqlstate::is_statement_lost(&error) => {
            return Ok(Pooling::WithoutStatements);
        }
        Ok(Err(error)) => return Err(error.into()),
        // The other has the only session.
        Err(_) => None,
    };
    let is_shared = others.and_then(|pid| pid.parse().ok()) == Some(first) || second != Some(first);
    Ok(if is_shared {
        Pooling::ByTransaction
    } else {
        Pooling::None
    })
}

async fn connected(database: &Database) -> Result<Client, DbError> {
    database.connect().await.map_err(DbError::Connect)
}

/// The first value of a statement's first row, as text.
///
/// # Errors
///
/// If the database does not do it.
pub async fn first_value(
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
