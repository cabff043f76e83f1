//! ReserveSeats.

use prost_types::Duration;
use proto::booking::v1::reserve_seats_request::Customer as Wanted;
use proto::booking::v1::{BookingState, FailureReason, ReserveSeatsRequest, SeatStatus};
use proto::catalog::v1::create_show_request::Seats;
use proto::catalog::v1::{CreateShowRequest, PriceTier, RowBlock, Section};
use proto::money::v1::Money;
use test_harness::errors::{describe, fields, metadata, quota_subjects, subjects};
use test_harness::system::{layout, names, reservation, reserve, show};
use tonic::Code;
use tonic_types::StatusExt as _;
use uuid::Uuid;

use crate::cancelled_show::mark_fully_cancelled;
use crate::stage::Stage;

/// Stalls for 12.50, balcony "Left" and "Right" for 9.00.
fn two_sections() -> CreateShowRequest {
    let mut layout = layout(4);
    layout.sections.push(Section {
        name: "Balcony".to_owned(),
        rows: vec![RowBlock {
            runs: vec![names(["Left", "Right"])],
            ..Default::default()
        }],
        ..Default::default()
    });
    let mut show = show(4);
    show.seats = Some(Seats::Layout(layout));
    show.seat_price = None;
    let tier = |name: &str, price, sections: &[&str]| PriceTier {
        name: name.to_owned(),
        price: Some(money(price)),
        sections: sections.iter().map(ToString::to_string).collect(),
        ..Default::default()
    };
    show.price_tiers = vec![tier("Front", 1250, &["Stalls"]), tier("Cheap", 900, &[])];
    show
}

fn money(minor_units: i64) -> Money {
    Money {
        minor_units,
        currency_code: "EUR".to_owned(),
    }
}

fn seconds(seconds: i64, nanos: i32) -> Option<Duration> {
    Some(Duration { seconds, nanos })
}

#[tokio::test]
async fn it_holds_the_seats_at_the_prices_of_the_moment() {
    let mut stage = Stage::start().await;
    let show = stage.create(two_sections()).await;
    let booking = stage.reserve(&show, &["Right", "A-3", "A-1"]).await;

    assert_eq!(booking.show_id, show);
    assert_eq!(booking.booking_id[..13], show[..13], "its id nests");
    assert_ne!(booking.booking_id, show);
    assert_eq!(booking.state(), BookingState::Pending);
    assert_eq!(booking.failure_reason(), FailureReason::Unspecified);
    assert_eq!((&*booking.customer_id, &*booking.email), ("ann", ""));
    let lines: Vec<_> = booking
        .lines
        .iter()
        .map(|l| (&*l.seat_label, &*l.section, &*l.row, &*l.price_tier))
        .collect();
    let wanted = [
        ("A-1", "Stalls", "A", "Front"),
        ("A-3", "Stalls", "A", "Front"),
        ("Right", "Balcony", "", "Cheap"),
    ];
    assert_eq!(lines, wanted, "in the order of the layout");
    let prices: Vec<_> = booking.lines.iter().map(|l| l.price.clone()).collect();
    assert_eq!(
        prices,
        [Some(money(1250)), Some(money(1250)), Some(money(900))]
    );
    assert_eq!(booking.total, Some(money(3_400)));
    let (made, ends) = (booking.create_time, booking.expire_time);
    let (made, ends) = (made.expect("set"), ends.expect("set"));
    assert_eq!(
        (ends.seconds - made.seconds, ends.nanos),
        (120, made.nanos),
        "the default hold"
    );
    assert!(booking.confirm_time.is_none() && booking.cancel_time.is_none());
    assert!(booking.fail_time.is_none());

    assert_eq!(stage.get(&booking.booking_id).await, booking);
    let held = stage.labels(&show, SeatStatus::Held).await;
    assert_eq!(held, ["A-1", "A-3", "Right"]);
    stage.assert_sound().await;
}

#[tokio::test]
async fn the_request_names_the_customer_and_the_hold_duration() {
    let mut stage = Stage::start().await;
    let show = stage.a_show(10).await;
    let domain = format!("{0}.{0}.{0}.org", "y".repeat(61));
    let longest = "x".repeat(64) + "@" + &domain;
    let cases = [
        (
            Wanted::CustomerId("é".repeat(128)),
            ("é".repeat(128), String::new()),
        ),
        (
            Wanted::CustomerId(" a b ".to_owned()),
            (" a b ".to_owned(), String::new()),
        ),
        (
            Wanted::Email("Ann.B+7@Example.ORG".to_owned()),
            (String::new(), "ann.b+7@example.org".to_owned()),
        ),
        (Wanted::Email(longest.clone()), (String::new(), longest)),
    ];
    for (place, (wanted, (id, email))) in cases.into_iter().enumerate() {
        let mut request = reservation(&show, &[&format!("A-{}", place + 1)], "");
        request.customer = Some(wanted);
        let response = stage
            .client()
            .reserve_seats(request)
            .await
            .expect("a free seat");
        let booking = response
            .into_inner()
            .booking
            .expect("the answer has the booking");
        assert_eq!(booking.email, email);
        // A customer who books by an address has an id from then on.
        let is_ours = Uuid::try_parse(&booking.customer_id).is_ok();
        assert_eq!(
            (booking.customer_id == id, is_ours),
            (email.is_empty(), !email.is_empty())
        );
        assert_eq!(stage.get(&booking.booking_id).await, booking);
    }
    for (place, (hold, nanos)) in [(10, 0), (1_800, 0), (11, 1_000_000)]
        .into_iter()
        .enumerate()
    {
        let mut request = reservation(&show, &[&format!("A-{}", place + 5)], "ann");
        request.hold_duration = seconds(hold, nanos);
        let response = stage
            .client()
            .reserve_seats(request)
            .await
            .expect("a hold within the limits");
        let booking = response.into_inner().booking.expect("set");
        let (made, ends) = (
            booking.create_time.expect("set"),
            booking.expire_time.expect("set"),
        );
        let length =
            (ends.seconds - made.seconds) * 1_000_000_000 + i64::from(ends.nanos - made.nanos);
        assert_eq!(length, hold * 1_000_000_000 + i64::from(nanos));
    }
    stage.assert_sound().await;
}

#[tokio::test]
async fn a_malformed_request_is_refused_with_every_field_that_is_wrong() {
    type Spoil = fn(&mut ReserveSeatsRequest);
    let cases: [(Spoil, &[&str]); 23] = [
        (|r| r.show_id.clear(), &["show_id"]),
        (|r| r.show_id = "A-12".to_owned(), &["show_id"]),
        (|r| r.show_id.truncate(35), &["show_id"]),
        (|r| r.request_id = "7".to_owned(), &["request_id"]),
        (
            |r| r.request_id = "00000000-0000-0000-0000-000000000000".to_owned(),
            &["request_id"],
        ),
        (|r| r.seat_labels.clear(), &["seat_labels"]),
        (
            |r| r.seat_labels = ["A-1", "A-2", "A-1", "A-1"].map(str::to_owned).into(),
            &["seat_labels[2]", "seat_labels[3]"],
        ),
        (|r| r.customer = None, &["customer"]),
        (
            |r| r.customer = Some(Wanted::CustomerId(String::new())),
            &["customer_id"],
        ),
        (
            |r| r.customer = Some(Wanted::CustomerId("x".repeat(129))),
            &["customer_id"],
        ),
        (
            |r| r.customer = Some(Wanted::CustomerId("a\0b".to_owned())),
            &["customer_id"],
        ),
        (
            |r| r.customer = Some(Wanted::Email(String::new())),
            &["email"],
        ),
        (
            |r| r.customer = Some(Wanted::Email("ann".to_owned())),
            &["email"],
        ),
        (
            |r| r.customer = Some(Wanted::Email("@b.org".to_owned())),
            &["email"],
        ),
        (
            |r| r.customer = Some(Wanted::Email("ann@".to_owned())),
            &["email"],
        ),
        (
            |r| r.customer = Some(Wanted::Email("a n@b.org".to_owned())),
            &["email"],
        ),
        (
            |r| r.customer = Some(Wanted::Email("x".repeat(250) + "@b.org")),
            &["email"],
        ),
        (|r| r.hold_duration = seconds(9, 0), &["hold_duration"]),
        (
            |r| r.hold_duration = seconds(9, 999_000_000),
            &["hold_duration"],
        ),
        (
            |r| r.hold_duration = seconds(31 * 60, 0),
            &["hold_duration"],
        ),
        (|r| r.hold_duration = seconds(-60, 0), &["hold_duration"]),
        (
            |r| r.hold_duration = seconds(60, 500_000),
            &["hold_duration"],
        ),
        (
            |r| {
                *r = ReserveSeatsRequest {
                    request_id: "no".to_owned(),
                    hold_duration: seconds(i64::MAX, i32::MAX),
                    ..Default::default()
                }
            },
            &[
                "customer",
                "hold_duration",
                "request_id",
                "seat_labels",
                "show_id",
            ],
        ),
    ];
    let mut stage = Stage::start().await;
    let show = stage.a_show(3).await;
    let mut client = stage.client();
    for (place, (spoil, wanted)) in cases.into_iter().enumerate() {
        let mut request = reservation(&show, &["A-1"], "ann");
        spoil(&mut request);
        let call = client.reserve_seats(request);
        let status = stage
            .refused(call, Code::InvalidArgument, "INVALID_FIELD")
            .await;
        assert_eq!(
            fields(&status),
            wanted,
            "case {place}: {}",
            describe(&status)
        );
    }
    stage.assert_sound().await;
}

#[tokio::test]
async fn more_seats_than_the_limit_are_a_quota_exceeded() {
    let mut stage = Stage::start().await;
    let show = stage.a_show(120).await;
    let labels: Vec<String> = (1..=101).map(|n| format!("A-{n}")).collect();
    let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
    let (mut process, mut of_two) = stage.another_with(&["--seats-per-booking-max", "2"]).await;
    for (mut client, limit) in [(stage.client(), 100), (of_two.clone(), 2)] {
        let call = reserve(&mut client, &show, &labels[..=limit], "ann");
        let reason = "SEATS_PER_BOOKING_EXCEEDED";
        let status = stage.refused(call, Code::ResourceExhausted, reason).await;
        assert_eq!(quota_subjects(&status), ["seat_labels"]);
        assert_eq!(metadata(&status)["limit"], limit.to_string());
    }
    let two = reserve(&mut of_two, &show, &labels[99..], "ann").await;
    assert_eq!(two.expect("within the limit").lines.len(), 2);
    let most = stage.reserve(&show, &labels[..99]).await;
    assert_eq!(most.lines.len(), 99);
    crate::stage::assert_quiet(&mut process);
    stage.assert_sound().await;
}

#[tokio::test]
async fn seats_that_are_taken_are_all_named_and_none_is_held() {
    let mut stage = Stage::start().await;
    let show = stage.a_show(6).await;
    stage.reserve(&show, &["A-2"]).await;
    stage.buy(&show, &["A-5", "A-4"]).await;
    let mut client = stage.client();
    let labels = ["A-6", "A-5", "A-1", "A-2", "A-3", "A-4"];
    let call = reserve(&mut client, &show, &labels, "bob");
    let reason = "SEATS_UNAVAILABLE";
    let status = stage.refused(call, Code::FailedPrecondition, reason).await;
    assert_eq!(subjects(&status), ["A-2", "A-4", "A-5"]);
    assert_eq!(metadata(&status)["show_id"], show);
    let failure = status.get_details_precondition_failure().expect("details");
    for violation in failure.violations {
        assert_eq!(violation.r#type, "SEAT_UNAVAILABLE");
    }
    // Also for the same customer: each booking has its own seats.
    let call = reserve(&mut client, &show, &["A-2"], "ann");
    stage.refused(call, Code::FailedPrecondition, reason).await;
    stage.reserve(&show, &["A-1", "A-3", "A-6"]).await;
    stage.assert_sound().await;
}

#[tokio::test]
async fn a_show_that_is_unknown_cancelled_or_started_sells_nothing() {
    let mut stage = Stage::start().await;
    let mut client = stage.client();
    for unknown in [model::ShowId::generate().uuid(), Uuid::new_v4()] {
        let unknown = unknown.to_string();
        let call = reserve(&mut client, &unknown, &["A-1"], "ann");
        let status = stage.refused(call, Code::NotFound, "SHOW_NOT_FOUND").await;
        assert_eq!(metadata(&status)["show_id"], unknown);
    }

    let started = stage.a_show(3).await;
    // Nothing can be created in the past, and tests have no time to wait for a start.
    let move_start = "UPDATE booking.sales SET start_at = clock_timestamp();
         UPDATE catalog.shows SET start_at = clock_timestamp()";
    stage.run(move_start).await;
    let call = reserve(&mut client, &started, &["A-1"], "ann");
    let status = stage
        .refused(call, Code::FailedPrecondition, "SHOW_STARTED")
        .await;
    assert_eq!(metadata(&status)["show_id"], started);
    assert!(metadata(&status).contains_key("start_time"));
    assert_eq!(subjects(&status), [started]);

    let cancelled = stage.a_show(3).await;
    stage.cancel_show(&cancelled).await;
    mark_fully_cancelled(&stage).await;
    let call = reserve(&mut client, &cancelled, &["A-2"], "ann");
    let status = stage
        .refused(call, Code::FailedPrecondition, "SHOW_NOT_ON_SALE")
        .await;
    assert_eq!(metadata(&status)["state"], "CANCELLED");
    assert_eq!(subjects(&status), [cancelled]);
    stage.assert_sound().await;
}

#[tokio::test]
async fn seats_are_sold_without_a_hold() {
    let mut stage = Stage::start().await;
    let show = stage.a_show(3).await;
    let mut request = reservation(&show, &["A-1", "A-2"], "ann");
    request.confirm = true;
    request.payment_reference = "till 4, receipt 17".to_owned();
    request.request_id = Uuid::new_v4().to_string();
    let mut client = stage.client();
    let response = client.reserve_seats(request.clone()).await.expect("free");
    let sold = response.into_inner().booking.expect("set");
    assert_eq!(sold.state(), BookingState::Confirmed);
    assert_eq!(sold.confirm_time, sold.create_time);
    assert_eq!(sold.payment_reference, request.payment_reference);
    assert_eq!(stage.get(&sold.booking_id).await, sold);
    let copy = client.reserve_seats(request.clone()).await.expect("a copy");
    assert_eq!(copy.into_inner().booking.expect("set"), sold);
    assert_eq!(
        stage.labels(&show, SeatStatus::Booked).await,
        ["A-1", "A-2"]
    );

    // Under the same id it is another request without the one or the other.
    request.confirm = false;
    let call = async { client.reserve_seats(request.clone()).await };
    let status = stage
        .refused(call, Code::InvalidArgument, "INVALID_FIELD")
        .await;
    assert_eq!(fields(&status), ["payment_reference"]);
    request.payment_reference.clear();
    let call = async { client.reserve_seats(request).await };
    stage
        .refused(call, Code::InvalidArgument, "REQUEST_ID_REUSED")
        .await;
    stage.assert_sound().await;
}
