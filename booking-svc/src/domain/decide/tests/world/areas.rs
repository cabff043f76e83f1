//! The areas of a world.

use std::sync::Arc;

use model::{Area, PriceList, SeatLayout, ShowSeats};

use super::{NOW, World};
use crate::domain::decide::*;
use crate::domain::{HeldPlaces, Places};

impl World {
    /// Areas of these capacities, beside the seats.
    pub(crate) fn with_areas(&mut self, areas: &[(&str, u32)]) {
        let mut description = self.sale.seats.layout().description().clone();
        let area = |&(name, capacity): &(&str, u32)| Area {
            name: name.into(),
            capacity,
            deck: "".into(),
            origin: None,
        };
        description.areas = areas.iter().map(area).collect();
        let layout = SeatLayout::new(description).expect("a layout");
        let sale = Arc::make_mut(&mut self.sale);
        let prices = sale.prices.description().clone();
        sale.prices = PriceList::new(prices, &layout).expect("prices");
        sale.seats = ShowSeats::new(layout);
        for &(name, capacity) in areas {
            let row = AreaRow { capacity, taken: 0 };
            self.areas.insert((sale.show_id, name.into()), row);
        }
    }

    /// Gives a booking that is there before the batch places at 1 each.
    pub(crate) fn give_places(&mut self, id: BookingId, places: &[(&str, u32)]) {
        for Places { area, quantity } in self::places(places) {
            let row = self.areas.get_mut(&(id.show(), Arc::clone(&area)));
            row.expect("an area of the show").taken += quantity;
            let booking = self.bookings.get_mut(&id).expect("the booking exists");
            booking.total += i64::from(quantity);
            booking.places.push(HeldPlaces {
                area,
                quantity,
                price: 1,
                tier: "Early".into(),
            });
        }
    }

    /// Holds with places that have ended.
    pub(super) fn ended_holds(&self) -> Vec<EndedHold> {
        let mut ended: Vec<_> = self
            .bookings
            .values()
            .filter(|booking| booking.lapsed(NOW) && !booking.places.is_empty())
            .collect();
        ended.sort_by_key(|booking| (booking.expires_at, booking.booking_id));
        let hold = |booking: &Booking| EndedHold {
            booking_id: booking.booking_id,
            places: booking.places.clone(),
        };
        ended.into_iter().take(ENDED_HOLDS_MAX).map(hold).collect()
    }

    pub(crate) fn reserve_places(
        &self,
        request_id: u128,
        ordinals: &[u32],
        places: &[(&str, u32)],
    ) -> Order {
        let Command::Reserve(mut wanted) = self.reserve(request_id, ordinals).command else {
            unreachable!("it is a reserve");
        };
        wanted.places = self::places(places);
        self.order(request_id, Command::Reserve(wanted))
    }
}

/// Places by area and quantity, in ascending order of areas.
pub(crate) fn places(places: &[(&str, u32)]) -> Vec<Places> {
    let places = places.iter().map(|&(area, quantity)| Places {
        area: area.into(),
        quantity,
    });
    places.collect()
}

pub(super) fn hash_of(places: &[Places]) -> i64 {
    let hash = |places: &Places| i64::from(places.quantity) << (8 * places.area.len().min(6));
    places.iter().map(hash).sum()
}
