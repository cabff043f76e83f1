//! Reaching a database that may still be starting.

use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use sqlx::{Connection as _, PgConnection};
use tokio::time::{Instant, sleep, timeout};

const ATTEMPT_MAX: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(200);

/// SQLSTATEs of a server that will serve soon: starting up, and out of connections.
const SOON: [&str; 2] = ["57P03", "53300"];

/// One attempt.
pub(crate) async fn once(url: &str) -> Result<PgConnection> {
    attempt(url).await?.map_err(told)
}

/// Tries until the database answers, for `wait` at most. What waiting cannot mend, as a wrong
/// password, fails at once.
pub(crate) async fn within(url: &str, wait: Duration) -> Result<PgConnection> {
    let deadline = Instant::now() + wait;
    loop {
        let error = match attempt(url).await {
            Ok(Ok(connection)) => return Ok(connection),
            Ok(Err(error)) if !may_pass(&error) => return Err(told(error)),
            Ok(Err(error)) => told(error),
            Err(error) => error,
        };
        if Instant::now() + PAUSE >= deadline {
            return Err(error.context(format!("the database did not answer within {wait:?}")));
        }
        sleep(PAUSE).await;
    }
}

async fn attempt(url: &str) -> Result<Result<PgConnection, sqlx::Error>> {
    timeout(ATTEMPT_MAX, PgConnection::connect(url))
        .await
        .map_err(|_| anyhow!("no answer within {ATTEMPT_MAX:?}"))
        .context("connect to the database")
}

/// The server's own words are in the error and in its source: once is enough.
fn told(error: sqlx::Error) -> anyhow::Error {
    match error.as_database_error() {
        Some(error) => anyhow!("{}", error.message().to_owned()),
        None => error.into(),
    }
}

fn may_pass(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) => true,
        sqlx::Error::Database(error) => error.code().is_some_and(|code| SOON.contains(&&*code)),
        _ => false,
    }
}
