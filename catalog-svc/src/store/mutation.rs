//! The one place that runs a writing transaction: with the request id that makes it safe to
//! repeat, and again if others were in its way.

use std::sync::Arc;
use std::time::Duration;

use sqlx::{Connection as _, PgConnection};

use super::error::StoreError;
use super::pool::Store;
use super::requests::{self, RequestKey};
use super::sqlstate;
use crate::domain::Show;

/// How often a transaction is tried that others keep in conflict.
const TRIES_MAX: u32 = 4;
/// The pause before another try; longer each time.
const PAUSE: Duration = Duration::from_millis(20);

/// A change of one show.
pub trait Mutation: Send + Sync + 'static {
    /// Its name in spans and fingerprints.
    const VERB: &'static str;

    /// Makes the change inside a transaction, and returns the show as it is then.
    fn apply(
        &self,
        transaction: &mut PgConnection,
    ) -> impl Future<Output = Result<Show, StoreError>> + Send;
}

impl Store {
    /// Makes a change, once for each request id.
    ///
    /// # Errors
    ///
    /// If the change is refused, or the database fails.
    pub async fn mutate<M: Mutation>(
        &self,
        mutation: M,
        request: Option<RequestKey>,
    ) -> Result<Show, StoreError> {
        let mutation = Arc::new(mutation);
        let mut tries = 1;
        loop {
            let mutation = Arc::clone(&mutation);
            let made = self.lend(M::VERB, move |connection| {
                Box::pin(async move { run(connection, &*mutation, request).await })
            });
            match made.await {
                // A commit whose outcome is unknown is asked for again: the request's row
                // makes the second transaction wait for the first, if it still runs.
                Err(error)
                    if tries < TRIES_MAX && error.is_worth_another_try(request.is_some()) =>
                {
                    tokio::time::sleep(PAUSE * tries).await;
                    tries += 1;
                }
                result => return result.inspect(|show| self.wrote(&show.info)),
            }
        }
    }
}

async fn run<M: Mutation>(
    connection: &mut PgConnection,
    mutation: &M,
    request: Option<RequestKey>,
) -> Result<Show, StoreError> {
    let mut transaction = connection.begin().await?;
    let worked = work(&mut transaction, mutation, request).await;
    match worked {
        Ok((show, Written::Now)) => {
            transaction.commit().await.map_err(in_commit)?;
            Ok(show)
        }
        Ok((show, Written::Before)) => {
            transaction.rollback().await?;
            Ok(show)
        }
        Err(error) => {
            // If this fails too, the connection is closed, and the database rolls back.
            transaction.rollback().await?;
            Err(error)
        }
    }
}

/// Whether the show was written by this call, or by an earlier one with its request id.
enum Written {
    Now,
    Before,
}

async fn work<M: Mutation>(
    transaction: &mut PgConnection,
    mutation: &M,
    request: Option<RequestKey>,
) -> Result<(Show, Written), StoreError> {
    let Some(request) = request else {
        return Ok((mutation.apply(transaction).await?, Written::Now));
    };
    if let Some(first) = requests::claim(transaction, request).await? {
        return Ok((first, Written::Before));
    }
    let show = mutation.apply(transaction).await?;
    requests::settle(transaction, request, &show.info).await?;
    Ok((show, Written::Now))
}

fn in_commit(error: sqlx::Error) -> StoreError {
    if sqlstate::is_connection_lost(&error) {
        StoreError::InCommit(error)
    } else {
        StoreError::Database(error)
    }
}
