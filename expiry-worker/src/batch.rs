//! One transaction that fails stale bookings.
//!
//! It skips bookings that another session has locked. For an area or a seat it waits for [`LOCK_WAIT`] at
//! most: another session may keep one locked for long, such as a console that was left open. Then it is
//! tried once more without waiting: it locks the rows that are free, and bookings without all of their
//! rows are left for a later scan.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::{FutureExt as _, join};
use service_kit::postgres::Lent;
use time::OffsetDateTime;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Row, Statement};
use uuid::Uuid;

use crate::metrics;

/// How long it waits for an area or a seat: a batch of booking-svc takes far less.
const LOCK_WAIT: Duration = Duration::from_millis(25);

/// How a batch takes the locks of areas and seats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LockMode {
    /// It waits for them a little.
    Wait,
    /// Takes only free locks, in one more round trip.
    AtOnce,
}

/// The range of holds for a batch.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    /// Holds that ended after this instant,
    pub(crate) from: OffsetDateTime,
    /// and until this one.
    pub(crate) until: OffsetDateTime,
    /// How many at the most.
    pub(crate) limit: u16,
    /// Bookings to leave out.
    pub(crate) skipped: Vec<Uuid>,
}

/// A batch that is done.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Batch {
    /// How many bookings it failed.
    pub(crate) bookings: u64,
    /// Whether there may be more that it left.
    pub(crate) is_full: bool,
    /// When the hold of the last of them ended.
    pub(crate) last: OffsetDateTime,
    /// Whether booking-svc was deciding orders at that moment.
    pub(crate) has_buyers: bool,
    /// Whether bookings were left out because of locks of other sessions.
    pub(crate) has_blocked: bool,
}

/// The bookings of a batch, as arrays for its statements.
#[derive(Default)]
struct Stale {
    shows: Vec<Uuid>,
    bookings: Vec<Uuid>,
    versions: Vec<i32>,
    seat_shows: Vec<Uuid>,
    seats: Vec<i32>,
    seat_owners: Vec<Uuid>,
    /// The bookings with places in areas, and their shows.
    with_places: (Vec<Uuid>, Vec<Uuid>),
}

/// Fails a batch: locks the bookings, which are in `locked` then; writes and commits.
pub(crate) async fn run(
    client: &Lent,
    wanted: &Wanted,
    mode: LockMode,
    locked: &mut Option<(Batch, Vec<Uuid>)>,
) -> Result<(), tokio_postgres::Error> {
    let statements = Statements::prepare(client).await?;
    let limit = i64::from(wanted.limit);
    let begin = format!("BEGIN; SET LOCAL lock_timeout = {}", LOCK_WAIT.as_millis());
    let (begun, rows, buyers) = join!(
        client.batch_execute(&begin),
        async {
            let parameters: [&(dyn ToSql + Sync); 4] =
                [&wanted.from, &wanted.until, &limit, &wanted.skipped];
            client.query(&statements.lock_stale, &parameters).await
        },
        // In the midst of it: after its COMMIT is when theirs has been flushed too.
        client.query_one(&statements.buyers, &[])
    );
    begun?;
    let mut rows = rows?;
    let has_buyers = buyers?.get(0);
    let Some(last) = rows.last() else {
        return client.batch_execute("ROLLBACK").await;
    };
    let mut batch = Batch {
        bookings: rows.len() as u64,
        is_full: rows.len() as u64 >= limit.unsigned_abs(),
        last: last.get(4),
        has_buyers,
        has_blocked: false,
    };
    let ids = |rows: &[Row]| rows.iter().map(|row| row.get(1)).collect();
    *locked = Some((batch, ids(&rows)));
    if mode == LockMode::AtOnce {
        let blocked = blocked(client, &Stale::from_rows(&rows)?).await?;
        rows.retain(|row| !blocked.contains(&row.get(1)));
        batch.bookings = rows.len() as u64;
        batch.has_blocked = !blocked.is_empty();
        *locked = Some((batch, ids(&rows)));
        if rows.is_empty() {
            return client.batch_execute("ROLLBACK").await;
        }
    }
    write(client, &statements, &Stale::from_rows(&rows)?).await?;
    let late: Vec<f64> = rows.iter().map(|row| row.get(6)).collect();
    metrics::expired(&late);
    Ok(())
}

/// Locks the free areas and seats of bookings; returns the bookings that lack one.
async fn blocked(client: &Lent, stale: &Stale) -> Result<HashSet<Uuid>, tokio_postgres::Error> {
    let try_areas = client.prepare_cached(include_str!("sql/try_areas.sql"));
    let try_areas = try_areas.await?;
    let try_seats = client.prepare_cached(include_str!("sql/try_seats.sql"));
    let try_seats = try_seats.await?;
    let (shows, bookings) = &stale.with_places;
    let places: [&(dyn ToSql + Sync); 2] = [shows, bookings];
    let seats: [&(dyn ToSql + Sync); 2] = [&stale.seat_shows, &stale.seats];
    let (areas, seats) = join!(
        client.query(&try_areas, &places),
        client.query(&try_seats, &seats)
    );
    let mut blocked: HashSet<Uuid> = areas?.iter().map(|row| row.get(0)).collect();
    let seats = seats?;
    let had: HashSet<(Uuid, i32)> = seats.iter().map(|row| (row.get(0), row.get(1))).collect();
    let owners = stale.seat_owners.iter();
    let wanted = stale.seat_shows.iter().zip(&stale.seats).zip(owners);
    let lacking = wanted.filter(|((show, seat), _)| !had.contains(&(**show, **seat)));
    blocked.extend(lacking.map(|(_, owner)| *owner));
    Ok(blocked)
}

/// The statements of a batch.
struct Statements {
    lock_stale: Statement,
    fail_bookings: Statement,
    lock_areas: Statement,
    free_places: Statement,
    free_seats: Statement,
    log_expiry: Statement,
    buyers: Statement,
}

impl Statements {
    async fn prepare(client: &Lent) -> Result<Self, tokio_postgres::Error> {
        let prepare = |sql| client.prepare_cached(sql);
        Ok(Self {
            lock_stale: prepare(include_str!("sql/lock_stale.sql")).await?,
            fail_bookings: prepare(include_str!("sql/fail_bookings.sql")).await?,
            lock_areas: prepare(include_str!("sql/lock_areas.sql")).await?,
            free_places: prepare(include_str!("sql/free_places.sql")).await?,
            free_seats: prepare(include_str!("sql/free_seats.sql")).await?,
            log_expiry: prepare(include_str!("sql/log_expiry.sql")).await?,
            buyers: prepare(include_str!("sql/buyers.sql")).await?,
        })
    }
}

/// Fails the locked bookings, and commits; one round trip.
async fn write(
    client: &Lent,
    statements: &Statements,
    stale: &Stale,
) -> Result<(), tokio_postgres::Error> {
    // A value that cannot be encoded is never sent, so the server would commit the rest: COMMIT
    // goes out, after the others have been polled once, only if none has failed by then.
    let broken = AtomicBool::new(false);
    let noted = |done: Result<u64, tokio_postgres::Error>| {
        if done.is_err() {
            broken.store(true, Ordering::Relaxed);
        }
        done
    };
    let commit = async {
        let end = if broken.load(Ordering::Relaxed) {
            "ROLLBACK"
        } else {
            "COMMIT"
        };
        client.batch_execute(end).await
    };
    let (shows, bookings) = &stale.with_places;
    // Most batches have no places.
    let with_places = async |statement| {
        if bookings.is_empty() {
            return Ok(0);
        }
        client.execute(statement, &[shows, bookings]).await
    };
    let versions: [&(dyn ToSql + Sync); 3] = [&stale.shows, &stale.bookings, &stale.versions];
    let held: [&(dyn ToSql + Sync); 3] = [&stale.seat_shows, &stale.seats, &stale.seat_owners];
    let (failed, locked, given_back, freed, logged, committed) = join!(
        client
            .execute(&statements.fail_bookings, &versions)
            .map(noted),
        with_places(&statements.lock_areas).map(noted),
        with_places(&statements.free_places).map(noted),
        client.execute(&statements.free_seats, &held).map(noted),
        client.execute(&statements.log_expiry, &versions).map(noted),
        commit,
    );
    failed?;
    locked?;
    given_back?;
    freed?;
    logged?;
    committed
}

impl Stale {
    fn from_rows(rows: &[Row]) -> Result<Self, tokio_postgres::Error> {
        let mut stale = Self::default();
        let mut seats = Vec::with_capacity(2 * rows.len());
        for row in rows {
            let (show_id, booking_id): (Uuid, Uuid) = (row.get(0), row.get(1));
            let ordinals: Vec<i32> = row.try_get(2)?;
            stale.shows.push(show_id);
            stale.bookings.push(booking_id);
            stale.versions.push(row.get(3));
            if row.get(5) {
                stale.with_places.0.push(show_id);
                stale.with_places.1.push(booking_id);
            }
            seats.extend(ordinals.into_iter().map(|seat| (show_id, seat, booking_id)));
        }
        // In the order in which everyone locks seats: they are freed as they stand here.
        seats.sort_unstable();
        for (show_id, seat, booking_id) in seats {
            stale.seat_shows.push(show_id);
            stale.seats.push(seat);
            stale.seat_owners.push(booking_id);
        }
        Ok(stale)
    }
}
