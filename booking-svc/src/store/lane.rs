//! Group commit. A lane has a connection of its own and runs one transaction at a time.
//! Orders that arrive while the lanes are busy wait in one queue and are decided together by
//! the next transaction; if no lane is busy an order waits for nobody.
//!
//! Invariants: an order is answered only after its transaction is durable, or certainly had
//! no effect; a caller that goes away does not stop a transaction; an order that breaks a
//! transaction fails alone.

use std::collections::VecDeque;
use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use model::BookingId;
use service_kit::postgres;
use service_kit::sqlstate::{Failure, classify};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};
use tokio_postgres::Client;
use uuid::Uuid;

use super::queue::{NotQueued, Queue, Turn};
use super::transact::{Statements, TransactError, transact};
use crate::domain::{Booking, Command, NotGranted, Order, Outcome, Refusal};

/// The most orders that one transaction decides.
const BATCH_ORDERS_MAX: usize = 256;
/// The most seats that one transaction touches, unless a single order has more.
const BATCH_SEATS_MAX: usize = 2_000;
/// How often a transaction is tried that meets others, or whose connection breaks.
const ATTEMPTS_MAX: u32 = 6;
/// How often an order comes again because holds had to be ended first.
const ROUNDS_MAX: u8 = 4;
/// The longest a transaction may take before its connection is given up; longer than the
/// server's own timeouts, which end what hangs there.
const TRANSACTION_TIMEOUT: Duration = Duration::from_secs(12);

/// Why an order got no decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LaneError {
    /// The queue is full.
    Overloaded,
    /// The order's time was over before its turn came.
    DeadlineExceeded,
    /// The database cannot be reached. Safe to repeat under the same request id.
    DatabaseUnavailable,
    /// Every attempt met other transactions.
    Contention,
    /// The sale was looked up at an older revision.
    SaleChanged,
    /// The service is stopping.
    ShuttingDown,
    /// A fault of ours. Whoever answers the call logs it, under the call's own id.
    Fault(Fault),
}

/// A fault, in words for the log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Fault(Arc<str>);

impl LaneError {
    fn fault(what: impl Display) -> Self {
        Self::Fault(Fault(what.to_string().into()))
    }
}

/// The answer to an order.
pub type Answer = Result<Result<Booking, Refusal>, LaneError>;

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

#[derive(Debug)]
struct Waiting {
    order: Order,
    deadline: Instant,
    /// How often it has come before.
    rounds: u8,
    /// None for orders that the lane made itself.
    answer: Option<oneshot::Sender<Answer>>,
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
        let lanes = (0..count.max(1)).map(|number| Lane {
            number,
            config: config.clone(),
            connection: None,
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
        let waiting = Waiting {
            order,
            deadline,
            rounds: 0,
            answer: Some(answer),
        };
        match self.entrance.0.push(waiting) {
            Ok(()) => answered.await.unwrap_or(Err(LaneError::ShuttingDown)),
            Err(NotQueued::Full) => Err(LaneError::Overloaded),
            Err(NotQueued::Closed) => Err(LaneError::ShuttingDown),
        }
    }
}

struct Lane {
    number: u16,
    config: tokio_postgres::Config,
    connection: Option<(Client, Statements)>,
}

impl Lane {
    async fn run(mut self, queue: Arc<Queue<Waiting>>) {
        // What must come again stays with the lane, so that it is decided together.
        let mut again = VecDeque::new();
        loop {
            let turn = if again.is_empty() {
                queue.turn().await
            } else {
                Some(queue.own_turn())
            };
            let Some(turn) = turn else { return };
            let batch = fill(&mut again, &turn);
            self.run_batch(batch, &mut again).await;
        }
    }

    /// Decides a batch; in parts, if a part of it breaks its transaction.
    async fn run_batch(&mut self, batch: Vec<Waiting>, again: &mut VecDeque<Waiting>) {
        let mut parts = vec![batch];
        while let Some(mut part) = parts.pop() {
            part.retain_mut(still_wanted);
            if part.is_empty() {
                continue;
            }
            let (orders, waiting): (Vec<_>, Vec<_>) = part
                .into_iter()
                .map(
                    |Waiting {
                         order,
                         deadline,
                         rounds,
                         answer,
                     }| (order, (deadline, rounds, answer)),
                )
                .unzip();
            let decided = self.decide(&orders).await;
            let mut part: Vec<_> = orders
                .into_iter()
                .zip(waiting)
                .map(|(order, (deadline, rounds, answer))| Waiting {
                    order,
                    deadline,
                    rounds,
                    answer,
                })
                .collect();
            match decided {
                Ok(outcomes) => {
                    for (waiting, outcome) in part.into_iter().zip(outcomes) {
                        settle(waiting, outcome, again);
                    }
                }
                Err(LaneError::Fault(_)) if part.len() > 1 => {
                    parts.push(part.split_off(part.len() / 2));
                    parts.push(part);
                }
                Err(error) => part
                    .into_iter()
                    .for_each(|waiting| waiting.answer(Err(error.clone()))),
            }
        }
    }

    async fn decide(&mut self, orders: &[Order]) -> Result<Vec<Outcome>, LaneError> {
        let mut outcome_unknown = false;
        let mut copy_met = false;
        let mut last = LaneError::Contention;
        for attempt in 0..ATTEMPTS_MAX {
            if attempt > 0 {
                tokio::time::sleep(backoff(attempt)).await;
            }
            let Ok((client, statements)) = self.connection().await else {
                last = LaneError::DatabaseUnavailable;
                if outcome_unknown {
                    continue;
                }
                // Nothing was sent: say so at once, rather than let callers wait.
                return Err(last);
            };
            let deciding = transact(client, statements, orders, outcome_unknown || copy_met);
            let error = match timeout(TRANSACTION_TIMEOUT, deciding).await {
                Ok(Ok(outcomes)) => return Ok(outcomes),
                Ok(Err(TransactError::Statement(error))) => error,
                Ok(Err(TransactError::BadRow(error))) => {
                    self.connection = None;
                    return Err(LaneError::fault(error));
                }
                Err(_) => {
                    tracing::warn!(lane = self.number, "a transaction took too long");
                    self.connection = None;
                    outcome_unknown = true;
                    last = LaneError::DatabaseUnavailable;
                    continue;
                }
            };
            match classify(&error) {
                Failure::ConnectionLost => {
                    tracing::warn!(%error, lane = self.number, "the connection was lost");
                    self.connection = None;
                    outcome_unknown = true;
                    last = LaneError::DatabaseUnavailable;
                    continue;
                }
                Failure::Contention => last = LaneError::Contention,
                // A copy of a request was ahead of us: its result will be found.
                Failure::Duplicate => {
                    copy_met = true;
                    last = LaneError::Contention;
                }
                Failure::Timeout => last = LaneError::DatabaseUnavailable,
                Failure::Fault => {
                    self.roll_back().await;
                    let what = match error.as_db_error() {
                        Some(detail) => format!("{error}: {detail:?}"),
                        None => error.to_string(),
                    };
                    return Err(LaneError::fault(what));
                }
            }
            self.roll_back().await;
        }
        Err(last)
    }

    async fn roll_back(&mut self) {
        if let Some((client, _)) = &self.connection {
            let rolled_back = timeout(TRANSACTION_TIMEOUT, client.batch_execute("ROLLBACK")).await;
            if !matches!(rolled_back, Ok(Ok(()))) {
                self.connection = None;
            }
        }
    }

    async fn connection(&mut self) -> Result<(&Client, &Statements), ()> {
        let lost = self
            .connection
            .as_ref()
            .is_none_or(|(client, _)| client.is_closed());
        if lost {
            self.connection = None;
            let connecting = async {
                let client = postgres::connect(&self.config).await?;
                let statements = Statements::prepare(&client).await?;
                Ok::<_, tokio_postgres::Error>((client, statements))
            };
            match timeout(TRANSACTION_TIMEOUT, connecting).await {
                Ok(Ok(connection)) => self.connection = Some(connection),
                Ok(Err(error)) => tracing::debug!(%error, lane = self.number, "no connection"),
                Err(_) => tracing::debug!(lane = self.number, "no connection in time"),
            }
        }
        self.connection
            .as_ref()
            .map(|(client, statements)| (client, statements))
            .ok_or(())
    }
}

/// The next batch: what has come again first, then the queue in its order.
fn fill(again: &mut VecDeque<Waiting>, turn: &Turn<'_, Waiting>) -> Vec<Waiting> {
    let mut batch = Vec::new();
    let mut seats = 0;
    while batch.len() < BATCH_ORDERS_MAX && seats < BATCH_SEATS_MAX {
        let Some(waiting) = again.pop_front().or_else(|| turn.pop()) else {
            break;
        };
        seats += waiting.order.command.size();
        batch.push(waiting);
    }
    batch
}

/// Whether somebody waits for the order, and has time left.
fn still_wanted(waiting: &mut Waiting) -> bool {
    if waiting
        .answer
        .as_ref()
        .is_some_and(oneshot::Sender::is_closed)
    {
        return false;
    }
    if waiting.answer.is_some() && waiting.deadline <= Instant::now() {
        waiting.answer_by_ref(Err(LaneError::DeadlineExceeded));
        return false;
    }
    true
}

/// Answers an order, or has it come again.
fn settle(mut waiting: Waiting, outcome: Outcome, again: &mut VecDeque<Waiting>) {
    match outcome {
        Ok(booking) => waiting.answer(Ok(Ok(booking))),
        Err(NotGranted::Refused(refusal)) => waiting.answer(Ok(Err(refusal))),
        Err(NotGranted::SaleChanged) => waiting.answer(Err(LaneError::SaleChanged)),
        Err(NotGranted::Lapsed(bookings)) if waiting.rounds < ROUNDS_MAX => {
            again.extend(
                bookings
                    .into_iter()
                    .map(|id| expiry_of(id, waiting.deadline)),
            );
            waiting.rounds += 1;
            again.push_back(waiting);
        }
        Err(NotGranted::Lapsed(_)) => waiting.answer(Err(LaneError::Contention)),
        Err(NotGranted::Fault(what)) => waiting.answer(Err(LaneError::fault(what))),
    }
}

fn expiry_of(booking_id: BookingId, deadline: Instant) -> Waiting {
    let order = Order {
        show_id: booking_id.show(),
        request_id: Uuid::now_v7(),
        repeatable: false,
        fingerprint: 0,
        command: Command::Expire { booking_id },
    };
    Waiting {
        order,
        deadline,
        rounds: 0,
        answer: None,
    }
}

impl Waiting {
    fn answer(mut self, answer: Answer) {
        self.answer_by_ref(answer);
    }

    fn answer_by_ref(&mut self, answer: Answer) {
        // Whoever went away is not told.
        let unheard = match self.answer.take() {
            Some(sender) => sender.send(answer).err(),
            None => Some(answer),
        };
        if let Some(Err(LaneError::Fault(fault))) = unheard {
            tracing::error!(%fault, "an order was given up that nobody waits for");
        }
    }
}

/// Longer with each attempt, with jitter so that two lanes do not meet again.
fn backoff(attempt: u32) -> Duration {
    let base = 2_u64.saturating_pow(attempt) * 5;
    let jitter = Uuid::new_v4().as_u64_pair().0 % base;
    Duration::from_millis(base + jitter)
}
