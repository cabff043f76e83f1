//! Changing a live booking.

use std::sync::Arc;
use std::time::Duration;

use model::BookingId;
use time::OffsetDateTime;

use super::areas::parted_places;
use super::orphans::Taking;
use super::reserve::priced;
use super::{Batch, NotGranted, Outcome, refused};
use crate::domain::booking::{Booking, BookingState, HeldSeat, Verb};
use crate::domain::choice::Surroundings;
use crate::domain::order::Order;
use crate::domain::places::{HeldPlaces, Places};
use crate::domain::rejection::Rejection;
use crate::domain::sale::Sale;

impl Batch {
    pub(super) fn confirm(
        &mut self,
        order: &Order,
        id: BookingId,
        version: Option<i32>,
        payment_reference: Option<&String>,
    ) -> Outcome {
        let mut booking = self.live_booking(id, Verb::Confirm, version)?;
        self.check_not_cancelled(order.show_id)?;
        booking.confirmed_at = Some(self.now);
        if let Some(reference) = payment_reference {
            booking.payment_reference = Some(reference.clone());
            self.rewritten.insert(id);
        }
        self.transition(order, Verb::Confirm, Some(booking.state), booking, None)
    }

    pub(super) fn extend(
        &mut self,
        order: &Order,
        id: BookingId,
        version: Option<i32>,
        hold: Duration,
        lifetime_max: Duration,
    ) -> Outcome {
        let mut booking = self.live_booking(id, Verb::Extend, version)?;
        let prior = booking.prior();
        let ends_at = booking.expires_at.max(self.now + hold);
        let latest = booking.created_at + lifetime_max;
        // A hold is never shortened, even if the setting has changed since.
        if ends_at > latest.max(booking.expires_at) {
            return Err(refused(Rejection::LifetimeExceeded {
                booking_id: id,
                left: until(self.now, latest.max(booking.expires_at)),
            }));
        }
        booking.expires_at = ends_at;
        self.transition(
            order,
            Verb::Extend,
            Some(booking.state),
            booking,
            Some(prior),
        )
    }

    pub(super) fn swap(
        &mut self,
        order: &Order,
        id: BookingId,
        version: Option<i32>,
        sale: &Arc<Sale>,
        labels: &[String],
        (ordinals, around): (&[u32], Option<&Surroundings>),
    ) -> Outcome {
        let mut booking = self.live_booking(id, Verb::Swap, version)?;
        let prior = booking.prior();
        let (given, kept) = parted(sale, &booking, labels)?;
        self.check_on_sale(order, sale)?;
        self.check_owner(&booking)?;
        self.check_seats_free(sale, ordinals, &[])?;
        let taken = priced(sale, ordinals)?;

        let dearer = price(&taken) - price(&given);
        if booking.state == BookingState::Confirmed {
            if dearer > 0 {
                return Err(refused(Rejection::SwapCostsMore {
                    booking_id: id,
                    by: dearer,
                    currency: booking.currency,
                }));
            }
            booking.give_back(-dearer);
        }
        let taking = Taking {
            ordinals,
            picked: &[],
            given: &given,
        };
        booking.orphans = self.orphans_left(sale, around, &taking)?;
        self.give_seats(&given, id, None);
        self.give_seats(&taken, id, Some(id));
        booking.seats = kept;
        booking.seats.extend(taken);
        booking.seats.sort_unstable_by_key(|seat| seat.ordinal);
        booking.add_up();
        self.transition(order, Verb::Swap, Some(booking.state), booking, Some(prior))
    }

    pub(super) fn release(
        &mut self,
        order: &Order,
        id: BookingId,
        version: Option<i32>,
        sale: &Arc<Sale>,
        (labels, places): (&[String], &[Places]),
    ) -> Outcome {
        let mut booking = self.live_booking(id, Verb::Release, version)?;
        let prior = booking.prior();
        let (given, kept) = parted(sale, &booking, labels)?;
        let (places_given, places_kept) = parted_places(&booking, places)?;
        if kept.is_empty() && places_kept.is_empty() {
            return self.cancel(order, id, version);
        }
        self.check_owner(&booking)?;
        self.areas.give_back(id.show(), &places_given)?;
        self.give_seats(&given, id, None);
        if booking.state == BookingState::Confirmed {
            let places: i64 = places_given.iter().map(HeldPlaces::total).sum();
            booking.give_back(price(&given) + places);
        }
        booking.seats = kept;
        booking.places = places_kept;
        booking.add_up();
        self.transition(
            order,
            Verb::Release,
            Some(booking.state),
            booking,
            Some(prior),
        )
    }
}

/// The seats of a booking that have these labels, and its others.
fn parted(
    sale: &Sale,
    booking: &Booking,
    labels: &[String],
) -> Result<(Vec<HeldSeat>, Vec<HeldSeat>), NotGranted> {
    let mut missing = labels.to_vec();
    let (given, kept) = booking.seats.iter().cloned().partition(|seat| {
        let label = sale.named(seat.ordinal).map(|named| named.label);
        let place = missing
            .iter()
            .position(|wanted| Some(&**wanted) == label.as_deref());
        place.map(|place| missing.remove(place)).is_some()
    });
    if missing.is_empty() {
        return Ok((given, kept));
    }
    Err(refused(Rejection::NotInBooking(
        booking.booking_id,
        missing,
    )))
}

fn price(seats: &[HeldSeat]) -> i64 {
    seats.iter().map(|seat| seat.price).sum()
}

/// How long it is from one time to another; nothing if that has passed.
fn until(now: OffsetDateTime, then: OffsetDateTime) -> Duration {
    Duration::try_from(then - now).unwrap_or_default()
}
