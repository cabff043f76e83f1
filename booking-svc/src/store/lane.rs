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

use futures_util::join;
use service_kit::cause;
use service_kit::postgres::Database;
use service_kit::sqlstate::{Failure, classify};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};

use super::batch::{Answer, Batch, Desk, LaneError, Trouble, Waiting};
use super::expect::Expectations;
use super::queue::{NotQueued, Queue, Serving, Turn};
use super::transact::{Connection, Ending, TransactError};
use crate::domain::{Locked, Order, Outcome};

/// The longest that one step of a transaction may take, its locks or its writes or its
/// COMMIT, before its connection is given up; longer than the server's own timeouts, which
/// end what hangs there.
const STEP_TIMEOUT: Duration = Duration::from_secs(12);

/// All lanes of the process.
#[derive(Debug, Clone)]
pub struct Lanes {
    entrance: Arc<Entrance>,
}

/// The way into the queue; closes it when the last one leaves.
#[derive(Debug)]
struct Entrance(Arc<Queue<Waiting>>);

impl Drop for Entrance {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl Lanes {
    /// The way into `count` lanes, and the lanes, to be run as tasks. They end when the last
    /// clone of the value is dropped and their queue is empty.
    #[must_use]
    pub fn new(
        count: u16,
        database: &Database,
    ) -> (Self, Vec<impl Future<Output = ()> + Send + use<>>) {
        let queue = Arc::new(Queue::new());
        let expectations = Arc::new(Expectations::default());
        let lanes = (0..count.max(1)).map(|_| Lane {
            database: database.clone(),
            connection: None,
            desk: Desk::default(),
            expectations: Arc::clone(&expectations),
        });
        let tasks = lanes
            .map(|lane| lane.run(Arc::clone(&queue), queue.serve()))
            .collect();
        let entrance = Arc::new(Entrance(queue));
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
        match self.entrance.0.push(waiting) {
            Ok(()) => answered.await.unwrap_or(Err(LaneError::OutcomeUnknown)),
            Err(NotQueued::Full) => Err(LaneError::Overloaded),
            Err(NotQueued::Closed) => Err(LaneError::ShuttingDown),
        }
    }
}

struct Lane {
    database: Database,
    connection: Option<Connection>,
    desk: Desk,
    expectations: Arc<Expectations>,
}

/// A transaction after its first round trip.
enum Begun {
    /// What it touches is locked.
    Locked(Box<Locked>),
    /// It is written, and its COMMIT on the way.
    Written(Vec<Outcome>, Ending),
}

/// How a run of transactions leaves its connection.
enum Left {
    /// Nothing is under way on it.
    Idle,
    /// A transaction is open that must be rolled back.
    Open,
    /// It cannot be used any more.
    Lost,
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
                tokio::time::sleep(batch.pause()).await;
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
            let table = (connection, &*self.expectations);
            match run_from(batch, turn, table, &mut self.desk, &queue).await {
                Left::Idle => {}
                Left::Open => self.roll_back().await,
                Left::Lost => self.connection = None,
            }
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
    (connection, expectations): (&Connection, &Expectations),
    desk: &mut Desk,
    queue: &'a Queue<Waiting>,
) -> Left {
    let mut begun = begin(connection, expectations, &batch).await;
    loop {
        let written = match begun {
            Ok(Begun::Locked(locked)) => {
                let writing = connection.write(&batch.orders, *locked, batch.copies_likely());
                step(writing, true).await
            }
            Ok(Begun::Written(outcomes, ending)) => Ok((outcomes, ending)),
            Err(trouble) => Err(trouble),
        };
        let (outcomes, ending) = match written {
            Ok(written) => written,
            Err(trouble) => {
                let left = trouble.leaves();
                desk.take_back(batch, trouble);
                return left;
            }
        };
        // The database has the COMMIT to do, and nothing else before it.
        let behind = desk.behind(&batch, queue);
        let settling = async {
            let ended = step(ending.acknowledged(), true).await;
            drop(turn);
            match ended {
                Ok(()) => {
                    expectations.settled(&outcomes);
                    desk.settle(batch, outcomes);
                    Left::Idle
                }
                Err(trouble) => {
                    let left = trouble.leaves();
                    desk.take_back(batch, trouble);
                    left
                }
            }
        };
        let beginning = async {
            match &behind {
                Some((next, _)) => Some(begin(connection, expectations, next).await),
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
                Err(lost @ Trouble::ConnectionLost { .. }) => lost,
                Err(_) => idle,
            };
            desk.take_back(next, trouble);
            return left;
        }
        (batch, turn, begun) = (next, next_turn, next_begun);
    }
}

/// The first round trip of a batch's transaction: its locks, or if all of it is expected to be
/// granted all that there is to do.
async fn begin(
    connection: &Connection,
    expectations: &Expectations,
    batch: &Batch,
) -> Result<Begun, Trouble> {
    let expected = if batch.may_go_ahead() {
        expectations.of(&batch.orders)
    } else {
        None
    };
    let Some(expected) = expected else {
        let locking = connection.lock(&batch.orders, batch.copies_likely());
        let locked = step(locking, false).await?;
        expectations.saw(&locked);
        return Ok(Begun::Locked(Box::new(locked)));
    };
    match step(connection.write_expected(&batch.orders, &expected), true).await {
        Ok((written, ending)) => {
            expectations.were_right(written.clock);
            let outcomes = expected.at(&batch.orders, written);
            Ok(Begun::Written(outcomes, ending))
        }
        Err(trouble @ (Trouble::ConnectionLost { .. } | Trouble::CopyMet)) => Err(trouble),
        Err(trouble) => {
            tracing::debug!(?trouble, "a batch is not as expected");
            expectations.were_wrong(&batch.orders);
            Err(Trouble::Unexpected)
        }
    }
}

/// Awaits one step of a transaction.
async fn step<T, E: Into<TransactError>>(
    work: impl Future<Output = Result<T, E>>,
    committing: bool,
) -> Result<T, Trouble> {
    match timeout(STEP_TIMEOUT, work).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) => Err(trouble(&error.into(), committing)),
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
        Failure::Contention => Trouble::Contention,
        Failure::Duplicate => Trouble::CopyMet,
        Failure::Timeout => Trouble::Timeout,
        Failure::Fault => Trouble::Fault(cause::chain(error)),
    }
}

impl Trouble {
    fn leaves(&self) -> Left {
        match self {
            Self::NoConnection | Self::ConnectionLost { .. } => Left::Lost,
            // Only what is written meets a copy or the unexpected, and the COMMIT was sent behind.
            Self::CopyMet | Self::Unexpected => Left::Idle,
            _ => Left::Open,
        }
    }
}
