//! One transaction that decides a batch of orders, in two pipelined round trips: lock, then
//! write and commit. The only place that changes a booking.
//!
//! Locks are taken in one order by everyone: sales, bookings, seats, each by ascending key.

use std::collections::{BTreeSet, HashMap};
use std::iter;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::join;
use model::ShowId;
use time::OffsetDateTime;
use tokio_postgres::{Client, Statement};
use uuid::Uuid;

use super::rows::{self, BadRow};
use crate::domain::{
    BookingState, Command, Customer, Decision, Locked, NotGranted, Order, Outcome, Owner, Replay,
    SaleRow, SaleState, Writes, decide,
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
    write: Statement,
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
            write: client.prepare(include_str!("sql/write.sql")).await?,
        })
    }
}

/// Decides `orders` in one transaction. Whatever it returns has been committed durably, or
/// is a refusal that changed nothing.
///
/// Whether an order is a copy of an earlier one is asked for first only if `copies_likely`:
/// a COMMIT of these orders may have got lost, or a copy was met. Their rows' locks then wait
/// for that transaction to end. Otherwise a copy that would be granted breaks the unique key
/// of the log, and one that is refused is looked up along with the writes.
pub(super) async fn transact(
    client: &Client,
    statements: &Statements,
    orders: &[Order],
    copies_likely: bool,
) -> Result<Vec<Outcome>, TransactError> {
    let locked = lock(client, statements, orders, copies_likely).await?;
    let now = locked.now;
    let Decision {
        mut outcomes,
        writes,
    } = decide(orders, locked);
    let mut doubtful = Keys::default();
    if !copies_likely {
        let refused = |outcome: &Outcome| matches!(outcome, Err(NotGranted::Refused(_)));
        for (order, _) in iter::zip(orders, &outcomes).filter(|(o, r)| o.repeatable && refused(r)) {
            doubtful.push(order.show_id.uuid(), order.request_id);
        }
    }
    let (copies, ended) = match now {
        Some(now) if !writes.transitions.is_empty() => join!(
            replays(client, statements, &doubtful),
            write(client, statements, &writes, now)
        ),
        _ => join!(
            replays(client, statements, &doubtful),
            client.batch_execute("ROLLBACK")
        ),
    };
    // In the order in which they were sent: what fails first fails the rest.
    let copies = copies?;
    ended?;
    for (order, outcome) in iter::zip(orders, &mut outcomes) {
        if let (Err(NotGranted::Refused(_)), Some(copy)) = (&outcome, copies.get(&order.key())) {
            *outcome = copy.answer(order);
        }
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
    fn by(orders: &[Order], copies_likely: bool) -> Self {
        let mut wanted = Self::default();
        for order in orders {
            let show_id = order.show_id.uuid();
            wanted.shows.insert(show_id);
            if copies_likely {
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
    copies_likely: bool,
) -> Result<Locked, TransactError> {
    let wanted = Wanted::by(orders, copies_likely);
    let shows: Vec<Uuid> = wanted.shows.into_iter().collect();
    let (Keys(booking_shows, bookings), Keys(freed_shows, freed)) = (wanted.bookings, wanted.freed);
    let (seat_shows, seats) = wanted.seats;

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
    let clock = client.query_one(&statements.clock, &[]);
    let (begun, sales, bookings, seats, replays, clock) = join!(
        begin,
        lock_sales,
        lock_bookings,
        lock_seats,
        replays(client, statements, &wanted.requests),
        clock
    );
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
    locked.replays = replays?;
    locked.now = Some(clock?.get(0));
    Ok(locked)
}

/// What earlier calls with these request ids did.
async fn replays(
    client: &Client,
    statements: &Statements,
    Keys(shows, requests): &Keys,
) -> Result<HashMap<(ShowId, Uuid), Replay>, TransactError> {
    let mut found = HashMap::new();
    if requests.is_empty() {
        return Ok(found);
    }
    for row in client
        .query(&statements.replays, &[shows, requests])
        .await?
    {
        let booking = rows::booking(&row)?;
        let state = BookingState::from_name(row.get(20))
            .ok_or_else(|| rows::bad("to_state", booking.booking_id))?;
        let key = (booking.booking_id.show(), row.get(17));
        let replay = Replay {
            fingerprint: row.get(18),
            result: booking.as_of(row.get(19), state),
        };
        found.insert(key, replay);
    }
    Ok(found)
}

/// Writes and commits in one round trip. The statement checks that it touched what was
/// locked: if it did not, it fails, and so does the COMMIT behind it.
async fn write(
    client: &Client,
    statements: &Statements,
    writes: &Writes,
    now: OffsetDateTime,
) -> Result<(), tokio_postgres::Error> {
    // What cannot be encoded is never sent, so the server would commit nothing and tell of
    // success: COMMIT goes out, after the write has been polled once, only if it was sent.
    let failed = AtomicBool::new(false);
    let write = async {
        let written = write_all(client, statements, writes, now).await;
        failed.store(written.is_err(), Ordering::Relaxed);
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
    let (written, committed) = join!(write, commit);
    written?;
    committed
}

async fn write_all(
    client: &Client,
    statements: &Statements,
    writes: &Writes,
    now: OffsetDateTime,
) -> Result<(), tokio_postgres::Error> {
    let new = &writes.inserted;
    let mut ordinals = Vec::with_capacity(2 * new.len());
    let mut prices = Vec::with_capacity(2 * new.len());
    let mut first = Vec::with_capacity(new.len());
    let mut last = Vec::with_capacity(new.len());
    for booking in new {
        first.push(rows::place(ordinals.len() + 1));
        ordinals.extend(booking.seats.iter().map(|seat| rows::ordinal(seat.ordinal)));
        prices.extend(booking.seats.iter().map(|seat| seat.price));
        last.push(rows::place(ordinals.len()));
    }
    let changed = &writes.updated;
    let seats = &writes.seats;
    let log = &writes.transitions;
    let written = client
        .execute(
            &statements.write,
            &[
                &column(new, |booking| booking.booking_id.show().uuid()),
                &column(new, |booking| booking.booking_id.uuid()),
                &ordinals,
                &prices,
                &first,
                &last,
                &column(new, |booking| match &booking.customer {
                    Customer::Id(id) => Some(id.as_str()),
                    Customer::Email(_) => None,
                }),
                &column(new, |booking| match &booking.customer {
                    Customer::Id(_) => None,
                    Customer::Email(email) => Some(email.as_str()),
                }),
                &column(new, |booking| booking.total),
                &column(new, |booking| booking.currency.as_str()),
                &column(new, |booking| booking.expires_at),
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
                &column(seats, |seat| seat.show_id.uuid()),
                &column(seats, |seat| rows::ordinal(seat.ordinal)),
                &column(seats, |seat| seat.from.map(|owner| owner.uuid())),
                &column(seats, |seat| seat.to.map(|owner| owner.uuid())),
                &column(log, |transition| transition.booking_id.show().uuid()),
                &column(log, |transition| transition.booking_id.uuid()),
                &column(log, |transition| transition.version),
                &column(log, |transition| transition.verb.as_str()),
                &column(log, |transition| {
                    transition.from.map(|state| state.as_str())
                }),
                &column(log, |transition| transition.to.as_str()),
                &column(log, |transition| transition.request_id),
                &column(log, |transition| transition.fingerprint),
                &now,
                &column(changed, |(booking, _)| booking.refund_due),
                &column(changed, |(booking, _)| {
                    booking.cancel_reason.map(|reason| reason.as_str())
                }),
            ],
        )
        .await;
    written.map(drop)
}

/// One value of each row, as an array parameter.
fn column<'a, R, T>(rows: &'a [R], value: impl Fn(&'a R) -> T) -> Vec<T> {
    rows.iter().map(value).collect()
}
