//! The schema's versions, embedded, and the only code that changes the schema.
//!
//! Services never migrate: they check the version when they start. What must always hold:
//! [`up`] may run any number of times and on several machines at once, and a password never
//! leaves this process in the clear.

mod connect;
mod passwords;
mod up;

use anyhow::Result;
use sqlx::migrate::Migrator;
use sqlx::{Connection as _, PgConnection};

pub use passwords::{Passwords, SERVICE_ROLES};
pub use up::up;

static MIGRATOR: Migrator = sqlx::migrate!("./sql");

/// A version of the schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Migration {
    /// Its number; versions are applied in ascending order.
    pub version: i64,
    /// Its file's name in words.
    pub description: String,
    /// Whether the database has it.
    pub applied: bool,
}

/// Every version that this release knows, and whether the database has it.
///
/// # Errors
///
/// If the database cannot be asked.
pub async fn status(url: &str) -> Result<Vec<Migration>> {
    let mut connection = connect::once(url).await?;
    let found = known(&mut connection).await?;
    connection.close().await?;
    Ok(found)
}

async fn known(connection: &mut PgConnection) -> Result<Vec<Migration>> {
    let table = "SELECT to_regclass('public._sqlx_migrations') IS NOT NULL";
    let exists: bool = sqlx::query_scalar(table)
        .fetch_one(&mut *connection)
        .await?;
    let applied: Vec<i64> = if exists {
        let query = "SELECT version FROM public._sqlx_migrations WHERE success";
        sqlx::query_scalar(query).fetch_all(connection).await?
    } else {
        Vec::new()
    };
    let versions = MIGRATOR.iter().map(|migration| Migration {
        version: migration.version,
        description: migration.description.to_string(),
        applied: applied.contains(&migration.version),
    });
    Ok(versions.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_services_need_the_newest_version() {
        let newest = MIGRATOR.iter().map(|migration| migration.version).max();
        assert_eq!(newest, Some(service_kit::postgres::SCHEMA_VERSION));
    }
}
