//! The statements on areas that the schema refuses for every service.

use tokio_postgres::error::SqlState;
use uuid::Uuid;

use crate::schema::{booking, refuses, setting};

const SHOW: &str = "'00000000-0001-8000-8000-000000000000'";
const PLACES: &str = r#"'[{"area": "Floor", "quantity": 2, "price": 7, "tier": "VIP"}]'"#;
const UNTIL: &str = "now() + interval '120 s'";

/// Lines of a booking, of areas, quantities and prices.
fn lines(lines: &[(&str, &str, &str)]) -> String {
    let line = |(area, quantity, price): &(&str, &str, &str)| {
        format!(r#"{{"area": {area}, "quantity": {quantity}, "price": {price}, "tier": "VIP"}}"#)
    };
    let lines: Vec<_> = lines.iter().map(line).collect();
    format!("'[{}]'", lines.join(", "))
}

#[tokio::test]
async fn a_counter_stays_within_its_area() {
    let database = setting().await;
    let client = database.client("booking_svc").await;
    let insert = |values: &str| {
        format!(
            "INSERT INTO booking.show_areas (show_id, area, capacity, taken, overhang)
             VALUES ({SHOW}, {values})"
        )
    };
    let made = client.batch_execute(&insert("'Floor', 10, 0, 0")).await;
    made.expect("an area");
    let count = include_str!("../../../src/store/sql/count_areas.sql");
    let show: Uuid = SHOW.trim_matches('\'').parse().expect("an id");
    for (from, is_right) in [(1, false), (0, true)] {
        let (from, to) = (vec![from], vec![from]);
        let counted = client
            .query(
                count,
                &[&vec![show], &vec!["Floor"], &from, &to, &vec![true]],
            )
            .await;
        assert_eq!(counted.is_ok(), is_right, "{from:?} were taken");
    }
    // Counting places last checks this number. As many were taken as given back.
    let given_back = async || {
        let query = "SELECT given_back FROM booking.show_areas";
        let row = client.query_one(query, &[]).await.expect("the area");
        row.get::<_, i64>(0)
    };
    assert_eq!(given_back().await, 1);
    let cases = [
        ("taken = -1", Some("taken_within_capacity")),
        ("taken = 11", Some("taken_within_capacity")),
        ("capacity = -1", None),
        ("capacity = 1000001", None),
        ("overhang = -1", None),
        ("area = ''", None),
    ];
    for (change, constraint) in cases {
        let statement = format!("UPDATE booking.show_areas SET {change}");
        refuses(&client, &statement, &SqlState::CHECK_VIOLATION, constraint).await;
    }
    for (change, good) in [("taken = 10", true), ("capacity = 9", false)] {
        let statement = format!("UPDATE booking.show_areas SET {change}");
        let outcome = client.batch_execute(&statement).await;
        assert_eq!(outcome.is_ok(), good, "{change}");
    }
    let again = insert("'Floor', 5, 0, 0");
    refuses(&client, &again, &SqlState::UNIQUE_VIOLATION, None).await;
    let nowhere = again.replace("0001-8000", "0002-8000");
    refuses(&client, &nowhere, &SqlState::FOREIGN_KEY_VIOLATION, None).await;

    let worker = database.client("expiry_worker").await;
    let below = "UPDATE booking.show_areas SET taken = taken - 11";
    refuses(&worker, below, &SqlState::CHECK_VIOLATION, None).await;
    let back = worker.batch_execute("UPDATE booking.show_areas SET taken = taken - 10");
    back.await.expect("the transaction that gives back");
    assert_eq!(given_back().await, 11);
    for (client, statement) in [
        (&worker, "UPDATE booking.show_areas SET capacity = 11"),
        (
            &worker,
            "INSERT INTO booking.show_areas SELECT * FROM booking.show_areas",
        ),
        (&worker, "UPDATE booking.bookings SET areas = NULL"),
        (&worker, "DELETE FROM booking.show_areas"),
        (&client, "DELETE FROM booking.show_areas"),
    ] {
        refuses(client, statement, &SqlState::INSUFFICIENT_PRIVILEGE, None).await;
    }
    let catalog = database.client("catalog_svc").await;
    let read = "SELECT FROM booking.show_areas";
    refuses(&catalog, read, &SqlState::INSUFFICIENT_PRIVILEGE, None).await;
}

#[tokio::test]
async fn places_that_contradict_their_booking_are_refused() {
    let database = setting().await;
    let client = database.client("booking_svc").await;
    let no_seats = [
        ("seat_ordinals", "'{}'"),
        ("seat_prices", "'{}'"),
        ("seat_tiers", "'{}'"),
    ];
    let wrong = [
        lines(&[]),
        lines(&[(r#""Floor""#, "0", "7")]),
        lines(&[(r#""Floor""#, "-7", "7")]),
        lines(&[(r#""Floor""#, "1", "-1")]),
        lines(&[(r#""Floor""#, "null", "7")]),
        lines(&[(r#""Floor""#, "1", "null")]),
        lines(&[(r#""""#, "1", "7")]),
        lines(&[("null", "1", "7")]),
        // The booking has a seat.
        lines(&[(r#""Floor""#, "100", "7")]),
        lines(&[(r#""Floor""#, "50", "7"), (r#""Pit""#, "50", "7")]),
        lines(&[(r#""Floor""#, "1", "7"), (r#""Floor""#, "1", "7")]),
    ];
    for areas in &wrong {
        let statement = booking(&[("areas", areas), ("places_held_until", UNTIL)]);
        let rule = Some("places_by_area");
        refuses(&client, &statement, &SqlState::CHECK_VIOLATION, rule).await;
    }
    let confirmed = [("state", "'CONFIRMED'"), ("confirmed_at", "now()")];
    let held_wrongly: [&[(&str, &str)]; 4] = [
        &[("places_held_until", UNTIL)],
        &[("areas", PLACES)],
        &[("areas", PLACES), ("places_held_until", "now()")],
        &[
            confirmed[0],
            confirmed[1],
            ("areas", PLACES),
            ("places_held_until", UNTIL),
        ],
    ];
    for changes in held_wrongly {
        let rule = Some("held_with_places");
        refuses(&client, &booking(changes), &SqlState::CHECK_VIOLATION, rule).await;
    }
    let nothing = booking(&no_seats);
    let rule = Some("a_price_for_each_seat");
    refuses(&client, &nothing, &SqlState::CHECK_VIOLATION, rule).await;

    // So that it is the changes that are refused.
    let mut good = no_seats.to_vec();
    good.extend([("areas", PLACES), ("places_held_until", UNTIL)]);
    let made = client.batch_execute(&booking(&good)).await;
    made.expect("a booking of places alone");
    let worker = database.client("expiry_worker").await;
    let failed = "UPDATE booking.bookings SET state = 'FAILED', failure_reason = 'EXPIRED',
        failed_at = expires_at, version = 2 WHERE areas IS NOT NULL";
    let rule = Some("held_with_places");
    refuses(&worker, failed, &SqlState::CHECK_VIOLATION, rule).await;
    let freed = failed.replace("version = 2", "version = 2, places_held_until = NULL");
    worker.batch_execute(&freed).await.expect("an expiry");
}
