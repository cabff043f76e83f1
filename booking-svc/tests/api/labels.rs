//! Seats by their labels: which of them an error names, and that it fits a proxy's buffer however
//! long and however many they are.

use proto::booking::v1::{CancelBookingRequest, PlaceRequest, SeatChoice, SwapSeatsRequest};
use proto::catalog::v1::create_show_request::Seats;
use proto::catalog::v1::{Area, CreateShowRequest, PriceTier, RowBlock, SeatLayout, Section};
use proto::money::v1::Money;
use test_harness::errors::{assert_error, describe, fields, metadata};
use test_harness::system::{layout, names, reservation, reserve, show};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;
use uuid::Uuid;

use crate::stage::Stage;

/// nginx's buffer for all headers of an answer.
const PROXY_BYTES_MAX: usize = 4_096;

/// Of 40 characters, most of which take three bytes.
fn long_labels(count: usize) -> Vec<String> {
    let label = |n| format!("{n:03}-{}", "一階席前方右側特別指定席".repeat(3));
    (0..count)
        .map(|n| label(n).chars().take(40).collect())
        .collect()
}

fn texts(labels: &[String]) -> Vec<&str> {
    labels.iter().map(String::as_str).collect()
}

/// A show with these seats alone.
async fn show_of(stage: &Stage, labels: &[String]) -> String {
    let row = RowBlock {
        runs: vec![names(labels)],
        label_format: "{seat}".to_owned(),
        ..Default::default()
    };
    let layout = SeatLayout {
        name: "A hall".to_owned(),
        sections: vec![Section {
            name: "Stalls".to_owned(),
            rows: vec![row],
            ..Default::default()
        }],
        ..Default::default()
    };
    let mut request = show(1);
    request.seats = Some(Seats::Layout(layout));
    stage.create(request).await
}

/// The subjects in the order in which they came.
fn subjects(status: &Status) -> Vec<String> {
    let failure = status.get_details_precondition_failure().expect("subjects");
    failure.violations.into_iter().map(|v| v.subject).collect()
}

/// Asserts that an error fits, has the first items of the list, and counts the omitted ones.
fn assert_first_of(status: &Status, listed: &[String]) {
    let answer = status.clone().into_http::<()>();
    let bytes = |name: &str| answer.headers()[name].len();
    let header = bytes("grpc-status-details-bin") + bytes("grpc-message");
    assert!(
        header < PROXY_BYTES_MAX - 200,
        "{header} bytes: {}",
        describe(status)
    );
    let named = subjects(status);
    assert!(
        (5..listed.len()).contains(&named.len()),
        "{} of them",
        named.len()
    );
    assert_eq!(named, listed[..named.len()]);
    let counts = metadata(status);
    assert_eq!(counts["total_count"], listed.len().to_string());
    assert_eq!(
        counts["omitted_count"],
        (listed.len() - named.len()).to_string()
    );
    assert!(
        status.message().contains(&listed[0]),
        "{}",
        status.message()
    );
}

#[tokio::test]
async fn the_first_of_many_taken_seats_are_named_in_the_order_of_the_request() {
    let mut stage = Stage::start().await;
    let labels = long_labels(100);
    let show = show_of(&stage, &labels).await;
    stage.reserve(&show, &texts(&labels)).await;
    let mut client = stage.client();
    let backwards: Vec<_> = labels.iter().rev().cloned().collect();
    let request = reservation(&show, &texts(&backwards), "bob");
    // A replay gets the stored result.
    for _ in 0..2 {
        let refused = client.reserve_seats(request.clone()).await;
        let status = refused.expect_err("all of them are taken");
        assert_error(&status, Code::FailedPrecondition, "SEATS_UNAVAILABLE");
        assert_first_of(&status, &backwards);
    }
    stage.assert_sound().await;
}

#[tokio::test]
async fn a_swap_names_the_first_seats_that_it_cannot_have_and_that_it_has_not() {
    let mut stage = Stage::start().await;
    let labels = long_labels(100);
    let show = show_of(&stage, &labels).await;
    let backwards = |labels: &[String]| labels.iter().rev().cloned().collect::<Vec<_>>();
    let (first, second) = (backwards(&labels[..50]), backwards(&labels[50..]));
    let mut client = stage.client();
    let mine = stage.reserve(&show, &texts(&first)).await;
    let others = reserve(&mut client, &show, &texts(&second), "bob").await;
    others.expect("free seats");
    let swap = |from: &[String], to: &[String]| SwapSeatsRequest {
        booking_id: mine.booking_id.clone(),
        from_seat_labels: from.to_vec(),
        to_seat_labels: to.to_vec(),
        ..Default::default()
    };
    let taken = client.swap_seats(swap(&first, &second)).await;
    let taken = taken.expect_err("they are Bob's");
    assert_error(&taken, Code::FailedPrecondition, "SEATS_UNAVAILABLE");
    assert_first_of(&taken, &second);
    let not_mine = client.swap_seats(swap(&second, &first)).await;
    let not_mine = not_mine.expect_err("they are Bob's");
    assert_error(&not_mine, Code::FailedPrecondition, "SEATS_NOT_IN_BOOKING");
    assert_first_of(&not_mine, &second);
    stage.assert_sound().await;
}

#[tokio::test]
async fn unknown_labels_are_named_by_their_places() {
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

    // Of many and long ones the first.
    let refused = reserve(&mut client, &show, &texts(&long_labels(100)), "bob").await;
    let status = refused.expect_err("there are no such seats");
    assert_error(&status, Code::InvalidArgument, "UNKNOWN_SEATS");
    let named = status
        .get_details_bad_request()
        .expect("fields")
        .field_violations;
    for (place, field) in named.iter().enumerate() {
        assert_eq!(field.field, format!("seat_labels[{place}]"));
    }
    assert_eq!(metadata(&status)["total_count"], "100");
    assert_eq!(
        metadata(&status)["omitted_count"],
        (100 - named.len()).to_string()
    );
    assert!(status.details().len() < 2_868);

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
