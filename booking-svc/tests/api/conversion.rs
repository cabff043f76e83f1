//! What was stored before a sale's seats and prices were apart is sold on as it was.

use booking_svc::config::Cli;
use booking_svc::store::Store;
use clap::Parser as _;
use system_tests::postgres::empty_database;

/// The versions of the schema that came before, and the one that converts.
const BEFORE: [&str; 5] = [
    include_str!("../../../migrations/sql/0001_catalog.sql"),
    include_str!("../../../migrations/sql/0002_booking.sql"),
    include_str!("../../../migrations/sql/0003_roles.sql"),
    include_str!("../../../migrations/sql/0004_hot_path.sql"),
    include_str!("../../../migrations/sql/0006_cancelled_shows.sql"),
];
const CONVERTS: &str = include_str!("../../../migrations/sql/0009_sales.sql");
/// What has come since, for the service to run on.
const AFTER: [&str; 6] = [
    include_str!("../../../migrations/sql/0010_customers.sql"),
    include_str!("../../../migrations/sql/0011_every_verb.sql"),
    include_str!("../../../migrations/sql/0015_areas.sql"),
    include_str!("../../../migrations/sql/0016_customers_linked.sql"),
    include_str!("../../../migrations/sql/0017_stranded_seats.sql"),
    include_str!("../../../migrations/sql/0018_payments.sql"),
];

const SHOW: &str = "00000000-0001-8000-8000-000000000000";
const BOOKING: &str = "00000000-0001-8000-8000-00000000000a";

/// A counted row, a row without a name, labelled rows of which two have one name.
const OLD_ROWS: &str = r#"
    INSERT INTO booking.sales (show_id, revision, state, start_at, layout, seat_count)
    VALUES (':show', 1, 'ON_SALE', now() + interval '1 day', '{"currency": "EUR", "sections": [
        {"name": "Stalls", "price": 1250, "rows": [{"name": "A", "seats": 3}, {"seats": 2}]},
        {"name": "Balcony", "price": 900, "rows": [
            {"name": "L", "seats": ["Left", "Right"]},
            {"name": "M", "seats": ["x1"]}, {"name": "M", "seats": ["x2"]}]}]}', 9);
    INSERT INTO booking.bookings (show_id, booking_id, state, version, customer_id,
        seat_ordinals, seat_prices, total, currency, created_at, expires_at)
    VALUES (':show', ':booking', 'PENDING', 1, 'ann', '{2, 5, 8}', '{1250, 900, 900}', 3050,
        'EUR', now(), now() + interval '120 s');
"#;

#[tokio::test]
async fn every_seat_keeps_its_label_its_number_and_its_price() {
    let database = empty_database().await;
    let owner = database.owner().await;
    let run = async |statements: &str| {
        let done = owner.batch_execute(statements).await;
        done.unwrap_or_else(|error| panic!("{statements}: {error:?}"));
    };
    // The roles may read the versions, which `migrate` would have made.
    run("CREATE TABLE public._sqlx_migrations ()").await;
    for statements in BEFORE {
        run(statements).await;
    }
    run(&OLD_ROWS.replace(":show", SHOW).replace(":booking", BOOKING)).await;
    run(&format!("BEGIN; {CONVERTS}; COMMIT")).await;
    for statements in AFTER {
        run(&format!("BEGIN; {statements}; COMMIT")).await;
    }

    let url = database.url("booking_svc");
    let cli = Cli::try_parse_from(["booking-svc", "--database-url", &url]).expect("a command line");
    let database = cli.config.database.database("test").expect("a URL");
    let store = Store::new(database.pool(&cli.config.database));
    let found = store.sale(SHOW.parse().expect("an id")).await;
    let sale = found.expect("a sale that can be").expect("a sale");
    let seats: Vec<_> = (0..9)
        .map(|ordinal| {
            let seat = sale.named(ordinal).expect("a seat");
            let priced = sale.price(ordinal).expect("a price");
            let (label, row) = (seat.label.into_owned(), seat.row.into_owned());
            (label, seat.section, row, priced.tier, priced.price)
        })
        .collect();
    let wanted = [
        ("A-1", "Stalls", "A"),
        ("A-2", "Stalls", "A"),
        ("A-3", "Stalls", "A"),
        ("1", "Stalls", ""),
        ("2", "Stalls", ""),
        ("Left", "Balcony", "L"),
        ("Right", "Balcony", "L"),
        ("x1", "Balcony", ""),
        ("x2", "Balcony", ""),
    ];
    let wanted = wanted.map(|(label, section, row)| {
        let price = if section == "Stalls" { 1250 } else { 900 };
        (label.to_owned(), section, row.to_owned(), section, price)
    });
    assert_eq!(seats, wanted);
    assert_eq!(sale.seats.ordinal_count(), 9);

    let found = store.booking(BOOKING.parse().expect("an id")).await;
    let booking = found
        .expect("a booking that can be")
        .expect("a booking")
        .booking;
    let tiers: Vec<_> = booking.seats.iter().map(|seat| &*seat.tier).collect();
    assert_eq!(tiers, ["Stalls", "Balcony", "Balcony"]);
}

/// Two bookings by one address, and one by another.
const BY_EMAIL: &str = "
    INSERT INTO booking.bookings (show_id, booking_id, state, version, email,
        seat_ordinals, seat_prices, seat_tiers, total, currency, created_at, expires_at)
    SELECT '00000000-0001-8000-8000-000000000000',
        ('00000000-0001-8000-8000-00000000000' || n)::uuid, 'PENDING', 1,
        CASE n WHEN 3 THEN 'bob' ELSE 'ann' END || '@example.org', ARRAY[n], '{1}', '{VIP}', 1,
        'EUR', now(), now() + interval '120 s'
    FROM generate_series(1, 3) AS n";
const LINKED: &str = "
    SELECT count(*) FILTER (WHERE substr(c.customer_id::text, 15, 1) = '7'
            AND substr(c.customer_id::text, 20, 1) IN ('8', '9', 'a', 'b')),
        count(DISTINCT c.customer_id)
    FROM booking.bookings AS b
    JOIN booking.customers AS c ON c.customer_id = b.linked_customer_id AND c.email = b.email";

#[tokio::test]
async fn whoever_booked_by_an_address_is_a_customer() {
    let database = empty_database().await;
    let owner = database.owner().await;
    let run = async |statements: &str| {
        let done = owner.batch_execute(statements).await;
        done.unwrap_or_else(|error| panic!("{statements}: {error:?}"));
    };
    run("CREATE TABLE public._sqlx_migrations ()").await;
    for statements in BEFORE {
        run(statements).await;
    }
    for statements in [CONVERTS, AFTER[0], AFTER[1], AFTER[2]] {
        run(&format!("BEGIN; {statements}; COMMIT")).await;
    }
    run(BY_EMAIL).await;
    run(&format!("BEGIN; {}; COMMIT", AFTER[3])).await;
    let row = owner.query_one(LINKED, &[]).await.expect("a count");
    assert_eq!((row.get::<_, i64>(0), row.get::<_, i64>(1)), (3, 2));
}
