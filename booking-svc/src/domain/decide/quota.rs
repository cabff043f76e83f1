//! How many places of a show one customer may have, over all of its live bookings.
//!
//! An order that adds places holds the lock of that customer and show, so no other order adds at the
//! same time. The counted bookings are not locked: they can only become fewer, or smaller, except
//! that a hold which has just expired may have been extended before. So such a hold counts until
//! its row is FAILED; if that would make room, the order is decided again behind an `Expire`.

use super::{Batch, NotGranted, refused};
use crate::domain::booking::{Booking, BookingState};
use crate::domain::order::Order;
use crate::domain::rejection::Rejection;
use crate::domain::sale::Sale;

/// The most expired holds that an order waits for at a time, as many as the seats of a booking
/// could belong to.
const LAPSED_MAX: usize = 100;

impl Batch {
    /// Checks that the customer may have this many more places.
    pub(super) fn check_quota(
        &self,
        order: &Order,
        sale: &Sale,
        places: usize,
    ) -> Result<(), NotGranted> {
        let Some(limit) = sale.terms.places_per_customer_max else {
            return Ok(());
        };
        let holder = order.command.quota_holder();
        let live = holder.and_then(|holder| self.locked.quota.get(&(order.show_id, holder)));
        let live = live.ok_or(NotGranted::Fault("a customer's bookings were not read"))?;
        let (mut taken, mut in_doubt) = (0, Vec::new());
        for booking in live {
            if booking.lapsed(self.now) {
                in_doubt.push(booking);
            } else if is_live(booking) {
                taken += booking.place_count();
            }
        }
        let Some(mut left) = usize::from(limit).checked_sub(taken + places) else {
            return Err(refused(Rejection::CustomerHasTooMany { limit, taken }));
        };
        let mut lapsed = Vec::new();
        for booking in in_doubt {
            match left.checked_sub(booking.place_count()) {
                Some(rest) => left = rest,
                None => lapsed.push(booking.booking_id),
            }
        }
        if lapsed.is_empty() {
            return Ok(());
        }
        lapsed.sort_unstable();
        lapsed.truncate(LAPSED_MAX);
        Err(NotGranted::Lapsed(lapsed))
    }

    /// Counts a booking that this batch has made or changed as it is now.
    pub(super) fn count_anew(&mut self, booking: &Booking) {
        if self.locked.quota.is_empty() {
            return;
        }
        let key = (booking.booking_id.show(), booking.holder());
        let Some(live) = self.locked.quota.get_mut(&key) else {
            return;
        };
        live.retain(|other| other.booking_id != booking.booking_id);
        if is_live(booking) {
            live.push(booking.clone());
        }
    }
}

fn is_live(booking: &Booking) -> bool {
    matches!(
        booking.state,
        BookingState::Pending | BookingState::Confirmed
    )
}
