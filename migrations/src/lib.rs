//! The schema's versions, embedded, and the only code that changes the schema.
//!
//! Services never migrate: they check the version at their start. What must always hold:
//! [`up()`] may run any number of times and on several machines at once, and a password never
//! leaves this process in the clear.

mod accept;
mod connect;
mod doctor;
mod home;
mod passwords;
mod up;

use anyhow::Result;
use service_kit::postgres::Database;
use sqlx::migrate::Migrator;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use home::{Home, VERSIONS};

pub use accept::{CatalogState, RefusedCatalog, accept_catalog, catalog_state};
pub use connect::{database, of_url};
pub use doctor::{Finding, Verdict, doctor};
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
/// If the database cannot be queried.
pub async fn status(database: &Database) -> Result<Vec<Migration>> {
    let mut connection = connect::once(database).await?;
    let found = known(&mut connection).await?;
    connection.close().await?;
    Ok(found)
}

async fn known(connection: &mut PgConnection) -> Result<Vec<Migration>> {
    let applied: Vec<i64> = match Home::versions(connection).await? {
        None => Vec::new(),
        Some(schema) => {
            let query = format!("SELECT version FROM {schema}.{VERSIONS} WHERE success");
            let applied = sqlx::query_scalar(AssertSqlSafe(query));
            applied.fetch_all(connection).await?
        }
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
