//! Commit workers. Each has its own connection and runs one transaction after another on it.
//! Orders that arrive while the workers are busy wait in one queue, and the next transaction decides
//! them together. If no worker is busy, an order does not wait.
//!
//! While a transaction's COMMIT is flushed to disk the first statements of the next are on their
//! way, so that the database finds its work waiting.
//!
//! Invariants: an order is answered only after its transaction is durable, or certainly had
//! no effect; a caller that leaves does not stop a transaction.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::{FutureExt as _, join};
use service_kit::cause;
use service_kit::postgres::Database;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::backlog::Backlog;
use super::batch::{Answer, Batch, BatchError, OrderError, PendingOrder};
use super::contention::ContentionQueue;
use super::metrics::{self, BatchPath};
use super::optimistic::OptimisticCache;
use super::queue::{NotQueued, Permit, Queue, Serving};
use super::rejection_budget::{RejectionBudget, RejectionLimits};
use super::steps::{
    ConnectionState, InFlight, STEP_TIMEOUT, Shared, begin, run_nowait, settle, step, write,
};
use super::tx::Connection;
use crate::domain::Order;

/// How long workers continue once no caller is left, and none can come. Their
/// transactions take milliseconds, unless the database hangs.
const DESERTED_MAX: Duration = Duration::from_secs(1);

/// How the commit workers work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupCommitConfig {
    /// How many there are, one at least.
    pub count: u16,
    /// How long a transaction waits for a lock before its orders are decided one by one, as far as
    /// they can be.
    pub lock_wait_max: Duration,
    /// Whether the optimistic path is used.
    pub optimistic_writes: bool,
    /// How many rejections are stored.
    pub rejections: RejectionLimits,
}

/// All commit workers of the process.
#[derive(Debug, Clone)]
pub struct GroupCommit {
    entrance: Arc<Entrance>,
}

/// The way into the queues; closes them when the last one leaves.
#[derive(Debug)]
struct Entrance {
    queue: Arc<Queue<PendingOrder>>,
    contention: Arc<ContentionQueue>,
    deserted: CancellationToken,
}

impl Drop for Entrance {
    fn drop(&mut self) {
        self.deserted.cancel();
        self.queue.close();
        self.contention.close();
    }
}

impl GroupCommit {
    /// The handle that takes orders, and the tasks to run, each with its name: the commit workers, and
    /// the contention worker. They end when the last clone of the handle is dropped and the queue is
    /// empty, or a little later if the database hangs.
    #[must_use]
    pub fn new(
        terms: GroupCommitConfig,
        database: &Database,
    ) -> (Self, Vec<(&'static str, BoxFuture<'static, ()>)>) {
        let queue = Arc::new(Queue::new());
        let contention = Arc::<ContentionQueue>::default();
        metrics::register(&queue, &contention);
        let shared = Arc::new(Shared {
            optimistic: OptimisticCache::default(),
            contention: Arc::clone(&contention),
            lock_wait_max: terms.lock_wait_max,
            optimistic_writes: terms.optimistic_writes,
            rejections: RejectionBudget::new(terms.rejections),
        });
        let worker = || CommitWorker {
            database: database.clone(),
            connection: None,
            backlog: Backlog::new(Arc::clone(&contention)),
            shared: Arc::clone(&shared),
        };
        let deserted = CancellationToken::new();
        let work = worker().retry_contended();
        let work = while_wanted(work, deserted.clone()).boxed();
        let mut tasks = vec![("contention worker", work)];
        for _ in 0..terms.count.max(1) {
            let work = worker().run(Arc::clone(&queue), queue.serve());
            let work = while_wanted(work, deserted.clone()).boxed();
            tasks.push(("commit worker", work));
        }
        let entrance = Arc::new(Entrance {
            queue,
            contention,
            deserted,
        });
        (Self { entrance }, tasks)
    }

    /// Submits `order` and waits for its decision.
    ///
    /// # Errors
    ///
    /// If it got no decision. Dropping the future does not take back an order whose
    /// transaction has begun.
    pub async fn decide(&self, order: Order, deadline: Instant) -> Answer {
        let (answer, answered) = oneshot::channel();
        let waiting = PendingOrder::new(order, deadline, answer);
        match self.entrance.queue.push(waiting) {
            Ok(()) => answered.await.unwrap_or(Err(OrderError::OutcomeUnknown)),
            Err(NotQueued::Full) => {
                metrics::shed();
                Err(OrderError::Overloaded)
            }
            Err(NotQueued::Closed) => Err(OrderError::ShuttingDown),
        }
    }
}

/// Runs a worker until its queue is empty. Once no caller is left and none can come, cutting it off
/// is as safe as a crash.
async fn while_wanted(work: impl Future<Output = ()>, deserted: CancellationToken) {
    let over = async {
        deserted.cancelled().await;
        sleep(DESERTED_MAX).await;
    };
    tokio::select! {
        () = work => {}
        () = over => tracing::warn!("the database hangs; abandoning a transaction without callers"),
    }
}

/// One connection and its backlog.
struct CommitWorker {
    database: Database,
    connection: Option<Connection>,
    backlog: Backlog,
    shared: Arc<Shared>,
}

impl CommitWorker {
    async fn run(mut self, queue: Arc<Queue<PendingOrder>>, _serving: Serving<PendingOrder>) {
        loop {
            let permit = if self.backlog.is_empty() {
                queue.permit().await
            } else {
                Some(queue.acquire())
            };
            let Some(permit) = permit else { return };
            let mut batch = self.backlog.next(&permit);
            if !batch.pause().is_zero() {
                sleep(batch.pause()).await;
            }
            batch.drop_abandoned();
            if batch.is_empty() {
                continue;
            }
            self.connect().await;
            let Some(connection) = &self.connection else {
                self.backlog.requeue(batch, BatchError::NoConnection);
                continue;
            };
            let table = (connection, &*self.shared);
            let left = run_from(batch, permit, table, &mut self.backlog, &queue).await;
            self.leave(left).await;
        }
    }

    /// Retries orders that met a lock: takes only locks that are free, so that it never waits, and
    /// puts back orders that cannot get all of their locks.
    async fn retry_contended(mut self) {
        // The first that need it would wait for it.
        self.connect().await;
        let contention = Arc::clone(&self.shared.contention);
        let _serving = contention.serve();
        loop {
            let failed = self.backlog.next_failed();
            let Some(mut batch) = (match failed {
                Some(batch) => Some(batch),
                None => contention.next().await,
            }) else {
                return;
            };
            if !batch.pause().is_zero() {
                sleep(batch.pause()).await;
            }
            batch.drop_abandoned();
            self.connect().await;
            let progress = match &self.connection {
                _ if batch.is_empty() => false,
                Some(connection) => {
                    let table = (connection, &*self.shared);
                    let (progress, left) = run_nowait(batch, table, &mut self.backlog).await;
                    self.leave(left).await;
                    progress
                }
                None => {
                    self.backlog.requeue(batch, BatchError::NoConnection);
                    false
                }
            };
            contention.requeue(self.backlog.take_again());
            contention.tried(progress);
        }
    }

    async fn leave(&mut self, left: ConnectionState) {
        match left {
            ConnectionState::Idle => {}
            ConnectionState::Open => self.roll_back().await,
            ConnectionState::Lost => self.connection = None,
        }
    }

    /// Opens a connection if there is none, if the database can be reached.
    async fn connect(&mut self) {
        if self.connection.as_ref().is_some_and(Connection::is_open) {
            return;
        }
        self.connection = None;
        match timeout(STEP_TIMEOUT, Connection::open(&self.database)).await {
            Ok(Ok(connection)) => self.connection = Some(connection),
            Ok(Err(error)) => {
                tracing::debug!(error = cause::chain(&error), "a worker has no connection");
            }
            Err(_) => tracing::debug!("a worker has no connection in time"),
        }
    }

    async fn roll_back(&mut self) {
        if let Some(connection) = &self.connection {
            let rolled_back = timeout(STEP_TIMEOUT, connection.roll_back()).await;
            if !matches!(rolled_back, Ok(Ok(()))) {
                self.connection = None;
            }
        }
    }
}

/// Carries a batch out and, one after the other, batches of the orders that wait by then, until
/// none do. A batch that fails goes back to the backlog, and ends the run.
async fn run_from<'a>(
    mut batch: Batch,
    mut permit: Permit<'a, PendingOrder>,
    table: (&Connection, &Shared),
    backlog: &mut Backlog,
    queue: &'a Queue<PendingOrder>,
) -> ConnectionState {
    let (_, shared) = table;
    let mut in_flight = begin(table, &batch).await;
    loop {
        let path = match &in_flight {
            Ok(InFlight::Committing(..)) => BatchPath::Optimistic,
            _ => BatchPath::Locked,
        };
        let (outcomes, commit) = match write(table, &batch, in_flight).await {
            Ok(written) => written,
            Err(batch_error) => return settle(shared, batch, Err(batch_error), path, backlog),
        };
        // The database has the COMMIT to do, and nothing else before it.
        let behind = backlog.behind(&batch, queue);
        let settling = async {
            let ended = step(commit.acknowledged(), true).await;
            drop(permit);
            settle(shared, batch, ended.map(|()| outcomes), path, backlog)
        };
        let beginning = async {
            match &behind {
                Some((next, _)) => Some(begin(table, next).await),
                None => None,
            }
        };
        let (left, next_begun) = join!(settling, beginning);
        let (Some((next, next_turn)), Some(next_begun)) = (behind, next_begun) else {
            return left;
        };
        if matches!(left, ConnectionState::Lost) {
            // Whatever happened to the one before, this batch has no effect unless its own COMMIT was
            // sent.
            let idle = BatchError::ConnectionLost { committing: false };
            let batch_error = match next_begun {
                Ok(InFlight::Locked(_)) => idle,
                Ok(InFlight::Committing(..)) => BatchError::ConnectionLost { committing: true },
                Err(lost @ (BatchError::ConnectionLost { .. } | BatchError::Panic { .. })) => lost,
                Err(_) => idle,
            };
            backlog.requeue(next, batch_error);
            return left;
        }
        (batch, permit, in_flight) = (next, next_turn, next_begun);
    }
}
