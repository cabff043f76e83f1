//! The statements that the schema refuses for every service.

use test_harness::postgres::{self, TestDatabase};
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

mod bookings;

const SHOW: &str = "'00000000-0001-8000-8000-000000000000'";
const HELD: &str = "'00000000-0001-8000-8000-00000000000a'";
const SOLD: &str = "'00000000-0001-8000-8000-00000000000b'";

/// A show of five seats, of which one booking holds one and another has one.
const SETTING: &str = "
    INSERT INTO booking.sales (show_id, revision, state, start_at, layout, prices, seat_count)
    VALUES (:show, 1, 'ON_SALE', now() + interval '1 day', '{}', '{}', 5);
    INSERT INTO booking.bookings (show_id, booking_id, state, version, customer_id,
        seat_ordinals, seat_prices, seat_tiers, total, currency, created_at, expires_at, confirmed_at)
    VALUES
        (:show, :held, 'PENDING', 1, 'ann', '{0}', '{7}', '{VIP}', 7, 'EUR', now(),
            now() + interval '120 s', NULL),
        (:show, :sold, 'CONFIRMED', 2, 'bob', '{1}', '{7}', '{VIP}', 7, 'EUR', now(),
            now() + interval '120 s', now());
    INSERT INTO booking.show_seats (show_id, ordinal, booking_id)
    VALUES (:show, 0, :held), (:show, 1, :sold), (:show, 2, NULL);
    INSERT INTO booking.transitions (show_id, booking_id, version, verb, from_state, to_state,
        made_at, actor, request_id, fingerprint)
    VALUES
        (:show, :held, 1, 'RESERVE', NULL, 'PENDING', now(), 'test',
            '00000000-0000-4000-8000-000000000001', 1),
        (:show, :sold, 1, 'RESERVE', NULL, 'PENDING', now(), 'test', gen_random_uuid(), 1),
        (:show, :sold, 2, 'CONFIRM', 'PENDING', 'CONFIRMED', now(), 'test', gen_random_uuid(), 1);
";

/// Another booking of the show, with these values in place of the good ones.
pub(crate) fn booking(changes: &[(&str, &str)]) -> String {
    let mut columns = vec![
        ("show_id", SHOW),
        ("booking_id", "'00000000-0001-8000-8000-00000000000c'"),
        ("state", "'PENDING'"),
        ("failure_reason", "NULL"),
        ("version", "1"),
        ("customer_id", "'cid'"),
        ("email", "NULL"),
        ("seat_ordinals", "'{2}'"),
        ("seat_prices", "'{7}'"),
        ("seat_tiers", "'{VIP}'"),
        ("total", "7"),
        ("currency", "'EUR'"),
        ("created_at", "now()"),
        ("expires_at", "now() + interval '120 s'"),
        ("confirmed_at", "NULL"),
        ("cancelled_at", "NULL"),
        ("failed_at", "NULL"),
        ("refund_due", "NULL"),
        ("released", "NULL"),
        ("payment_reference", "NULL"),
        ("orphans", "NULL"),
        ("cancel_reason", "NULL"),
        ("areas", "NULL"),
        ("places_held_until", "NULL"),
        ("payment_key", "NULL"),
        ("payment_state", "NULL"),
    ];
    change(&mut columns, changes);
    insert("bookings", &columns)
}

/// Another transition of the held booking.
fn transition(changes: &[(&str, &str)]) -> String {
    let mut columns = vec![
        ("show_id", SHOW),
        ("booking_id", HELD),
        ("version", "2"),
        ("verb", "'CONFIRM'"),
        ("from_state", "'PENDING'"),
        ("to_state", "'CONFIRMED'"),
        ("made_at", "now()"),
        ("actor", "'test'"),
        ("request_id", "gen_random_uuid()"),
        ("fingerprint", "1"),
    ];
    change(&mut columns, changes);
    insert("transitions", &columns)
}

fn change<'a>(columns: &mut [(&'a str, &'a str)], changes: &[(&'a str, &'a str)]) {
    for (name, value) in changes {
        let column = columns.iter_mut().find(|(column, _)| column == name);
        column.expect("a column of the table").1 = value;
    }
}

fn insert(table: &str, columns: &[(&str, &str)]) -> String {
    let (names, values): (Vec<_>, Vec<_>) = columns.iter().copied().unzip();
    format!(
        "INSERT INTO booking.{table} ({}) VALUES ({})",
        names.join(", "),
        values.join(", ")
    )
}

/// A database with it.
pub(crate) async fn setting() -> TestDatabase {
    let database = postgres::database().await;
    let statements = SETTING
        .replace(":show", SHOW)
        .replace(":held", HELD)
        .replace(":sold", SOLD);
    let owner = database.owner().await;
    owner.batch_execute(&statements).await.expect("a setting");
    database
}

/// Asserts that a statement fails with this SQLSTATE, by this constraint if one is named.
pub(crate) async fn refuses(
    client: &Client,
    statement: &str,
    state: &SqlState,
    constraint: Option<&str>,
) {
    let outcome = client.batch_execute(statement).await;
    let error = outcome.expect_err(statement);
    let error = error.as_db_error().expect("the server's answer");
    assert_eq!(error.code(), state, "{statement}: {error}");
    if constraint.is_some() {
        assert_eq!(error.constraint(), constraint, "{statement}: {error}");
    }
}

#[tokio::test]
async fn only_a_cancelled_sale_is_fully_cancelled() {
    let database = setting().await;
    let client = database.client("booking_svc").await;
    let noted = "UPDATE booking.sales SET fully_cancelled_at = now()";
    let rule = Some("cancelled_before_fully_cancelled");
    refuses(&client, noted, &SqlState::CHECK_VIOLATION, rule).await;
    let both = format!("{noted}, state = 'CANCELLED'");
    client.batch_execute(&both).await.expect("a cancelled sale");
}

#[tokio::test]
async fn a_seat_has_one_row_and_an_owner_that_exists() {
    let database = setting().await;
    let nobody = "'00000000-0001-8000-8000-0000000000ff'";
    let to_nobody = format!("UPDATE booking.show_seats SET booking_id = {nobody}");
    for role in ["booking_svc", "expiry_worker"] {
        let client = database.client(role).await;
        refuses(&client, &to_nobody, &SqlState::FOREIGN_KEY_VIOLATION, None).await;
    }
    let client = database.client("booking_svc").await;
    // A second owner would need a second row, which there cannot be.
    let again = format!("INSERT INTO booking.show_seats VALUES ({SHOW}, 0, {SOLD})");
    refuses(&client, &again, &SqlState::UNIQUE_VIOLATION, None).await;
    let below = format!("INSERT INTO booking.show_seats VALUES ({SHOW}, -1, NULL)");
    refuses(&client, &below, &SqlState::CHECK_VIOLATION, None).await;
    let elsewhere = "INSERT INTO booking.show_seats VALUES (gen_random_uuid(), 0, NULL)";
    let made = Some("sales_exist");
    refuses(&client, elsewhere, &SqlState::FOREIGN_KEY_VIOLATION, made).await;
    // One seat of many is enough, whichever way it gets its owner.
    let some =
        format!("INSERT INTO booking.show_seats VALUES ({SHOW}, 3, {HELD}), ({SHOW}, 4, {nobody})");
    let new = Some("new_owners_exist");
    refuses(&client, &some, &SqlState::FOREIGN_KEY_VIOLATION, new).await;
    let some = format!(
        "UPDATE booking.show_seats
         SET booking_id = CASE ordinal WHEN 2 THEN {nobody}::uuid ELSE {SOLD} END"
    );
    let given = Some("owners_exist");
    refuses(&client, &some, &SqlState::FOREIGN_KEY_VIOLATION, given).await;
}

#[tokio::test]
async fn a_seat_stays_with_its_sale_for_every_role() {
    let database = setting().await;
    let owner = database.owner().await;
    for (change, stays) in [
        ("DELETE FROM booking.sales", "sales_stay"),
        (
            "UPDATE booking.sales SET show_id = gen_random_uuid()",
            "sales_stay",
        ),
        (
            "UPDATE booking.show_seats SET show_id = gen_random_uuid()",
            "seats_stay",
        ),
        (
            "UPDATE booking.show_seats SET ordinal = ordinal + 1000",
            "seats_stay",
        ),
    ] {
        refuses(
            &owner,
            change,
            &SqlState::FOREIGN_KEY_VIOLATION,
            Some(stays),
        )
        .await;
    }
}

#[tokio::test]
async fn a_statement_that_missed_a_row_aborts_its_transaction() {
    let database = setting().await;
    for role in ["booking_svc", "expiry_worker"] {
        let client = database.client(role).await;
        for counts in ["1, 2", "2, 1", "0, 1", "NULL, 1"] {
            let statement = format!("SELECT booking.expect_rows('a test', {counts})");
            let missed = SqlState::from_code("TK001");
            refuses(&client, &statement, &missed, None).await;
        }
        let fits = client.batch_execute("SELECT booking.expect_rows('a test', 2, 2)");
        fits.await.expect("as many as expected");
        let aborted = format!(
            "BEGIN; UPDATE booking.show_seats SET booking_id = NULL WHERE booking_id = {HELD};
             SELECT booking.expect_rows('a test', 1, 2); COMMIT"
        );
        let missed = SqlState::from_code("TK001");
        refuses(&client, &aborted, &missed, None).await;
        client.batch_execute("ROLLBACK").await.expect("it is over");
    }
    let owned = "SELECT count(*) FROM booking.show_seats WHERE booking_id IS NOT NULL";
    let row = database.owner().await.query_one(owned, &[]).await;
    assert_eq!(row.expect("a count").get::<_, i64>(0), 2);
}

#[tokio::test]
async fn a_payment_is_settled_once_and_a_booking_is_paid_by_one_at_a_time() {
    let database = setting().await;
    let client = database.client("booking_svc").await;
    let start = format!(
        "INSERT INTO booking.payments (show_id, payment_key, booking_id, state, amount, currency,
             started_at, deadline_at, look_at)
         VALUES ({SHOW}, gen_random_uuid(), {HELD}, 'STARTED', 7, 'EUR', now(),
             now() + interval '1 s', now())"
    );
    client.batch_execute(&start).await.expect("an attempt");
    let second = Some("payments_under_way");
    refuses(&client, &start, &SqlState::UNIQUE_VIOLATION, second).await;
    for (change, rule) in [
        ("state = 'CAPTURED'", "settled_once"),
        ("settled_at = now()", "settled_once"),
        (
            "state = 'DECLINED', settled_at = now()",
            "declined_for_a_reason",
        ),
        ("decline_reason = 'OTHER'", "declined_for_a_reason"),
    ] {
        let change = format!("UPDATE booking.payments SET {change}");
        refuses(&client, &change, &SqlState::CHECK_VIOLATION, Some(rule)).await;
    }
    let refund = format!(
        "INSERT INTO booking.refunds (show_id, payment_key, refund_key, booking_id, amount,
             owed_at, look_at)
         VALUES ({SHOW}, gen_random_uuid(), gen_random_uuid(), {HELD}, 7, now(), now())"
    );
    refuses(&client, &refund, &SqlState::FOREIGN_KEY_VIOLATION, None).await;
    for forbidden in [
        "UPDATE booking.payments SET amount = 8",
        "DELETE FROM booking.payments",
        "DELETE FROM booking.refunds",
    ] {
        let denied = SqlState::INSUFFICIENT_PRIVILEGE;
        refuses(&client, forbidden, &denied, None).await;
    }
}
