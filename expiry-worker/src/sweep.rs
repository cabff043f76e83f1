//! Failing stale bookings: each batch is one transaction that marks the bookings, frees their
//! seats and places and writes the log, so that no crash can leave one without the others.
//!
//! Locks: bookings with SKIP LOCKED, so that a worker never waits for one; then areas, then seats,
//! each in the order in which everyone locks them. It therefore cannot deadlock with booking-svc, nor
//! with another worker.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, StreamExt as _, join};
use service_kit::postgres::{self, DbError, Lent, Pool};
use service_kit::sqlstate::{Failure, classify};
use time::OffsetDateTime;
use tokio_postgres::types::ToSql;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// How often a batch is tried again that met other transactions.
const ATTEMPTS_MAX: u32 = 5;

/// How many batches are under way at once when there is more than one to do. With two of them the
/// database still waits now and then, for its disk or for the worker.
const BATCHES_AT_ONCE: usize = 3;

/// How long it rests after a batch beside which somebody bought, in that batch's own time.
const RESTS: u32 = 4;
/// The longest it does: the batch may have waited for locks.
const REST_MAX: Duration = Duration::from_millis(200);

/// How many bookings a step reads over at the most, unless more end at the same instant.
const STEP_BOOKINGS: i64 = 20_000;
/// How far a look goes back behind the one before. A hold is at least 10 s long, so this
/// finds it unless its transaction took more than 12 s; a whole sweep finds it even then.
const OVERLAP: Duration = Duration::from_secs(2);
/// A whole sweep may take one part in so many of the time.
const WHOLE_SWEEP_SHARE: u32 = 50;

/// Fails stale bookings.
#[derive(Debug, Clone)]
pub struct Sweeper {
    pool: Pool,
    batch_max: u16,
}

/// What a worker remembers from one look to the next. Only to save work: a whole sweep looks
/// at everything, whatever is remembered.
#[derive(Debug)]
pub struct Looks {
    /// Where the last look ended, by the database's clock.
    seen_until: OffsetDateTime,
    /// When the next whole sweep is due.
    whole_sweep_at: Instant,
}

impl Default for Looks {
    fn default() -> Self {
        Self {
            seen_until: OffsetDateTime::UNIX_EPOCH,
            whole_sweep_at: Instant::now(),
        }
    }
}

/// A batch that is done.
#[derive(Debug, Clone, Copy)]
struct Batch {
    /// How many bookings it failed.
    bookings: u64,
    /// When the hold of the last of them ended.
    last: OffsetDateTime,
    /// Whether somebody bought meanwhile.
    has_buyers: bool,
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
    /// Those of the bookings that have places in areas, and their shows.
    with_places: (Vec<Uuid>, Vec<Uuid>),
}

impl Sweeper {
    /// A sweeper that fails up to `batch_max` bookings in a transaction.
    #[must_use]
    pub fn new(pool: Pool, batch_max: u16) -> Self {
        Self { pool, batch_max }
    }

    /// Fails every stale booking but what others have in hand. Counts them in `failed` as
    /// they are committed, so that the count holds even if the future is dropped. Stops
    /// between batches when `stop` says so.
    ///
    /// # Errors
    ///
    /// If the database does not do a batch; those before it stay done.
    pub async fn run_once(
        &self,
        stop: &CancellationToken,
        failed: &mut u64,
    ) -> Result<(), DbError> {
        self.sweep(OffsetDateTime::UNIX_EPOCH, stop, failed)
            .await
            .map(drop)
    }

    /// Fails what has lapsed since the last look; now and then, as often as that is cheap,
    /// whatever is stale. Otherwise like [`Sweeper::run_once`].
    ///
    /// # Errors
    ///
    /// If the database does not do a batch; those before it stay done.
    pub async fn look(
        &self,
        looks: &mut Looks,
        stop: &CancellationToken,
        failed: &mut u64,
    ) -> Result<(), DbError> {
        let began = Instant::now();
        let whole = looks.whole_sweep_at <= began;
        let from = if whole {
            OffsetDateTime::UNIX_EPOCH
        } else {
            looks.seen_until - OVERLAP
        };
        looks.seen_until = self.sweep(from, stop, failed).await?;
        if whole {
            looks.whole_sweep_at = Instant::now() + began.elapsed() * WHOLE_SWEEP_SHARE;
        }
        Ok(())
    }

    /// Fails the stale bookings whose holds ended after `from`; where it came to.
    async fn sweep(
        &self,
        mut from: OffsetDateTime,
        stop: &CancellationToken,
        failed: &mut u64,
    ) -> Result<OffsetDateTime, DbError> {
        // The first tells whether there are more.
        let mut at_once = 1;
        while !stop.is_cancelled() {
            let (now, step_end) = self.step(from).await?;
            let until = step_end.unwrap_or(now);
            loop {
                let began = Instant::now();
                let done = self.batches(at_once, from, until, failed).await?;
                if stop.is_cancelled() {
                    break;
                }
                let Some((last, has_buyers)) = done else {
                    if at_once == 1 {
                        break;
                    }
                    // What one of them had locked and let go again is left.
                    at_once = 1;
                    continue;
                };
                // Others may have ended at the same instant.
                from = last - Duration::from_micros(1);
                at_once = BATCHES_AT_ONCE.min(self.pool.status().max_size);
                if has_buyers {
                    // They go first: who wants the seats of what is stale has them without this, and
                    // who reads it is told what it is.
                    at_once = 1;
                    let rest = (began.elapsed() * RESTS).min(REST_MAX);
                    stop.run_until_cancelled(tokio::time::sleep(rest)).await;
                }
            }
            from = until;
            if step_end.is_none() {
                break;
            }
        }
        Ok(from)
    }

    /// The time, and where a step from `from` ends before it.
    async fn step(
        &self,
        from: OffsetDateTime,
    ) -> Result<(OffsetDateTime, Option<OffsetDateTime>), DbError> {
        let client = postgres::get(&self.pool).await?;
        let statement = client.prepare_cached(include_str!("sql/step.sql")).await?;
        let row = client
            .query_one(&statement, &[&from, &STEP_BOOKINGS])
            .await?;
        Ok((row.get(0), row.get(1)))
    }

    /// How long until the next hold can lapse; none if no hold is near.
    ///
    /// # Errors
    ///
    /// If the database does not answer.
    pub async fn next_lapse(&self, looks: &Looks) -> Result<Option<Duration>, DbError> {
        let client = postgres::get(&self.pool).await?;
        let statement = client
            .prepare_cached(include_str!("sql/next_lapse.sql"))
            .await?;
        let row = client.query_one(&statement, &[&looks.seen_until]).await?;
        let seconds: Option<f64> = row.get(0);
        Ok(seconds.map(|seconds| Duration::try_from_secs_f64(seconds).unwrap_or(Duration::ZERO)))
    }

    /// So many batches at once, each of what the others have not locked. If all were full, so that there
    /// may be more: where the first of them ended, and whether somebody bought meanwhile.
    async fn batches(
        &self,
        at_once: usize,
        from: OffsetDateTime,
        until: OffsetDateTime,
        failed: &mut u64,
    ) -> Result<Option<(OffsetDateTime, bool)>, DbError> {
        let batches = (0..at_once).map(|_| self.batch_on_its_own(from, until));
        let mut running: FuturesUnordered<_> = batches.collect();
        let mut all = Ok(Some((until, false)));
        while let Some(done) = running.next().await {
            match done {
                Ok(batch) => {
                    *failed += batch.map_or(0, |batch| batch.bookings);
                    let full = batch.filter(|batch| batch.bookings >= u64::from(self.batch_max));
                    // Not the last: a batch whose turn came again may have left some of its first.
                    all = all.map(|all| {
                        let ((last, has_buyers), full) = all.zip(full)?;
                        Some((last.min(full.last), has_buyers || full.has_buyers))
                    });
                }
                Err(error) => all = Err(error),
            }
        }
        all
    }

    /// In a task of its own: a caller that goes away must not leave a transaction half done on
    /// a connection that goes back to the pool.
    async fn batch_on_its_own(
        &self,
        from: OffsetDateTime,
        until: OffsetDateTime,
    ) -> Result<Option<Batch>, DbError> {
        let sweeper = self.clone();
        match tokio::spawn(async move { sweeper.batch(from, until).await }).await {
            Ok(batch) => batch,
            Err(panic) => std::panic::resume_unwind(panic.into_panic()),
        }
    }

    async fn batch(
        &self,
        from: OffsetDateTime,
        until: OffsetDateTime,
    ) -> Result<Option<Batch>, DbError> {
        let mut attempt = 0;
        loop {
            attempt += 1;
            let client = postgres::get(&self.pool).await?;
            let error = match self.try_batch(&client, from, until).await {
                Ok(batch) => return Ok(batch),
                Err(error) => error,
            };
            let contention = matches!(classify(&error), Failure::Contention | Failure::Duplicate);
            // A transaction may be open on it.
            client.close();
            if !contention || attempt == ATTEMPTS_MAX {
                return Err(error.into());
            }
        }
    }

    /// Two round trips: lock the bookings; then write and commit.
    async fn try_batch(
        &self,
        client: &Lent,
        from: OffsetDateTime,
        until: OffsetDateTime,
    ) -> Result<Option<Batch>, tokio_postgres::Error> {
        let lock_stale = client
            .prepare_cached(include_str!("sql/lock_stale.sql"))
            .await?;
        let fail_bookings = client
            .prepare_cached(include_str!("sql/fail_bookings.sql"))
            .await?;
        let lock_areas = client
            .prepare_cached(include_str!("sql/lock_areas.sql"))
            .await?;
        let free_places = client
            .prepare_cached(include_str!("sql/free_places.sql"))
            .await?;
        let free_seats = client
            .prepare_cached(include_str!("sql/free_seats.sql"))
            .await?;
        let log_expiry = client
            .prepare_cached(include_str!("sql/log_expiry.sql"))
            .await?;
        let buyers = client
            .prepare_cached(include_str!("sql/buyers.sql"))
            .await?;

        let limit = i64::from(self.batch_max);
        let (begun, rows, buyers) = join!(
            client.batch_execute("BEGIN"),
            async { client.query(&lock_stale, &[&from, &until, &limit]).await },
            // In the midst of it: after its COMMIT is when theirs has been flushed too.
            client.query_one(&buyers, &[])
        );
        begun?;
        let rows = rows?;
        let has_buyers = buyers?.get(0);
        let Some(last) = rows.last() else {
            client.batch_execute("ROLLBACK").await?;
            return Ok(None);
        };
        let batch = Batch {
            bookings: rows.len() as u64,
            last: last.get(4),
            has_buyers,
        };
        let stale = Stale::from_rows(&rows);
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
        let (shows, bookings) = &stale.with_places;
        // Most batches have none.
        let with_places = async |statement| {
            if bookings.is_empty() {
                return Ok(0);
            }
            client.execute(statement, &[shows, bookings]).await
        };
        let (failed, locked, given_back, freed, logged, committed) = join!(
            async {
                client
                    .execute(
                        &fail_bookings,
                        &[&stale.shows, &stale.bookings, &stale.versions],
                    )
                    .await
            }
            .map(noted),
            with_places(&lock_areas).map(noted),
            with_places(&free_places).map(noted),
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
        failed?;
        locked?;
        given_back?;
        freed?;
        logged?;
        committed?;
        Ok(Some(batch))
    }
}

impl Stale {
    fn from_rows(rows: &[tokio_postgres::Row]) -> Self {
        let mut stale = Self::default();
        let mut seats = Vec::with_capacity(2 * rows.len());
        for row in rows {
            let (show_id, booking_id): (Uuid, Uuid) = (row.get(0), row.get(1));
            let ordinals: Vec<i32> = row.get(2);
            stale.shows.push(show_id);
            stale.bookings.push(booking_id);
            stale.versions.push(row.get(3));
            if row.get(5) {
                stale.with_places.0.push(show_id);
                stale.with_places.1.push(booking_id);
            }
            seats.extend(ordinals.into_iter().map(|seat| (show_id, seat, booking_id)));
        }
        // In the order in which everyone locks seats: they are freed as they stand here.
        seats.sort_unstable();
        for (show_id, seat, booking_id) in seats {
            stale.seat_shows.push(show_id);
            stale.seats.push(seat);
            stale.seat_owners.push(booking_id);
        }
        stale
    }
}
