//! One transaction that decides a batch of orders, in two pipelined round trips: lock, then
//! write and commit. The only place that changes a booking.
//!
//! Locks are taken in one order by everyone: sales, bookings, seats, each by ascending key.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::FutureExt as _;
use futures_util::future::join5;
use futures_util::join;
use tokio_postgres::{Client, Statement};
use uuid::Uuid;

use super::rows::{self, BadRow};
use crate::domain::{
    BookingState, Command, Customer, Decision, Locked, Order, Outcome, Owner, Replay, SaleRow,
    SaleState, Writes, decide,
};

/// Why a transaction did not come to its end.
#[derive(Debug, thiserror::Error)]
pub(super) enum TransactError {
    /// A statement failed.
    #[error("{0}")]
    Statement(#[from] tokio_postgres::Error),
    /// A row was read that cannot be.
    #[error(transparent)]
    BadRow(#[from] BadRow),
}

/// The prepared statements of a connection.
pub(super) struct Statements {
    lock_sales: Statement,
    lock_bookings: Statement,
    lock_seats: Statement,
    replays: Statement,
    clock: Statement,
    insert_bookings: Statement,
    update_bookings: Statement,
    update_seats: Statement,
    insert_transitions: Statement,
}

impl Statements {
    pub(super) async fn prepare(client: &Client) -> Result<Self, tokio_postgres::Error> {
        Ok(Self {
            lock_sales: client.prepare(include_str!("sql/lock_sales.sql")).await?,
            lock_bookings: client
                .prepare(include_str!("sql/lock_bookings.sql"))
                .await?,
            lock_seats: client.prepare(include_str!("sql/lock_seats.sql")).await?,
            replays: client.prepare(include_str!("sql/replays.sql")).await?,
            clock: client.prepare("SELECT clock_timestamp()").await?,
            insert_bookings: client
                .prepare(include_str!("sql/insert_bookings.sql"))
                .await?,
            update_bookings: client
                .prepare(include_str!("sql/update_bookings.sql"))
                .await?,
            update_seats: client.prepare(include_str!("sql/update_seats.sql")).await?,
            insert_transitions: client
                .prepare(include_str!("sql/insert_transitions.sql"))
                .await?,
        })
    }
}

/// Decides `orders` in one transaction. Whatever it returns has been committed durably, or
/// is a refusal that changed nothing.
///
/// `outcome_unknown`: a COMMIT of these orders may have got lost. Their rows' locks then wait
/// for that transaction to end, and what it did is found by request id.
pub(super) async fn transact(
    client: &Client,
    statements: &Statements,
    orders: &[Order],
    outcome_unknown: bool,
) -> Result<Vec<Outcome>, TransactError> {
    let locked = lock(client, statements, orders, outcome_unknown).await?;
    let now = locked.now;
    let Decision { outcomes, writes } = decide(orders, locked);
    match now {
        Some(now) if !writes.transitions.is_empty() => {
            write(client, statements, &writes, now).await?;
        }
        _ => client.batch_execute("ROLLBACK").await?,
    }
    Ok(outcomes)
}

/// What a batch touches, as the lock statements take it.
#[derive(Default)]
struct Wanted {
    shows: BTreeSet<Uuid>,
    bookings: Keys,
    seats: (Vec<Uuid>, Vec<i32>),
    freed: Keys,
    requests: Keys,
}

/// Pairs of a show's id and another, as two arrays.
#[derive(Default)]
struct Keys(Vec<Uuid>, Vec<Uuid>);

impl Keys {
    fn push(&mut self, show_id: Uuid, id: Uuid) {
        self.0.push(show_id);
        self.1.push(id);
    }
}

impl Wanted {
    fn by(orders: &[Order], outcome_unknown: bool) -> Self {
        let mut wanted = Self::default();
        for order in orders {
            let show_id = order.show_id.uuid();
            wanted.shows.insert(show_id);
            if order.repeatable || outcome_unknown {
                wanted.requests.push(show_id, order.request_id);
            }
            if let Some(booking_id) = order.command.booking_id() {
                wanted.bookings.push(show_id, booking_id.uuid());
                if order.command.frees_seats() {
                    wanted.freed.push(show_id, booking_id.uuid());
                }
            }
            if let Command::Reserve { ordinals, .. } = &order.command {
                wanted.seats.0.extend(ordinals.iter().map(|_| show_id));
                wanted
                    .seats
                    .1
                    .extend(ordinals.iter().map(|&ordinal| rows::ordinal(ordinal)));
            }
        }
        wanted
    }
}

async fn lock(
    client: &Client,
    statements: &Statements,
    orders: &[Order],
    outcome_unknown: bool,
) -> Result<Locked, TransactError> {
    let wanted = Wanted::by(orders, outcome_unknown);
    let shows: Vec<Uuid> = wanted.shows.into_iter().collect();
    let (Keys(booking_shows, bookings), Keys(freed_shows, freed)) = (wanted.bookings, wanted.freed);
    let (seat_shows, seats) = wanted.seats;
    let Keys(request_shows, requests) = wanted.requests;

    // Polled in this order, so sent in this order, and answered after one round trip.
    // Polled in this order, so sent in this order, and answered after one round trip.
    let begin = client.batch_execute("BEGIN");
    let lock_sales = async { client.query(&statements.lock_sales, &[&shows]).await };
    let lock_bookings = async {
        if bookings.is_empty() {
            return Ok(Vec::new());
        }
        client
            .query(&statements.lock_bookings, &[&booking_shows, &bookings])
            .await
    };
    let lock_seats = async {
        if seats.is_empty() && freed.is_empty() {
            return Ok(Vec::new());
        }
        client
            .query(
                &statements.lock_seats,
                &[&seat_shows, &seats, &freed_shows, &freed],
            )
            .await
    };
    let replays = async {
        if requests.is_empty() {
            return Ok(Vec::new());
        }
        client
            .query(&statements.replays, &[&request_shows, &requests])
            .await
    };
    let clock = client.query_one(&statements.clock, &[]);
    let (begun, sales, bookings, seats, replays, clock) =
        join!(begin, lock_sales, lock_bookings, lock_seats, replays, clock);
    begun?;
    let mut locked = Locked::default();
    for row in sales? {
        let show_id = rows::show_id(row.get(0))?;
        let state = SaleState::from_name(row.get(2)).ok_or_else(|| rows::bad("state", show_id))?;
        locked.sales.insert(
            show_id,
            SaleRow {
                revision: row.get(1),
                state,
                start_at: row.get(3),
            },
        );
    }
    for row in bookings? {
        let booking = rows::booking(&row)?;
        locked.bookings.insert(booking.booking_id, booking);
    }
    for row in seats? {
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
    for row in replays? {
        let booking = rows::booking(&row)?;
        let state = BookingState::from_name(row.get(18))
            .ok_or_else(|| rows::bad("to_state", booking.booking_id))?;
        let key = (booking.booking_id.show(), row.get(15));
        let result = booking.as_of(row.get(17), state);
        locked.replays.insert(
            key,
            Replay {
                fingerprint: row.get(16),
                result,
            },
        );
    }
    locked.now = Some(clock?.get(0));
    Ok(locked)
}

/// Writes and commits in one round trip. Every statement checks that it touched what was
/// locked: if one did not, it fails, and so does the COMMIT behind it.
async fn write(
    client: &Client,
    statements: &Statements,
    writes: &Writes,
    now: time::OffsetDateTime,
) -> Result<(), tokio_postgres::Error> {
    // What cannot be encoded is never sent, so the server would commit the rest: COMMIT goes
    // out, after them all have been polled once, only if none has failed by then.
    let failed = AtomicBool::new(false);
    let noted = |written: Result<(), tokio_postgres::Error>| {
        if written.is_err() {
            failed.store(true, Ordering::Relaxed);
        }
        written
    };
    let commit = async {
        let end = if failed.load(Ordering::Relaxed) {
            "ROLLBACK"
        } else {
            "COMMIT"
        };
        client.batch_execute(end).await
    };
    let (inserted, updated, seats, logged, committed) = join5(
        insert_bookings(client, statements, writes).map(noted),
        update_bookings(client, statements, writes).map(noted),
        update_seats(client, statements, writes).map(noted),
        insert_transitions(client, statements, writes, now).map(noted),
        commit,
    )
    .await;
    inserted?;
    updated?;
    seats?;
    logged?;
    committed
}

async fn insert_bookings(
    client: &Client,
    statements: &Statements,
    writes: &Writes,
) -> Result<(), tokio_postgres::Error> {
    let new = &writes.inserted;
    if new.is_empty() {
        return Ok(());
    }
    let mut ordinals = Vec::new();
    let mut prices = Vec::new();
    let mut first = Vec::with_capacity(new.len());
    let mut last = Vec::with_capacity(new.len());
    for booking in new {
        first.push(i32::try_from(ordinals.len() + 1).unwrap_or(i32::MAX));
        ordinals.extend(booking.seats.iter().map(|seat| rows::ordinal(seat.ordinal)));
        prices.extend(booking.seats.iter().map(|seat| seat.price));
        last.push(i32::try_from(ordinals.len()).unwrap_or(i32::MAX));
    }
    let customer_ids = column(new, |booking| match &booking.customer {
        Customer::Id(id) => Some(id.as_str()),
        Customer::Email(_) => None,
    });
    let emails = column(new, |booking| match &booking.customer {
        Customer::Id(_) => None,
        Customer::Email(email) => Some(email.as_str()),
    });
    let executed = client
        .execute(
            &statements.insert_bookings,
            &[
                &column(new, |booking| booking.booking_id.show().uuid()),
                &column(new, |booking| booking.booking_id.uuid()),
                &column(new, |booking| booking.state.as_str()),
                &ordinals,
                &prices,
                &first,
                &last,
                &column(new, |booking| booking.version),
                &customer_ids,
                &emails,
                &column(new, |booking| booking.total),
                &column(new, |booking| booking.currency.as_str()),
                &column(new, |booking| booking.created_at),
                &column(new, |booking| booking.expires_at),
                &column(new, |booking| {
                    booking.failure_reason.map(|reason| reason.as_str())
                }),
                &column(new, |booking| booking.confirmed_at),
                &column(new, |booking| booking.cancelled_at),
                &column(new, |booking| booking.failed_at),
            ],
        )
        .await;
    executed.map(drop)
}

async fn update_bookings(
    client: &Client,
    statements: &Statements,
    writes: &Writes,
) -> Result<(), tokio_postgres::Error> {
    let changed = &writes.updated;
    if changed.is_empty() {
        return Ok(());
    }
    let executed = client
        .execute(
            &statements.update_bookings,
            &[
                &column(changed, |(booking, _)| booking.booking_id.show().uuid()),
                &column(changed, |(booking, _)| booking.booking_id.uuid()),
                &column(changed, |(_, prior_version)| *prior_version),
                &column(changed, |(booking, _)| booking.state.as_str()),
                &column(changed, |(booking, _)| {
                    booking.failure_reason.map(|reason| reason.as_str())
                }),
                &column(changed, |(booking, _)| booking.version),
                &column(changed, |(booking, _)| booking.confirmed_at),
                &column(changed, |(booking, _)| booking.cancelled_at),
                &column(changed, |(booking, _)| booking.failed_at),
            ],
        )
        .await;
    executed.map(drop)
}

async fn update_seats(
    client: &Client,
    statements: &Statements,
    writes: &Writes,
) -> Result<(), tokio_postgres::Error> {
    let changed = &writes.seats;
    if changed.is_empty() {
        return Ok(());
    }
    let executed = client
        .execute(
            &statements.update_seats,
            &[
                &column(changed, |seat| seat.show_id.uuid()),
                &column(changed, |seat| rows::ordinal(seat.ordinal)),
                &column(changed, |seat| seat.from.map(|owner| owner.uuid())),
                &column(changed, |seat| seat.to.map(|owner| owner.uuid())),
            ],
        )
        .await;
    executed.map(drop)
}

async fn insert_transitions(
    client: &Client,
    statements: &Statements,
    writes: &Writes,
    now: time::OffsetDateTime,
) -> Result<(), tokio_postgres::Error> {
    let new = &writes.transitions;
    let executed = client
        .execute(
            &statements.insert_transitions,
            &[
                &column(new, |transition| transition.booking_id.show().uuid()),
                &column(new, |transition| transition.booking_id.uuid()),
                &column(new, |transition| transition.version),
                &column(new, |transition| transition.verb.as_str()),
                &column(new, |transition| {
                    transition.from.map(|state| state.as_str())
                }),
                &column(new, |transition| transition.to.as_str()),
                &column(new, |transition| transition.request_id),
                &column(new, |transition| transition.fingerprint),
                &now,
            ],
        )
        .await;
    executed.map(drop)
}

/// One value of each row, as an array parameter.
fn column<'a, R, T>(rows: &'a [R], value: impl Fn(&'a R) -> T) -> Vec<T> {
    rows.iter().map(value).collect()
}
