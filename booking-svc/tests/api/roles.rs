//! The statements that each service's role may not run.

use tokio_postgres::error::SqlState;

use crate::schema::{booking, refuses, setting};

#[tokio::test]
async fn each_role_may_do_its_own_work_and_nothing_else() {
    let database = setting().await;
    let refused = [
        ("booking_svc", "UPDATE booking.transitions SET actor = 'x'"),
        ("booking_svc", "DELETE FROM booking.transitions"),
        ("booking_svc", "DELETE FROM booking.bookings"),
        ("booking_svc", "DELETE FROM booking.show_seats"),
        ("booking_svc", "DELETE FROM booking.sales"),
        ("booking_svc", "DELETE FROM booking.customers"),
        (
            "booking_svc",
            "UPDATE booking.customers SET created_at = now()",
        ),
        (
            "booking_svc",
            "UPDATE booking.customer_requests SET fingerprint = 7",
        ),
        ("booking_svc", "TRUNCATE booking.transitions"),
        ("expiry_worker", "SELECT FROM booking.answers"),
        ("catalog_svc", "DELETE FROM booking.answers"),
        ("booking_svc", "DROP TABLE booking.transitions"),
        (
            "booking_svc",
            "UPDATE booking.erasures SET tombstone = gen_random_uuid()",
        ),
        (
            "expiry_worker",
            "SELECT booking.erase_actors('{}', '{}', '{}', gen_random_uuid())",
        ),
        ("expiry_worker", "SELECT FROM booking.erasures"),
        ("booking_svc", "CREATE TABLE booking.notes ()"),
        ("booking_svc", "SELECT FROM catalog.shows"),
        ("booking_svc", "SELECT FROM catalog.feed"),
        (
            "booking_svc",
            "UPDATE public._sqlx_migrations SET success = true",
        ),
        (
            "expiry_worker",
            "UPDATE booking.transitions SET actor = 'x'",
        ),
        ("expiry_worker", "DELETE FROM booking.transitions"),
        ("expiry_worker", "SELECT FROM booking.sales"),
        ("expiry_worker", "SELECT FROM booking.customers"),
        ("expiry_worker", "SELECT FROM booking.customer_requests"),
        ("expiry_worker", "UPDATE booking.bookings SET total = 0"),
        (
            "expiry_worker",
            "UPDATE booking.bookings SET expires_at = now()",
        ),
        (
            "expiry_worker",
            "UPDATE booking.bookings SET confirmed_at = now()",
        ),
        (
            "expiry_worker",
            "UPDATE booking.bookings SET refund_due = 1",
        ),
        (
            "expiry_worker",
            "UPDATE booking.bookings SET cancel_reason = 'CUSTOMER'",
        ),
        ("expiry_worker", "DELETE FROM booking.bookings"),
        ("expiry_worker", "UPDATE booking.show_seats SET ordinal = 7"),
        (
            "expiry_worker",
            "INSERT INTO booking.show_seats SELECT * FROM booking.show_seats",
        ),
        ("expiry_worker", "SELECT FROM catalog.shows"),
        ("catalog_svc", "SELECT FROM booking.bookings"),
        ("catalog_svc", "SELECT FROM booking.show_seats"),
        ("catalog_svc", "SELECT FROM booking.customers"),
        (
            "catalog_svc",
            "UPDATE booking.sales SET state = 'CANCELLED'",
        ),
        ("catalog_svc", "DELETE FROM catalog.shows"),
    ];
    for (role, statement) in refused {
        let client = database.client(role).await;
        refuses(&client, statement, &SqlState::INSUFFICIENT_PRIVILEGE, None).await;
    }
    let worker = database.client("expiry_worker").await;
    let statement = booking(&[]);
    refuses(&worker, &statement, &SqlState::INSUFFICIENT_PRIVILEGE, None).await;
}

#[tokio::test]
async fn an_erasure_changes_nothing_of_the_log_but_the_actor_of_an_erased_person() {
    let database = setting().await;
    let owner = database.owner().await;
    let client = database.client("booking_svc").await;
    let made = booking(&[("customer_id", "'ann-17'")]);
    owner.batch_execute(&made).await.expect("a booking");
    owner
        .batch_execute(
            "INSERT INTO booking.transitions (show_id, booking_id, version, verb, from_state,
                to_state, made_at, actor, request_id, fingerprint)
             SELECT show_id, booking_id, n, CASE n WHEN 1 THEN 'RESERVE' ELSE 'EXTEND' END::booking.verb,
                CASE n WHEN 1 THEN NULL ELSE 'PENDING' END::booking.booking_state, 'PENDING',
                now(), (ARRAY['ann', 'ann (web-shop)', 'annabel', 'booking-svc'])[n],
                gen_random_uuid(), 7
             FROM booking.bookings, generate_series(1, 4) AS n
             WHERE customer_id = 'ann-17'",
        )
        .await
        .expect("a log");
    let erase = "SELECT booking.erase_actors(array_agg(show_id), array_agg(booking_id),
            ARRAY['ann', 'booking-svc'], '00000000-0000-4000-8000-000000000007')
        FROM booking.bookings
        WHERE booking_id = '00000000-0001-8000-8000-00000000000c'";
    let changed = |row: tokio_postgres::Row| row.get::<_, i64>(0);
    let of_a_person = client.query_one(erase, &[]).await.expect("it may call");
    assert_eq!(changed(of_a_person), 0, "the booking is not erased");
    let rest = "SELECT string_agg((to_jsonb(t) - 'actor')::text, '|' ORDER BY version)
        FROM booking.transitions AS t
        WHERE booking_id = '00000000-0001-8000-8000-00000000000c'";
    let before: String = owner.query_one(rest, &[]).await.expect("a log").get(0);
    client
        .batch_execute(
            "UPDATE booking.bookings
             SET customer_id = 'erased-00000000-0000-4000-8000-000000000007'
             WHERE customer_id = 'ann-17'",
        )
        .await
        .expect("an erased booking");
    let of_nobody = client.query_one(erase, &[]).await.expect("it may call");
    assert_eq!(changed(of_nobody), 2);
    let after: String = owner.query_one(rest, &[]).await.expect("a log").get(0);
    assert_eq!(after, before);
    let actors = "SELECT array_agg(actor ORDER BY version) FROM booking.transitions
        WHERE booking_id = '00000000-0001-8000-8000-00000000000c'";
    let actors: Vec<String> = owner.query_one(actors, &[]).await.expect("a log").get(0);
    let erased = "erased-00000000-0000-4000-8000-000000000007";
    assert_eq!(actors, [erased, erased, "annabel", "booking-svc"]);
}
