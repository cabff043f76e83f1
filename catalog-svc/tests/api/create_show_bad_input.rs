//! CreateShow: invalid requests, and that one error names every violation.

use proto::catalog::v1 as pb;
use proto::catalog::v1::create_show_request::Seats;
use proto::money::v1::Money;
use test_harness::errors::{assert_refused, fields};
use tonic::{Code, Request};

use crate::support::{
    Client, Service, contents, counted, eur, hamlet, hours_ahead, labelled, layout, new_request_id,
    now, section, tier, try_create, with_layout, with_sections,
};

pub(crate) fn money(minor_units: i64, currency: &str) -> Money {
    Money {
        minor_units,
        currency_code: currency.to_owned(),
    }
}

/// The fields that a request is refused for.
pub(crate) async fn bad_fields(client: &Client, request: pb::CreateShowRequest) -> Vec<String> {
    let refused = try_create(client, request).await;
    fields(&assert_refused(
        refused,
        Code::InvalidArgument,
        "INVALID_FIELD",
    ))
}

#[tokio::test]
async fn one_error_names_every_bad_field() {
    let (service, database) = Service::start().await;
    let request = pb::CreateShowRequest {
        name: String::new(),
        show_type: 9,
        start_time: Some((now() - std::time::Duration::from_secs(60)).into()),
        end_time: Some((now() - std::time::Duration::from_secs(120)).into()),
        venue: "v".repeat(201),
        time_zone: "Europe/Bern".to_owned(),
        sales_open_time: Some(hours_ahead(30)),
        sales_close_time: Some(hours_ahead(29)),
        hold_duration: Some(prost_types::Duration {
            seconds: 9,
            nanos: 0,
        }),
        seats_per_booking_max: 101,
        places_per_customer_max: -1,
        orphan_rule: 7,
        organiser: "Globe Theatre".to_owned(),
        seats: Some(Seats::Layout(layout(vec![
            section("", vec![counted("A", 2), counted("B", -2)]),
            section("Rear", vec![]),
        ]))),
        seat_price: Some(eur(1)),
        price_tiers: vec![
            tier("Near", eur(-1), &[]),
            tier("Far", money(1, "USD"), &["Rear"]),
            tier("Farther", money(1, "XXZ"), &["Rear"]),
        ],
        request_id: "seven".to_owned(),
        ..Default::default()
    };
    let violations = bad_fields(&service.client, request).await;
    let expected = [
        "end_time",
        "hold_duration",
        "layout.sections[0].name",
        "layout.sections[0].rows[1].runs[0].numbers.last",
        "layout.sections[1].rows",
        "name",
        "organiser",
        "orphan_rule",
        "places_per_customer_max",
        "price_tiers[0].price.minor_units",
        "price_tiers[1].price.currency_code",
        "price_tiers[2].price.currency_code",
        "request_id",
        "sales_close_time",
        "sales_open_time",
        "seat_price",
        "seats_per_booking_max",
        "show_type",
        "start_time",
        "time_zone",
        "venue",
    ];
    assert_eq!(violations, expected);
    assert_eq!(contents(&database).await, (0, 0, 0));
}

#[tokio::test]
async fn texts_have_a_length_and_a_shape() {
    let (service, _database) = Service::start().await;
    for name in [
        "",
        " ",
        " Hamlet",
        "Hamlet ",
        "Ham\nlet",
        "Ham\0let",
        &"x".repeat(201),
    ] {
        let request = pb::CreateShowRequest {
            name: name.to_owned(),
            ..hamlet()
        };
        assert_eq!(
            bad_fields(&service.client, request).await,
            ["name"],
            "{name:?}"
        );
    }
    for venue in [" ", "Globe\t", &"ä".repeat(201)] {
        let request = pb::CreateShowRequest {
            venue: venue.to_owned(),
            ..hamlet()
        };
        assert_eq!(
            bad_fields(&service.client, request).await,
            ["venue"],
            "{venue:?}"
        );
    }
    let longest = pb::CreateShowRequest {
        name: "ä".repeat(200),
        venue: "ä".repeat(200),
        ..hamlet()
    };
    assert!(try_create(&service.client, longest).await.is_ok());
}

#[tokio::test]
async fn times_lie_ahead_and_in_order() {
    let (service, database) = Service::start().await;
    let soon = hours_ahead(2);
    let cases = [
        (None, None, "start_time"),
        (Some(now().into()), None, "start_time"),
        (Some(hours_ahead(3_654 * 24)), None, "start_time"),
        (
            Some(prost_types::Timestamp {
                seconds: i64::MAX,
                nanos: 0,
            }),
            None,
            "start_time",
        ),
        (
            Some(prost_types::Timestamp {
                nanos: -1,
                ..hours_ahead(1)
            }),
            None,
            "start_time",
        ),
        (Some(soon), Some(hours_ahead(1)), "end_time"),
        (Some(soon), Some(soon), "end_time"),
    ];
    for (start_time, end_time, field) in cases {
        let request = pb::CreateShowRequest {
            start_time,
            end_time,
            ..hamlet()
        };
        assert_eq!(
            bad_fields(&service.client, request).await,
            [field],
            "{start_time:?}"
        );
    }
    assert_eq!(contents(&database).await, (0, 0, 0));
    let farthest = pb::CreateShowRequest {
        start_time: Some(hours_ahead(3_652 * 24)),
        ..hamlet()
    };
    assert!(try_create(&service.client, farthest).await.is_ok());
}

#[tokio::test]
async fn the_short_form_has_its_limits() {
    let (service, database) = Service::start().await;
    let short = |total_seats, seat_price| pb::CreateShowRequest {
        seats: Some(Seats::TotalSeats(total_seats)),
        seat_price,
        ..hamlet()
    };
    let odd = |minor_units, currency: &str| Some(money(minor_units, currency));
    let cases = [
        (short(-5, Some(eur(1))), vec!["total_seats"]),
        (short(0, Some(eur(1))), vec!["total_seats"]),
        (short(0, None), vec!["total_seats"]),
        (short(100_001, Some(eur(1))), vec!["total_seats"]),
        (short(i32::MIN, Some(eur(1))), vec!["total_seats"]),
        (short(1, odd(1, "XXX")), vec!["seat_price.minor_units"]),
        (short(1, odd(-1, "EUR")), vec!["seat_price.minor_units"]),
        (
            short(1, odd(1_000_000_000_001, "EUR")),
            vec!["seat_price.minor_units"],
        ),
        (short(1, odd(1, "eur")), vec!["seat_price.currency_code"]),
        (short(1, odd(1, "XXZ")), vec!["seat_price.currency_code"]),
        (
            short(1, odd(-1, "")),
            vec!["seat_price.currency_code", "seat_price.minor_units"],
        ),
        (
            pb::CreateShowRequest {
                seats: None,
                ..hamlet()
            },
            vec!["total_seats"],
        ),
    ];
    for (request, expected) in cases {
        let violations = bad_fields(&service.client, request.clone()).await;
        assert_eq!(violations, expected, "{request:?}");
    }
    assert_eq!(contents(&database).await, (0, 0, 0));
}

#[tokio::test]
async fn layout_errors_name_their_paths() {
    let (service, database) = Service::start().await;
    let rows = |rows| with_sections(vec![section("Stalls", rows)]);
    let marked = |layout: pb::SeatLayout| {
        with_layout(pb::SeatLayout {
            sections: vec![section("Stalls", vec![counted("A", 3)])],
            ..layout
        })
    };
    let thousands = |sections: usize| {
        (0..sections).map(|s| section(&s.to_string(), vec![counted(&s.to_string(), 1)]))
    };
    let labels = |labels: &[&str]| labels.iter().map(ToString::to_string).collect::<Vec<_>>();
    let cases = [
        (rows(vec![]), "layout.sections[0].rows"),
        (with_sections(vec![]), "layout.sections"),
        (
            marked(pb::SeatLayout {
                best_seats: 4,
                ..Default::default()
            }),
            "layout.best_seats",
        ),
        (
            rows(vec![counted("A", -1)]),
            "layout.sections[0].rows[0].runs[0].numbers.last",
        ),
        (
            rows(vec![labelled("A", [""])]),
            "layout.sections[0].rows[0].runs[0].list.names[0]",
        ),
        (
            rows(vec![labelled("A", ["x".repeat(41)])]),
            "layout.sections[0].rows[0].runs[0].list.names[0]",
        ),
        (
            rows(vec![labelled("A", ["x", "x"])]),
            "layout.sections[0].rows[0].runs[0].list.names[1]",
        ),
        (
            rows(vec![counted("A", 3), labelled("", ["A-3"])]),
            "layout.sections[0].rows[1].runs[0].list.names[0]",
        ),
        (
            rows(vec![counted("A", 100_000), counted("B", 1)]),
            "layout.sections",
        ),
        (with_sections(thousands(1_001).collect()), "layout.sections"),
        (
            marked(pb::SeatLayout {
                accessible_seats: labels(&["A-1", "A-4"]),
                ..Default::default()
            }),
            "layout.accessible_seats[1]",
        ),
        (
            marked(pb::SeatLayout {
                blocked_seats: labels(&["A-1", "A-1"]),
                ..Default::default()
            }),
            "layout.blocked_seats[1]",
        ),
        (
            marked(pb::SeatLayout {
                areas: vec![pb::Area {
                    name: "Yard".to_owned(),
                    capacity: -1,
                    ..Default::default()
                }],
                ..Default::default()
            }),
            "layout.areas[0].capacity",
        ),
        (
            marked(pb::SeatLayout {
                derived_from: "x".to_owned(),
                ..Default::default()
            }),
            "layout.derived_from",
        ),
        (
            marked(pb::SeatLayout {
                derived_from: new_request_id(),
                ..Default::default()
            }),
            "layout.derived_from",
        ),
    ];
    for (request, expected) in cases {
        let violations = bad_fields(&service.client, request).await;
        assert_eq!(violations, [expected]);
    }
    assert_eq!(contents(&database).await, (0, 0, 0));
    let most = with_sections(thousands(1_000).collect());
    assert!(try_create(&service.client, most).await.is_ok());
}

#[tokio::test]
async fn a_message_over_the_limit_is_an_invalid_argument() {
    let (service, database) = Service::start().await;
    let request = pb::CreateShowRequest {
        name: "x".repeat(5 * 1024 * 1024),
        ..hamlet()
    };
    let refused = try_create(&service.client, request).await;
    assert_refused(refused, Code::InvalidArgument, "MESSAGE_TOO_LARGE");
    assert_eq!(contents(&database).await, (0, 0, 0));
}

#[tokio::test]
async fn a_deadline_of_a_millisecond_has_passed() {
    let (service, database) = Service::start().await;
    let mut request = Request::new(hamlet());
    // Our client would time out by itself if it could read this; it reads 8 digits at most.
    let timeout = "0000000001m".parse().expect("a header's value");
    request.metadata_mut().insert("grpc-timeout", timeout);
    let refused = service.client.clone().create_show(request).await;
    assert_refused(refused, Code::DeadlineExceeded, "DEADLINE_EXCEEDED");
    assert_eq!(contents(&database).await, (0, 0, 0));
}
