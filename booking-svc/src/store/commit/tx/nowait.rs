//! Finds the orders of a batch that could not get all of their locks at once.
//!
//! SKIP LOCKED leaves out a row that another session has locked, as if it did not exist. So missing
//! rows are looked for once more, without locking: those that exist are locked by another session.

use std::collections::HashSet;

use futures_util::join;
use model::{BookingId, ShowId};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Statement};
use uuid::Uuid;

use super::TxError;
use super::lock_set::{self, LockSet, RowKeys};
use super::quota;
use crate::domain::{Booking, Command, Locked, Order, PaymentState, Settlement};
use crate::store::commit::lock_keys::LockKey;
use crate::store::rows;

/// An order that could not have all of its locks.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::store::commit) struct Blocked {
    /// Its place in the batch.
    pub(in crate::store::commit) place: usize,
    /// The locks that other sessions hold, at least one.
    pub(in crate::store::commit) keys: Vec<LockKey>,
}

/// The statements of these locks that no other transaction needs.
pub(super) struct AtOnceStatements {
    try_advisory: Statement,
    lock_payments: Statement,
    existing: Statement,
}

impl AtOnceStatements {
    pub(super) async fn prepare(client: &Client) -> Result<Self, tokio_postgres::Error> {
        Ok(Self {
            try_advisory: client
                .prepare(include_str!("../../sql/try_advisory.sql"))
                .await?,
            lock_payments: client
                .prepare(include_str!("../../sql/lock_payments.sql"))
                .await?,
            existing: client
                .prepare(include_str!("../../sql/existing.sql"))
                .await?,
        })
    }
}

/// The results of tries, besides the rows that are read as they are locked.
#[derive(Debug, Default)]
pub(super) struct FreeLocks {
    /// The advisory locks that other sessions hold: of request ids, and of quota holders.
    requests: HashSet<i32>,
    holders: HashSet<i64>,
    /// The attempts to pay that are locked.
    payments: HashSet<Uuid>,
    /// The rows that exist, locked or not.
    sales: HashSet<ShowId>,
    bookings: HashSet<BookingId>,
}

/// Tries the advisory locks, locks the payments that will be written, and looks for missing rows.
/// Runs after the row locks, and before what they guard is read.
pub(super) async fn try_locks(
    client: &Client,
    statements: &AtOnceStatements,
    orders: &[Order],
    lock_set: &LockSet<'_>,
) -> Result<FreeLocks, TxError> {
    let shows: Vec<Uuid> = lock_set.shows.iter().copied().collect();
    let holders = lock_set.holders.keys();
    let RowKeys(paid_shows, paid) = settled(orders);
    let RowKeys(freed_shows, freed) = &lock_set.freed;
    let RowKeys(booking_shows, bookings) = &lock_set.bookings;
    let lock_keys: [&(dyn ToSql + Sync); 2] = [&lock_set.request_locks, &holders];
    let payment_keys: [&(dyn ToSql + Sync); 4] = [&paid_shows, &paid, freed_shows, freed];
    let row_keys: [&(dyn ToSql + Sync); 3] = [&shows, booking_shows, bookings];
    let (advisory, payments, existing) = join!(
        client.query(&statements.try_advisory, &lock_keys),
        client.query(&statements.lock_payments, &payment_keys),
        client.query(&statements.existing, &row_keys),
    );
    let mut tried = FreeLocks::default();
    for row in advisory? {
        tried.requests.extend(row.get::<_, Option<i32>>(0));
        tried.holders.extend(row.get::<_, Option<i64>>(1));
    }
    tried.payments = payments?.iter().map(|row| row.get(0)).collect();
    for row in existing? {
        match row.get::<_, Option<Uuid>>(1) {
            Some(booking) => tried.bookings.insert(rows::booking_id(booking)?),
            None => tried.sales.insert(rows::show_id(row.get(0))?),
        };
    }
    Ok(tried)
}

/// The attempts to pay whose end `orders` write.
fn settled(orders: &[Order]) -> RowKeys {
    let mut keys = RowKeys::default();
    for order in orders {
        if let Command::Settle(Settlement { key, .. }) = order.command {
            keys.push(order.show_id.uuid(), key);
        }
    }
    keys
}

impl FreeLocks {
    /// The orders that could not have all of their locks.
    pub(super) fn blocked(&self, orders: &[Order], locked: &Locked) -> Vec<Blocked> {
        let blocked = orders.iter().enumerate().map(|(place, order)| Blocked {
            place,
            keys: self.lacking(order, locked),
        });
        blocked.filter(|order| !order.keys.is_empty()).collect()
    }

    fn lacking(&self, order: &Order, locked: &Locked) -> Vec<LockKey> {
        let has_sale = locked.sales.contains_key(&order.show_id);
        if !has_sale && !self.sales.contains(&order.show_id) {
            // There is no such show: the order is refused for that.
            return Vec::new();
        }
        let booking_id = order.command.booking_id();
        if has_sale
            && booking_id.is_some_and(|id| {
                !self.bookings.contains(&id) && !locked.bookings.contains_key(&id)
            })
        {
            // Nor such a booking.
            return Vec::new();
        }
        let mut keys = LockKey::of(order);
        keys.retain(|key| !self.has(key, locked));
        keys
    }

    /// Whether the transaction has a lock.
    fn has(&self, key: &LockKey, locked: &Locked) -> bool {
        match key {
            LockKey::Request(show_id, id) => {
                let key = lock_set::request_lock(show_id.uuid(), *id);
                !self.requests.contains(&key)
            }
            LockKey::QuotaHolder(show_id, holder) => {
                !self.holders.contains(&quota::lock_key(*show_id, holder))
            }
            LockKey::Sale(show_id) => locked.sales.contains_key(show_id),
            LockKey::Booking(id) => locked.bookings.contains_key(id),
            LockKey::Parts(id) => {
                let booking = locked.bookings.get(id);
                booking.is_none_or(|booking| self.has_parts(booking, locked))
            }
            LockKey::Area(key) => locked.areas.contains_key(key),
            LockKey::Seat(show_id, ordinal) => locked.seats.contains_key(&(*show_id, *ordinal)),
            LockKey::Payment(_, key) => self.payments.contains(key),
        }
    }

    /// Whether all that a booking gives back is locked, as it stands in its row.
    fn has_parts(&self, booking: &Booking, locked: &Locked) -> bool {
        let show_id = booking.booking_id.show();
        let mut seats = booking.seats.iter().map(|seat| (show_id, seat.ordinal));
        let mut areas = booking
            .places
            .iter()
            .map(|places| (show_id, places.area.clone()));
        let paid = booking
            .payment
            .filter(|paid| paid.state == PaymentState::Captured);
        seats.all(|key| locked.seats.contains_key(&key))
            && areas.all(|key| locked.areas.contains_key(&key))
            && paid.is_none_or(|paid| self.payments.contains(&paid.key))
    }
}
