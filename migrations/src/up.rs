//! Bringing a database to the newest version.

use std::time::Duration;

use anyhow::{Context as _, Result};
use service_kit::postgres::Database;
use sqlx::error::DatabaseError;
use sqlx::migrate::MigrateError;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Connection as _, PgConnection};
use tokio::time::sleep;

use crate::home::Home;
use crate::{Migration, Passwords, connect, known};

/// How often a collision with another database's migration is met by trying again.
const TRIES_MAX: u32 = 20;
const PAUSE: Duration = Duration::from_millis(50);

/// Applies the missing migrations, and sets the passwords. Returns the migrations that it applied.
///
/// Runs at once on one database wait for each other (an advisory lock). Roles belong to the
/// whole cluster, so runs on two databases of one cluster can still collide; the one that
/// loses has changed nothing, and retries.
///
/// # Errors
///
/// If the database does not answer within `wait`, or refuses.
pub async fn up(
    database: &Database,
    passwords: &Passwords,
    wait: Duration,
) -> Result<Vec<Migration>> {
    let mut applied = Vec::new();
    let mut tries = 1;
    loop {
        let (mut connection, place) = connect::within(database, wait).await?;
        let missing: Vec<_> = known(&mut connection)
            .await?
            .into_iter()
            .filter(|migration| !migration.applied)
            .collect();
        let options = connect::options(&place).await?;
        let outcome = attempt(options, &mut connection, passwords).await;
        let has = known(&mut connection).await?;
        connection.close().await?;
        applied.extend(has.into_iter().filter(|migration| {
            migration.applied && missing.iter().any(|m| m.version == migration.version)
        }));
        match outcome {
            Ok(()) => return Ok(applied),
            Err(error) if tries < TRIES_MAX && is_collision(&error) => {
                sleep(PAUSE * tries).await;
                tries += 1;
            }
            Err(error) => {
                return Err(error).context("migrate (`migrate doctor` may say what to do)");
            }
        }
    }
}

async fn attempt(
    options: PgConnectOptions,
    connection: &mut PgConnection,
    passwords: &Passwords,
) -> Result<(), MigrateError> {
    // The migrator's future over a borrowed connection is not `Send`; over a pool it is.
    let pool = PgPoolOptions::new().max_connections(1);
    let pool = pool.connect_with(options).await?;
    let migrator = Home::find(connection).await?.migrator();
    let done = migrator.run(&pool).await;
    // A run that failed holds the advisory lock until its connection ends.
    pool.close().await;
    done?;
    passwords.set(connection).await?;
    Ok(())
}

/// Whether another transaction wrote the same role at the same moment.
fn is_collision(error: &MigrateError) -> bool {
    let (MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _)) = error else {
        return false;
    };
    error.as_database_error().is_some_and(is_catalog_collision)
}

fn is_catalog_collision(error: &dyn DatabaseError) -> bool {
    match error.code().as_deref() {
        // A unique key of PostgreSQL's own catalogs, not one of ours.
        Some("23505") => error.constraint().is_some_and(|key| key.starts_with("pg_")),
        // Duplicate object; deadlock.
        Some("42710" | "40P01") => true,
        // "tuple concurrently updated" has no specific SQLSTATE.
        Some("XX000") => error.message().contains("concurrently"),
        _ => false,
    }
}
