//! The sweep: which bookings it fails, in which batches, and the rows that remain when it is cut off.

use std::time::{Duration, Instant};

use expiry_worker::sweep::ScanCursor;
use futures_util::future::join_all;
use test_harness::eventually;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::hall::{Hall, Standing};

const SOON: Duration = Duration::from_secs(5);
const IN_A_TRANSACTION: &str = "
    SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
        AND usename = 'expiry_worker' AND state LIKE 'idle in transaction%'";
const WAITING: &str = "
    SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
        AND usename = 'expiry_worker' AND wait_event = 'PgSleep'";
/// Lets every write to a table wait for a lock that a test holds, longer than the worker waits for one.
const GATE: &str = "
    CREATE FUNCTION wait_at_gate() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        WHILE NOT pg_try_advisory_xact_lock(7) LOOP PERFORM pg_sleep(0.01); END LOOP;
        RETURN NULL;
    END $$;
    CREATE TRIGGER gate BEFORE INSERT OR UPDATE ON booking.:table
    FOR EACH STATEMENT EXECUTE FUNCTION wait_at_gate()";

#[tokio::test]
async fn it_fails_exactly_the_stale_ones() {
    let hall = Hall::new(20).await;
    let mut stale = vec![
        hall.hold(&[0], -0.001).await,
        hall.hold(&[3, 1, 2], -60.0).await,
        hall.hold(&[4], -86_400.0).await,
    ];
    stale.extend(hall.stale(5, 2).await);
    hall.hold(&[7, 8], 60.0).await;
    hall.hold(&[9], 1_000.0).await;
    // Ended in other ways, long before and after their holds would have ended.
    for (seat, change) in [
        (
            10,
            "state = 'CONFIRMED', confirmed_at = expires_at - interval '1 s'",
        ),
        (
            11,
            "state = 'CANCELLED', cancelled_at = expires_at - interval '1 s'",
        ),
        (
            12,
            "state = 'CANCELLED', cancelled_at = expires_at + interval '1 s'",
        ),
        (
            13,
            "state = 'FAILED', failed_at = created_at, failure_reason = 'PAYMENT_DECLINED'",
        ),
    ] {
        let id = hall.hold(&[seat], -60.0).await;
        hall.run(&format!(
            "UPDATE booking.bookings SET version = 2, {change} WHERE booking_id = '{id}'"
        ))
        .await;
    }
    let ids: Vec<String> = stale.iter().map(|id| format!("'{id}'")).collect();
    let others = format!(
        "SELECT concat((SELECT md5(string_agg(b::text, '|' ORDER BY booking_id))
             FROM booking.bookings AS b WHERE booking_id NOT IN ({0})),
             (SELECT md5(string_agg(s::text, '|' ORDER BY ordinal))
             FROM booking.show_seats AS s WHERE ordinal >= 7),
             (SELECT md5(string_agg(t::text, '|' ORDER BY booking_id, version))
             FROM booking.transitions AS t WHERE booking_id NOT IN ({0})))",
        ids.join(", ")
    );
    let look = async || {
        let row = hall.owner.query_one(&others, &[]).await.expect("a digest");
        row.get::<_, String>(0)
    };
    let before = look().await;
    assert_eq!(hall.sweep(500).await, 5);
    for id in stale {
        assert_eq!(hall.standing(id).await, Standing::expired());
    }
    assert_eq!(look().await, before, "nothing else was touched");

    let after = hall.digest().await;
    assert_eq!(hall.sweep(500).await, 0);
    assert_eq!(hall.digest().await, after, "nothing is done twice");
}

#[tokio::test]
async fn it_runs_batches_until_one_is_short() {
    for (stale, batches) in [(50, 8), (14, 2), (6, 1), (0, 0)] {
        let hall = Hall::new(50).await;
        let ids = hall.stale(0, stale).await;
        assert_eq!(hall.sweep(7).await, u64::try_from(stale).expect("positive"));
        for id in ids {
            assert_eq!(hall.standing(id).await, Standing::expired());
        }
        let written = "SELECT count(DISTINCT written_in) FROM booking.transitions
             WHERE verb = 'EXPIRE'";
        assert_eq!(hall.count(written).await, batches, "{stale} stale");
        let largest = "SELECT coalesce(max(bookings), 0) FROM (
             SELECT count(*) AS bookings FROM booking.transitions
             WHERE verb = 'EXPIRE' GROUP BY written_in) AS batches";
        assert!(hall.count(largest).await <= 7);
        hall.assert_sound().await;
    }
}

#[tokio::test]
async fn it_skips_locked_bookings_and_fails_them_later() {
    let hall = Hall::new(10).await;
    let ids = hall.stale(0, 10).await;
    let other = hall.database.owner().await;
    let locked: Vec<String> = ids[2..5].iter().map(|id| format!("'{id}'")).collect();
    let lock = format!(
        "BEGIN; SELECT FROM booking.bookings WHERE booking_id IN ({}) FOR UPDATE",
        locked.join(", ")
    );
    other.batch_execute(&lock).await.expect("their locks");
    let began = Instant::now();
    assert_eq!(hall.sweep(500).await, 7);
    assert_eq!(hall.sweep(500).await, 0);
    assert!(began.elapsed() < SOON, "it waits for nobody");
    for (place, id) in ids.iter().enumerate() {
        let expired = hall.standing(*id).await == Standing::expired();
        assert_eq!(expired, !(2..5).contains(&place), "{place}");
    }
    // Of the three, one was confirmed in time, as it turns out.
    let confirm = format!(
        "UPDATE booking.bookings SET state = 'CONFIRMED', version = 2,
             confirmed_at = created_at WHERE booking_id = {};
         INSERT INTO booking.transitions (show_id, booking_id, version, verb, from_state,
             to_state, made_at, actor, request_id, fingerprint)
         SELECT show_id, booking_id, 2, 'CONFIRM', 'PENDING', 'CONFIRMED', created_at, 'test',
             gen_random_uuid(), 0
         FROM booking.bookings WHERE state = 'CONFIRMED';
         COMMIT",
        locked[0]
    );
    other.batch_execute(&confirm).await.expect("a confirm");
    assert_eq!(hall.sweep(500).await, 2);
    hall.assert_sound().await;
}

#[tokio::test]
async fn many_sweeps_at_once_do_nothing_twice() {
    let hall = Hall::new(300).await;
    let ids = hall.stale(0, 300).await;
    let counts = join_all((0..6).map(|_| hall.sweep(7))).await;
    let rest = hall.sweep(7).await;
    assert_eq!(counts.iter().sum::<u64>() + rest, 300, "{counts:?}");
    assert!(
        counts.iter().filter(|count| **count > 0).count() > 1,
        "{counts:?}"
    );
    for id in ids {
        assert_eq!(hall.standing(id).await, Standing::expired());
    }
    hall.assert_sound().await;
}

#[tokio::test]
async fn a_statement_that_fails_undoes_the_whole_batch() {
    let hall = Hall::new(5).await;
    let ids = hall.stale(0, 5).await;
    let before = hall.digest().await;
    hall.run(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
         BEGIN RAISE EXCEPTION 'no'; END $$",
    )
    .await;
    for table in ["bookings", "show_seats", "transitions"] {
        hall.run(&format!(
            "CREATE TRIGGER refuse BEFORE INSERT OR UPDATE ON booking.{table}
             FOR EACH STATEMENT EXECUTE FUNCTION refuse()"
        ))
        .await;
        let mut failed = 0;
        let stop = CancellationToken::new();
        let swept = hall.sweeper(500).run_once(&stop, &mut failed).await;
        assert!(swept.is_err(), "{table}: {swept:?}");
        assert_eq!(
            (failed, hall.digest().await),
            (0, before.clone()),
            "{table}"
        );
        hall.run(&format!("DROP TRIGGER refuse ON booking.{table}"))
            .await;
    }
    // A seat that is not its booking's any more: a fault that must not be committed over.
    hall.run("UPDATE booking.show_seats SET booking_id = NULL WHERE ordinal = 3")
        .await;
    let before = hall.standing(ids[3]).await;
    assert_eq!(hall.sweep(500).await, 4);
    assert_eq!(hall.standing(ids[3]).await, before);
    let mend = format!(
        "UPDATE booking.show_seats SET booking_id = '{}' WHERE ordinal = 3",
        ids[3]
    );
    hall.run(&mend).await;
    assert_eq!(hall.sweep(500).await, 1);
    hall.assert_sound().await;
}

#[tokio::test]
async fn a_connection_that_is_cut_between_two_statements_undoes_the_whole_batch() {
    let hall = Hall::new(5).await;
    hall.stale(0, 5).await;
    let before = hall.digest().await;
    let cut = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
         WHERE datname = current_database() AND usename = 'expiry_worker'";
    for table in ["bookings", "show_seats", "transitions"] {
        hall.run(&GATE.replace(":table", table)).await;
        let keeper = hall.database.owner().await;
        keeper
            .batch_execute("SELECT pg_advisory_lock(7)")
            .await
            .expect("a lock");
        let sweeper = hall.sweeper(500);
        let cutting = async {
            eventually(SOON, "the sweep waits", async || {
                hall.count(WAITING).await == 1
            })
            .await;
            assert_eq!(hall.count(cut).await, 1);
        };
        let mut failed = 0;
        let stop = CancellationToken::new();
        let (swept, ()) = futures_util::join!(sweeper.run_once(&stop, &mut failed), cutting);
        assert!(swept.is_err(), "{table}: {swept:?}");
        drop(keeper);
        assert_eq!(
            (failed, hall.digest().await),
            (0, before.clone()),
            "{table}"
        );
        hall.run(&format!(
            "DROP TRIGGER gate ON booking.{table}; DROP FUNCTION wait_at_gate"
        ))
        .await;
    }
    // The same sweeper's pool has a new connection for the next sweep.
    assert_eq!(hall.sweep(500).await, 5);
    hall.assert_sound().await;
}

#[tokio::test]
async fn three_batches_run_at_once_unless_customers_buy() {
    let hall = Hall::new(14).await;
    let buyer = hall.database.owner().await;
    // Buyers in another database do not count; its tables may have the same oids.
    let elsewhere = Hall::new(1).await;
    elsewhere
        .run("BEGIN; SELECT FROM booking.sales FOR KEY SHARE")
        .await;
    for (seat, buys) in [(0, false), (7, true)] {
        hall.stale(seat, 7).await;
        if buys {
            let order = "BEGIN; SELECT FROM booking.sales FOR KEY SHARE";
            buyer.batch_execute(order).await.expect("ours");
        }
        let sweeper = hall.sweeper(2);
        let mut failed = 0;
        let stop = CancellationToken::new();
        let swept = sweeper.run_once(&stop, &mut failed).await;
        swept.expect("a sweep");
        assert_eq!(failed, 7);
        let connections = "SELECT count(*) FROM pg_stat_activity
            WHERE datname = current_database() AND usename = 'expiry_worker'";
        let wanted = if buys { 1 } else { 3 };
        // The connections of the previous sweep are still closing.
        eventually(SOON, "the connections are counted", async || {
            hall.count(connections).await == wanted
        })
        .await;
    }
    hall.assert_sound().await;
}

#[tokio::test]
async fn a_caller_that_leaves_leaves_no_transaction_half_done() {
    let hall = Hall::new(5).await;
    hall.stale(0, 5).await;
    let sweeper = hall.sweeper(500);
    hall.run(&GATE.replace(":table", "bookings")).await;
    let keeper = hall.database.owner().await;
    let lock = "BEGIN; SELECT pg_advisory_xact_lock(7)";
    keeper.batch_execute(lock).await.expect("ours");
    let mut failed = 0;
    let stop = CancellationToken::new();
    let gone = async {
        eventually(SOON, "the sweep waits", async || {
            hall.count(WAITING).await == 1
        })
        .await;
    };
    tokio::select! {
        swept = sweeper.run_once(&stop, &mut failed) => panic!("it waits: {swept:?}"),
        () = gone => {}
    }
    keeper.batch_execute("ROLLBACK").await.expect("ours");
    eventually(SOON, "its batch has ended", async || {
        let open = "SELECT count(*) FROM booking.bookings WHERE state = 'PENDING'";
        hall.count(open).await == 0 && hall.count(IN_A_TRANSACTION).await == 0
    })
    .await;
    let mut failed = 0;
    let again = timeout(SOON, sweeper.run_once(&stop, &mut failed)).await;
    again.expect("in time").expect("the pool is well");
    hall.assert_sound().await;
}

#[tokio::test]
async fn it_stops_between_batches_on_shutdown() {
    let hall = Hall::new(5).await;
    hall.stale(0, 5).await;
    let stop = CancellationToken::new();
    stop.cancel();
    let mut failed = 0;
    let before = hall.digest().await;
    let swept = hall.sweeper(2).run_once(&stop, &mut failed).await;
    assert!(swept.is_ok(), "{swept:?}");
    assert_eq!((failed, hall.digest().await), (0, before));
}

#[tokio::test]
async fn a_sweep_passes_confirmed_bookings_step_by_step() {
    let hall = Hall::new(6).await;
    let show = hall.show;
    // More than two steps of bookings that are over, most of which ended at one instant.
    hall.run(&format!(
        "INSERT INTO booking.bookings (show_id, booking_id, state, version, customer_id,
             seat_ordinals, seat_prices, seat_tiers, total, currency, created_at, expires_at,
             confirmed_at)
         SELECT '{show}', (left('{show}', 24) || lpad(to_hex(n), 12, '0'))::uuid, 'CONFIRMED',
             2, 'ann', '{{5}}', '{{7}}', '{{VIP}}', 7, 'EUR', ends - interval '120 s', ends,
             ends - interval '60 s'
         FROM generate_series(1, 50000) AS n,
             LATERAL (SELECT now() - interval '1 s' * least(n, 25000) AS ends) AS hold"
    ))
    .await;
    let stale = [
        hall.hold(&[0], -100_000.0).await,
        hall.hold(&[1], -20_000.0).await,
        hall.hold(&[2], -1.0).await,
    ];
    assert_eq!(hall.sweep(500).await, 3);
    for id in stale {
        assert_eq!(hall.standing(id).await, Standing::expired());
    }
}

#[tokio::test]
async fn a_scan_finds_newly_lapsed_holds_and_a_full_scan_all() {
    let hall = Hall::new(4).await;
    let (sweeper, mut cursor) = (hall.sweeper(500), ScanCursor::default());
    let stop = CancellationToken::new();
    let mut failed = 0;
    hall.hold(&[0], -86_400.0).await;
    let mut scan = async |failed: &mut u64| sweeper.scan(&mut cursor, &stop, failed).await;
    scan(&mut failed).await.expect("a scan");
    assert_eq!(failed, 1, "the first scan is a full one");
    hall.hold(&[1], 0.0).await;
    scan(&mut failed).await.expect("a scan");
    assert_eq!(failed, 2);
    // As if a clock had gone back, or a commit had taken an hour.
    hall.hold(&[2], -3_600.0).await;
    eventually(SOON, "a whole sweep has found it", async || {
        scan(&mut failed).await.expect("a scan");
        failed == 3
    })
    .await;
}
