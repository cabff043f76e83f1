//! Reaching a database that may still be starting.

use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use service_kit::postgres::{Database, DatabaseUrl, Place};
use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection as _, PgConnection};
use tokio::time::{Instant, sleep, timeout};

/// The name of our sessions in PostgreSQL.
const APPLICATION_NAME: &str = "migrate";
/// The longest that connecting to a host takes.
const CONNECT_MAX: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(200);

/// The database of a URL, to be migrated.
///
/// # Errors
///
/// If the URL is malformed; nothing of it is repeated.
pub fn database(url: &str) -> Result<Database> {
    let url = DatabaseUrl::parse(url).map_err(|why| anyhow!("the database's URL {why}"))?;
    Ok(of_url(&url))
}

/// The same for a parsed URL.
#[must_use]
pub fn of_url(url: &DatabaseUrl) -> Database {
    Database::new(url, APPLICATION_NAME)
}

/// One attempt.
pub(crate) async fn once(database: &Database) -> Result<PgConnection> {
    check(database)?;
    at(&database.find().await?).await
}

/// Tries until the database answers, for `wait` at most. An error that waiting cannot fix, such as a
/// wrong password, fails at once.
pub(crate) async fn within(database: &Database, wait: Duration) -> Result<(PgConnection, Place)> {
    check(database)?;
    let deadline = Instant::now() + wait;
    loop {
        match database.find().await {
            Ok(place) => return Ok((at(&place).await?, place)),
            Err(error) if !error.may_pass() => return Err(error.into()),
            Err(error) if Instant::now() + PAUSE >= deadline => {
                let late = format!("the database did not answer within {wait:?}");
                return Err(anyhow::Error::from(error).context(late));
            }
            Err(_) => sleep(PAUSE).await,
        }
    }
}

/// How to connect to a place.
pub(crate) async fn options(place: &Place) -> Result<PgConnectOptions> {
    let route = place.route().await?;
    let mut options: PgConnectOptions = route.url().parse()?;
    if let Some(socket) = route.socket() {
        options = options.socket(socket);
    }
    // A pooler may refuse the parameter.
    Ok(options.extra_float_digits(None))
}

fn check(database: &Database) -> Result<()> {
    let checked = database.check_for_sqlx();
    checked.map_err(|why| anyhow!("the database's URL {why}"))
}

async fn at(place: &Place) -> Result<PgConnection> {
    let connecting = async {
        let options = options(place).await?;
        anyhow::Ok(PgConnection::connect_with(&options).await?)
    };
    let connected = timeout(CONNECT_MAX, connecting)
        .await
        .unwrap_or_else(|_| Err(anyhow!("no answer within {CONNECT_MAX:?}")));
    connected.with_context(|| format!("connect to {place}"))
}
