//! Making a booking, and the checks of every order that takes seats.

use std::sync::Arc;

use model::BookingId;

use super::areas::priced_places;
use super::orphans::Taking;
use super::{Batch, NotGranted, Outcome, Owner, refused};
use crate::domain::booking::{Booking, BookingState, HeldSeat, Verb};
use crate::domain::order::{Order, Reservation};
use crate::domain::rejection::{Rejection, Taken};
use crate::domain::sale::Sale;

impl Batch {
    pub(super) fn reserve(&mut self, order: &Order, wanted: &Reservation) -> Outcome {
        let Reservation {
            sale,
            ordinals,
            places,
            picks,
            ..
        } = wanted;
        self.check_on_sale(order, sale)?;
        let count = wanted.count();
        let seats_max = sale.terms.seats_per_booking_max;
        if let Some(max) = seats_max.filter(|max| count > u32::from(*max)) {
            return Err(refused(if places.is_empty() {
                Rejection::TooManySeats(max)
            } else {
                Rejection::TooManyPlaces(max)
            }));
        }
        self.check_quota(order, sale, count as usize)?;
        if let Some(unmet) = picks.unmet {
            return Err(refused(Rejection::ChoiceUnavailable(sale.show_id, unmet)));
        }
        self.check_seats_free(sale, ordinals, &picks.ordinals)?;
        self.check_places_free(sale, places)?;
        let taking = Taking {
            ordinals,
            picked: &picks.ordinals,
            given: &[],
        };
        let orphans = self.orphans_left(sale, wanted.around.as_ref(), &taking)?;

        let (state, verb) = if wanted.sell {
            (BookingState::Confirmed, Verb::Sell)
        } else {
            (BookingState::Pending, Verb::Reserve)
        };
        let mut booking = Booking {
            booking_id: BookingId::generate(order.show_id),
            state,
            failure_reason: None,
            cancel_reason: None,
            version: 0,
            customer: wanted.customer.clone(),
            linked_customer: wanted.linked_customer,
            seats: priced(sale, ordinals)?,
            places: priced_places(sale, places)?,
            total: 0,
            released: None,
            refund_due: None,
            payment_reference: wanted.payment_reference.clone(),
            payment: None,
            currency: sale.prices.currency(),
            created_at: self.now,
            expires_at: self.now + wanted.hold,
            confirmed_at: wanted.sell.then_some(self.now),
            cancelled_at: None,
            failed_at: None,
            orphans,
        };
        booking.add_up();
        self.areas.take(order.show_id, &booking.places)?;
        self.give_seats(&booking.seats, booking.booking_id, Some(booking.booking_id));
        if booking.payment_reference.is_some() || !booking.orphans.is_empty() {
            self.rewritten.insert(booking.booking_id);
        }
        self.transition(order, verb, None, booking, None)
    }

    /// Whether the show is on sale now, under the sale that the order was prepared with.
    pub(super) fn check_on_sale(&self, order: &Order, sale: &Sale) -> Result<(), NotGranted> {
        if self.sale(order.show_id)?.revision != sale.revision {
            return Err(NotGranted::SaleChanged);
        }
        match sale.rejection_at(self.now) {
            Some(rejection) => Err(refused(rejection)),
            None => Ok(()),
        }
    }

    /// Whether all of the seats are free. Taken `picked` ones can be replaced by others.
    pub(super) fn check_seats_free(
        &self,
        sale: &Sale,
        ordinals: &[u32],
        picked: &[u32],
    ) -> Result<(), NotGranted> {
        let mut taken = Vec::new();
        let mut lapsed = Vec::new();
        for &ordinal in ordinals {
            if sale.is_blocked(ordinal) {
                taken.push((ordinal, Taken::Blocked));
                continue;
            }
            let seat = self.locked.seats.get(&(sale.show_id, ordinal));
            let Some(owner) = *seat.ok_or(NotGranted::Fault("a seat has no row"))? else {
                continue;
            };
            match self.owner(owner) {
                Some(known) if known.has_lapsed(self.now) => lapsed.push(owner),
                Some(Owner {
                    state: BookingState::Confirmed,
                    ..
                }) => {
                    taken.push((ordinal, Taken::Booked));
                }
                _ => taken.push((ordinal, Taken::Held)),
            }
        }
        let is_named = |(ordinal, _): &(u32, Taken)| picked.binary_search(ordinal).is_err();
        if !taken.is_empty() && !taken.iter().any(is_named) {
            let picks = taken.into_iter().map(|(ordinal, _)| ordinal);
            return Err(NotGranted::PicksTaken(picks.collect()));
        }
        if !taken.is_empty() {
            taken.retain(is_named);
            let label = |ordinal| sale.named(ordinal).map(|seat| seat.label.into_owned());
            let taken = taken
                .into_iter()
                .map(|(o, how)| (label(o).unwrap_or_default(), how));
            let rejection = Rejection::SeatsUnavailable(sale.show_id, taken.collect());
            return Err(refused(rejection));
        }
        if !lapsed.is_empty() {
            lapsed.sort_unstable();
            lapsed.dedup();
            return Err(NotGranted::Lapsed(lapsed));
        }
        Ok(())
    }

    /// The known owner of a seat; none if it took the seat while we waited for the lock.
    pub(super) fn owner(&self, id: BookingId) -> Option<Owner> {
        match self.locked.bookings.get(&id) {
            Some(booking) => Some(Owner {
                state: booking.state,
                expires_at: booking.expires_at,
            }),
            None => self.locked.owners.get(&id).copied(),
        }
    }
}

/// Seats at the prices of the moment.
pub(super) fn priced(sale: &Arc<Sale>, ordinals: &[u32]) -> Result<Vec<HeldSeat>, NotGranted> {
    let seat = |&ordinal: &u32| {
        let priced = sale.price(ordinal);
        let priced = priced.ok_or(NotGranted::Fault("a seat is not in the layout"))?;
        Ok(HeldSeat {
            ordinal,
            price: priced.price,
            tier: priced.tier.into(),
        })
    };
    ordinals.iter().map(seat).collect()
}
