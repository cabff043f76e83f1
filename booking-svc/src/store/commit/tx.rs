//! One transaction that decides a batch of orders, in two pipelined round trips: lock, then
//! write and commit; or in one that writes an optimistic plan and commits. The first round trip of
//! the next transaction can be sent behind the COMMIT. The only place that changes a booking.
//!
//! Every transaction takes locks in one order: callers' request ids, sales, quota holders,
//! bookings, areas, seats, each by ascending key.

mod areas;
mod lock;
mod lock_set;
mod nowait;
mod payments;
mod quota;
mod write;
mod write_rows;
mod write_statements;

use std::collections::HashMap;
use std::iter;
use std::time::Duration;

use futures_util::{TryStreamExt as _, join};
use model::ShowId;
use service_kit::postgres::{Database, DbError};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, SimpleQueryStream, Statement};
use uuid::Uuid;

pub(super) use self::lock::LockMode;
use self::lock::{LockStatements, lock};
use self::lock_set::RowKeys;
use self::nowait::AtOnceStatements;
pub(super) use self::nowait::Blocked;
use self::write::{write, write_core};
use self::write_statements::WriteStatements;
use super::metrics::Changes;
use super::plan::{ExpectedSales, OptimisticPlan, WriteTimes};
use super::rejection_budget::RejectionBudget;
use crate::domain::{
    AreaWrite, Decision, Locked, NotGranted, Order, Outcome, Rejection, Replay, decide,
};
use crate::store::rejections;
use crate::store::rows::{self, BadRow};

/// Why a transaction was not committed.
#[derive(Debug, thiserror::Error)]
pub(super) enum TxError {
    /// A statement failed.
    #[error("{0}")]
    Statement(#[from] tokio_postgres::Error),
    /// A row was read that cannot be.
    #[error(transparent)]
    BadRow(#[from] BadRow),
}

/// A commit worker's connection, with its prepared statements.
pub(super) struct Connection {
    client: Client,
    statements: Statements,
}

/// The prepared statements of a connection.
struct Statements {
    lock: LockStatements,
    lock_nowait: LockStatements,
    nowait: AtOnceStatements,
    ended_holds: Statement,
    lock_holders: Statement,
    quota_bookings: Statement,
    replays: Statement,
    rejections: Statement,
    store_rejections: Statement,
    clock: Statement,
    write: WriteStatements,
    rewrite: Statement,
    count_areas: Statement,
    payments: Statement,
}

impl Statements {
    async fn prepare(client: &Client) -> Result<Self, tokio_postgres::Error> {
        Ok(Self {
            lock: LockStatements::waiting(client).await?,
            lock_nowait: LockStatements::nowait(client).await?,
            nowait: AtOnceStatements::prepare(client).await?,
            ended_holds: client
                .prepare(include_str!("../sql/ended_holds.sql"))
                .await?,
            lock_holders: client
                .prepare(include_str!("../sql/lock_holders.sql"))
                .await?,
            quota_bookings: client.prepare(rows::QUOTA_BOOKINGS).await?,
            replays: client.prepare(rows::REPLAYS).await?,
            rejections: client
                .prepare(include_str!("../sql/rejections.sql"))
                .await?,
            store_rejections: client
                .prepare(include_str!("../sql/store_rejections.sql"))
                .await?,
            clock: client.prepare("SELECT clock_timestamp()").await?,
            write: WriteStatements::prepare(client).await?,
            rewrite: client.prepare(include_str!("../sql/rewrite.sql")).await?,
            count_areas: client
                .prepare(include_str!("../sql/count_areas.sql"))
                .await?,
            payments: client
                .prepare(include_str!("../sql/write_payments.sql"))
                .await?,
        })
    }
}

/// The rows that a transaction writes without locking them first.
#[derive(Debug, Default)]
struct OptimisticChecks {
    sales: ExpectedSales,
    /// The keys of the locks of the callers' request ids, ascending.
    request_locks: Vec<i32>,
    /// The areas of which places are taken or given back, in the order of locks.
    areas: Vec<AreaWrite>,
    /// Whether areas are locked last, after all else is written.
    counted_last: bool,
}

/// How a transaction writes its decisions.
#[derive(Clone, Copy)]
pub(super) struct WriteTerms<'a> {
    /// Whether earlier results of its orders have been looked up.
    pub(super) expects_replays: bool,
    /// How long it waits for a lock.
    pub(super) lock_wait: Duration,
    /// The budget of stored rejections; none: all are stored.
    pub(super) rejections: Option<&'a RejectionBudget>,
}

/// The end of a transaction, which is on its way, or over already; and what it changes.
pub(super) struct CommitHandle(Option<SimpleQueryStream>, Changes);

impl CommitHandle {
    /// Waits until it is acknowledged: the writes are durable.
    pub(super) async fn acknowledged(self) -> Result<(), tokio_postgres::Error> {
        let Self(answer, changes) = self;
        if let Some(answer) = answer {
            answer.try_for_each(async |_| Ok(())).await?;
        }
        changes.committed();
        Ok(())
    }
}

impl Connection {
    pub(super) async fn open(database: &Database) -> Result<Self, DbError> {
        let client = database.connect().await.map_err(DbError::Connect)?;
        let statements = Statements::prepare(&client).await?;
        Ok(Self { client, statements })
    }

    pub(super) fn is_open(&self) -> bool {
        !self.client.is_closed()
    }

    pub(super) async fn roll_back(&self) -> Result<(), tokio_postgres::Error> {
        self.client.batch_execute("ROLLBACK").await
    }

    /// Begins a transaction and locks the rows of `orders`, behind whatever was sent before.
    /// Calls under one request id wait for each other by a lock on the id, whatever rows they touch.
    ///
    /// Earlier results are looked up at this point only if a replay is likely: a COMMIT of these
    /// orders may have got lost, or a replay was met. The locks on their rows then wait for
    /// that transaction to end. Otherwise a replay that would be granted fails the transaction (it
    /// breaks the unique key of the log, or was rejected before), and one that is rejected is looked
    /// up along with the writes.
    ///
    /// Waits for a lock no longer than `lock_wait`; without waiting, the answer says which orders
    /// could not get all of their locks: nothing may be decided on those.
    pub(super) async fn lock(
        &self,
        orders: &[Order],
        mode: LockMode,
        lock_wait: Duration,
    ) -> Result<(Locked, Vec<Blocked>), TxError> {
        lock(&self.client, &self.statements, orders, (mode, lock_wait)).await
    }

    /// Decides `orders`, writes the result and sends the COMMIT. The outcomes hold once
    /// that is acknowledged; a rejection has changed nothing, but may be stored, depending on `terms`.
    pub(super) async fn write(
        &self,
        orders: &[Order],
        locked: Locked,
        terms: WriteTerms<'_>,
    ) -> Result<(Vec<Outcome>, CommitHandle), TxError> {
        let Self { client, statements } = self;
        let WriteTerms {
            expects_replays,
            lock_wait,
            rejections,
        } = terms;
        let now = locked.now;
        let Decision {
            mut outcomes,
            mut writes,
        } = decide(orders, locked);
        if let Some(budget) = rejections {
            budget.apply(orders, &mut writes.rejections);
        }
        let changes = Changes::of(orders, &outcomes, &writes);
        let mut doubtful = RowKeys::default();
        if !expects_replays {
            for (order, _) in iter::zip(orders, &outcomes)
                .filter(|(order, outcome)| order.repeatable && may_be_copy(order, outcome))
            {
                doubtful.push(order.show_id.uuid(), order.request_id);
            }
        }
        let (copies, commit) = match now {
            Some(now) if !writes.transitions.is_empty() || !writes.rejections.is_empty() => {
                let unlocked = OptimisticChecks::default();
                let (copies, written) = join!(
                    replays(client, statements, &doubtful),
                    write(client, statements, &writes, &unlocked, (now, lock_wait))
                );
                (copies, written.map(|(commit, _)| commit))
            }
            _ => join!(
                replays(client, statements, &doubtful),
                client.simple_query_raw("ROLLBACK")
            ),
        };
        // In the order in which they were sent: the first failure fails the rest.
        let copies = copies?;
        let commit = CommitHandle(Some(commit?), changes);
        for (order, outcome) in iter::zip(orders, &mut outcomes) {
            if may_be_copy(order, outcome)
                && let Some(copy) = copies.get(&order.key())
            {
                *outcome = copy.answer(order.fingerprint).map_err(NotGranted::Rejected);
            }
        }
        Ok((outcomes, commit))
    }

    /// Sends BEGIN, the expected writes and the COMMIT, behind whatever was sent before; returns
    /// the time of the write. If an expectation fails, nothing is written and the transaction has
    /// ended. A transaction with a single order always ends.
    pub(super) async fn write_expected(
        &self,
        orders: &[Order],
        expected: &OptimisticPlan,
        lock_wait: Duration,
    ) -> Result<(WriteTimes, CommitHandle), TxError> {
        let Self { client, statements } = self;
        let unlocked = OptimisticChecks {
            sales: expected.sales.clone(),
            request_locks: lock_set::request_locks(orders),
            areas: expected.areas.clone(),
            counted_last: expected.counted_last,
        };
        let unknown = WriteTimes {
            moment: expected.now,
            made: expected.now,
            clock: expected.now,
        };
        let changes = Changes::of(orders, &expected.outcomes, &expected.writes);
        // A batch has a COMMIT of its own so that the next can gather until it is on its way. Nobody
        // gathers behind one order: its statement commits by itself, which saves two answers.
        if orders.len() == 1 && expected.writes.is_plain() {
            let written = write_core(
                client,
                statements,
                &expected.writes,
                &unlocked,
                (expected.now, lock_wait),
            );
            return Ok((
                written.await?.unwrap_or(unknown),
                CommitHandle(None, changes),
            ));
        }
        let (in_flight, written) = join!(
            client.batch_execute("BEGIN"),
            write(
                client,
                statements,
                &expected.writes,
                &unlocked,
                (expected.now, lock_wait)
            )
        );
        in_flight?;
        let (commit, written) = written?;
        Ok((
            written.unwrap_or(unknown),
            CommitHandle(Some(commit), changes),
        ))
    }
}

/// Whether an order that is refused may be a copy of one that was carried out, whose answer it gets.
fn may_be_copy(order: &Order, outcome: &Outcome) -> bool {
    match outcome {
        // It may be another customer's booking, whose earlier results must not be shown.
        Err(NotGranted::Rejected(Rejection::BookingNotFound(_))) => order.requester.sees_all(),
        outcome => matches!(outcome, Err(NotGranted::Rejected(_))),
    }
}

/// The stored results of earlier calls with these request ids, rejections too.
async fn replays(
    client: &Client,
    statements: &Statements,
    RowKeys(shows, requests): &RowKeys,
) -> Result<HashMap<(ShowId, Uuid), Replay>, TxError> {
    let mut found = HashMap::new();
    if requests.is_empty() {
        return Ok(found);
    }
    let keys: [&(dyn ToSql + Sync); 2] = [shows, requests];
    let (granted, refused) = join!(
        client.query(&statements.replays, &keys),
        client.query(&statements.rejections, &keys)
    );
    for row in refused? {
        let (key, replay) = rejections::refused(&row)?;
        found.insert(key, replay);
    }
    for row in granted? {
        let (key, replay) = rows::replay(&row)?;
        found.insert(key, replay);
    }
    Ok(found)
}

#[cfg(test)]
mod tests;
