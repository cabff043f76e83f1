//! The plans of the batch statements. They are made once for each connection, perhaps while
//! the tables are new and without statistics, and kept: each must find its rows by key.

use test_harness::postgres::{self, plan};
use tokio_postgres::Client;

/// Of tables with a row for each show, as `booking.sales`.
const ONE_A_SHOW: [&str; 2] = ["answers_pkey", "deleted_shows_pkey"];

macro_rules! statements {
    ($($name:literal),* $(,)?) => {
        [$(($name, include_str!(concat!("../../src/store/sql/", $name, ".sql")))),*]
    };
}

/// A part of other statements, which select its rows.
const PAYMENT: &str = concat!(
    "SELECT payment.* FROM unnest($1::uuid[], $2::uuid[]) AS wanted (show_id, payment_key)
    LEFT JOIN LATERAL (",
    include_str!("../../src/store/sql/payment.sql"),
    ") AS payment ON true"
);

macro_rules! of_bookings {
    ($name:literal, $comma:literal) => {
        (
            $name,
            concat!(
                "SELECT\n",
                include_str!("../../src/store/sql/booking_columns.sql"),
                $comma,
                include_str!(concat!("../../src/store/sql/", $name, ".sql"))
            ),
        )
    };
}

/// Statements that read whole bookings.
const OF_BOOKINGS: [(&str, &str); 3] = [
    of_bookings!("lock_bookings", ""),
    of_bookings!("quota_bookings", ""),
    of_bookings!("replays", ","),
];

macro_rules! write_part {
    ($name:literal) => {
        include_str!(concat!("../../src/store/sql/write/", $name, ".sql"))
    };
}

/// All parts of the statement that writes a batch.
const WRITE: &str = concat!(
    write_part!("begin"),
    ", inserted AS (\n",
    write_part!("new"),
    "RETURNING 1), changed AS (\n",
    write_part!("changed"),
    "), counted AS (\n",
    write_part!("areas"),
    write_part!("areas_counted_last"),
    "RETURNING 1), given AS (\n",
    write_part!("seats"),
    "RETURNING 1), logged AS (\n",
    write_part!("log"),
    "RETURNING 1)
    SELECT
        booking.expect_no_rejection($9::uuid[], $10::uuid[]),
        (SELECT count(*) FROM changed WHERE in_time),
        (SELECT count(*) FROM inserted),
        (SELECT count(*) FROM logged),
        (SELECT count(*) FROM counted),
        (SELECT count(*) FROM given),\n",
    write_part!("end"),
);

#[tokio::test]
async fn on_new_tables_every_statement_finds_its_rows_by_key() {
    let all = statements![
        "booked_seats",
        "count_areas",
        "ended_holds",
        "list_areas",
        "lock_areas",
        "lock_show_areas",
        "offer_areas",
        "cancelled_sales",
        "claim_customer_request",
        "close_sale",
        "answer_delivered",
        "forget_answers",
        "free_seats",
        "insert_sale",
        "create_customer",
        "customer_by_email",
        "customer_by_id",
        "customer_to_erase",
        "customer_erasure",
        "customer_in_use",
        "begin_customer_erasure",
        "erase_customer_record",
        "erase_customer_results",
        "customer_bookings_to_erase",
        "erase_customer_bookings",
        "erase_customer_actors",
        "end_customer_erasure",
        "first_customer_result",
        "insert_seats",
        "list_booking_events",
        "list_customers",
        "list_seats",
        "list_show_events",
        "live_bookings",
        "lock_sale",
        "existing",
        "lock_customer",
        "lock_email",
        "lock_holders",
        "lock_payments",
        "lock_sales",
        "lock_seats",
        "note_deleted",
        "open_work",
        "rejections",
        "store_rejections",
        "due_payments",
        "due_refunds",
        "settle_refund",
        "write_payments",
        "rewrite",
        "sale",
        "store_answer",
        "undelivered_answers",
        "update_sale",
        "withdraw",
        "settle_customer_request",
        "sweep_customer_requests",
        "sweep_rejections",
        "update_customer",
        "mark_fully_cancelled",
        "try_advisory",
    ];
    let indexes: &[(&str, &[&str])] = &[
        ("cancelled_sales", &["sales_not_fully_cancelled"]),
        ("booked_seats", &["show_seats_pkey", "bookings_pkey"]),
        ("close_sale", &["sales_pkey"]),
        ("count_areas", &["show_areas_pkey"]),
        (
            "ended_holds",
            &["show_areas_pkey", "bookings_holding_places"],
        ),
        (
            "list_areas",
            &["show_areas_pkey", "bookings_holding_places"],
        ),
        ("lock_areas", &["show_areas_pkey", "bookings_pkey"]),
        ("lock_show_areas", &["show_areas_pkey"]),
        ("offer_areas", &["show_areas_pkey"]),
        ("forget_answers", &["answers_pkey"]),
        ("answer_delivered", &["answers_pkey"]),
        ("insert_sale", &["deleted_shows_pkey"]),
        ("free_seats", &["show_seats_pkey", "bookings_pkey"]),
        ("create_customer", &["customers_by_email"]),
        ("customer_by_email", &["customers_by_email"]),
        ("customer_by_id", &["customers_pkey"]),
        ("customer_to_erase", &["customers_pkey"]),
        (
            "customer_erasure",
            &[
                "erasures_by_customer",
                "erasures_by_email",
                "erasures_by_linked_customer",
            ],
        ),
        (
            "customer_in_use",
            &[
                "bookings_by_customer",
                "bookings_by_email",
                "bookings_by_linked_customer",
                "sales_pkey",
            ],
        ),
        (
            "customer_bookings_to_erase",
            &[
                "bookings_by_customer",
                "bookings_by_email",
                "bookings_by_linked_customer",
            ],
        ),
        ("erase_customer_record", &["customers_pkey"]),
        (
            "erase_customer_results",
            &["customer_requests_by_customer", "customers_pkey"],
        ),
        ("erase_customer_bookings", &["bookings_pkey"]),
        ("end_customer_erasure", &["erasures_pkey"]),
        ("first_customer_result", &["customer_requests_pkey"]),
        ("list_booking_events", &["transitions_pkey"]),
        ("list_customers", &["customers_pkey"]),
        ("list_seats", &["show_seats_pkey", "bookings_pkey"]),
        ("list_show_events", &["transitions_pkey"]),
        ("live_bookings", &["bookings_pkey"]),
        ("lock_bookings", &["bookings_pkey"]),
        ("lock_sale", &["sales_pkey"]),
        ("existing", &["sales_pkey", "bookings_pkey"]),
        ("lock_customer", &["customers_pkey"]),
        ("lock_payments", &["bookings_pkey", "payments_pkey"]),
        ("lock_sales", &["sales_pkey"]),
        ("note_deleted", &["sales_pkey"]),
        (
            "open_work",
            &["bookings_by_expiry", "payments_to_settle", "refunds_to_pay"],
        ),
        ("lock_seats", &["show_seats_pkey", "bookings_pkey"]),
        (
            "quota_bookings",
            &[
                "bookings_by_linked_customer",
                "bookings_by_customer",
                "bookings_by_email",
            ],
        ),
        ("rejections", &["rejections_pkey"]),
        ("store_rejections", &["transitions_by_request"]),
        (
            "sweep_rejections",
            &["rejections_by_age", "rejections_pkey"],
        ),
        ("replays", &["transitions_by_request", "bookings_pkey"]),
        ("payment", &["payments_pkey", "refunds_pkey"]),
        ("due_payments", &["payments_to_settle", "payments_pkey"]),
        ("due_refunds", &["refunds_to_pay", "refunds_pkey"]),
        ("settle_refund", &["refunds_pkey"]),
        ("write_payments", &["payments_pkey"]),
        ("rewrite", &["bookings_pkey"]),
        ("sale", &["sales_pkey"]),
        ("undelivered_answers", &["answers_pkey"]),
        ("update_sale", &["sales_pkey"]),
        ("withdraw", &["sales_pkey"]),
        // Either of the sales' indexes.
        ("mark_fully_cancelled", &[]),
        (
            "settle_customer_request",
            &["customer_requests_pkey", "customers_pkey"],
        ),
        (
            "sweep_customer_requests",
            &["customer_requests_by_age", "customer_requests_pkey"],
        ),
        ("update_customer", &["customers_pkey", "customers_by_email"]),
        (
            "write",
            &[
                "sales_pkey",
                "bookings_pkey",
                "show_areas_pkey",
                "show_seats_pkey",
            ],
        ),
    ];
    let database = postgres::database().await;
    let owner = database.owner().await;
    let run = async |statements: &str| owner.batch_execute(statements).await.expect("rows");
    // A show's first minute, when its rows are there and statistics are not, is when it matters most.
    for state in ["new", "analyzed empty", "begun", "begun, analyzed", "full"] {
        match state {
            "new" => {}
            "begun" => run(&begun()).await,
            "analyzed empty" | "begun, analyzed" => run("ANALYZE").await,
            _ => {
                run(EMPTY).await;
                run(FILL).await;
                run("ANALYZE").await;
            }
        }
        let client = database.client("booking_svc").await;
        let composed = [("payment", PAYMENT), ("write", WRITE)];
        for (name, statement) in all.into_iter().chain(OF_BOOKINGS).chain(composed) {
            let plan = plan(&client, name, statement).await;
            let described = || format!("{name} on {state} tables:\n{plan}");
            for slow in ["Seq Scan", "Hash Join", "Merge Join", "Bitmap"] {
                assert!(!plan.contains(slow), "{slow}: {}", described());
            }
            let wanted = indexes.iter().find(|(of, _)| *of == name);
            for index in wanted.map_or(&[][..], |(_, indexes)| indexes) {
                assert!(
                    plan.contains(&format!("using {index} ")),
                    "{index}: {}",
                    described()
                );
            }
            // By its whole key: a show alone may have a hundred thousand rows.
            let mut conditions = plan.lines().filter(|line| line.contains("Index Cond"));
            let has_one_row_a_show =
                |index: &str| index.starts_with("sales_") || ONE_A_SHOW.contains(&index);
            let by_show = wanted
                .is_some_and(|(_, indexes)| indexes.iter().all(|index| has_one_row_a_show(index)));
            // A proposal may drop most of a show's seats; the allocator reads all of them.
            let by_show =
                by_show || ["booked_seats", "free_seats", "sweep_rejections"].contains(&name);
            // A show has few areas.
            let by_show =
                by_show || ["list_areas", "lock_show_areas", "offer_areas"].contains(&name);
            let by_customer = name.contains("customer");
            // What is due, whatever its show.
            let by_time = |line: &str| {
                line.contains("(look_at <= now())") || line.contains("(expires_at > now())")
            };
            // A show has one sale.
            let by_sale = |line: &str| {
                ["ARRAY[expected.show_id]", "$1"]
                    .iter()
                    .any(|of| line.contains(&format!("(show_id = ANY ({of}))")))
            };
            assert!(
                by_show
                    || by_customer
                    || conditions
                        .all(|line| line.contains(" AND ") || by_time(line) || by_sale(line)),
                "{}",
                described()
            );
            // A page must not wait for all that comes after it. `list_seats` is asked for a bounded
            // part of the show.
            let paged = !["list_areas", "list_seats"].contains(&name) && name.starts_with("list_")
                || name == "live_bookings";
            assert!(!paged || !plan.contains("Sort"), "{}", described());
        }
    }
}

#[test]
fn no_statement_is_left_out() {
    // The cursor is a table of one row: there is nothing to find. The others are put together above.
    let composed = ["payment", "write", "booking_columns"];
    let exempt = ["lock_cursor", "move_cursor"];
    let source = include_str!("plans.rs");
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/store/sql");
    for file in std::fs::read_dir(folder).expect("the statements' folder") {
        let path = file.expect("a file").path();
        let name = path
            .file_stem()
            .and_then(|name| name.to_str())
            .expect("a name");
        let named = source.contains(&format!("        \"{name}\","))
            || source.contains(&format!("of_bookings!(\"{name}\""))
            || composed.contains(&name);
        assert!(named || exempt.contains(&name), "{name} has no plan here");
    }
}

#[tokio::test]
async fn first_statistics_say_that_a_show_has_many_transitions() {
    let database = postgres::database().await;
    let client = database.client("booking_svc").await;
    // Commit workers plan their statements before there is any.
    let expected = expected_transitions(&client, "of_none").await;
    assert!(expected >= 100, "{expected} are expected of a new show");
    let owner = database.owner().await;
    owner.batch_execute("ANALYZE").await.expect("an owner");
    let begun = begun();
    owner.batch_execute(&begun).await.expect("rows");
    let expected = expected_transitions(&client, "of_few").await;
    assert!(expected >= 100, "{expected} are expected of a show");
}

/// How many transitions the planner expects of a show.
async fn expected_transitions(client: &Client, name: &str) -> u32 {
    let of_a_show = "SELECT FROM booking.transitions WHERE show_id = $1::uuid";
    let plan = plan(client, name, of_a_show).await;
    let rows = plan.split("rows=").nth(1).expect("an estimate");
    let rows: String = rows.chars().take_while(char::is_ascii_digit).collect();
    rows.parse().expect("a number")
}

#[tokio::test]
async fn functions_planned_on_empty_tables_find_rows_by_key() {
    let database = postgres::database().await;
    let owner = database.owner().await;
    let client = database.client("booking_svc").await;
    let run = async |client: &Client, statements: &str| {
        client.batch_execute(statements).await.expect("it is right");
    };
    run(&owner, "ANALYZE").await;
    // Triggers of statements fire for no row too.
    let nothing = "UPDATE booking.show_seats SET booking_id = NULL WHERE ordinal = -1;
        INSERT INTO booking.show_seats SELECT NULL, 1 WHERE false;
        SELECT booking.expect_no_rejection('{}', '{}')";
    run(&client, nothing).await;
    run(&owner, FILL).await;
    let twenty = "BEGIN;
        UPDATE booking.show_seats SET booking_id = (left(show_id::text, 24) || '000000000001')::uuid
        WHERE ordinal = 0;
        SELECT booking.expect_no_rejection(array_agg(show_id), array_agg(gen_random_uuid()))
        FROM booking.sales";
    run(&client, twenty).await;
    let read = "SELECT relname::text, seq_tup_read + idx_tup_fetch FROM pg_stat_xact_user_tables
        WHERE schemaname = 'booking' AND relname IN ('bookings', 'rejections')";
    let rows = client.query(read, &[]).await.expect("statistics");
    assert_eq!(rows.len(), 2);
    for row in rows {
        let (table, rows): (String, i64) = (row.get(0), row.get(1));
        assert!(rows <= 40, "{rows} rows of {table} were read");
    }
}

/// Twenty shows with a thousand bookings each.
const FILL: &str = "
        INSERT INTO booking.sales (show_id, revision, state, start_at, layout, prices, seat_count)
        SELECT ('00000000-' || lpad(to_hex(n), 4, '0') || '-8000-8000-000000000000')::uuid,
            n, 'ON_SALE', now(), '{}', '{}', 1000
        FROM generate_series(1, 20) AS n;
        INSERT INTO booking.show_seats
        SELECT show_id, ordinal FROM booking.sales, generate_series(0, 999) AS ordinal;
        INSERT INTO booking.bookings (show_id, booking_id, state, version, customer_id,
            seat_ordinals, seat_prices, seat_tiers, total, currency, created_at, expires_at,
            cancelled_at)
        SELECT show_id,
            (left(show_id::text, 24) || lpad(to_hex(n), 12, '0'))::uuid, 'CANCELLED', 2, 'ann',
            ARRAY[n % 1000], '{7}', '{VIP}', 7, 'EUR', now(), now() + interval '120 s', now()
        FROM booking.sales, generate_series(1, 1000) AS n;
        INSERT INTO booking.transitions (show_id, booking_id, version, verb, from_state,
            to_state, made_at, actor, request_id, fingerprint)
        SELECT show_id, booking_id, 1, 'RESERVE', NULL, 'PENDING', now(), 'test',
            gen_random_uuid(), 1
        FROM booking.bookings;
        INSERT INTO booking.rejections
        SELECT show_id, request_id, 1, '{}', made_at - interval '25 hours' FROM booking.transitions;
        INSERT INTO booking.customers
        SELECT gen_random_uuid(), 1, 'c' || n || '@example.org', '', '', '', now(), now()
        FROM generate_series(1, 20000) AS n;
        INSERT INTO booking.customer_requests
        SELECT customer_id, 1, '{}', true, created_at - interval '25 hours' FROM booking.customers";

/// One show, of which little is sold.
fn begun() -> String {
    FILL.replace("generate_series(1, 20)", "generate_series(21, 21)")
        .replace("generate_series(1, 1000)", "generate_series(1, 200)")
        .replace("generate_series(1, 20000)", "generate_series(1, 200)")
}

const EMPTY: &str = "TRUNCATE booking.sales, booking.show_seats, booking.bookings,
    booking.transitions, booking.rejections, booking.customers, booking.customer_requests CASCADE";
