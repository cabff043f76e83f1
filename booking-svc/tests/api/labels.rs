//! Seats by their labels: which of them an error names, and that it arrives however long
//! they are.

use proto::booking::v1::{CancelBookingRequest, PlaceRequest, SeatChoice, SwapSeatsRequest};
use proto::catalog::v1::create_show_request::Seats;
use proto::catalog::v1::{Area, CreateShowRequest, PriceTier, RowBlock};
use proto::money::v1::Money;
use system_tests::errors::{describe, fields, subjects};
use system_tests::system::{layout, names, reservation, reserve, show};
use tonic::Code;
use uuid::Uuid;

use crate::stage::Stage;

#[tokio::test]
async fn unknown_labels_are_all_named() {
    let mut stage = Stage::start().await;
    let show = stage.a_show(3).await;
    let mut client = stage.client();
    let labels = ["A-0", "A-1", "A-4", "a-2", "", "A-01", "🎫"];
    let call = reserve(&mut client, &show, &labels, "ann");
    let status = stage
        .refused(call, Code::InvalidArgument, "UNKNOWN_SEATS")
        .await;
    let wanted = [0, 2, 3, 4, 5, 6].map(|place| format!("seat_labels[{place}]"));
    assert_eq!(fields(&status), wanted);

    // As many as fit a header: usual ones all do.
    for (length, named) in [(1, 100), (60, 20)] {
        let labels = (0..100).map(|n| format!("{n}{}", "é".repeat(length)));
        let labels: Vec<String> = labels.collect();
        let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
        let call = reserve(&mut client, &show, &labels, "ann");
        let status = stage
            .refused(call, Code::InvalidArgument, "UNKNOWN_SEATS")
            .await;
        assert!(fields(&status).len() >= named, "{}", describe(&status));
    }

    // One alone may not burst it.
    let endless = "x".repeat(1_000_000);
    for labels in [vec![&*endless], vec![&*endless, &*endless]] {
        let call = reserve(&mut client, &show, &labels, "ann");
        let outcome = call.await.expect_err("no such seat");
        assert_eq!(
            outcome.code(),
            Code::InvalidArgument,
            "{}",
            describe(&outcome)
        );
    }
    stage.assert_sound().await;
}

#[tokio::test]
async fn however_long_the_labels_are_that_are_taken_the_error_arrives() {
    let mut stage = Stage::start().await;
    // As many as fit a header are named.
    for (length, fill, named) in [(2, "x", 100), (37, "x", 60), (37, "座", 25)] {
        let fill = fill.repeat(length);
        let labels: Vec<String> = (0..100).map(|n| format!("{n:03}{fill}")).collect();
        let mut layout = layout(1);
        layout.sections[0].rows[0] = RowBlock {
            runs: vec![names((0..100).map(|n| format!("{n:03}")))],
            label_format: format!("{{seat}}{fill}"),
            ..Default::default()
        };
        let mut wanted = show(1);
        wanted.seats = Some(Seats::Layout(layout));
        let show = stage.create(wanted).await;
        let refs: Vec<&str> = labels.iter().map(String::as_str).collect();
        stage.reserve(&show, &refs).await;
        let mut client = stage.client();
        let call = reserve(&mut client, &show, &refs, "bob");
        let status = stage
            .refused(call, Code::FailedPrecondition, "SEATS_UNAVAILABLE")
            .await;
        let told = subjects(&status);
        assert!(told.len() >= named, "{} of {fill}", told.len());
        assert_eq!(told, labels[..told.len()]);
        assert!(
            status.message().ends_with("and 95 more"),
            "{}",
            status.message()
        );
    }
    stage.assert_sound().await;
}

#[tokio::test]
async fn a_label_is_the_same_however_it_was_typed() {
    let mut stage = Stage::start().await;
    // A layout and prices typed on one system, a reserve on another.
    let mut layout = layout(1);
    layout.sections[0].name = "Bu\u{308}hne".to_owned();
    layout.sections[0].rows[0] = RowBlock {
        runs: vec![names(["e\u{301}1", "é2"])],
        ..Default::default()
    };
    layout.areas = vec![Area {
        name: "Cafe\u{301}".to_owned(),
        capacity: 9,
        ..Default::default()
    }];
    let wanted = CreateShowRequest {
        seats: Some(Seats::Layout(layout)),
        seat_price: None,
        price_tiers: vec![
            tier("Bu\u{308}hne", &["Bühne"], &[]),
            tier("Café", &[], &["Café"]),
        ],
        ..show(1)
    };
    let show = stage.create(wanted).await;
    let mut request = reservation(&show, &["é1", "e\u{301}2"], "ann");
    request.places = vec![PlaceRequest {
        area: "Café".to_owned(),
        quantity: 2,
    }];
    request.request_id = Uuid::new_v4().to_string();
    let held = stage.client().reserve_seats(request.clone()).await;
    let held = held.unwrap_or_else(|status| panic!("{}", describe(&status)));
    let held = held.into_inner().booking.expect("set");
    let lines: Vec<_> = held.lines.iter().map(|line| &*line.seat_label).collect();
    assert_eq!(lines, ["é1", "é2"]);
    // The same body, typed the other way.
    request.seat_labels = vec!["e\u{301}1".to_owned(), "é2".to_owned()];
    request.places[0].area = "Cafe\u{301}".to_owned();
    let copy = stage.client().reserve_seats(request.clone()).await;
    let copy = copy.expect("the first result").into_inner().booking;
    assert_eq!(copy.as_ref(), Some(&held));

    let given_up = CancelBookingRequest {
        booking_id: held.booking_id.clone(),
        seat_labels: vec!["e\u{301}1".to_owned()],
        places: vec![PlaceRequest {
            area: "Cafe\u{301}".to_owned(),
            quantity: 1,
        }],
        ..Default::default()
    };
    let rest = stage.client().cancel_booking(given_up).await;
    let rest = rest.expect("a part").into_inner().booking.expect("set");
    assert_eq!((rest.lines.len(), rest.area_lines[0].quantity), (1, 1));
    let swap = SwapSeatsRequest {
        booking_id: held.booking_id,
        from_seat_labels: vec!["e\u{301}2".to_owned()],
        to_seat_labels: vec!["e\u{301}1".to_owned()],
        ..Default::default()
    };
    stage.client().swap_seats(swap).await.expect("a swap");
    let mut chosen = reservation(&show, &[], "bob");
    chosen.choices = vec![SeatChoice {
        count: 1,
        section: "Bu\u{308}hne".to_owned(),
        price_tiers: vec!["Bu\u{308}hne".to_owned()],
        ..Default::default()
    }];
    stage.client().reserve_seats(chosen).await.expect("a seat");

    // One seat is not two.
    request.request_id = String::new();
    request.seat_labels = vec!["é1".to_owned(), "e\u{301}1".to_owned()];
    let mut client = stage.client();
    let call = client.reserve_seats(request);
    let status = stage
        .refused(call, Code::InvalidArgument, "INVALID_FIELD")
        .await;
    assert_eq!(fields(&status), ["seat_labels[1]"]);
    stage.assert_sound().await;
}

fn tier(name: &str, sections: &[&str], areas: &[&str]) -> PriceTier {
    PriceTier {
        name: name.to_owned(),
        price: Some(Money {
            minor_units: 1_000,
            currency_code: "EUR".to_owned(),
        }),
        sections: sections.iter().map(ToString::to_string).collect(),
        areas: areas.iter().map(ToString::to_string).collect(),
        ..Default::default()
    }
}
