//! Rows of the database as values of the domain.

use model::{BookingId, ShowId};
use tokio_postgres::Row;
use uuid::Uuid;

use crate::domain::{Booking, BookingState, CancelReason, Customer, FailureReason, HeldSeat};

/// A row that is not what the schema's constraints promise. A fault of ours.
#[derive(Debug, thiserror::Error)]
#[error("column {column} of {row} is not what the schema promises")]
pub struct BadRow {
    column: &'static str,
    row: String,
}

/// Reads the first seventeen columns of a row as a booking, in the order that every statement
/// of this room selects them.
pub(super) fn booking(row: &Row) -> Result<Booking, BadRow> {
    let id: Uuid = row.get(0);
    let bad = |column| BadRow {
        column,
        row: id.to_string(),
    };
    let ordinals: Vec<i32> = row.get(6);
    let prices: Vec<i64> = row.get(7);
    let seats = ordinals.into_iter().zip(prices).map(|(ordinal, price)| {
        Ok(HeldSeat {
            ordinal: ordinal.try_into().map_err(|_| bad("seat_ordinals"))?,
            price,
        })
    });
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
        // Cancelled when nobody else could.
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
        seats: seats.collect::<Result<_, _>>()?,
        total: row.get(8),
        refund_due: row.get(15),
        currency: row.get::<_, &str>(9).parse().map_err(|_| bad("currency"))?,
        created_at: row.get(10),
        expires_at: row.get(11),
        confirmed_at: row.get(12),
        cancelled_at: row.get(13),
        failed_at: row.get(14),
    })
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

/// A place in an array parameter; a batch is far smaller than what fits.
pub(super) fn place(place: usize) -> i32 {
    i32::try_from(place).unwrap_or(i32::MAX)
}

/// A seat's ordinal as the database has it; a layout has no more seats than fit.
pub(super) fn ordinal(ordinal: u32) -> i32 {
    i32::try_from(ordinal).unwrap_or(i32::MAX)
}
