//! Who did what to a booking, as its log says it on the real binaries.

use proto::booking::v1::list_booking_events_request::Of;
use proto::booking::v1::{ConfirmBookingRequest, ListBookingEventsRequest};
use test_harness::issuer::claims;
use uuid::Uuid;

use crate::auth::{Guarded, with_token};

#[tokio::test]
async fn each_event_names_the_subject_and_the_client_that_made_it() {
    let system = Guarded::start().await;
    let show = system.a_show().await;
    let booking = system.a_booking(&show, "ann", &["A-1"]).await;
    let confirm = ConfirmBookingRequest {
        booking_id: booking.booking_id.clone(),
        request_id: Uuid::new_v4().to_string(),
        ..Default::default()
    };
    let mut of_a_client = claims("sue", &["staff"]);
    of_a_client["azp"] = "box-office".into();
    let token = system.issuer.token(&of_a_client);
    let mut bookings = system.bookings();
    let confirmed = bookings.confirm_booking(with_token(&token, confirm));
    confirmed.await.expect("it is confirmed");

    let events = ListBookingEventsRequest {
        of: Some(Of::BookingId(booking.booking_id)),
        ..Default::default()
    };
    let events = system.by("ann", "customer", events);
    let events = system.bookings().list_booking_events(events).await;
    let events = events.expect("her own log").into_inner().events;
    let actors: Vec<_> = events.iter().map(|event| &*event.actor).collect();
    assert_eq!(actors, ["ann", "sue (box-office)"]);
}
