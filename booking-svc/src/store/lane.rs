//! Group commit. A lane has a connection of its own and runs one transaction behind another
//! on it. Orders that arrive while the lanes are busy wait in one queue and are decided
//! together by the next transaction; if no lane is busy an order waits for nobody.
//!
//! While a transaction's COMMIT is flushed to disk the first statements of the next are on their
//! way, so that the database finds its work waiting.
//!
//! Invariants: an order is answered only after its transaction is durable, or certainly had
//! no effect; a caller that goes away does not stop a transaction.

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

use super::batch::{Answer, Batch, LaneError, Trouble, Waiting};
use super::contention::ContentionQueue;
use super::desk::Desk;
use super::expect::Expectations;
use super::queue::{NotQueued, Queue, Serving, Turn};
use super::rejection_budget::{RejectionBudget, RejectionLimits};
use super::steps::{Begun, Left, STEP_TIMEOUT, Shared, begin, run_at_once, settle, step, write};
use super::transact::Connection;
use crate::domain::Order;

/// How long lanes go on once nobody can wait for an answer any more, and nobody can ask for one. What
/// they are at takes milliseconds, unless the database hangs.
const DESERTED_MAX: Duration = Duration::from_secs(1);

/// How lanes work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LaneTerms {
    /// How many there are, one at least.
    pub count: u16,
    /// How long a transaction waits for a lock before its orders are decided one by one, as far as
    /// they can be.
    pub lock_wait_max: Duration,
    /// Whether batches are written without having been locked, where all is known.
    pub optimistic_writes: bool,
    /// How many rejections are stored.
    pub rejections: RejectionLimits,
}

/// All lanes of the process.
#[derive(Debug, Clone)]
pub struct Lanes {
    entrance: Arc<Entrance>,
}

/// The way into the queues; closes them when the last one leaves.
#[derive(Debug)]
struct Entrance {
    queue: Arc<Queue<Waiting>>,
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

impl Lanes {
    /// The way into lanes; and the lanes, with the worker that goes on with what they find locked, to be
    /// run as tasks, each with its name. They end when the last clone of the value is dropped and their
    /// queue is empty, or a little later if the database hangs.
    #[must_use]
    pub fn new(
        terms: LaneTerms,
        database: &Database,
    ) -> (Self, Vec<(&'static str, BoxFuture<'static, ()>)>) {
        let queue = Arc::new(Queue::new());
        let contention = Arc::<ContentionQueue>::default();
        let shared = Arc::new(Shared {
            expectations: Expectations::default(),
            contention: Arc::clone(&contention),
            lock_wait_max: terms.lock_wait_max,
            optimistic_writes: terms.optimistic_writes,
            rejections: RejectionBudget::new(terms.rejections),
        });
        let lane = || Lane {
            database: database.clone(),
            connection: None,
            desk: Desk::new(Arc::clone(&contention)),
            shared: Arc::clone(&shared),
        };
        let deserted = CancellationToken::new();
        let work = lane().retry_contended();
        let work = while_wanted(work, deserted.clone()).boxed();
        let mut tasks = vec![("contention worker", work)];
        for _ in 0..terms.count.max(1) {
            let work = lane().run(Arc::clone(&queue), queue.serve());
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

    /// Has `order` decided.
    ///
    /// # Errors
    ///
    /// If it got no decision. Dropping the future does not take back an order whose
    /// transaction has begun.
    pub async fn decide(&self, order: Order, deadline: Instant) -> Answer {
        let (answer, answered) = oneshot::channel();
        let waiting = Waiting::new(order, deadline, answer);
        match self.entrance.queue.push(waiting) {
            Ok(()) => answered.await.unwrap_or(Err(LaneError::OutcomeUnknown)),
            Err(NotQueued::Full) => Err(LaneError::Overloaded),
            Err(NotQueued::Closed) => Err(LaneError::ShuttingDown),
        }
    }
}

/// Runs a lane until it has run dry. Once the way into the lanes is gone nobody waits for an answer,
/// and to cut off what it is at is as safe as a crash is.
async fn while_wanted(work: impl Future<Output = ()>, deserted: CancellationToken) {
    let over = async {
        deserted.cancelled().await;
        sleep(DESERTED_MAX).await;
    };
    tokio::select! {
        () = work => {}
        () = over => tracing::warn!("the database hangs; a transaction that nobody waits for is given up"),
    }
}

/// A connection of its own, and what is to be done on it.
struct Lane {
    database: Database,
    connection: Option<Connection>,
    desk: Desk,
    shared: Arc<Shared>,
}

impl Lane {
    async fn run(mut self, queue: Arc<Queue<Waiting>>, _serving: Serving<Waiting>) {
        loop {
            let turn = if self.desk.is_empty() {
                queue.turn().await
            } else {
                Some(queue.own_turn())
            };
            let Some(turn) = turn else { return };
            let mut batch = self.desk.next(&turn);
            if !batch.pause().is_zero() {
                sleep(batch.pause()).await;
            }
            batch.retain_wanted();
            if batch.is_empty() {
                continue;
            }
            self.connect().await;
            let Some(connection) = &self.connection else {
                self.desk.take_back(batch, Trouble::NoConnection);
                continue;
            };
            let table = (connection, &*self.shared);
            let left = run_from(batch, turn, table, &mut self.desk, &queue).await;
            self.leave(left).await;
        }
    }

    /// Goes on with what lanes find locked: takes only locks that are free, so that it waits for
    /// nothing, and puts back what cannot have all of its own.
    async fn retry_contended(mut self) {
        // The first that need it would wait for it.
        self.connect().await;
        let contention = Arc::clone(&self.shared.contention);
        let _serving = contention.serve();
        loop {
            let failed = self.desk.next_failed();
            let Some(mut batch) = (match failed {
                Some(batch) => Some(batch),
                None => contention.next().await,
            }) else {
                return;
            };
            if !batch.pause().is_zero() {
                sleep(batch.pause()).await;
            }
            batch.retain_wanted();
            self.connect().await;
            let progress = match &self.connection {
                _ if batch.is_empty() => false,
                Some(connection) => {
                    let table = (connection, &*self.shared);
                    let (progress, left) = run_at_once(batch, table, &mut self.desk).await;
                    self.leave(left).await;
                    progress
                }
                None => {
                    self.desk.take_back(batch, Trouble::NoConnection);
                    false
                }
            };
            contention.take_back(self.desk.take_again());
            contention.tried(progress);
        }
    }

    async fn leave(&mut self, left: Left) {
        match left {
            Left::Idle => {}
            Left::Open => self.roll_back().await,
            Left::Lost => self.connection = None,
        }
    }

    /// Sees to it that there is a connection, if one can be had.
    async fn connect(&mut self) {
        if self.connection.as_ref().is_some_and(Connection::is_open) {
            return;
        }
        self.connection = None;
        match timeout(STEP_TIMEOUT, Connection::open(&self.database)).await {
            Ok(Ok(connection)) => self.connection = Some(connection),
            Ok(Err(error)) => {
                tracing::debug!(error = cause::chain(&error), "a lane has no connection");
            }
            Err(_) => tracing::debug!("a lane has no connection in time"),
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

/// Carries a batch out and, one behind the other, whatever waits by then, until nothing does.
/// A batch that meets trouble is put back on the desk, and ends it.
async fn run_from<'a>(
    mut batch: Batch,
    mut turn: Turn<'a, Waiting>,
    table: (&Connection, &Shared),
    desk: &mut Desk,
    queue: &'a Queue<Waiting>,
) -> Left {
    let (_, shared) = table;
    let mut begun = begin(table, &batch).await;
    loop {
        let (outcomes, ending) = match write(table, &batch, begun).await {
            Ok(written) => written,
            Err(trouble) => return settle(shared, batch, Err(trouble), desk),
        };
        // The database has the COMMIT to do, and nothing else before it.
        let behind = desk.behind(&batch, queue);
        let settling = async {
            let ended = step(ending.acknowledged(), true).await;
            drop(turn);
            settle(shared, batch, ended.map(|()| outcomes), desk)
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
        if matches!(left, Left::Lost) {
            // Whatever became of the one before, it has done nothing unless its own COMMIT was on
            // the way.
            let idle = Trouble::ConnectionLost { committing: false };
            let trouble = match next_begun {
                Ok(Begun::Locked(_)) => idle,
                Ok(Begun::Written(..)) => Trouble::ConnectionLost { committing: true },
                Err(lost @ (Trouble::ConnectionLost { .. } | Trouble::Panic { .. })) => lost,
                Err(_) => idle,
            };
            desk.take_back(next, trouble);
            return left;
        }
        (batch, turn, begun) = (next, next_turn, next_begun);
    }
}
