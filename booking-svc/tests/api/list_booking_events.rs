//! ListBookingEvents.

use std::collections::HashSet;
use std::time::Duration;

use futures_util::future::join_all;
use proto::booking::v1::list_booking_events_request::Of;
use proto::booking::v1::{
    Booking, BookingEvent, BookingState, BookingVerb, CancelBookingRequest, ConfirmBookingRequest,
    ExtendHoldRequest, ListBookingEventsRequest, SwapSeatsRequest,
};
use test_harness::errors::{describe, fields, metadata};
use test_harness::eventually;
use test_harness::system::{cancel, reservation};
use tonic::Code;
use uuid::Uuid;

use crate::stage::Stage;

/// More than any list here has, so that one that goes in circles ends.
const PAGES_MAX: usize = 200;

/// How long the worker and the feed may take on a busy machine.
const ENDED_MAX: Duration = Duration::from_secs(15);

fn of_booking(id: &str) -> Option<Of> {
    Some(Of::BookingId(id.to_owned()))
}

fn of_show(id: &str) -> Option<Of> {
    Some(Of::ShowId(id.to_owned()))
}

/// All events, in pages of this size, of which all but the last must be full.
async fn all(stage: &Stage, of: Option<Of>, page_size: i32) -> Vec<BookingEvent> {
    let mut found = Vec::new();
    let mut page_token = String::new();
    for _ in 0..PAGES_MAX {
        let request = ListBookingEventsRequest {
            of: of.clone(),
            page_size,
            page_token,
        };
        let page = stage.client().list_booking_events(request).await;
        let page = page.unwrap_or_else(|status| panic!("{}", describe(&status)));
        let page = page.into_inner();
        found.extend(page.events.iter().cloned());
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return found;
        }
        assert_eq!(
            page.events.len(),
            usize::try_from(page_size).expect("positive")
        );
    }
    panic!("more than {PAGES_MAX} pages of {of:?}");
}

/// The state that the events of one booking lead to, and its etag. Each event must start from the
/// state that the one before led to.
fn replay(events: &[BookingEvent]) -> (BookingState, String) {
    let mut state = BookingState::Unspecified;
    let mut at = None;
    for (place, event) in events.iter().enumerate() {
        assert_eq!(event.booking_id, events[0].booking_id);
        assert_eq!(event.version, i32::try_from(place).expect("few") + 1);
        assert_eq!(event.from_state(), state, "{event:?}");
        let time = event.event_time.map(|at| (at.seconds, at.nanos));
        assert!(time >= at, "{event:?}");
        (state, at) = (event.to_state(), time);
    }
    (state, format!("v{}", events.len()))
}

fn commands(events: &[BookingEvent]) -> Vec<BookingVerb> {
    events.iter().map(BookingEvent::verb).collect()
}

/// A hold that was extended, swapped and returned in part.
async fn changed(stage: &Stage, show: &str) -> Booking {
    let held = stage.reserve(show, &["A-7", "A-8"]).await;
    let mut client = stage.client();
    let longer = ExtendHoldRequest {
        booking_id: held.booking_id.clone(),
        hold_duration: Some(prost_types::Duration {
            seconds: 300,
            nanos: 0,
        }),
        ..Default::default()
    };
    client.extend_hold(longer).await.expect("a hold");
    let other = SwapSeatsRequest {
        booking_id: held.booking_id.clone(),
        from_seat_labels: vec!["A-7".to_owned()],
        to_seat_labels: vec!["A-9".to_owned()],
        ..Default::default()
    };
    client.swap_seats(other).await.expect("free");
    let part = CancelBookingRequest {
        booking_id: held.booking_id.clone(),
        seat_labels: vec!["A-8".to_owned()],
        ..Default::default()
    };
    client.cancel_booking(part).await.expect("its own");
    held
}

#[tokio::test]
async fn every_command_is_in_the_log_and_the_log_leads_to_the_state() {
    use BookingVerb::{Cancel, Confirm, Expire, Extend, Release, Reserve, Sell, Swap, Void};
    let mut stage = Stage::with_workers(1).await;
    let show = stage.a_show(12).await;
    let mut client = stage.client();
    let held = stage.reserve(&show, &["A-1", "A-2"]).await;
    let bought = stage.buy(&show, &["A-3"]).await;
    let given_up = stage.reserve(&show, &["A-4"]).await;
    cancel(&mut client, &given_up.booking_id)
        .await
        .expect("live");
    let returned = stage.buy(&show, &["A-5"]).await;
    cancel(&mut client, &returned.booking_id)
        .await
        .expect("live");
    let expired = stage.reserve(&show, &["A-6"]).await;
    stage.lapse(&expired.booking_id).await;
    let ending = stage.a_show(2).await;
    let failed = stage.reserve(&ending, &["A-1"]).await;
    let refunded = stage.buy(&ending, &["A-2"]).await;
    stage.cancel_show(&ending).await;

    let changed = changed(&stage, &show).await;
    let mut sold = reservation(&show, &["A-11"], "ann");
    sold.confirm = true;
    let sold = client.reserve_seats(sold).await.expect("free");
    let sold = sold.into_inner().booking.expect("set");

    let cases: [(&Booking, &[BookingVerb]); 9] = [
        (&sold, &[Sell]),
        (&changed, &[Reserve, Extend, Swap, Release]),
        (&held, &[Reserve]),
        (&bought, &[Reserve, Confirm]),
        (&given_up, &[Reserve, Cancel]),
        (&returned, &[Reserve, Confirm, Cancel]),
        (&expired, &[Reserve, Expire]),
        (&failed, &[Reserve, Void]),
        (&refunded, &[Reserve, Confirm, Void]),
    ];
    let last = &expired.booking_id;
    eventually(ENDED_MAX, "what must end has ended", async || {
        let (ended, of_show) = (of_booking(last), of_show(&ending));
        all(&stage, ended, 50).await.len() == 2 && all(&stage, of_show, 50).await.len() == 5
    })
    .await;
    let mut seen = HashSet::new();
    for (booking, wanted) in cases {
        let events = all(&stage, of_booking(&booking.booking_id), 50).await;
        assert_eq!(commands(&events), wanted);
        seen.extend(commands(&events));
        let now = stage.get(&booking.booking_id).await;
        assert_eq!(replay(&events), (now.state(), now.etag));
        for event in &events {
            let time = match event.verb() {
                Reserve | Sell => now.create_time,
                Confirm => now.confirm_time,
                Cancel => now.cancel_time,
                _ => event.event_time,
            };
            // The test has moved the hold of the expired one.
            assert!(event.event_time == time || booking.booking_id == *last);
            let actor = match event.verb() {
                Expire => "expiry-worker",
                _ => "booking-svc",
            };
            assert_eq!(event.actor, actor);
            Uuid::parse_str(&event.request_id).expect("a UUID");
        }
    }
    // Seen where bookings are paid.
    seen.extend([
        BookingVerb::Pay,
        BookingVerb::Decline,
        BookingVerb::Reinstate,
        BookingVerb::Repay,
    ]);
    // Every new command must appear here.
    let known = (1..).map_while(|verb| BookingVerb::try_from(verb).ok());
    assert_eq!(known.collect::<HashSet<_>>(), seen);
    stage.assert_sound().await;
}

#[tokio::test]
async fn a_lapsed_hold_in_the_way_is_expired_in_the_log_too() {
    let mut stage = Stage::start().await;
    let show = stage.a_show(3).await;
    let lapsed = stage.reserve(&show, &["A-1"]).await;
    stage.lapse(&lapsed.booking_id).await;
    let events = all(&stage, of_booking(&lapsed.booking_id), 50).await;
    assert_eq!(commands(&events), [BookingVerb::Reserve]);
    stage.reserve(&show, &["A-1"]).await;
    let events = all(&stage, of_booking(&lapsed.booking_id), 50).await;
    assert_eq!(
        commands(&events),
        [BookingVerb::Reserve, BookingVerb::Expire]
    );
    let now = stage.get(&lapsed.booking_id).await;
    assert_eq!(replay(&events), (BookingState::Failed, now.etag));
    assert_eq!(events[1].actor, "booking-svc");
    stage.assert_sound().await;
}

#[tokio::test]
async fn an_event_has_the_callers_request_id_and_a_replay_adds_no_event() {
    let mut stage = Stage::start().await;
    let show = stage.a_show(3).await;
    let mut client = stage.client();
    let ids = [Uuid::new_v4().to_string(), Uuid::new_v4().to_string()];
    let mut request = reservation(&show, &["A-1"], "ann");
    request.request_id.clone_from(&ids[0]);
    let mut booking_id = String::new();
    for _ in 0..2 {
        let held = client.reserve_seats(request.clone()).await;
        let held = held.expect("a free seat").into_inner().booking;
        booking_id = held.expect("it has one").booking_id;
    }
    let confirming = ConfirmBookingRequest {
        booking_id: booking_id.clone(),
        request_id: ids[1].clone(),
        ..Default::default()
    };
    for _ in 0..2 {
        let confirmed = client.confirm_booking(confirming.clone()).await;
        confirmed.expect("a live hold");
    }
    let events = all(&stage, of_booking(&booking_id), 50).await;
    let request_ids: Vec<_> = events.iter().map(|event| &event.request_id).collect();
    assert_eq!(request_ids, ids.iter().collect::<Vec<_>>());
    stage.assert_sound().await;
}

#[tokio::test]
async fn pages_of_any_size_join_up_booking_after_booking() {
    let mut stage = Stage::start().await;
    let shows = [stage.a_show(40).await, stage.a_show(40).await];
    let bookings = (1..=40).map(|n| {
        let (stage, show) = (&stage, &shows[n % 2]);
        let label = format!("A-{n}");
        async move {
            let bought = stage.buy(show, &[&label]).await;
            if n % 3 == 0 {
                let cancelled = cancel(&mut stage.client(), &bought.booking_id).await;
                cancelled.expect("a live booking");
            }
            bought.booking_id
        }
    });
    let bookings = join_all(bookings).await;
    for (n, show) in shows.iter().enumerate() {
        let whole = all(&stage, of_show(show), 1_000).await;
        assert!(whole.is_sorted_by_key(|event| (event.booking_id.clone(), event.version)));
        for page_size in [1, 2, 3, 7, 50] {
            assert_eq!(
                all(&stage, of_show(show), page_size).await,
                whole,
                "{page_size}"
            );
        }
        let mut wanted: Vec<_> = bookings.iter().skip((n + 1) % 2).step_by(2).collect();
        wanted.sort_unstable();
        let mut found: Vec<_> = whole.iter().map(|event| &event.booking_id).collect();
        found.dedup();
        assert_eq!(found, wanted);
        for events in whole.chunk_by(|a, b| a.booking_id == b.booking_id) {
            let id = &events[0].booking_id;
            let now = stage.get(id).await;
            assert_eq!(replay(events), (now.state(), now.etag));
            for page_size in [1, 2] {
                assert_eq!(all(&stage, of_booking(id), page_size).await, events);
            }
        }
    }
    stage.assert_sound().await;
}

#[tokio::test]
async fn unknown_ids_and_bad_fields_are_refused() {
    let mut stage = Stage::start().await;
    let show = stage.a_show(3).await;
    let bought = stage.buy(&show, &["A-1"]).await.booking_id;
    let other = stage.buy(&show, &["A-2"]).await.booking_id;
    let empty = stage.system.a_show(3).await;
    assert!(all(&stage, of_show(&empty), 50).await.is_empty());
    let mut client = stage.client();
    let request = |of| ListBookingEventsRequest {
        of,
        page_size: 1,
        ..Default::default()
    };

    let known: model::ShowId = show.parse().expect("a show's id");
    let neither = Uuid::new_v4().to_string();
    let nobody = model::BookingId::generate(known).to_string();
    for nobody in [&nobody, &show, &neither] {
        let call = client.list_booking_events(request(of_booking(nobody)));
        let status = stage
            .refused(call, Code::NotFound, "BOOKING_NOT_FOUND")
            .await;
        assert_eq!(metadata(&status)["booking_id"], *nobody);
    }
    let nowhere = model::ShowId::generate().to_string();
    for nowhere in [&nowhere, &bought, &neither] {
        let call = client.list_booking_events(request(of_show(nowhere)));
        stage.refused(call, Code::NotFound, "SHOW_NOT_FOUND").await;
    }

    let mut negative = request(of_show(&show));
    negative.page_size = -1;
    for (request, field) in [
        (request(None), "of"),
        (request(of_booking("A-1")), "booking_id"),
        (request(of_booking("")), "booking_id"),
        (request(of_show("A-1")), "show_id"),
        (negative, "page_size"),
    ] {
        let call = client.list_booking_events(request);
        let status = stage
            .refused(call, Code::InvalidArgument, "INVALID_FIELD")
            .await;
        assert_eq!(fields(&status), [field]);
    }

    let page = client
        .list_booking_events(request(of_booking(&bought)))
        .await;
    let token = page.expect("events").into_inner().next_page_token;
    assert_ne!(token, "");
    for (of, token) in [
        (of_booking(&other), &*token),
        (of_show(&show), &token),
        (of_booking(&bought), "x"),
    ] {
        let mut foreign = request(of);
        foreign.page_token = token.to_owned();
        let call = client.list_booking_events(foreign);
        let status = stage
            .refused(call, Code::InvalidArgument, "INVALID_PAGE_TOKEN")
            .await;
        assert_eq!(fields(&status), ["page_token"]);
    }
    stage.assert_sound().await;
}
