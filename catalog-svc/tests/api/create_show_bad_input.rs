//! CreateShow: what is refused, and that all of it is told at once.

use proto::catalog::v1 as pb;
use proto::money::v1::Money;
use system_tests::errors::{assert_refused, fields};
use tonic::{Code, Request};

use crate::support::{
    Client, Service, contents, counted, eur, hamlet, hours_ahead, labelled, now, section,
    try_create, with_sections,
};

/// The fields that a request is refused for.
async fn bad_fields(client: &Client, request: pb::CreateShowRequest) -> Vec<String> {
    let refused = try_create(client, request).await;
    fields(&assert_refused(
        refused,
        Code::InvalidArgument,
        "INVALID_FIELD",
    ))
}

#[tokio::test]
async fn every_bad_field_is_told_at_once() {
    let (service, database) = Service::start().await;
    let request = pb::CreateShowRequest {
        name: String::new(),
        show_type: 0,
        start_time: Some((now() - std::time::Duration::from_secs(60)).into()),
        end_time: Some((now() - std::time::Duration::from_secs(120)).into()),
        venue: "v".repeat(201),
        sections: vec![
            section("", eur(1), vec![counted("A", 2), labelled("B", ["x", "x"])]),
            section(
                "Rear",
                Money {
                    minor_units: 1,
                    currency_code: "USD".into(),
                },
                vec![],
            ),
        ],
        total_seats: 0,
        seat_price: None,
        request_id: "seven".to_owned(),
    };
    let told = bad_fields(&service.client, request).await;
    let expected = [
        "end_time",
        "name",
        "request_id",
        "sections[0].name",
        "sections[0].rows[1].seat_labels[1]",
        "sections[1].price.currency_code",
        "sections[1].rows",
        "show_type",
        "start_time",
        "venue",
    ];
    assert_eq!(told, expected);
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
        (Some(hours_ahead(2)), Some(hours_ahead(1)), "end_time"),
        (Some(hours_ahead(2)), Some(hours_ahead(2)), "end_time"),
    ];
    for (start_time, end_time, field) in cases {
        // The same instant twice is rounded alike.
        let end_time = if start_time == end_time {
            start_time
        } else {
            end_time
        };
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
        total_seats,
        seat_price,
        ..hamlet()
    };
    let odd = |minor_units, currency_code: &str| {
        Some(Money {
            minor_units,
            currency_code: currency_code.to_owned(),
        })
    };
    let stalls = || vec![section("Stalls", eur(1), vec![counted("A", 1)])];
    let cases = [
        (short(-5, Some(eur(1))), vec!["total_seats"]),
        (short(0, Some(eur(1))), vec!["total_seats"]),
        (short(0, None), vec!["seat_price", "total_seats"]),
        (short(100_001, Some(eur(1))), vec!["total_seats"]),
        (short(i32::MIN, Some(eur(1))), vec!["total_seats"]),
        (short(1, None), vec!["seat_price"]),
        (short(1, odd(-1, "EUR")), vec!["seat_price.minor_units"]),
        (
            short(1, odd(1_000_000_000_001, "EUR")),
            vec!["seat_price.minor_units"],
        ),
        (short(1, odd(1, "eur")), vec!["seat_price.currency_code"]),
        (
            short(1, odd(-1, "")),
            vec!["seat_price.currency_code", "seat_price.minor_units"],
        ),
        (
            pb::CreateShowRequest {
                sections: stalls(),
                ..hamlet()
            },
            vec!["seat_price", "total_seats"],
        ),
    ];
    for (request, expected) in cases {
        let told = bad_fields(&service.client, request.clone()).await;
        assert_eq!(told, expected, "{request:?}");
    }
    assert_eq!(contents(&database).await, (0, 0, 0));
}

#[tokio::test]
async fn a_layout_is_told_what_is_wrong_by_its_paths() {
    let (service, database) = Service::start().await;
    let rows = |rows| vec![section("Stalls", eur(1), rows)];
    let both = pb::SeatRow {
        seat_count: 1,
        ..labelled("A", ["x"])
    };
    let unpriced = pb::Section {
        price: None,
        ..section("Stalls", eur(1), vec![counted("A", 1)])
    };
    let thousands = |sections: usize| {
        (0..sections).map(|s| section(&s.to_string(), eur(1), vec![counted(&s.to_string(), 1)]))
    };
    let cases = [
        (rows(vec![]), "sections[0].rows"),
        (rows(vec![counted("A", 0)]), "sections[0].rows[0]"),
        (
            rows(vec![counted("A", -1)]),
            "sections[0].rows[0].seat_count",
        ),
        (rows(vec![counted("A", 1), both]), "sections[0].rows[1]"),
        (
            rows(vec![labelled("A", [""])]),
            "sections[0].rows[0].seat_labels[0]",
        ),
        (
            rows(vec![labelled("A", [" x"])]),
            "sections[0].rows[0].seat_labels[0]",
        ),
        (
            rows(vec![labelled("A", ["x".repeat(41)])]),
            "sections[0].rows[0].seat_labels[0]",
        ),
        (
            rows(vec![counted("A", 3), counted("A", 1)]),
            "sections[0].rows[1].name",
        ),
        (
            rows(vec![counted("A", 3), labelled("", ["A-3"])]),
            "sections[0].rows[1].seat_labels[0]",
        ),
        (
            rows(vec![counted(&"x".repeat(33), 1)]),
            "sections[0].rows[0].name",
        ),
        (rows(vec![counted("A", 100_001)]), "sections"),
        (
            rows(vec![counted("A", i32::MAX), counted("B", i32::MAX)]),
            "sections",
        ),
        (
            rows((0..10_001).map(|r| counted(&r.to_string(), 1)).collect()),
            "sections",
        ),
        (thousands(1_001).collect(), "sections"),
        (vec![unpriced], "sections[0].price"),
    ];
    for (sections, expected) in cases {
        let told = bad_fields(&service.client, with_sections(sections)).await;
        assert_eq!(told, [expected]);
    }
    assert_eq!(contents(&database).await, (0, 0, 0));
    assert!(
        try_create(&service.client, with_sections(thousands(1_000).collect()))
            .await
            .is_ok()
    );
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
    // Our client would give up by itself if it could read this; it reads 8 digits at most.
    let timeout = "0000000001m".parse().expect("a header's value");
    request.metadata_mut().insert("grpc-timeout", timeout);
    let refused = service.client.clone().create_show(request).await;
    assert_refused(refused, Code::DeadlineExceeded, "DEADLINE_EXCEEDED");
    assert_eq!(contents(&database).await, (0, 0, 0));
}
