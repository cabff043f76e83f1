//! Writes the decisions of a batch.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::join;
use time::OffsetDateTime;
use tokio_postgres::{Client, SimpleQueryStream};

use super::lock::millis;
use super::write_rows::{
    ChangedBooking, CountedArea, GivenSeat, NewBooking, NewTransition, SaleLine,
};
use super::{OptimisticChecks, Statements, payments};
use crate::domain::{AreaWrite, Booking, HeldSeat, StoredRejection, Transition, Writes};
use crate::store::commit::plan::WriteTimes;
use crate::store::rows::column;
use crate::store::{area_lines, rejections, rows};

/// Writes, and sends the COMMIT behind it. Each statement checks that it touched what was
/// locked or expected: if one did not, it fails, and so does the COMMIT. Returns the time of the
/// write, if anything was granted.
pub(super) async fn write(
    client: &Client,
    statements: &Statements,
    writes: &Writes,
    unlocked: &OptimisticChecks,
    (now, lock_wait): (OffsetDateTime, Duration),
) -> Result<(SimpleQueryStream, Option<WriteTimes>), tokio_postgres::Error> {
    // A value that cannot be encoded is never sent, so the server would commit nothing and report
    // success: COMMIT goes out, after the others have been polled once, only if they were sent.
    let failed = AtomicBool::new(false);
    let count = noted(&failed, count(client, statements, &writes.areas));
    let write = noted(
        &failed,
        write_core(client, statements, writes, unlocked, (now, lock_wait)),
    );
    let rewrite = noted(&failed, rewrite(client, statements, &writes.rewritten));
    let store_rejections = noted(
        &failed,
        store_rejections(client, statements, &writes.rejections, now),
    );
    let payments = noted(
        &failed,
        payments::write(client, statements, &writes.payments, now),
    );
    let commit = async {
        let end = if failed.load(Ordering::Relaxed) {
            "ROLLBACK"
        } else {
            "COMMIT"
        };
        client.simple_query_raw(end).await
    };
    let (counted, written, rewritten, paid, remembered, sent) =
        join!(count, write, rewrite, payments, store_rejections, commit);
    counted?;
    let written = written?;
    rewritten?;
    paid?;
    remembered?;
    Ok((sent?, written))
}

/// Runs a statement, and sets `failed` at once if it fails.
async fn noted<T>(
    failed: &AtomicBool,
    statement: impl Future<Output = Result<T, tokio_postgres::Error>>,
) -> Result<T, tokio_postgres::Error> {
    let done = statement.await;
    if done.is_err() {
        failed.store(true, Ordering::Relaxed);
    }
    done
}

/// The seats of many bookings, one after another, with each booking's range.
#[derive(Default)]
struct SeatColumns<'a> {
    ordinals: Vec<i32>,
    prices: Vec<i64>,
    tiers: Vec<&'a str>,
    first: Vec<i32>,
    last: Vec<i32>,
}

impl<'a> SeatColumns<'a> {
    fn of(bookings: impl ExactSizeIterator<Item = &'a Booking>) -> Self {
        // Two seats a booking, as most have.
        let (count, seats) = (bookings.len(), 2 * bookings.len());
        let mut columns = Self {
            ordinals: Vec::with_capacity(seats),
            prices: Vec::with_capacity(seats),
            tiers: Vec::with_capacity(seats),
            first: Vec::with_capacity(count),
            last: Vec::with_capacity(count),
        };
        for booking in bookings {
            columns.first.push(rows::place(columns.ordinals.len() + 1));
            for HeldSeat {
                ordinal,
                price,
                tier,
            } in &booking.seats
            {
                columns.ordinals.push(rows::ordinal(*ordinal));
                columns.prices.push(*price);
                columns.tiers.push(tier);
            }
            columns.last.push(rows::place(columns.ordinals.len()));
        }
        columns
    }
}

/// Writes the counters of areas.
async fn count(
    client: &Client,
    statements: &Statements,
    areas: &[AreaWrite],
) -> Result<(), tokio_postgres::Error> {
    if areas.is_empty() {
        return Ok(());
    }
    let number = |count| i32::try_from(count).unwrap_or(i32::MAX);
    let counted = client
        .execute(
            &statements.count_areas,
            &[
                &column(areas, |area| area.show_id.uuid()),
                &column(areas, |area| &*area.area),
                &column(areas, |area| number(area.from)),
                &column(areas, |area| number(area.to)),
                &column(areas, |area| area.gives_back),
            ],
        )
        .await;
    counted.map(drop)
}

/// Writes all but the rare parts.
pub(super) async fn write_core(
    client: &Client,
    statements: &Statements,
    writes: &Writes,
    unlocked: &OptimisticChecks,
    (now, lock_wait): (OffsetDateTime, Duration),
) -> Result<Option<WriteTimes>, tokio_postgres::Error> {
    if writes.transitions.is_empty() {
        return Ok(None);
    }
    let new: Vec<_> = writes.inserted.iter().map(NewBooking::from).collect();
    let changed: Vec<_> = writes.updated.iter().map(ChangedBooking::from).collect();
    let seats: Vec<_> = writes.seats.iter().map(GivenSeat::from).collect();
    let log = &writes.transitions;
    let lines: Vec<_> = log.iter().map(NewTransition::from).collect();
    let sales: Vec<_> = unlocked.sales.iter().map(SaleLine::from).collect();
    let areas: Vec<_> = unlocked.areas.iter().map(CountedArea::from).collect();
    let written = client
        .query_one(
            statements.write.of(writes, unlocked),
            &[
                &new,
                &changed,
                &seats,
                &lines,
                &sales,
                &areas,
                &now,
                &unlocked.request_locks,
                &column(log, |transition| transition.booking_id.show().uuid()),
                &column(log, |transition| transition.request_id),
                &millis(lock_wait).to_string(),
                &actors(log),
            ],
        )
        .await?;
    Ok(Some(WriteTimes {
        moment: written.get("moment"),
        made: written.get("made"),
        clock: written.get("clock"),
    }))
}

/// Who did each, or one if it is the same for all: with authentication off it always is.
fn actors(log: &[Transition]) -> Vec<&str> {
    let mut actors = column(log, |transition| &*transition.actor);
    if actors.iter().all(|actor| *actor == actors[0]) {
        actors.truncate(1);
    }
    actors
}

/// The bookings of which more has changed than the state.
async fn rewrite(
    client: &Client,
    statements: &Statements,
    rewritten: &[(Booking, i32)],
) -> Result<(), tokio_postgres::Error> {
    if rewritten.is_empty() {
        return Ok(());
    }
    let held = SeatColumns::of(rewritten.iter().map(|(booking, _)| booking));
    let orphans = rewritten.iter().flat_map(|(booking, _)| &booking.orphans);
    let orphans: Vec<i32> = orphans.map(|seat| rows::ordinal(*seat)).collect();
    let mut orphans_last = Vec::with_capacity(rewritten.len());
    for (booking, _) in rewritten {
        let before = orphans_last.last().copied().unwrap_or(0);
        orphans_last.push(before + rows::place(booking.orphans.len()));
    }
    let written = client
        .execute(
            &statements.rewrite,
            &[
                &column(rewritten, |(booking, _)| booking.booking_id.show().uuid()),
                &column(rewritten, |(booking, _)| booking.booking_id.uuid()),
                &column(rewritten, |(_, prior_version)| *prior_version),
                &column(rewritten, |(booking, _)| booking.version),
                &held.ordinals,
                &held.prices,
                &held.tiers,
                &held.first,
                &held.last,
                &column(rewritten, |(booking, _)| booking.total),
                &column(rewritten, |(booking, _)| booking.released),
                &column(rewritten, |(booking, _)| booking.refund_due),
                &column(rewritten, |(booking, _)| booking.expires_at),
                &column(rewritten, |(booking, _)| {
                    booking.payment_reference.as_deref()
                }),
                &column(rewritten, |(booking, _)| booking.state.as_str()),
                &column(rewritten, |(booking, _)| {
                    booking.failure_reason.map(|reason| reason.as_str())
                }),
                &column(rewritten, |(booking, _)| booking.confirmed_at),
                &column(rewritten, |(booking, _)| booking.cancelled_at),
                &column(rewritten, |(booking, _)| booking.failed_at),
                &column(rewritten, |(booking, _)| {
                    booking.cancel_reason.map(|reason| reason.as_str())
                }),
                &orphans,
                &orphans_last,
                &column(rewritten, |(booking, _)| rows::place(booking.orphans.len())),
                &column(rewritten, |(booking, _)| {
                    area_lines::to_json(&booking.places)
                }),
                &column(rewritten, |(booking, _)| {
                    booking.payment.map(|payment| payment.key)
                }),
                &column(rewritten, |(booking, _)| {
                    booking.payment.map(|payment| payment.state.as_str())
                }),
            ],
        )
        .await;
    written.map(drop)
}

/// Stores the rejections for replays of rejected orders.
async fn store_rejections(
    client: &Client,
    statements: &Statements,
    refused: &[StoredRejection],
    now: OffsetDateTime,
) -> Result<(), tokio_postgres::Error> {
    if refused.is_empty() {
        return Ok(());
    }
    let written = client
        .execute(
            &statements.store_rejections,
            &[
                &column(refused, |order| order.show_id.uuid()),
                &column(refused, |order| order.request_id),
                &column(refused, |order| order.fingerprint),
                &column(refused, |order| rejections::to_json(&order.rejection)),
                &now,
            ],
        )
        .await;
    written.map(drop)
}
