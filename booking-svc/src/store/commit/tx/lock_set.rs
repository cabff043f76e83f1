//! The parameters of the lock statements, gathered from a batch's orders.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use super::quota::Holders;
use crate::domain::Order;
use crate::store::rows;

/// The rows and keys of a batch, as the lock statements take them.
#[derive(Default)]
pub(super) struct LockSet<'a> {
    pub(super) shows: BTreeSet<Uuid>,
    pub(super) bookings: RowKeys,
    pub(super) seats: (Vec<Uuid>, Vec<i32>),
    /// How many places of each area by its show and name, of all orders together.
    pub(super) places: BTreeMap<(Uuid, &'a str), i64>,
    pub(super) freed: RowKeys,
    pub(super) requests: RowKeys,
    /// The keys of the locks of the callers' request ids, ascending.
    pub(super) request_locks: Vec<i32>,
    pub(super) holders: Holders,
}

/// Pairs of a show's id and another, as two arrays.
#[derive(Default)]
pub(super) struct RowKeys(pub(super) Vec<Uuid>, pub(super) Vec<Uuid>);

impl RowKeys {
    pub(super) fn push(&mut self, show_id: Uuid, id: Uuid) {
        self.0.push(show_id);
        self.1.push(id);
    }
}

impl<'a> LockSet<'a> {
    pub(super) fn by(orders: &'a [Order], expects_replays: bool) -> Self {
        let mut lock_set = Self::default();
        for order in orders {
            let show_id = order.show_id.uuid();
            lock_set.shows.insert(show_id);
            if expects_replays {
                lock_set.requests.push(show_id, order.request_id);
            }
            if let Some(holder) = order.command.quota_holder() {
                lock_set.holders.push(order.show_id, holder);
            }
            if let Some(booking_id) = order.command.booking_id() {
                lock_set.bookings.push(show_id, booking_id.uuid());
                if order.command.frees_seats() {
                    lock_set.freed.push(show_id, booking_id.uuid());
                }
            }
            for places in order.command.takes_places() {
                let lock_set = lock_set.places.entry((show_id, &*places.area)).or_default();
                *lock_set += i64::from(places.quantity);
            }
            for seats in [order.command.takes_seats(), order.command.looks_at_seats()] {
                lock_set.seats.0.extend(seats.iter().map(|_| show_id));
                let ordinals = seats.iter().map(|&ordinal| rows::ordinal(ordinal));
                lock_set.seats.1.extend(ordinals);
            }
        }
        lock_set.request_locks = request_locks(orders);
        lock_set
    }
}

/// The keys of the locks of the callers' request ids, ascending.
pub(super) fn request_locks(orders: &[Order]) -> Vec<i32> {
    let repeatable = orders.iter().filter(|order| order.repeatable);
    let mut keys: Vec<i32> = repeatable
        .map(|order| request_lock(order.show_id.uuid(), order.request_id))
        .collect();
    keys.sort_unstable();
    keys
}

/// The same in every process. Two equal keys of different ids wait for each other, which does no harm.
pub(super) fn request_lock(show_id: Uuid, request_id: Uuid) -> i32 {
    let (show_key, _) = show_id.as_u64_pair();
    let (head, tail) = request_id.as_u64_pair();
    let key = show_key ^ head ^ tail;
    let [a, b, c, d, e, f, g, h] = key.to_be_bytes();
    i32::from_be_bytes([a ^ e, b ^ f, c ^ g, d ^ h])
}
