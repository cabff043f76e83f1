//! Bookings and their log.

use super::*;

#[tokio::test]
async fn a_booking_that_contradicts_itself_is_refused() {
    let database = setting().await;
    let client = database.client("booking_svc").await;
    let (now, later) = ("now()", "now() + interval '1 min'");
    let cases: &[(&[(&str, &str)], &str)] = &[
        (
            &[("booking_id", "'00000000-0002-8000-8000-00000000000c'")],
            "booking_id_nests",
        ),
        (&[("customer_id", "NULL")], "one_customer"),
        (&[("email", "'cid@example.org'")], "one_customer"),
        (&[("customer_id", "''")], "bookings_customer_id_check"),
        (
            &[("seat_ordinals", "'{}'"), ("seat_prices", "'{}'")],
            "a_price_for_each_seat",
        ),
        (&[("seat_prices", "'{7, 7}'")], "a_price_for_each_seat"),
        (&[("seat_ordinals", "'{2, 3}'")], "a_price_for_each_seat"),
        (&[("seat_tiers", "'{}'")], "a_tier_for_each_seat"),
        (&[("seat_tiers", "'{VIP, VIP}'")], "a_tier_for_each_seat"),
        (&[("expires_at", "now() + interval '9 s'")], "hold_length"),
        (
            &[("expires_at", "now() + interval '121 min'")],
            "hold_length",
        ),
        (&[("expires_at", "now() - interval '1 s'")], "hold_length"),
        (&[("total", "-1")], "bookings_total_check"),
        (&[("version", "0")], "bookings_version_check"),
        (&[("confirmed_at", now)], "state_agrees"),
        (&[("cancelled_at", now)], "state_agrees"),
        (&[("failed_at", now)], "state_agrees"),
        (&[("state", "'CONFIRMED'")], "state_agrees"),
        (&[("state", "'CANCELLED'")], "state_agrees"),
        (
            &[
                ("state", "'FAILED'"),
                ("failure_reason", "'PAYMENT_DECLINED'"),
            ],
            "state_agrees",
        ),
        (
            &[("state", "'FAILED'"), ("failed_at", now)],
            "failed_for_a_reason",
        ),
        (&[("failure_reason", "'EXPIRED'")], "failed_for_a_reason"),
        (
            &[
                ("state", "'FAILED'"),
                ("failure_reason", "'EXPIRED'"),
                ("failed_at", later),
            ],
            "expired_when_it_ended",
        ),
        (
            &[
                ("state", "'CONFIRMED'"),
                ("confirmed_at", "now() + interval '120 s'"),
            ],
            "confirmed_in_time",
        ),
        (
            &[
                ("state", "'CONFIRMED'"),
                ("confirmed_at", "now() - interval '1 s'"),
            ],
            "confirmed_in_time",
        ),
        (
            &[
                ("state", "'CONFIRMED'"),
                ("confirmed_at", now),
                ("cancelled_at", now),
            ],
            "state_agrees",
        ),
        (
            &[
                ("state", "'CANCELLED'"),
                ("confirmed_at", later),
                ("cancelled_at", now),
            ],
            "state_agrees",
        ),
        (&[("cancel_reason", "'CUSTOMER'")], "cancelled_for_a_reason"),
        (&[("refund_due", "7")], "refunded_after_a_sale"),
        (
            &[
                ("state", "'CANCELLED'"),
                ("cancelled_at", now),
                ("refund_due", "7"),
            ],
            "refunded_after_a_sale",
        ),
        (&[("released", "7")], "released_after_a_sale"),
        (
            &[
                ("state", "'CONFIRMED'"),
                ("confirmed_at", now),
                ("released", "7"),
                ("refund_due", "6"),
            ],
            "refunded_after_a_sale",
        ),
        (
            &[("payment_reference", "repeat('x', 129)")],
            "bookings_payment_reference_check",
        ),
        (&[("orphans", "'{}'")], "bookings_orphans_check"),
        (&[("payment_state", "'STARTED'")], "a_payment_has_a_state"),
        (
            &paid("'PENDING'", "'CAPTURED'"),
            "no_money_without_a_ticket",
        ),
        (&paid("'FAILED'", "'CAPTURED'"), "no_money_without_a_ticket"),
        (&paid("'CONFIRMED'", "'STARTED'"), "no_ticket_without_money"),
        (&refunded("'CUSTOMER'", "0"), "refund_within_total"),
        (&refunded("'CUSTOMER'", "8"), "refund_within_total"),
        (&refunded("'SHOW_CANCELLED'", "6"), "refunded_whole"),
        (&refunded("'SHOW_CANCELLED'", "NULL"), "refunded_whole"),
        (
            &[
                ("state", "'CANCELLED'"),
                ("cancelled_at", now),
                ("cancel_reason", "'SHOW_CANCELLED'"),
            ],
            "refunded_whole",
        ),
    ];
    for (changes, constraint) in cases {
        let statement = booking(changes);
        refuses(
            &client,
            &statement,
            &SqlState::CHECK_VIOLATION,
            Some(constraint),
        )
        .await;
    }
    let statement = booking(&[("booking_id", HELD)]);
    refuses(&client, &statement, &SqlState::UNIQUE_VIOLATION, None).await;
    let elsewhere = [
        ("show_id", "'00000000-0002-8000-8000-000000000000'"),
        ("booking_id", "'00000000-0002-8000-8000-00000000000c'"),
    ];
    // Of a show that is not there: it can own no seat.
    let statement = format!(
        "BEGIN; {}; UPDATE booking.show_seats SET booking_id = {} WHERE ordinal = 2",
        booking(&elsewhere),
        elsewhere[1].1
    );
    refuses(&client, &statement, &SqlState::FOREIGN_KEY_VIOLATION, None).await;
    client.batch_execute("ROLLBACK").await.expect("an end");
    // So that it is the changes that are refused.
    client
        .batch_execute(&booking(&[]))
        .await
        .expect("a booking");
    let mut refunded = refunded("'SHOW_CANCELLED'", "7").to_vec();
    refunded.push(("booking_id", "'00000000-0001-8000-8000-00000000000d'"));
    let whole = client.batch_execute(&booking(&refunded)).await;
    whole.expect("a booking of a cancelled show");
}

/// The columns of a booking in these states, with a payment.
fn paid<'a>(state: &'a str, payment_state: &'a str) -> [(&'a str, &'a str); 6] {
    let (confirmed_at, failed_at, reason) = match state {
        "'CONFIRMED'" => ("now()", "NULL", "NULL"),
        "'FAILED'" => ("NULL", "now() + interval '120 s'", "'EXPIRED'"),
        _ => ("NULL", "NULL", "NULL"),
    };
    [
        ("state", state),
        ("confirmed_at", confirmed_at),
        ("failed_at", failed_at),
        ("failure_reason", reason),
        ("payment_key", "gen_random_uuid()"),
        ("payment_state", payment_state),
    ]
}

/// The columns of a booking that was cancelled after it was sold for 7.
fn refunded<'a>(reason: &'a str, refund: &'a str) -> [(&'a str, &'a str); 5] {
    [
        ("state", "'CANCELLED'"),
        ("confirmed_at", "now()"),
        ("cancelled_at", "now()"),
        ("cancel_reason", reason),
        ("refund_due", refund),
    ]
}

#[tokio::test]
async fn no_statement_reaches_a_state_that_no_command_reaches() {
    let database = setting().await;
    for (role, change) in [
        ("booking_svc", "state = 'CONFIRMED'"),
        (
            "booking_svc",
            "confirmed_at = expires_at, state = 'CONFIRMED'",
        ),
        (
            "booking_svc",
            "state = 'FAILED', failure_reason = 'EXPIRED', failed_at = now()",
        ),
        ("expiry_worker", "state = 'FAILED'"),
        ("expiry_worker", "state = 'CANCELLED'"),
        (
            "expiry_worker",
            "state = 'FAILED', failure_reason = 'EXPIRED', failed_at = now()",
        ),
    ] {
        let client = database.client(role).await;
        let statement = format!("UPDATE booking.bookings SET {change} WHERE booking_id = {HELD}");
        refuses(&client, &statement, &SqlState::CHECK_VIOLATION, None).await;
    }
}

#[tokio::test]
async fn a_booking_stays_under_its_id_for_every_role() {
    let database = setting().await;
    let owner = database.owner().await;
    for change in [
        format!("DELETE FROM booking.bookings WHERE booking_id = {SOLD}"),
        format!("UPDATE booking.bookings SET booking_id = {SHOW} WHERE booking_id = {SOLD}"),
        format!("UPDATE booking.bookings SET show_id = show_id WHERE booking_id = {SOLD}"),
    ] {
        let stays = Some("bookings_stay");
        refuses(&owner, &change, &SqlState::FOREIGN_KEY_VIOLATION, stays).await;
    }
}

#[tokio::test]
async fn a_transition_that_no_command_makes_is_refused() {
    let database = setting().await;
    let client = database.client("booking_svc").await;
    let cases: &[&[(&str, &str)]] = &[
        &[("from_state", "NULL")],
        &[("from_state", "'CANCELLED'")],
        &[("from_state", "'FAILED'")],
        &[("to_state", "'CANCELLED'")],
        &[("to_state", "'PENDING'")],
        &[("verb", "'RESERVE'")],
        &[
            ("verb", "'RESERVE'"),
            ("from_state", "NULL"),
            ("to_state", "'PENDING'"),
        ],
        &[("verb", "'CANCEL'")],
        &[
            ("verb", "'CANCEL'"),
            ("from_state", "'FAILED'"),
            ("to_state", "'CANCELLED'"),
        ],
        &[("verb", "'EXPIRE'")],
        &[
            ("verb", "'EXPIRE'"),
            ("from_state", "'CONFIRMED'"),
            ("to_state", "'FAILED'"),
        ],
        &[("verb", "'VOID'")],
        &[("verb", "'VOID'"), ("to_state", "'CANCELLED'")],
        &[
            ("verb", "'VOID'"),
            ("from_state", "'CONFIRMED'"),
            ("to_state", "'FAILED'"),
        ],
        &[
            ("verb", "'VOID'"),
            ("from_state", "NULL"),
            ("to_state", "'FAILED'"),
        ],
        &[("verb", "'PAY'")],
        &[("verb", "'DECLINE'")],
        &[("verb", "'REINSTATE'")],
        &[("verb", "'REPAY'")],
    ];
    for changes in cases {
        let statement = transition(changes);
        refuses(
            &client,
            &statement,
            &SqlState::CHECK_VIOLATION,
            Some("legal"),
        )
        .await;
    }
    let taken = [("request_id", "'00000000-0000-4000-8000-000000000001'")];
    let by_request = Some("transitions_by_request");
    refuses(
        &client,
        &transition(&taken),
        &SqlState::UNIQUE_VIOLATION,
        by_request,
    )
    .await;
    let again = [("version", "2"), ("booking_id", SOLD)];
    let by_version = Some("transitions_pkey");
    refuses(
        &client,
        &transition(&again),
        &SqlState::UNIQUE_VIOLATION,
        by_version,
    )
    .await;
    let nameless = transition(&[("actor", "''")]);
    refuses(&client, &nameless, &SqlState::CHECK_VIOLATION, None).await;
    client
        .batch_execute(&transition(&[]))
        .await
        .expect("a transition");
    for (version, from, to) in [
        ("3", "'PENDING'", "'FAILED'"),
        ("4", "'CONFIRMED'", "'CANCELLED'"),
    ] {
        let legal = [
            ("verb", "'VOID'"),
            ("version", version),
            ("from_state", from),
            ("to_state", to),
        ];
        let done = client.batch_execute(&transition(&legal)).await;
        done.expect("a transition of a cancelled show's booking");
    }
}
