//! Places in ReserveSeats, ConfirmBooking, SwapSeats and ExtendHold.

use std::time::{Duration, SystemTime};

use proto::booking::v1::{
    BookingState, ExtendHoldRequest, ReserveSeatsRequest, SeatStatus, SwapSeatsRequest,
};
use proto::catalog::v1::PriceTier;
use proto::money::v1::Money;
use test_harness::errors::{describe, fields, metadata, quota_subjects, subjects};
use test_harness::system::confirm;
use tonic::Code;
use uuid::Uuid;

use super::{cart, held, places, reserve, show_of};
use crate::stage::Stage;

const AREAS: [(&str, i32); 2] = [("Pit", 4), ("Floor", 10)];

#[tokio::test]
async fn places_are_held_beside_seats_at_the_price_of_their_tier() {
    let mut stage = Stage::start().await;
    let mut show = show_of(3, &AREAS);
    let tier = |name: &str, minor_units, areas: &[&str]| PriceTier {
        name: name.to_owned(),
        price: Some(Money {
            minor_units,
            currency_code: "EUR".to_owned(),
        }),
        areas: areas.iter().map(ToString::to_string).collect(),
        ..Default::default()
    };
    show.seat_price = None;
    show.price_tiers = vec![tier("Seated", 3_000, &[]), tier("Standing", 800, &["Pit"])];
    let show = stage.create(show).await;
    // In the order of the layout, however they are asked for.
    let wanted = [("Floor", 3), ("Pit", 2)];
    let booking = stage.hold(&show, &["A-2"], &wanted).await;
    assert_eq!(held(&booking), [("Pit", 2), ("Floor", 3)]);
    let prices = booking.area_lines.iter().map(|line| {
        let price = line.price.as_ref().expect("set");
        (&*line.price_tier, price.minor_units, &*price.currency_code)
    });
    let prices: Vec<_> = prices.collect();
    assert_eq!(prices, [("Standing", 800, "EUR"), ("Seated", 3_000, "EUR")]);
    let total = booking.total.as_ref().expect("set").minor_units;
    assert_eq!(total, 3_000 + 2 * 800 + 3 * 3_000);
    assert_eq!(stage.get(&booking.booking_id).await, booking);
    assert_eq!(stage.counts(&show).await, [(2, 2, 0), (7, 3, 0)]);

    let mut client = stage.client();
    let extend = ExtendHoldRequest {
        booking_id: booking.booking_id.clone(),
        hold_duration: Some(Duration::from_secs(600).try_into().expect("short")),
        ..Default::default()
    };
    client.extend_hold(extend).await.expect("a live hold");
    let swap = SwapSeatsRequest {
        booking_id: booking.booking_id.clone(),
        from_seat_labels: vec!["A-2".to_owned()],
        to_seat_labels: vec!["A-1".to_owned()],
        ..Default::default()
    };
    client.swap_seats(swap).await.expect("a free seat");
    let sold = confirm(&mut client, &booking.booking_id)
        .await
        .expect("live");
    assert_eq!(sold.area_lines, booking.area_lines);
    assert_eq!(sold.total, booking.total);
    assert_eq!(stage.counts(&show).await, [(2, 0, 2), (7, 0, 3)]);
    stage.assert_sound().await;
}

#[tokio::test]
async fn a_show_of_areas_alone_is_sold_without_a_hold() {
    let mut stage = Stage::start().await;
    let show = stage.create(show_of(0, &AREAS)).await;
    let request = ReserveSeatsRequest {
        confirm: true,
        payment_reference: "till 4".to_owned(),
        ..cart(&show, &[], &[("Floor", 10)])
    };
    let sold = reserve(&mut stage.client(), request).await.expect("free");
    assert_eq!(sold.state(), BookingState::Confirmed);
    assert_eq!(sold.payment_reference, "till 4");
    assert_eq!((held(&sold), sold.lines.len()), (vec![("Floor", 10)], 0));
    assert_eq!(stage.get(&sold.booking_id).await, sold);
    assert_eq!(stage.counts(&show).await, [(4, 0, 0), (0, 0, 10)]);
    stage.assert_sound().await;
}

#[tokio::test]
async fn what_is_no_number_of_places_or_no_area_is_refused() {
    let mut stage = Stage::start().await;
    let show = stage.create(show_of(2, &AREAS)).await;
    let mut client = stage.client();
    type Wanted = &'static [(&'static str, i32)];
    let cases: [(Wanted, &[&str]); 5] = [
        (&[("Floor", 0)], &["places[0].quantity"]),
        (&[("Floor", 1), ("Pit", -7)], &["places[1].quantity"]),
        (&[("Floor", i32::MIN)], &["places[0].quantity"]),
        // The number that is left, twice.
        (&[("Floor", 10), ("Floor", 10)], &["places[1].area"]),
        (
            &[("Floor", 0), ("Pit", 1), ("Floor", 1), ("Pit", -1)],
            &[
                "places[0].quantity",
                "places[2].area",
                "places[3].area",
                "places[3].quantity",
            ],
        ),
    ];
    for (wanted, paths) in cases {
        let call = client.reserve_seats(cart(&show, &["A-1"], wanted));
        let status = stage
            .refused(call, Code::InvalidArgument, "INVALID_FIELD")
            .await;
        assert_eq!(fields(&status), paths, "{}", describe(&status));
    }
    let call = client.reserve_seats(cart(&show, &[], &[]));
    let status = stage
        .refused(call, Code::InvalidArgument, "INVALID_FIELD")
        .await;
    assert_eq!(fields(&status), ["seat_labels"]);

    let nowhere = "x".repeat(5_000);
    let unknown = [("", 1), ("Floor", 1), ("floor", 1), (&*nowhere, 1)];
    let call = client.reserve_seats(cart(&show, &["A-1"], &unknown));
    let status = stage
        .refused(call, Code::InvalidArgument, "UNKNOWN_AREAS")
        .await;
    let paths = ["places[0].area", "places[2].area", "places[3].area"];
    assert_eq!(fields(&status), paths);
    // A section is no area, nor an area a seat.
    for request in [
        cart(&show, &[], &[("Stalls", 1)]),
        cart(&show, &["Floor"], &[]),
    ] {
        let reason = if request.places.is_empty() {
            "UNKNOWN_SEATS"
        } else {
            "UNKNOWN_AREAS"
        };
        let call = client.reserve_seats(request);
        stage.refused(call, Code::InvalidArgument, reason).await;
    }
    let mut crowd = cart(&show, &[], &[]);
    crowd.places = (0..101)
        .map(|n| places(&[(&format!("{n}"), -1)]).remove(0))
        .collect();
    let call = client.reserve_seats(crowd);
    let status = stage
        .refused(call, Code::InvalidArgument, "INVALID_FIELD")
        .await;
    assert_eq!(fields(&status), ["places"]);
    stage.assert_sound().await;
}

#[tokio::test]
async fn more_places_than_are_left_are_refused_with_the_number_left() {
    let mut stage = Stage::start().await;
    let show = stage.create(show_of(3, &AREAS)).await;
    stage.hold(&show, &["A-1"], &[("Floor", 7)]).await;
    let mut client = stage.client();
    for (wanted, full) in [
        (vec![("Floor", 4)], vec![("Floor", "3")]),
        (
            vec![("Floor", 4), ("Pit", 5)],
            vec![("Floor", "3"), ("Pit", "4")],
        ),
        (vec![("Pit", 100)], vec![("Pit", "4")]),
    ] {
        let call = client.reserve_seats(cart(&show, &[], &wanted));
        let status = stage
            .refused(call, Code::FailedPrecondition, "AREA_FULL")
            .await;
        let names: Vec<_> = full.iter().map(|(area, _)| *area).collect();
        assert_eq!(subjects(&status), names);
        let metadata = metadata(&status);
        assert_eq!((&*metadata["area"], &*metadata["left"]), full[0]);
        assert_eq!(metadata["show_id"], show);
    }
    // All or nothing, whichever of the two is in the way.
    let call = client.reserve_seats(cart(&show, &["A-2"], &[("Floor", 4)]));
    stage
        .refused(call, Code::FailedPrecondition, "AREA_FULL")
        .await;
    let call = client.reserve_seats(cart(&show, &["A-2", "A-1"], &[("Floor", 3)]));
    let reason = "SEATS_UNAVAILABLE";
    let status = stage.refused(call, Code::FailedPrecondition, reason).await;
    assert_eq!(subjects(&status), ["A-1"]);
    assert_eq!(stage.labels(&show, SeatStatus::Available).await.len(), 2);
    stage.hold(&show, &["A-2"], &[("Floor", 3)]).await;
    assert_eq!(stage.counts(&show).await, [(4, 0, 0), (0, 10, 0)]);
    stage.assert_sound().await;
}

#[tokio::test]
async fn seats_and_places_count_together_against_the_limits() {
    let mut stage = Stage::start().await;
    let mut request = show_of(3, &[("Floor", 500)]);
    request.seats_per_booking_max = 5;
    let small = stage.create(request).await;
    let large = stage.create(show_of(3, &[("Floor", 500)])).await;
    let mut client = stage.client();
    for (show, labels, quantity, limit) in [
        (&small, &["A-1", "A-2"][..], 4, "5"),
        (&small, &[], 6, "5"),
        (&large, &["A-1"], 100, "100"),
        (&large, &[], i32::MAX, "100"),
    ] {
        let call = client.reserve_seats(cart(show, labels, &[("Floor", quantity)]));
        let reason = "SEATS_PER_BOOKING_EXCEEDED";
        let status = stage.refused(call, Code::ResourceExhausted, reason).await;
        assert_eq!(quota_subjects(&status), ["places"]);
        assert_eq!(metadata(&status)["limit"], limit);
    }
    stage.hold(&small, &["A-1", "A-2"], &[("Floor", 3)]).await;
    stage.hold(&large, &["A-1"], &[("Floor", 99)]).await;
    stage.assert_sound().await;
}

#[tokio::test]
async fn nothing_is_had_of_a_show_that_is_not_on_sale() {
    let mut stage = Stage::start().await;
    let mut draft = show_of(1, &AREAS);
    draft.draft = true;
    let mut later = show_of(1, &AREAS);
    later.draft = true;
    let in_an_hour = SystemTime::now() + Duration::from_secs(3_600);
    later.sales_open_time = Some(in_an_hour.into());
    let mut client = stage.client();
    for show in [draft, later] {
        let show = stage.create(show).await;
        let call = client.reserve_seats(cart(&show, &[], &[("Floor", 1)]));
        let reason = "SHOW_NOT_ON_SALE";
        let status = stage.refused(call, Code::FailedPrecondition, reason).await;
        assert_eq!(metadata(&status)["state"], "DRAFT");
    }
    stage.assert_sound().await;
}

#[tokio::test]
async fn a_replay_gets_the_first_result_and_another_body_is_refused() {
    let mut stage = Stage::start().await;
    let show = stage.create(show_of(1, &AREAS)).await;
    let mut client = stage.client();
    let mut request = cart(&show, &["A-1"], &[("Floor", 10), ("Pit", 1)]);
    request.request_id = Uuid::new_v4().to_string();
    let first = reserve(&mut client, request.clone()).await.expect("free");
    let mut turned = request.clone();
    turned.places.reverse();
    for copy in [request.clone(), turned] {
        assert_eq!(reserve(&mut client, copy).await.expect("a copy"), first);
    }
    let others = [
        vec![("Floor", 10)],
        vec![("Floor", 10), ("Pit", 2)],
        vec![("Floor", 1), ("Pit", 10)],
        vec![],
    ];
    for other in others {
        let mut request = request.clone();
        request.places = places(&other);
        let call = client.reserve_seats(request);
        let status = stage
            .refused(call, Code::InvalidArgument, "REQUEST_ID_REUSED")
            .await;
        assert_eq!(fields(&status), ["request_id"]);
    }
    assert_eq!(stage.counts(&show).await, [(3, 1, 0), (0, 10, 0)]);
    stage.assert_sound().await;
}

#[tokio::test]
async fn an_area_may_have_any_name() {
    let mut stage = Stage::start().await;
    let odd = ["It's \"here\", {x}\\", "Große Wiese 🌳", "null", "[]"];
    let areas = odd.map(|name| (name, 2));
    let show = stage.create(show_of(0, &areas)).await;
    let booking = stage.hold(&show, &[], &odd.map(|name| (name, 1))).await;
    assert_eq!(held(&booking), odd.map(|name| (name, 1)));
    let given = super::part(&booking, &[], &[(odd[0], 1)]);
    let rest = super::cancel(&mut stage.client(), given).await;
    rest.expect("its own");
    assert_eq!(stage.get(&booking.booking_id).await.area_lines.len(), 3);
    stage.assert_sound().await;
}
