//! Carries a batch out, step by step: its transaction, the effect on the workers' shared state, and
//! the meaning of an error in it.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use service_kit::cause;
use service_kit::sqlstate::{Failure, classify};
use tokio::time::timeout;

use super::backlog::Backlog;
use super::batch::{Batch, BatchError};
use super::contention::ContentionQueue;
use super::metrics::{self, BatchPath};
use super::optimistic::OptimisticCache;
use super::rejection_budget::RejectionBudget;
use super::tx::{CommitHandle, Connection, LockMode, TxError, WriteTerms};
use crate::domain::{Locked, Outcome};

/// The longest that one step of a transaction may take (its locks, its writes or its COMMIT) before
/// its connection is closed; longer than the server's own timeouts, which end most hangs.
pub(super) const STEP_TIMEOUT: Duration = Duration::from_secs(12);

/// The state that all commit workers share.
pub(super) struct Shared {
    pub(super) optimistic: OptimisticCache,
    pub(super) contention: Arc<ContentionQueue>,
    pub(super) lock_wait_max: Duration,
    pub(super) optimistic_writes: bool,
    pub(super) rejections: RejectionBudget,
}

impl Shared {
    fn lock_wait(&self) -> Duration {
        self.contention.lock_wait(self.lock_wait_max)
    }
}

/// A transaction after its first round trip.
pub(super) enum InFlight {
    /// Its rows are locked.
    Locked(Box<Locked>),
    /// It is written, and its COMMIT on the way.
    Committing(Vec<Outcome>, CommitHandle),
}

/// How a run of transactions leaves its connection.
pub(super) enum ConnectionState {
    /// No transaction is open on it.
    Idle,
    /// A transaction is open that must be rolled back.
    Open,
    /// It cannot be used any more.
    Lost,
}

/// The first round trip of a batch's transaction: its locks, or if all of it is expected to be
/// granted all that there is to do.
pub(super) async fn begin(
    (connection, shared): (&Connection, &Shared),
    batch: &Batch,
) -> Result<InFlight, BatchError> {
    let optimistic = &shared.optimistic;
    let lock_wait = shared.lock_wait();
    let expected = if shared.optimistic_writes && batch.can_try_optimistic() {
        // A panic in here happens again in the decision over locked rows.
        let expecting = || optimistic.of(&batch.orders);
        catch_unwind(AssertUnwindSafe(expecting)).unwrap_or_default()
    } else {
        None
    };
    let Some(expected) = expected else {
        let expects_replays = batch.expects_replays();
        let mode = LockMode::Wait { expects_replays };
        let locking = connection.lock(&batch.orders, mode, lock_wait);
        let (locked, _) = step(locking, false).await?;
        optimistic.observe_locked(&locked);
        return Ok(InFlight::Locked(Box::new(locked)));
    };
    let writing = async {
        let orders = &batch.orders;
        let written = connection.write_expected(orders, &expected, lock_wait);
        let (written, commit) = written.await?;
        let clock = written.clock;
        Ok::<_, TxError>((clock, expected.at(orders, written), commit))
    };
    match step(writing, true).await {
        Ok((clock, outcomes, commit)) => {
            optimistic.record_hit(clock);
            Ok(InFlight::Committing(outcomes, commit))
        }
        Err(
            batch_error @ (BatchError::ConnectionLost { .. }
            | BatchError::Panic { .. }
            | BatchError::CopyMet
            | BatchError::Contention { .. }),
        ) => Err(batch_error),
        Err(batch_error) => {
            tracing::debug!(?batch_error, "a batch is not as expected");
            optimistic.record_miss(&batch.orders);
            Err(BatchError::Unexpected)
        }
    }
}

/// The second round trip, unless there is nothing left to do but the COMMIT.
pub(super) async fn write(
    (connection, shared): (&Connection, &Shared),
    batch: &Batch,
    in_flight: Result<InFlight, BatchError>,
) -> Result<(Vec<Outcome>, CommitHandle), BatchError> {
    match in_flight? {
        InFlight::Locked(locked) => {
            // If a COMMIT may still be on its way, it must meet the stored rejection.
            let all_stored = batch.tried.in_doubt;
            let terms = WriteTerms {
                expects_replays: batch.expects_replays(),
                lock_wait: shared.lock_wait(),
                rejections: (!all_stored).then_some(&shared.rejections),
            };
            step(connection.write(&batch.orders, *locked, terms), true).await
        }
        InFlight::Committing(outcomes, commit) => Ok((outcomes, commit)),
    }
}

/// Answers a batch that is done, or puts a batch that failed back into the backlog.
pub(super) fn settle(
    shared: &Shared,
    batch: Batch,
    done: Result<Vec<Outcome>, BatchError>,
    path: BatchPath,
    backlog: &mut Backlog,
) -> ConnectionState {
    match done {
        Ok(outcomes) => {
            metrics::committed(&batch, &outcomes, path);
            shared.optimistic.settled(&outcomes);
            backlog.settle(batch, outcomes);
            ConnectionState::Idle
        }
        Err(batch_error) => {
            let left = batch_error.leaves();
            backlog.requeue(batch, batch_error);
            left
        }
    }
}

/// Carries out the orders of a batch that need not wait for a lock. Returns whether there were any, and
/// the state of the connection.
pub(super) async fn run_nowait(
    mut batch: Batch,
    table: (&Connection, &Shared),
    backlog: &mut Backlog,
) -> (bool, ConnectionState) {
    let (connection, shared) = table;
    let locking = connection.lock(&batch.orders, LockMode::NoWait, shared.lock_wait());
    let in_flight = match step(locking, false).await {
        Ok((locked, blocked)) => {
            shared.contention.keep_blocked(&mut batch, blocked);
            shared.optimistic.observe_locked(&locked);
            Ok(InFlight::Locked(Box::new(locked)))
        }
        Err(batch_error) => Err(batch_error),
    };
    let done = match write(table, &batch, in_flight).await {
        Ok((outcomes, commit)) => {
            let ended = step(commit.acknowledged(), true).await;
            ended.map(|()| outcomes)
        }
        Err(batch_error) => Err(batch_error),
    };
    let progress = done.is_ok() && !batch.is_empty();
    let path = BatchPath::Contended;
    (progress, settle(shared, batch, done, path, backlog))
}

/// Awaits one step of a transaction. A panic in it ends neither the worker nor the other orders: the
/// step only reads the batch, and its connection is closed, whatever was in progress on it.
pub(super) async fn step<T, E: Into<TxError>>(
    work: impl Future<Output = Result<T, E>>,
    committing: bool,
) -> Result<T, BatchError> {
    match timeout(STEP_TIMEOUT, AssertUnwindSafe(work).catch_unwind()).await {
        Ok(Ok(Ok(done))) => Ok(done),
        Ok(Ok(Err(error))) => Err(batch_error(&error.into(), committing)),
        Ok(Err(_)) => Err(BatchError::Panic { committing }),
        Err(_) => {
            tracing::warn!("a transaction took too long");
            Err(BatchError::ConnectionLost { committing })
        }
    }
}

fn batch_error(error: &TxError, committing: bool) -> BatchError {
    let error = match error {
        TxError::Statement(error) => error,
        TxError::BadRow(error) => return BatchError::Fault(error.to_string()),
    };
    match classify(error) {
        Failure::ConnectionLost => {
            tracing::warn!(
                error = cause::chain(error),
                "a commit worker gives up its connection"
            );
            BatchError::ConnectionLost { committing }
        }
        Failure::Contention => BatchError::Contention {
            writing: committing,
        },
        Failure::Duplicate => BatchError::CopyMet,
        Failure::Timeout => BatchError::Timeout,
        Failure::Fault => BatchError::Fault(cause::chain(error)),
    }
}

impl BatchError {
    pub(super) fn leaves(&self) -> ConnectionState {
        match self {
            Self::NoConnection | Self::ConnectionLost { .. } | Self::Panic { .. } => {
                ConnectionState::Lost
            }
            // Only a write meets a replay or a mismatch, and its COMMIT was already sent.
            Self::CopyMet | Self::Unexpected | Self::Contention { writing: true } => {
                ConnectionState::Idle
            }
            _ => ConnectionState::Open,
        }
    }
}
