//! The locks of an order, by name: to say which lock was not free, and to find other orders that
//! need the same one.

use model::{BookingId, ShowId};
use uuid::Uuid;

use crate::domain::{AreaKey, Command, Order, QuotaHolder, Settlement};

/// One lock of a transaction.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum LockKey {
    /// The advisory lock of a caller's request id.
    Request(ShowId, Uuid),
    /// The row of a sale.
    Sale(ShowId),
    /// The advisory lock of a quota holder.
    QuotaHolder(ShowId, QuotaHolder),
    /// The row of a booking.
    Booking(BookingId),
    /// The rows of a booking's own seats, areas and payment, which only its row names.
    Parts(BookingId),
    /// The row of an area.
    Area(AreaKey),
    /// The row of a seat, by its ordinal.
    Seat(ShowId, u32),
    /// The row of an attempt to pay.
    Payment(ShowId, Uuid),
}

impl LockKey {
    /// The locks of `order`.
    pub(super) fn of(order: &Order) -> Vec<Self> {
        let (show_id, command) = (order.show_id, &order.command);
        let mut keys = vec![Self::Sale(show_id)];
        if order.repeatable {
            keys.push(Self::Request(show_id, order.request_id));
        }
        if let Some(holder) = command.quota_holder() {
            keys.push(Self::QuotaHolder(show_id, holder));
        }
        if let Some(booking_id) = command.booking_id() {
            keys.push(Self::Booking(booking_id));
            if command.frees_seats() {
                keys.push(Self::Parts(booking_id));
            }
        }
        let areas = command.takes_places().iter();
        keys.extend(areas.map(|places| Self::Area((show_id, places.area.clone()))));
        for seats in [command.takes_seats(), command.looks_at_seats()] {
            keys.extend(seats.iter().map(|&ordinal| Self::Seat(show_id, ordinal)));
        }
        if let Command::Settle(Settlement { key, .. }) = command {
            keys.push(Self::Payment(show_id, *key));
        }
        keys
    }
}
