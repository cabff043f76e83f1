//! The first round trip of a transaction: it locks and reads the rows of a batch, in the common order
//! of locks.
//!
//! It either waits for each lock, as long as the lock timeout allows, or takes only locks that are
//! free at this moment. A transaction that never waits cannot be part of a deadlock; it determines
//! which orders could not get all of their locks.

use std::time::Duration;

use futures_util::join;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Row, Statement};
use uuid::Uuid;

use super::lock_set::{LockSet, RowKeys};
use super::nowait::{Blocked, try_locks};
use super::{Statements, TxError, areas, quota, replays};
use crate::domain::{BookingState, Locked, Order, Owner, SaleRow, SaleState};
use crate::store::rows::{self, BadRow};

/// How a transaction takes its locks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store::commit) enum LockMode {
    /// It waits for each of them.
    Wait {
        /// Whether to ask as well which of its orders have been carried out before.
        expects_replays: bool,
    },
    /// Takes only free locks. Always looks up earlier results.
    NoWait,
}

/// The statements that lock rows, in one of the two modes.
pub(super) struct LockStatements {
    sales: Statement,
    bookings: Statement,
    areas: Statement,
    seats: Statement,
}

impl LockStatements {
    /// The statements that wait for locks.
    pub(super) async fn waiting(client: &Client) -> Result<Self, tokio_postgres::Error> {
        Self::prepare(client, "").await
    }

    /// The statements that skip locked rows.
    pub(super) async fn nowait(client: &Client) -> Result<Self, tokio_postgres::Error> {
        Self::prepare(client, "SKIP LOCKED").await
    }

    /// Each statement ends in its locking clause, to which `how` is appended.
    async fn prepare(client: &Client, how: &str) -> Result<Self, tokio_postgres::Error> {
        let prepare = async |text: &str| client.prepare(&format!("{text}{how}")).await;
        Ok(Self {
            sales: prepare(include_str!("../../sql/lock_sales.sql")).await?,
            bookings: prepare(rows::LOCK_BOOKINGS).await?,
            areas: prepare(include_str!("../../sql/lock_areas.sql")).await?,
            seats: prepare(include_str!("../../sql/lock_seats.sql")).await?,
        })
    }
}

/// Begins a transaction whose statements wait for a lock no longer than this.
pub(super) async fn begin(
    client: &Client,
    lock_wait: Duration,
) -> Result<(), tokio_postgres::Error> {
    let begin = format!("BEGIN; SET LOCAL lock_timeout = {}", millis(lock_wait));
    client.batch_execute(&begin).await
}

/// A lock timeout for PostgreSQL, where 0 would mean none.
pub(super) fn millis(lock_wait: Duration) -> u128 {
    lock_wait.as_millis().max(1)
}

/// Begins a transaction and locks the rows of `orders`. Returns which orders could not get all of
/// their locks, and which locks these are; if it waits for its locks there are none.
pub(super) async fn lock(
    client: &Client,
    statements: &Statements,
    orders: &[Order],
    (mode, lock_wait): (LockMode, Duration),
) -> Result<(Locked, Vec<Blocked>), TxError> {
    let (lock, nowait, expects_replays) = match mode {
        LockMode::Wait { expects_replays } => (&statements.lock, false, expects_replays),
        LockMode::NoWait => (&statements.lock_nowait, true, true),
    };
    let lock_set = LockSet::by(orders, expects_replays);
    let shows: Vec<Uuid> = lock_set.shows.iter().copied().collect();
    let RowKeys(booking_shows, bookings) = &lock_set.bookings;
    let RowKeys(freed_shows, freed) = &lock_set.freed;
    let (seat_shows, seats) = &lock_set.seats;
    // `try_locks` tries them without waiting.
    let request_locks = if nowait {
        &[][..]
    } else {
        &lock_set.request_locks
    };
    let sale_keys: [&(dyn ToSql + Sync); 2] = [&shows, &request_locks];
    let booking_keys: [&(dyn ToSql + Sync); 2] = [booking_shows, bookings];
    let seat_keys: [&(dyn ToSql + Sync); 4] = [seat_shows, seats, freed_shows, freed];

    // Polled in this order, so sent in this order, and answered after one round trip.
    let (in_flight, sales, held, bookings, areas, ended, seats, tried, quota, replays, clock) = join!(
        begin(client, lock_wait),
        client.query(&lock.sales, &sale_keys),
        async {
            match nowait {
                true => Ok(()),
                false => quota::lock(client, statements, &lock_set.holders).await,
            }
        },
        query_unless(bookings.is_empty(), client, &lock.bookings, &booking_keys),
        areas::lock(client, &lock.areas, &lock_set.places, &lock_set.freed),
        areas::ended_holds(client, statements, &lock_set.places),
        query_unless(
            seats.is_empty() && freed.is_empty(),
            client,
            &lock.seats,
            &seat_keys
        ),
        async {
            match nowait {
                true => Ok(Some(
                    try_locks(client, &statements.nowait, orders, &lock_set).await?,
                )),
                false => Ok(None),
            }
        },
        quota::bookings(client, statements, &lock_set.holders),
        replays(client, statements, &lock_set.requests),
        client.query_one(&statements.clock, &[]),
    );
    // In the order in which they were sent: the first failure fails the rest.
    in_flight?;
    let mut locked = Locked::default();
    add_sales(&mut locked, sales?)?;
    held?;
    for row in bookings? {
        let booking = rows::booking(&row)?;
        locked.bookings.insert(booking.booking_id, booking);
    }
    locked.areas = areas?;
    locked.ended = ended?;
    add_seats(&mut locked, seats?)?;
    let tried: Result<_, TxError> = tried;
    let tried = tried?;
    locked.quota = quota?;
    locked.replays = replays?;
    locked.now = Some(clock?.get(0));
    let blocked = tried.map_or_else(Vec::new, |tried| tried.blocked(orders, &locked));
    Ok((locked, blocked))
}

async fn query_unless(
    nothing_wanted: bool,
    client: &Client,
    statement: &Statement,
    keys: &[&(dyn ToSql + Sync)],
) -> Result<Vec<Row>, tokio_postgres::Error> {
    if nothing_wanted {
        return Ok(Vec::new());
    }
    client.query(statement, keys).await
}

fn add_sales(locked: &mut Locked, rows: Vec<Row>) -> Result<(), BadRow> {
    for row in rows {
        let show_id = rows::show_id(row.get(0))?;
        let state = SaleState::from_name(row.get(2)).ok_or_else(|| rows::bad("state", show_id))?;
        let revision = row.get(1);
        locked.sales.insert(show_id, SaleRow { revision, state });
    }
    Ok(())
}

fn add_seats(locked: &mut Locked, rows: Vec<Row>) -> Result<(), BadRow> {
    for row in rows {
        let show_id = rows::show_id(row.get(0))?;
        let ordinal =
            u32::try_from(row.get::<_, i32>(1)).map_err(|_| rows::bad("ordinal", show_id))?;
        let owner = row
            .get::<_, Option<Uuid>>(2)
            .map(rows::booking_id)
            .transpose()?;
        locked.seats.insert((show_id, ordinal), owner);
        if let (Some(owner), Some(state), Some(expires_at)) =
            (owner, row.get::<_, Option<&str>>(3), row.get(4))
        {
            let state = BookingState::from_name(state).ok_or_else(|| rows::bad("state", owner))?;
            locked.owners.insert(owner, Owner { state, expires_at });
        }
    }
    Ok(())
}
