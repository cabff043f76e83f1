//! Failing stale bookings: each batch is one transaction that marks the bookings, frees their
//! seats and writes the log, so that no crash can leave one without the others.
//!
//! Locks: bookings with SKIP LOCKED, so that a worker never waits for one; then seats in the
//! order in which everyone locks them. It therefore cannot deadlock with booking-svc, nor
//! with another worker.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use deadpool_postgres::{Object, Pool};
use futures_util::{FutureExt as _, join};
use service_kit::postgres::{self, DbError};
use service_kit::sqlstate::{Failure, classify};
use tokio_postgres::types::ToSql;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// How often a batch is tried again that met other transactions.
const ATTEMPTS_MAX: u32 = 5;
/// The longest a batch may take before its connection is given up.
const BATCH_TIMEOUT: Duration = Duration::from_secs(12);

/// Fails stale bookings.
#[derive(Debug, Clone)]
pub struct Sweeper {
    pool: Pool,
    batch_max: u16,
}

/// The bookings of a batch, as arrays for its statements.
#[derive(Default)]
struct Stale {
    shows: Vec<Uuid>,
    bookings: Vec<Uuid>,
    versions: Vec<i32>,
    seat_shows: Vec<Uuid>,
    seats: Vec<i32>,
    seat_owners: Vec<Uuid>,
}

impl Sweeper {
    /// A sweeper that fails up to `batch_max` bookings in a transaction.
    #[must_use]
    pub fn new(pool: Pool, batch_max: u16) -> Self {
        Self { pool, batch_max }
    }

    /// Fails stale bookings until a batch is short: then none is left but what others have in
    /// hand. Counts them in `failed` as they are committed, so that the count holds even if
    /// the future is dropped. Stops between batches when `stop` says so.
    ///
    /// # Errors
    ///
    /// If the database does not do a batch; those before it stay done.
    pub async fn run_once(
        &self,
        stop: &CancellationToken,
        failed: &mut u64,
    ) -> Result<(), DbError> {
        while !stop.is_cancelled() {
            // A task of its own: a caller that goes away must not leave a transaction half done
            // on a connection that goes back to the pool.
            let sweeper = self.clone();
            let count = match tokio::spawn(async move { sweeper.batch().await }).await {
                Ok(batch) => batch?,
                Err(panic) => std::panic::resume_unwind(panic.into_panic()),
            };
            *failed += count;
            if count < u64::from(self.batch_max) {
                break;
            }
        }
        Ok(())
    }

    /// How long until the next hold can lapse; none if there is no hold.
    ///
    /// # Errors
    ///
    /// If the database does not answer.
    pub async fn next_lapse(&self) -> Result<Option<Duration>, DbError> {
        let client = postgres::get(&self.pool).await?;
        let statement = client
            .prepare_cached(include_str!("sql/next_lapse.sql"))
            .await?;
        let seconds: Option<f64> = client.query_one(&statement, &[]).await?.get(0);
        Ok(seconds.map(|seconds| Duration::try_from_secs_f64(seconds).unwrap_or(Duration::ZERO)))
    }

    async fn batch(&self) -> Result<u64, DbError> {
        let mut attempt = 0;
        loop {
            attempt += 1;
            let client = postgres::get(&self.pool).await?;
            let error = match tokio::time::timeout(BATCH_TIMEOUT, self.try_batch(&client)).await {
                Ok(Ok(count)) => return Ok(count),
                Ok(Err(error)) => error,
                Err(_) => {
                    // The connection is in an unknown state: it must not go back to the pool.
                    drop(Object::take(client));
                    return Err(DbError::Pool(deadpool_postgres::PoolError::Timeout(
                        deadpool_postgres::TimeoutType::Recycle,
                    )));
                }
            };
            let contention = matches!(classify(&error), Failure::Contention | Failure::Duplicate);
            drop(Object::take(client));
            if !contention || attempt == ATTEMPTS_MAX {
                return Err(error.into());
            }
        }
    }

    /// Two round trips: lock the bookings; then lock their seats, write and commit.
    async fn try_batch(&self, client: &Object) -> Result<u64, tokio_postgres::Error> {
        let lock_stale = client
            .prepare_cached(include_str!("sql/lock_stale.sql"))
            .await?;
        let lock_seats = client
            .prepare_cached(include_str!("sql/lock_seats.sql"))
            .await?;
        let fail_bookings = client
            .prepare_cached(include_str!("sql/fail_bookings.sql"))
            .await?;
        let free_seats = client
            .prepare_cached(include_str!("sql/free_seats.sql"))
            .await?;
        let log_expiry = client
            .prepare_cached(include_str!("sql/log_expiry.sql"))
            .await?;

        let limit = i64::from(self.batch_max);
        let (begun, rows) = join!(client.batch_execute("BEGIN"), async {
            client.query(&lock_stale, &[&limit]).await
        },);
        begun?;
        let stale = Stale::from_rows(&rows?);
        if stale.bookings.is_empty() {
            client.batch_execute("ROLLBACK").await?;
            return Ok(0);
        }
        // What cannot be encoded is never sent, so the server would commit the rest: COMMIT
        // goes out, after them all have been polled once, only if none has failed by then.
        let broken = AtomicBool::new(false);
        let noted = |done: Result<u64, tokio_postgres::Error>| {
            if done.is_err() {
                broken.store(true, Ordering::Relaxed);
            }
            done
        };
        let commit = async {
            let end = if broken.load(Ordering::Relaxed) {
                "ROLLBACK"
            } else {
                "COMMIT"
            };
            client.batch_execute(end).await
        };
        let (locked, failed, freed, logged, committed) = join!(
            async {
                client
                    .execute(&lock_seats, &[&stale.seat_shows, &stale.seats])
                    .await
            }
            .map(noted),
            async {
                client
                    .execute(
                        &fail_bookings,
                        &[&stale.shows, &stale.bookings, &stale.versions],
                    )
                    .await
            }
            .map(noted),
            async {
                let held = [
                    &stale.seat_shows as &(dyn ToSql + Sync),
                    &stale.seats,
                    &stale.seat_owners,
                ];
                client.execute(&free_seats, &held).await
            }
            .map(noted),
            async {
                client
                    .execute(
                        &log_expiry,
                        &[&stale.shows, &stale.bookings, &stale.versions],
                    )
                    .await
            }
            .map(noted),
            commit,
        );
        locked?;
        failed?;
        freed?;
        logged?;
        committed?;
        Ok(stale.bookings.len() as u64)
    }
}

impl Stale {
    fn from_rows(rows: &[tokio_postgres::Row]) -> Self {
        let mut stale = Self::default();
        for row in rows {
            let (show_id, booking_id): (Uuid, Uuid) = (row.get(0), row.get(1));
            let ordinals: Vec<i32> = row.get(2);
            stale.shows.push(show_id);
            stale.bookings.push(booking_id);
            stale.versions.push(row.get(3));
            stale.seat_shows.extend(ordinals.iter().map(|_| show_id));
            stale
                .seat_owners
                .extend(ordinals.iter().map(|_| booking_id));
            stale.seats.extend(ordinals);
        }
        stale
    }
}
