//! The one place that runs a writing transaction: with the request id that makes it safe to
//! repeat, and again if others were in its way.

use std::sync::Arc;
use std::time::Duration;

use sqlx::{Connection as _, PgConnection};

use super::Store;
use super::error::StoreError;
use super::metrics;
use super::requests::{self, Outcome, RequestKey};
use super::sqlstate;

/// The most tries of a transaction that meets conflicts.
const TRIES_MAX: u32 = 4;
/// The pause before another try; longer each time.
const PAUSE: Duration = Duration::from_millis(20);

/// A change of the catalog.
pub trait Mutation: Send + Sync + 'static {
    /// Its result.
    type Outcome: Outcome;

    /// Its name in spans and fingerprints.
    const VERB: &'static str;

    /// Whether it is answered only once all followers have applied it, so that the
    /// caller's next order meets it.
    const IS_AWAITED: bool = true;

    /// Makes the change inside a transaction.
    fn apply(
        &self,
        transaction: &mut PgConnection,
    ) -> impl Future<Output = Result<Self::Outcome, StoreError>> + Send;
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
    ) -> Result<M::Outcome, StoreError> {
        let mutation = Arc::new(mutation);
        let mut tries = 1;
        loop {
            let mutation = Arc::clone(&mutation);
            let made = self.with_connection(M::VERB, move |connection| {
                Box::pin(async move { run(connection, &*mutation, request).await })
            });
            match made.await {
                // A commit whose outcome is unknown is repeated: the request's row
                // makes the second transaction wait for the first, if it still runs.
                Err(error)
                    if tries < TRIES_MAX && error.is_worth_another_try(request.is_some()) =>
                {
                    tokio::time::sleep(PAUSE * tries).await;
                    tries += 1;
                }
                result => {
                    metrics::mutated(M::VERB, result.is_ok());
                    let outcome = result?;
                    if let Some((id, revision)) = outcome.wrote() {
                        self.wrote(id, revision);
                        if M::IS_AWAITED {
                            self.applied_by_all(revision).await;
                        }
                    }
                    return Ok(outcome);
                }
            }
        }
    }
}

async fn run<M: Mutation>(
    connection: &mut PgConnection,
    mutation: &M,
    request: Option<RequestKey>,
) -> Result<M::Outcome, StoreError> {
    let mut transaction = connection.begin().await?;
    let worked = work(&mut transaction, mutation, request).await;
    match worked {
        Ok((outcome, Written::Now)) => {
            transaction.commit().await.map_err(in_commit)?;
            Ok(outcome)
        }
        Ok((outcome, Written::Before)) => {
            transaction.rollback().await?;
            Ok(outcome)
        }
        Err(error) => {
            // If this fails too, the connection is closed, and the database rolls back.
            transaction.rollback().await?;
            Err(error)
        }
    }
}

/// Whether the change was made by this call, or by an earlier one with its request id.
enum Written {
    Now,
    Before,
}

async fn work<M: Mutation>(
    transaction: &mut PgConnection,
    mutation: &M,
    request: Option<RequestKey>,
) -> Result<(M::Outcome, Written), StoreError> {
    let Some(request) = request else {
        return Ok((mutation.apply(transaction).await?, Written::Now));
    };
    if let Some(first) = requests::claim(transaction, request).await? {
        return Ok((first, Written::Before));
    }
    let outcome = mutation.apply(transaction).await?;
    requests::settle(transaction, request, &outcome).await?;
    Ok((outcome, Written::Now))
}

fn in_commit(error: sqlx::Error) -> StoreError {
    if sqlstate::is_connection_lost(&error) {
        StoreError::InCommit(error)
    } else {
        StoreError::Database(error)
    }
}
