//! Areas without seats: never more places sold than an area has.

mod ended_holds;
mod give_back;
mod layout;
mod list_areas;
mod oversell;
mod reserve_places;
mod schema;

use proto::booking::v1::{
    Area, Booking, CancelBookingRequest, ListAreasRequest, PlaceRequest, ReserveSeatsRequest,
};
use proto::catalog::v1::create_show_request::Seats;
use proto::catalog::v1::{Area as Described, CreateShowRequest, SeatLayout};
use test_harness::errors::describe;
use test_harness::system::{self, reservation};
use tonic::Status;

pub(crate) use self::ended_holds::END_ALL;
use crate::stage::{Bookings, Stage};

/// A layout with the seats "A-1" to "A-{seats}", none if 0, and areas of these capacities.
fn layout_of(seats: i32, areas: &[(&str, i32)]) -> SeatLayout {
    let mut layout = system::layout(seats.max(1));
    if seats == 0 {
        layout.sections.clear();
    }
    let area = |&(name, capacity): &(&str, i32)| Described {
        name: name.to_owned(),
        capacity,
        ..Default::default()
    };
    layout.areas = areas.iter().map(area).collect();
    layout
}

/// The request that creates a show with them, for 12.50 EUR each.
pub(crate) fn show_of(seats: i32, areas: &[(&str, i32)]) -> CreateShowRequest {
    CreateShowRequest {
        seats: Some(Seats::Layout(layout_of(seats, areas))),
        ..system::show(1)
    }
}

pub(crate) fn places(places: &[(&str, i32)]) -> Vec<PlaceRequest> {
    let place = |&(area, quantity): &(&str, i32)| PlaceRequest {
        area: area.to_owned(),
        quantity,
    };
    places.iter().map(place).collect()
}

/// The request that reserves seats and places.
fn cart(show: &str, labels: &[&str], wanted: &[(&str, i32)]) -> ReserveSeatsRequest {
    ReserveSeatsRequest {
        places: places(wanted),
        ..reservation(show, labels, "ann")
    }
}

pub(crate) async fn reserve(
    client: &mut Bookings,
    request: ReserveSeatsRequest,
) -> Result<Booking, Status> {
    let response = client.reserve_seats(request).await?.into_inner();
    Ok(response.booking.expect("the answer has the booking"))
}

async fn cancel(client: &mut Bookings, request: CancelBookingRequest) -> Result<Booking, Status> {
    let response = client.cancel_booking(request).await?.into_inner();
    Ok(response.booking.expect("the answer has the booking"))
}

/// The request that returns a part of a booking.
fn part(booking: &Booking, labels: &[&str], returned: &[(&str, i32)]) -> CancelBookingRequest {
    CancelBookingRequest {
        booking_id: booking.booking_id.clone(),
        seat_labels: labels.iter().map(ToString::to_string).collect(),
        places: places(returned),
        ..Default::default()
    }
}

/// A booking's places, in the order of the layout.
fn held(booking: &Booking) -> Vec<(&str, i32)> {
    let lines = booking.area_lines.iter();
    lines.map(|line| (&*line.area, line.quantity)).collect()
}

impl Stage {
    /// Reserves available seats and places.
    async fn hold(&self, show: &str, labels: &[&str], wanted: &[(&str, i32)]) -> Booking {
        let held = reserve(&mut self.client(), cart(show, labels, wanted)).await;
        held.unwrap_or_else(|status| panic!("{wanted:?}: {}", describe(&status)))
    }

    /// The areas of a show.
    async fn areas(&self, show: &str) -> Vec<Area> {
        let request = ListAreasRequest {
            show_id: show.to_owned(),
            page_size: 1_000,
            ..Default::default()
        };
        let listed = self.client().list_areas(request).await;
        listed.expect("areas").into_inner().areas
    }

    /// How many places of each area are available, held and booked.
    pub(crate) async fn counts(&self, show: &str) -> Vec<(i32, i32, i32)> {
        let areas = self.areas(show).await.into_iter();
        areas
            .map(|area| (area.available, area.held, area.booked))
            .collect()
    }
}
