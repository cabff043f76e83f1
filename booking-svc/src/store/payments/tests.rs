use std::time::{Duration, SystemTime};

use clap::Parser as _;
use test_harness::postgres::{self, TestDatabase};
use tokio::time::timeout;
use tokio_postgres::Client;

use super::*;
use crate::config::Cli;

/// Two payments of one booking; of the first, which was captured, three refunds.
const ROWS: &str = "
    INSERT INTO booking.payments (
        show_id, payment_key, booking_id, state, amount, currency, started_at, deadline_at, settled_at, look_at
    )
    SELECT
        $1::uuid, p.key, $2::uuid, p.state, 100, 'EUR', now() - interval '1 min',
        now() + interval '1 min', p.settled_at, now() - interval '1 s'
    FROM (
        VALUES ($3::uuid, 'CAPTURED'::booking.payment_state, now()), ($4::uuid, 'STARTED', NULL)
    ) AS p (key, state, settled_at)";
const REFUNDS: &str = "
    INSERT INTO booking.refunds (
        show_id, payment_key, refund_key, booking_id, state, amount, owed_at, settled_at, look_at
    )
    SELECT $1::uuid, $3::uuid, r.key, $2::uuid, r.state, r.amount, now(), r.settled_at, now() - interval '1 s'
    FROM (
        VALUES
            ($4::uuid, 'DUE'::booking.refund_state, 10, NULL::timestamptz),
            ($5::uuid, 'DUE', 20, NULL),
            ($6::uuid, 'REFUNDED', 5, now())
    ) AS r (key, state, amount, settled_at)";

/// How long a call that waits for no lock may take on a busy machine.
const SOON: Duration = Duration::from_secs(20);

struct Books {
    _database: TestDatabase,
    owner: Client,
    store: Store,
    show_id: ShowId,
    captured: Uuid,
    started: Uuid,
    refunds: [Uuid; 3],
}

impl Books {
    async fn open() -> Self {
        let database = postgres::database().await;
        let owner = database.owner().await;
        let url = database.url("booking_svc");
        let cli = Cli::try_parse_from(["booking-svc", "--database-url", &url]);
        let args = cli.expect("a command line").config.database;
        let pool = args.database("test").expect("a URL").pool(&args);
        let show_id = ShowId::generate();
        let (show, booking) = (show_id.uuid(), BookingId::generate(show_id).uuid());
        let [started, captured] = [1, 2].map(Uuid::from_u128);
        let refunds = [3, 4, 5].map(Uuid::from_u128);
        let made = owner
            .execute(ROWS, &[&show, &booking, &captured, &started])
            .await;
        made.expect("payments");
        let [one, two, three] = &refunds;
        let made = owner
            .execute(REFUNDS, &[&show, &booking, &captured, one, two, three])
            .await;
        made.expect("refunds");
        Self {
            _database: database,
            owner,
            store: Store::new(pool),
            show_id,
            captured,
            started,
            refunds,
        }
    }

    /// The amounts of the captured payment that were refunded, are due and were declined.
    async fn back(&self) -> (i64, i64, i64) {
        let record = self.store.payment(self.show_id, self.captured).await;
        let record = record.expect("an answer").expect("a payment");
        (record.refunded, record.refund_due, record.refund_declined)
    }

    async fn due(&self) -> Vec<DueRefund> {
        let mut due = self.store.due_refunds().await.expect("an answer");
        due.sort_by_key(|refund| refund.key);
        due
    }

    async fn run(&self, statement: &str) {
        self.owner.batch_execute(statement).await.expect(statement);
    }

    /// In how many seconds a row is due again, and how often it was claimed.
    async fn next_look(&self, table: &str) -> (f64, i32) {
        let query = format!(
            "SELECT max(extract(epoch FROM look_at - clock_timestamp()))::float8, max(looks) FROM {table}"
        );
        let row = self.owner.query_one(&query, &[]).await.expect("a row");
        (row.get(0), row.get(1))
    }
}

#[tokio::test]
async fn a_refund_is_settled_once_and_no_other_of_its_payment() {
    let books = Books::open().await;
    let due = books.due().await;
    let keys: Vec<_> = due.iter().map(|refund| refund.key).collect();
    assert_eq!(keys, books.refunds[..2], "not what was made");
    assert_eq!(books.back().await, (5, 30, 0));
    // Another call at the same time, with another outcome.
    for state in [RefundState::Declined, RefundState::Refunded] {
        let settled = books.store.settle_refund(&due[0], state).await;
        settled.expect("an answer");
        assert_eq!(books.back().await, (5, 20, 10));
    }
    let all_due = "UPDATE booking.refunds SET look_at = now() - interval '1 s', looks = 7";
    books.run(all_due).await;
    let left = books.due().await;
    let keys: Vec<_> = left.iter().map(|refund| refund.key).collect();
    assert_eq!(keys, books.refunds[1..2]);
    let untouched = "SELECT count(*) FROM booking.refunds WHERE looks = 7";
    let untouched = books.owner.query_one(untouched, &[]).await;
    assert_eq!(untouched.expect("a count").get::<_, i64>(0), 2);
    let other = books.store.payment(books.show_id, books.started).await;
    let other = other.expect("an answer").expect("a payment");
    assert_eq!((other.refunded, other.refund_due), (0, 0));
    let left = other.time_left;
    assert!(
        left > Duration::from_secs(30) && left <= Duration::from_secs(60),
        "{left:?}"
    );
}

#[tokio::test]
async fn what_is_taken_up_is_due_again_later_each_time_up_to_a_limit() {
    let books = Books::open().await;
    for (table, open, count) in [
        ("booking.payments", "state = 'STARTED'", 1),
        ("booking.refunds", "state = 'DUE'", 2),
    ] {
        let taken_up = async || match table {
            "booking.refunds" => books.due().await.len(),
            _ => {
                let due = books.store.due_payments().await.expect("an answer");
                assert!(due.iter().all(|payment| payment.key == books.started));
                due.len()
            }
        };
        for (looks, pause) in [(1, 4.0), (7, 256.0), (8, 300.0), (1_000, 300.0)] {
            let again = format!(
                "UPDATE {table} SET looks = {looks}, look_at = now() - interval '1 s' WHERE {open}"
            );
            books.run(&again).await;
            assert_eq!(taken_up().await, count);
            let (left, now) = books.next_look(table).await;
            assert_eq!(now, looks + 1);
            assert!(left <= pause && left > pause / 2.0, "{left} of {pause}");
            assert_eq!(taken_up().await, 0, "nobody else's meanwhile");
        }
    }
}

#[tokio::test]
async fn what_another_replica_takes_up_is_not_waited_for() {
    let books = Books::open().await;
    let locks =
        "BEGIN; SELECT FROM booking.payments FOR UPDATE; SELECT FROM booking.refunds FOR UPDATE";
    books.run(locks).await;
    let payments = timeout(SOON, books.store.due_payments()).await;
    assert_eq!(payments.expect("it does not wait").expect("an answer"), []);
    let due = timeout(SOON, books.due()).await;
    assert_eq!(due.expect("it does not wait"), []);
}

#[tokio::test]
async fn a_locked_refund_is_skipped() {
    let books = Books::open().await;
    let due = books.due().await;
    books
        .run("BEGIN; SELECT FROM booking.refunds FOR UPDATE")
        .await;
    let settling = async || {
        let state = RefundState::Refunded;
        let settled = timeout(SOON, books.store.settle_refund(&due[0], state)).await;
        settled.expect("it does not wait").expect("an answer");
    };
    settling().await;
    books.run("ROLLBACK").await;
    assert_eq!(books.back().await, (5, 30, 0), "it is due again");
    settling().await;
    assert_eq!(books.back().await, (15, 20, 0));
}

#[tokio::test]
async fn an_attempt_ends_once() {
    let books = Books::open().await;
    let none: Vec<Uuid> = Vec::new();
    let nothing: Vec<i64> = Vec::new();
    let no_text: Vec<String> = Vec::new();
    let no_time: Vec<SystemTime> = Vec::new();
    let end = async |key: Uuid| {
        let statement = include_str!("../sql/write_payments.sql");
        let (show, key) = (vec![books.show_id.uuid()], vec![key]);
        let (state, reason) = (vec!["DECLINED"], vec!["OTHER"]);
        let now = SystemTime::now();
        let ended = books
            .owner
            .query(
                statement,
                &[
                    &none, &none, &none, &nothing, &no_text, &no_time, &show, &key, &state,
                    &reason, &none, &none, &none, &none, &nothing, &now,
                ],
            )
            .await;
        ended.is_ok()
    };
    assert!(end(books.started).await);
    assert!(!end(books.started).await, "a second time");
    assert!(
        !end(books.captured).await,
        "nor was it captured for nothing"
    );
}
