//! Carrying a batch out, step by step: what its transaction does over the lanes' shared knowledge, and
//! what an error in it means.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use service_kit::cause;
use service_kit::sqlstate::{Failure, classify};
use tokio::time::timeout;

use super::batch::{Batch, Trouble};
use super::contention::ContentionQueue;
use super::desk::Desk;
use super::expect::Expectations;
use super::rejection_budget::RejectionBudget;
use super::transact::{Connection, Ending, LockMode, TransactError, WriteTerms};
use crate::domain::{Locked, Outcome};

/// The longest that one step of a transaction may take, its locks or its writes or its
/// COMMIT, before its connection is given up; longer than the server's own timeouts, which
/// end what hangs there.
pub(super) const STEP_TIMEOUT: Duration = Duration::from_secs(12);

/// What all lanes have in common.
pub(super) struct Shared {
    pub(super) expectations: Expectations,
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
pub(super) enum Begun {
    /// What it touches is locked.
    Locked(Box<Locked>),
    /// It is written, and its COMMIT on the way.
    Written(Vec<Outcome>, Ending),
}

/// How a run of transactions leaves its connection.
pub(super) enum Left {
    /// Nothing is under way on it.
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
) -> Result<Begun, Trouble> {
    let expectations = &shared.expectations;
    let lock_wait = shared.lock_wait();
    let expected = if shared.optimistic_writes && batch.may_go_ahead() {
        // Whatever panics in here does so again where it is decided over locked rows.
        let expecting = || expectations.of(&batch.orders);
        catch_unwind(AssertUnwindSafe(expecting)).unwrap_or_default()
    } else {
        None
    };
    let Some(expected) = expected else {
        let copies_likely = batch.copies_likely();
        let mode = LockMode::Wait { copies_likely };
        let locking = connection.lock(&batch.orders, mode, lock_wait);
        let (locked, _) = step(locking, false).await?;
        expectations.saw(&locked);
        return Ok(Begun::Locked(Box::new(locked)));
    };
    let writing = async {
        let orders = &batch.orders;
        let written = connection.write_expected(orders, &expected, lock_wait);
        let (written, ending) = written.await?;
        let clock = written.clock;
        Ok::<_, TransactError>((clock, expected.at(orders, written), ending))
    };
    match step(writing, true).await {
        Ok((clock, outcomes, ending)) => {
            expectations.were_right(clock);
            Ok(Begun::Written(outcomes, ending))
        }
        Err(
            trouble @ (Trouble::ConnectionLost { .. }
            | Trouble::Panic { .. }
            | Trouble::CopyMet
            | Trouble::Contention { .. }),
        ) => Err(trouble),
        Err(trouble) => {
            tracing::debug!(?trouble, "a batch is not as expected");
            expectations.were_wrong(&batch.orders);
            Err(Trouble::Unexpected)
        }
    }
}

/// The second round trip, unless there is nothing left to do but the COMMIT.
pub(super) async fn write(
    (connection, shared): (&Connection, &Shared),
    batch: &Batch,
    begun: Result<Begun, Trouble>,
) -> Result<(Vec<Outcome>, Ending), Trouble> {
    match begun? {
        Begun::Locked(locked) => {
            // Of what may have been carried out a rejection must be met by whatever still is on its way.
            let all_stored = batch.tried.in_doubt;
            let terms = WriteTerms {
                copies_likely: batch.copies_likely(),
                lock_wait: shared.lock_wait(),
                rejections: (!all_stored).then_some(&shared.rejections),
            };
            step(connection.write(&batch.orders, *locked, terms), true).await
        }
        Begun::Written(outcomes, ending) => Ok((outcomes, ending)),
    }
}

/// Answers a batch that is done, or puts a batch that failed back into the backlog.
pub(super) fn settle(
    shared: &Shared,
    batch: Batch,
    done: Result<Vec<Outcome>, Trouble>,
    desk: &mut Desk,
) -> Left {
    match done {
        Ok(outcomes) => {
            shared.expectations.settled(&outcomes);
            desk.settle(batch, outcomes);
            Left::Idle
        }
        Err(trouble) => {
            let left = trouble.leaves();
            desk.take_back(batch, trouble);
            left
        }
    }
}

/// Carries out what can be had of a batch without waiting for a lock. Whether that was anything, and
/// how it leaves the connection.
pub(super) async fn run_at_once(
    mut batch: Batch,
    table: (&Connection, &Shared),
    desk: &mut Desk,
) -> (bool, Left) {
    let (connection, shared) = table;
    let locking = connection.lock(&batch.orders, LockMode::AtOnce, shared.lock_wait());
    let begun = match step(locking, false).await {
        Ok((locked, blocked)) => {
            shared.contention.keep_blocked(&mut batch, blocked);
            shared.expectations.saw(&locked);
            Ok(Begun::Locked(Box::new(locked)))
        }
        Err(trouble) => Err(trouble),
    };
    let done = match write(table, &batch, begun).await {
        Ok((outcomes, ending)) => {
            let ended = step(ending.acknowledged(), true).await;
            ended.map(|()| outcomes)
        }
        Err(trouble) => Err(trouble),
    };
    let progress = done.is_ok() && !batch.is_empty();
    (progress, settle(shared, batch, done, desk))
}

/// Awaits one step of a transaction. A panic in it ends neither the worker nor the other orders: the step
/// has only looked at the batch, and its connection is given up, whatever was left under way on it.
pub(super) async fn step<T, E: Into<TransactError>>(
    work: impl Future<Output = Result<T, E>>,
    committing: bool,
) -> Result<T, Trouble> {
    match timeout(STEP_TIMEOUT, AssertUnwindSafe(work).catch_unwind()).await {
        Ok(Ok(Ok(done))) => Ok(done),
        Ok(Ok(Err(error))) => Err(trouble(&error.into(), committing)),
        Ok(Err(_)) => Err(Trouble::Panic { committing }),
        Err(_) => {
            tracing::warn!("a transaction took too long");
            Err(Trouble::ConnectionLost { committing })
        }
    }
}

fn trouble(error: &TransactError, committing: bool) -> Trouble {
    let error = match error {
        TransactError::Statement(error) => error,
        TransactError::BadRow(error) => return Trouble::Fault(error.to_string()),
    };
    match classify(error) {
        Failure::ConnectionLost => {
            tracing::warn!(error = cause::chain(error), "a lane's connection was lost");
            Trouble::ConnectionLost { committing }
        }
        Failure::Contention => Trouble::Contention {
            writing: committing,
        },
        Failure::Duplicate => Trouble::CopyMet,
        Failure::Timeout => Trouble::Timeout,
        Failure::Fault => Trouble::Fault(cause::chain(error)),
    }
}

impl Trouble {
    pub(super) fn leaves(&self) -> Left {
        match self {
            Self::NoConnection | Self::ConnectionLost { .. } | Self::Panic { .. } => Left::Lost,
            // Only what is written meets a copy or the unexpected, and the COMMIT was sent behind.
            Self::CopyMet | Self::Unexpected | Self::Contention { writing: true } => Left::Idle,
            _ => Left::Open,
        }
    }
}
