//! Group commit. A lane has a connection of its own and runs one transaction behind another
//! on it. Orders that arrive while the lanes are busy wait in one queue and are decided
//! together by the next transaction; if no lane is busy an order waits for nobody.
//!
//! While a transaction's COMMIT is flushed to disk the locks of the next are on their way, so
//! that the database finds its work waiting.
//!
//! Invariants: an order is answered only after its transaction is durable, or certainly had
//! no effect; a caller that goes away does not stop a transaction.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures_util::join;
use service_kit::sqlstate::{Failure, classify};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};

use super::batch::{Answer, Batch, Desk, LaneError, Trouble, Waiting};
use super::queue::{NotQueued, Queue, Turn};
use super::transact::{Connection, TransactError};
use crate::domain::{Locked, Order};

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
    /// Starts `count` lanes. They end when the last clone of the value is dropped and their
    /// queue is empty; await the tasks to see them out.
    #[must_use]
    pub fn start(
        count: u16,
        config: &tokio_postgres::Config,
    ) -> (Self, Vec<tokio::task::JoinHandle<()>>) {
        let queue = Arc::new(Queue::new());
        let lanes = (0..count.max(1)).map(|_| Lane {
            config: config.clone(),
            connection: None,
            desk: Desk::default(),
        });
        let tasks = lanes
            .map(|lane| tokio::spawn(lane.run(Arc::clone(&queue))))
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
            Ok(()) => answered.await.unwrap_or(Err(LaneError::ShuttingDown)),
            Err(NotQueued::Full) => Err(LaneError::Overloaded),
            Err(NotQueued::Closed) => Err(LaneError::ShuttingDown),
        }
    }
}

struct Lane {
    config: tokio_postgres::Config,
    connection: Option<Connection>,
    desk: Desk,
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
    async fn run(mut self, queue: Arc<Queue<Waiting>>) {
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
            match run_from(batch, turn, connection, &mut self.desk, &queue).await {
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
        match timeout(STEP_TIMEOUT, Connection::open(&self.config)).await {
            Ok(Ok(connection)) => self.connection = Some(connection),
            Ok(Err(error)) => tracing::debug!(%error, "a lane has no connection"),
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
    connection: &Connection,
    desk: &mut Desk,
    queue: &'a Queue<Waiting>,
) -> Left {
    let mut locked = lock(connection, &batch).await;
    loop {
        let written = match locked {
            Ok(locked) => {
                let writing = connection.write(&batch.orders, locked, batch.copies_likely());
                step(writing, true).await
            }
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
        let locking = async {
            match &behind {
                Some((next, _)) => Some(lock(connection, next).await),
                None => None,
            }
        };
        let (left, next_locked) = join!(settling, locking);
        let (Some((next, next_turn)), Some(next_locked)) = (behind, next_locked) else {
            return left;
        };
        if matches!(left, Left::Lost) {
            // It has written nothing yet, whatever became of the one before.
            desk.take_back(next, Trouble::ConnectionLost { committing: false });
            return left;
        }
        (batch, turn, locked) = (next, next_turn, next_locked);
    }
}

async fn lock(connection: &Connection, batch: &Batch) -> Result<Locked, Trouble> {
    step(connection.lock(&batch.orders, batch.copies_likely()), false).await
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
            tracing::warn!(%error, "a lane's connection was lost");
            Trouble::ConnectionLost { committing }
        }
        Failure::Contention => Trouble::Contention,
        Failure::Duplicate => Trouble::CopyMet,
        Failure::Timeout => Trouble::Timeout,
        Failure::Fault => Trouble::Fault(match error.as_db_error() {
            // Without its details, which may quote a row.
            Some(told) => {
                let (code, constraint) = (told.code().code(), told.constraint().unwrap_or("none"));
                format!("{code} {}; constraint: {constraint}", told.message())
            }
            None => error.to_string(),
        }),
    }
}

impl Trouble {
    fn leaves(&self) -> Left {
        match self {
            Self::NoConnection | Self::ConnectionLost { .. } => Left::Lost,
            // Only what is written meets a copy, and the COMMIT was sent behind it.
            Self::CopyMet => Left::Idle,
            _ => Left::Open,
        }
    }
}
