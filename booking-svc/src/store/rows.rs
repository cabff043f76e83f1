//! Rows of the database as values of the domain.

use std::iter;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use model::{BookingId, ShowId};
use tokio_postgres::Row;
use uuid::Uuid;

use super::{area_lines, prior};
use crate::domain::{
    Booking, BookingState, CancelReason, Customer, FailureReason, HeldSeat, Payment, PaymentState,
    Replay,
};

/// A row that breaks the schema's promises. A fault of ours.
#[derive(Debug, thiserror::Error)]
#[error("column {column} of {row} has a value that the schema excludes")]
pub struct BadRow {
    column: &'static str,
    row: String,
}

/// Reads rows. One that cannot be read does not hold up the others: it is logged as an
/// error, under the id in its column `id`, and skipped.
pub(super) fn readable<T>(
    rows: &[Row],
    id: usize,
    read: impl Fn(&Row) -> Result<T, BadRow>,
) -> Vec<T> {
    let read = rows.iter().filter_map(|row| {
        // The driver panics where a value is not of its column's type.
        match catch_unwind(AssertUnwindSafe(|| read(row))) {
            Ok(Ok(value)) => return Some(value),
            Ok(Err(error)) => tracing::error!(%error, "a row cannot be read"),
            Err(_) => {
                let row = row.try_get::<_, Uuid>(id).ok();
                tracing::error!(
                    row = row.map(tracing::field::display),
                    "a row cannot be read"
                );
            }
        }
        None
    });
    read.collect()
}

/// Where the next page begins, if a page of rows by the id in their first column is full.
pub(super) fn next_after(rows: &[Row], page_max: i64) -> Option<Uuid> {
    let is_full = i64::try_from(rows.len()).is_ok_and(|rows| rows >= page_max);
    rows.last().filter(|_| is_full).map(|row| row.get(0))
}

/// The columns that [`booking`] reads, of a booking that the statement calls `b`.
macro_rules! booking_columns {
    () => {
        include_str!("sql/booking_columns.sql")
    };
}
pub(super) use booking_columns;

/// The number of these columns; a row's other columns come after them.
pub(super) const BOOKING_COLUMNS: usize = columns_of(booking_columns!());

/// How many columns a list has.
const fn columns_of(list: &str) -> usize {
    let (bytes, mut at, mut columns) = (list.as_bytes(), 0, 1);
    while at < bytes.len() {
        if bytes[at] == b',' {
            columns += 1;
        }
        at += 1;
    }
    columns
}

/// Locks the bookings to be changed, by their keys.
pub(super) const LOCK_BOOKINGS: &str = concat!(
    "SELECT\n",
    booking_columns!(),
    include_str!("sql/lock_bookings.sql")
);
/// Quota holders, and their live bookings.
pub(super) const QUOTA_BOOKINGS: &str = concat!(
    "SELECT\n",
    booking_columns!(),
    include_str!("sql/quota_bookings.sql")
);
/// The stored results of requests, for [`replay`].
pub(super) const REPLAYS: &str = concat!(
    "SELECT\n",
    booking_columns!(),
    ",\n",
    include_str!("sql/replays.sql")
);

/// Reads a row's first [`BOOKING_COLUMNS`] as a booking.
pub(super) fn booking(row: &Row) -> Result<Booking, BadRow> {
    let id: Uuid = row.get(0);
    let bad = |column| BadRow {
        column,
        row: id.to_string(),
    };
    let ordinals: Vec<i32> = row.get(6);
    let prices: Vec<i64> = row.get(7);
    let tiers: Vec<&str> = row.get(17);
    let mut seats = Vec::with_capacity(ordinals.len());
    for ((ordinal, price), tier) in iter::zip(iter::zip(ordinals, prices), tiers) {
        let tier = match seats.last() {
            // Most bookings have one tier.
            Some(HeldSeat { tier: same, .. }) if **same == *tier => Arc::clone(same),
            _ => tier.into(),
        };
        seats.push(HeldSeat {
            ordinal: ordinal.try_into().map_err(|_| bad("seat_ordinals"))?,
            price,
            tier,
        });
    }
    let customer = match (
        row.get::<_, Option<String>>(4),
        row.get::<_, Option<String>>(5),
    ) {
        (Some(id), None) => Customer::Id(id),
        (None, Some(email)) => Customer::Email(email),
        _ => return Err(bad("customer_id")),
    };
    let state = BookingState::from_name(row.get(1)).ok_or_else(|| bad("state"))?;
    let cancel_reason = match row.get::<_, Option<&str>>(16) {
        Some(name) => Some(CancelReason::from_name(name).ok_or_else(|| bad("cancel_reason"))?),
        // Cancelled by a release in which only customers could cancel.
        None => (state == BookingState::Cancelled).then_some(CancelReason::Customer),
    };
    Ok(Booking {
        booking_id: BookingId::try_from(id).map_err(|_| bad("booking_id"))?,
        state,
        failure_reason: row
            .get::<_, Option<&str>>(2)
            .map(|name| FailureReason::from_name(name).ok_or_else(|| bad("failure_reason")))
            .transpose()?,
        cancel_reason,
        version: row.get(3),
        customer,
        linked_customer: row.get::<_, Option<Uuid>>(21).map(Into::into),
        seats,
        places: area_lines::from_json(row.get(20)).ok_or_else(|| bad("areas"))?,
        total: row.get(8),
        released: row.get(18),
        refund_due: row.get(15),
        payment_reference: row.get(19),
        payment: payment(row).map_err(bad)?,
        currency: row.get::<_, &str>(9).parse().map_err(|_| bad("currency"))?,
        created_at: row.get(10),
        expires_at: row.get(11),
        confirmed_at: row.get(12),
        cancelled_at: row.get(13),
        failed_at: row.get(14),
        orphans: ordinals_of(row.get::<_, Option<Vec<i32>>>(22)).ok_or_else(|| bad("orphans"))?,
    })
}

/// Reads ordinals; NULL is `None`.
fn ordinals_of(column: Option<Vec<i32>>) -> Option<Vec<u32>> {
    let ordinals = column.into_iter().flatten();
    ordinals.map(|ordinal| ordinal.try_into().ok()).collect()
}

/// A booking's newest attempt to pay, or the column that is wrong.
fn payment(row: &Row) -> Result<Option<Payment>, &'static str> {
    let Some(key) = row.get(23) else {
        return Ok(None);
    };
    let state = row.get::<_, Option<&str>>(24);
    let state = state.and_then(PaymentState::from_name);
    let state = state.ok_or("payment_state")?;
    Ok(Some(Payment { key, state }))
}

/// Reads a row of `replays.sql`: the request, and its result.
pub(super) fn replay(row: &Row) -> Result<((ShowId, Uuid), Replay), BadRow> {
    const AT: usize = BOOKING_COLUMNS;
    let booking = booking(row)?;
    let show_id = booking.booking_id.show();
    let bad = |column| bad(column, booking.booking_id);
    let state = BookingState::from_name(row.get(AT + 3)).ok_or_else(|| bad("to_state"))?;
    let replaced = row.get::<_, Option<&str>>(AT + 4);
    let replaced = replaced
        .map(|json| prior::from_json(json).ok_or_else(|| bad("prior")))
        .transpose()?;
    let replay = Replay {
        fingerprint: row.get(AT + 1),
        result: Ok(booking.as_of(row.get(AT + 2), state, replaced)),
    };
    Ok(((show_id, row.get(AT)), replay))
}

/// A show's id.
pub(super) fn show_id(id: Uuid) -> Result<ShowId, BadRow> {
    ShowId::try_from(id).map_err(|_| BadRow {
        column: "show_id",
        row: id.to_string(),
    })
}

/// A booking's id.
pub(super) fn booking_id(id: Uuid) -> Result<BookingId, BadRow> {
    BookingId::try_from(id).map_err(|_| BadRow {
        column: "booking_id",
        row: id.to_string(),
    })
}

/// A value that only a fault of ours could have made.
pub(super) fn bad(column: &'static str, row: impl ToString) -> BadRow {
    BadRow {
        column,
        row: row.to_string(),
    }
}

/// One value of each row, as an array parameter.
pub(super) fn column<'a, R, T>(rows: &'a [R], value: impl Fn(&'a R) -> T) -> Vec<T> {
    rows.iter().map(value).collect()
}

/// An index in an array parameter; a batch is far smaller than its type.
pub(super) fn place(place: usize) -> i32 {
    i32::try_from(place).unwrap_or(i32::MAX)
}

/// A seat's ordinal as the database has it; a layout has no more seats than fit.
pub(super) fn ordinal(ordinal: u32) -> i32 {
    i32::try_from(ordinal).unwrap_or(i32::MAX)
}
