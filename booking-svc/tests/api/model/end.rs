//! The check of a history, last part: the show as the services show it when all is over.

use proto::booking::v1::{
    Area, Booking as BookingReply, BookingState, ListAreasRequest, ListBookingsRequest, Seat,
    SeatStatus,
};

use super::booking::Booking;
use super::hall::{Hall, Instant};
use super::history::now;
use super::justify;
use super::replay::Moment;
use super::show::{AREA, CAPACITY, PLACE_PRICE, PLACE_TIER, all_labels, money};
use crate::stage::Stage;

/// The show as it is listed in the end, when only holds still lapse.
pub(super) struct End {
    began: Instant,
    ended: Instant,
    bookings: Vec<BookingReply>,
    seats: Vec<Seat>,
    areas: Vec<Area>,
}

impl End {
    pub(super) async fn of(stage: &Stage, show_id: &str) -> Self {
        let began = now();
        let bookings = all_bookings(stage, show_id).await;
        let seats = stage.system.seats(show_id).await;
        let areas = all_areas(stage, show_id).await;
        let ended = now() + 1;
        Self {
            began,
            ended,
            bookings,
            seats,
            areas,
        }
    }

    pub(super) fn agrees_with(&self, moments: &[Moment]) -> Result<(), String> {
        let (began, ended) = (self.began, self.ended);
        let last = &moments.last().expect("there is a first").hall;
        let ids: Vec<_> = self
            .bookings
            .iter()
            .map(|reply| &reply.booking_id)
            .collect();
        let expected: Vec<_> = last.bookings.keys().collect();
        if ids != expected {
            return Err(format!("{ids:?}, where the model has {expected:?}"));
        }
        let wrong = |reply: &&BookingReply| !justify::was_so(reply, began, ended, moments);
        if let Some(reply) = self.bookings.iter().find(wrong) {
            let expected = &last.bookings[&reply.booking_id];
            return Err(format!("{reply:?}, where the model has {expected:?}"));
        }
        let labels: Vec<_> = self.seats.iter().map(|seat| seat.label.clone()).collect();
        if labels != all_labels() {
            return Err(format!("the hall has {labels:?}"));
        }
        for seat in &self.seats {
            let expected = self.each(moments, |hall, at| status(hall.owner(&seat.label, at)));
            if !expected.contains(&seat.status()) {
                return Err(format!("{seat:?}, where the model has {expected:?}"));
            }
        }
        let areas: Vec<_> = self.areas.iter().map(without_position).collect();
        let expected = self.each(moments, |hall, at| vec![area(hall, at)]);
        if !expected.contains(&areas) {
            return Err(format!("{areas:?}, where the model has {expected:?}"));
        }
        Ok(())
    }

    /// What the model expects at each moment of the lists.
    fn each<T>(&self, moments: &[Moment], expected: impl Fn(&Hall, Instant) -> T) -> Vec<T> {
        let met = justify::met(self.began, self.ended, moments);
        met.into_iter()
            .flat_map(|(Moment { hall, .. }, times)| {
                times
                    .into_iter()
                    .map(|at| expected(hall, at))
                    .collect::<Vec<_>>()
            })
            .collect()
    }
}

fn status(owner: Option<&Booking>) -> SeatStatus {
    match owner.map(|owner| owner.state) {
        None => SeatStatus::Available,
        Some(BookingState::Pending) => SeatStatus::Held,
        Some(_) => SeatStatus::Booked,
    }
}

fn area(hall: &Hall, at: Instant) -> Area {
    Area {
        name: AREA.to_owned(),
        price_tier: PLACE_TIER.to_owned(),
        price: Some(money(PLACE_PRICE)),
        capacity: CAPACITY,
        available: hall.free_places(at),
        held: hall.places(BookingState::Pending, at),
        booked: hall.places(BookingState::Confirmed, at),
        ..Area::default()
    }
}

fn without_position(area: &Area) -> Area {
    Area {
        position: None,
        ..area.clone()
    }
}

async fn all_bookings(stage: &Stage, show_id: &str) -> Vec<BookingReply> {
    let request = ListBookingsRequest {
        show_id: show_id.to_owned(),
        page_size: 1_000,
        ..Default::default()
    };
    let page = stage.client().list_bookings(request).await;
    let page = page.expect("a page").into_inner();
    assert_eq!(page.next_page_token, "", "it has few bookings");
    page.bookings
}

async fn all_areas(stage: &Stage, show_id: &str) -> Vec<Area> {
    let request = ListAreasRequest {
        show_id: show_id.to_owned(),
        ..Default::default()
    };
    let page = stage.client().list_areas(request).await;
    page.expect("a page").into_inner().areas
}
