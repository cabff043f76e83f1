//! Fails stale bookings: each batch is one transaction that marks the bookings, frees their
//! seats and places and writes the log, so that no crash can leave one without the others.
//!
//! Locks: bookings with SKIP LOCKED, so that a worker never waits for one; then areas, then seats,
//! each in the common order of locks. It therefore cannot deadlock with booking-svc, nor
//! with another worker. A row that stays locked holds up only the bookings that need it (`batch.rs`).

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use service_kit::background::Skipped;
use service_kit::cause;
use service_kit::postgres::{self, DbError, Pool};
use service_kit::sqlstate::{Failure, classify, is_about_a_row};
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::batch::{self, Batch, LockMode, Wanted};
use crate::metrics;

/// The most tries of a batch that meets conflicts.
const ATTEMPTS_MAX: u32 = 5;

/// How many batches run at once when there is more than one to do. With two of them the
/// database still waits now and then, for its disk or for the worker.
const BATCHES_AT_ONCE: usize = 3;

/// The pause after a batch while customers buy, as a multiple of the batch's duration.
const RESTS: u32 = 4;
/// The longest it does: the batch may have waited for locks.
const REST_MAX: Duration = Duration::from_millis(200);

/// The most bookings that a step reads, unless more end at the same instant.
const STEP_BOOKINGS: i64 = 20_000;
/// How far a scan goes back before the end of the previous one. A hold is at least 10 s long, so this
/// finds it unless its transaction took more than 12 s; a full scan finds it even then.
const OVERLAP: Duration = Duration::from_secs(2);
/// A full scan may take one part in this many of the time.
const WHOLE_SWEEP_SHARE: u32 = 50;

/// Fails stale bookings.
#[derive(Debug, Clone)]
pub struct Sweeper {
    pool: Pool,
    batch_max: u16,
    /// Bookings that cannot be failed.
    skipped: Arc<Skipped<Uuid>>,
}

/// What a worker remembers from one scan to the next. Only to save work: a full scan reads
/// everything, whatever is remembered.
#[derive(Debug)]
pub struct ScanCursor {
    /// Where the last scan ended, by the database's clock.
    seen_until: OffsetDateTime,
    /// When the next whole sweep is due.
    whole_sweep_at: Instant,
}

impl Default for ScanCursor {
    fn default() -> Self {
        Self {
            seen_until: OffsetDateTime::UNIX_EPOCH,
            whole_sweep_at: Instant::now(),
        }
    }
}

/// The results of concurrent batches, all of them full.
struct Done {
    /// Where the first of them ended.
    last: OffsetDateTime,
    /// Whether booking-svc was deciding orders meanwhile.
    has_buyers: bool,
    /// Whether they failed no booking, because of locks of other sessions.
    is_stuck: bool,
}

impl Sweeper {
    /// A sweeper that fails up to `batch_max` bookings in a transaction.
    #[must_use]
    pub fn new(pool: Pool, batch_max: u16) -> Self {
        Self {
            pool,
            batch_max,
            skipped: Arc::default(),
        }
    }

    /// Fails every stale booking that no other session has locked. Counts them in `failed` as
    /// they are committed, so that the count holds even if the future is dropped. Stops
    /// between batches when `stop` is cancelled.
    ///
    /// # Errors
    ///
    /// If a batch fails; those before it stay done.
    pub async fn run_once(
        &self,
        stop: &CancellationToken,
        failed: &mut u64,
    ) -> Result<(), DbError> {
        self.sweep(OffsetDateTime::UNIX_EPOCH, stop, failed)
            .await
            .map(drop)
    }

    /// Fails the holds that have lapsed since the last scan; now and then, as often as that is cheap,
    /// all stale ones. Otherwise like [`Sweeper::run_once`].
    ///
    /// # Errors
    ///
    /// If a batch fails; those before it stay done.
    pub async fn scan(
        &self,
        cursor: &mut ScanCursor,
        stop: &CancellationToken,
        failed: &mut u64,
    ) -> Result<(), DbError> {
        let began = Instant::now();
        let whole = cursor.whole_sweep_at <= began;
        let from = if whole {
            OffsetDateTime::UNIX_EPOCH
        } else {
            cursor.seen_until - OVERLAP
        };
        cursor.seen_until = self.sweep(from, stop, failed).await?;
        if whole {
            cursor.whole_sweep_at = Instant::now() + began.elapsed() * WHOLE_SWEEP_SHARE;
        }
        Ok(())
    }

    /// Fails the stale bookings whose holds ended after `from`; returns how far it came.
    async fn sweep(
        &self,
        mut from: OffsetDateTime,
        stop: &CancellationToken,
        failed: &mut u64,
    ) -> Result<OffsetDateTime, DbError> {
        // The first batch shows whether there are more.
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
                let Some(done) = done else {
                    if at_once == 1 {
                        break;
                    }
                    // Bookings that one of them had locked and released again are left.
                    at_once = 1;
                    continue;
                };
                // Others may have ended at the same instant, unless all of those are locked.
                from = match done.is_stuck {
                    true => done.last,
                    false => done.last - Duration::from_micros(1),
                };
                at_once = BATCHES_AT_ONCE.min(self.pool.status().max_size);
                if done.has_buyers {
                    // Buyers go first: expired seats can be taken without this sweep, and
                    // reads already show expired holds as FAILED.
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

    /// Runs this many batches at once, each over rows that the others have not locked. Returns their
    /// results if all were full, so that there may be more.
    async fn batches(
        &self,
        at_once: usize,
        from: OffsetDateTime,
        until: OffsetDateTime,
        failed: &mut u64,
    ) -> Result<Option<Done>, DbError> {
        let batches = (0..at_once).map(|_| self.batch_on_its_own(from, until));
        let mut running: FuturesUnordered<_> = batches.collect();
        let mut all = Ok(Some(Done {
            last: until,
            has_buyers: false,
            is_stuck: true,
        }));
        while let Some(done) = running.next().await {
            match done {
                Ok(batch) => {
                    *failed += batch.map_or(0, |batch| batch.bookings);
                    let full = batch.filter(|batch| batch.is_full);
                    // Not the last: a retried batch may have left some of its first bookings.
                    all = all.map(|all| {
                        let (all, full) = all.zip(full)?;
                        Some(Done {
                            last: all.last.min(full.last),
                            has_buyers: all.has_buyers || full.has_buyers,
                            is_stuck: all.is_stuck && full.has_blocked && full.bookings == 0,
                        })
                    });
                }
                Err(error) => all = Err(error),
            }
        }
        all
    }

    /// In its own task: a caller that leaves must not leave a transaction half done on
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

    /// Fails a batch. Bookings that others have locked are left. If one cannot be failed, the batch is
    /// halved until that one is alone, and then skipped for a while: it must not keep the others
    /// from expiring.
    async fn batch(
        &self,
        from: OffsetDateTime,
        until: OffsetDateTime,
    ) -> Result<Option<Batch>, DbError> {
        let mut limit = self.batch_max;
        let (mut attempt, mut mode) = (0, LockMode::Wait);
        loop {
            attempt += 1;
            let client = postgres::get(&self.pool).await?;
            let mut locked = None;
            let wanted = Wanted {
                from,
                until,
                limit,
                skipped: self.skipped.now(),
            };
            let trying = batch::run(&client, &wanted, mode, &mut locked);
            let error = match trying.await {
                Ok(()) => return Ok(locked.map(|(batch, _)| batch)),
                Err(error) => error,
            };
            // A transaction may be open on it.
            client.close();
            metrics::batch_failed();
            let contention = matches!(classify(&error), Failure::Contention | Failure::Duplicate);
            if contention && attempt < ATTEMPTS_MAX {
                mode = LockMode::AtOnce;
                continue;
            }
            let (batch, bookings) = match locked {
                Some(locked) if is_about_a_row(&error) => locked,
                _ => return Err(error.into()),
            };
            if let [booking_id] = bookings[..] {
                let error = cause::chain(&error);
                tracing::error!(%booking_id, error, "a stale booking cannot be failed");
                metrics::booking_failed();
                self.skipped.add(booking_id);
                let (bookings, is_full) = (0, true);
                return Ok(Some(Batch {
                    bookings,
                    is_full,
                    ..batch
                }));
            }
            limit = u16::try_from(bookings.len() / 2).unwrap_or(limit);
            attempt = 0;
        }
    }
}
