//! A database that hangs, or becomes read-only: which service detects it, how soon, and how all
//! continue on another host.

#![allow(clippy::print_stdout, reason = "how long it took is worth seeing")]

use std::time::{Duration, Instant};

use futures_util::join;
use proto::booking::v1::{BookingState, ListBookingsRequest};
use service_kit::health;
use test_harness::errors::assert_error;
use test_harness::invariants::assert_hold;
use test_harness::postgres::{OwnServer, Standby, TestDatabase, with_parameter};
use test_harness::process::Process;
use test_harness::proxy::Proxy;
use test_harness::system::{System, confirm, get, reserve, show};
use test_harness::{eventually, postgres};
use tokio::time::{sleep, timeout};
use tonic::Code;
use url::Url;

/// A margin for a machine that is busy with other tests.
const BUSY: Duration = Duration::from_secs(5);
/// How soon readiness shows the database's state.
const DETECTED_MAX: Duration = Duration::from_secs(2).saturating_add(BUSY);
/// How soon all work again: connections that hang are closed after 12 s.
const AGAIN_MAX: Duration = Duration::from_secs(15).saturating_add(BUSY);
/// How soon an idle service ends.
const STOP_MAX: Duration = Duration::from_secs(3).saturating_add(BUSY);
/// How long a caller waits for one answer.
const CALL_MAX: Duration = Duration::from_secs(2);
/// How long the failover tool takes to be sure that the primary hangs.
const PROMOTED_AFTER: Duration = Duration::from_secs(1);
/// How long the database hangs, once that is detected.
const HANG: Duration = Duration::from_secs(3);
/// The shortest hold, so that it ends during the test.
const SHORT_HOLDS: [&str; 2] = ["--hold", "10s"];
/// With the default of 5 s a promotion often takes that much longer.
const PROMOTED_SOON: (&str, &str) = ("wal_retrieve_retry_interval", "200ms");

/// The services on several hosts: the primary and then its standby.
async fn on_both(server: &mut OwnServer, database: TestDatabase) -> (System, Standby) {
    let standby = server.standby().await;
    let authority = |url: &str| {
        let url: Url = url.parse().expect("a URL");
        format!(
            "{}:{}",
            url.host_str().expect("a host"),
            url.port().expect("a port")
        )
    };
    let url = |role: &str| {
        let (one, other) = (database.url(role), standby.url(role, &database));
        let hosts = format!("{},{}", authority(&one), authority(&other));
        let url = one.replacen(&authority(&one), &hosts, 1);
        with_parameter(&url, "target_session_attrs=read-write")
    };
    let catalog = ["--database-url", &url("catalog_svc")];
    let catalog = Process::start("catalog-svc", &catalog).await;
    let (to_database, to_catalog) = (url("booking_svc"), catalog.internal_url());
    let booking = ["--database-url", &to_database, "--catalog-url", &to_catalog];
    let booking = [&booking[..], &SHORT_HOLDS].concat();
    let booking = Process::start("booking-svc", &booking).await;
    let worker = ["--database-url", &url("expiry_worker")];
    let workers = vec![Process::start("expiry-worker", &worker).await];
    let system = System {
        catalog,
        booking,
        workers,
        database,
    };
    (system, standby)
}

async fn says(process: &Process, serving: bool) -> bool {
    let asked = health::ask(process.address(), "", CALL_MAX).await;
    asked.is_ok() == serving
}

/// Waits until each service says whether it serves; returns how long each took.
async fn health_becomes(system: &System, serving: bool) -> [Duration; 3] {
    let began = Instant::now();
    let turning = async |process: &Process| {
        let what = format!("SERVING is {serving}");
        eventually(DETECTED_MAX, &what, async || says(process, serving).await).await;
        began.elapsed()
    };
    let (catalog, booking, worker) = join!(
        turning(&system.catalog),
        turning(&system.booking),
        turning(&system.workers[0])
    );
    [catalog, booking, worker]
}

/// Sells seats and makes shows until both have worked, on any host; how long each took.
async fn work_again(system: &System, id: &str, seats: std::ops::Range<u16>) -> [Duration; 3] {
    let began = Instant::now();
    let selling = async {
        let mut client = system.booking_client();
        let mut seats = seats.map(|seat| format!("A-{seat}"));
        eventually(AGAIN_MAX, "a seat is sold", async || {
            let seat = seats.next().expect("enough of them");
            let selling = async {
                let held = reserve(&mut client, id, &[&seat], "ann").await.ok()?;
                confirm(&mut client, &held.booking_id).await.ok()
            };
            matches!(timeout(CALL_MAX, selling).await, Ok(Some(_)))
        })
        .await;
        began.elapsed()
    };
    let listing = async {
        let mut client = system.booking_client();
        eventually(AGAIN_MAX, "bookings are listed", async || {
            let request = ListBookingsRequest {
                show_id: id.to_owned(),
                ..Default::default()
            };
            matches!(
                timeout(CALL_MAX, client.list_bookings(request)).await,
                Ok(Ok(_))
            )
        })
        .await;
        began.elapsed()
    };
    let making = async {
        let mut client = system.catalog_client();
        eventually(AGAIN_MAX, "a show is made", async || {
            matches!(
                timeout(CALL_MAX, client.create_show(show(3))).await,
                Ok(Ok(_))
            )
        })
        .await;
        began.elapsed()
    };
    let (sold, listed, made) = join!(selling, listing, making);
    [sold, listed, made]
}

/// Waits until the standby has a booking, and the worker has failed it there.
async fn expired_on(standby: &Standby, database: &TestDatabase, booking: &str) {
    let owner = standby.owner(database).await;
    let query = format!(
        "SELECT count(*) FROM booking.bookings WHERE booking_id = '{booking}' AND state = 'FAILED'"
    );
    eventually(AGAIN_MAX, "the hold is failed", async || {
        let row = owner.query_one(&query, &[]).await;
        row.is_ok_and(|row| row.get::<_, i64>(0) == 1)
    })
    .await;
}

async fn has_replayed(standby: &Standby, database: &TestDatabase, booking: &str) {
    let owner = standby.owner(database).await;
    let query = format!("SELECT FROM booking.bookings WHERE booking_id = '{booking}'");
    eventually(AGAIN_MAX, "the standby has the booking", async || {
        owner
            .query_opt(&query, &[])
            .await
            .is_ok_and(|row| row.is_some())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_primary_that_hangs_is_left_for_the_standby_that_is_promoted() {
    let mut server = OwnServer::start_with(&[PROMOTED_SOON]).await;
    let database = server.database().await;
    let (system, standby) = on_both(&mut server, database).await;
    let id = system.a_show(1_000).await;
    work_again(&system, &id, 1..100).await;
    let mut client = system.booking_client();
    let held = reserve(&mut client, &id, &["A-1000"], "bob").await;
    let held = held.expect("free").booking_id;
    has_replayed(&standby, &system.database, &held).await;

    server.freeze();
    let hung = Instant::now();
    sleep(PROMOTED_AFTER).await;
    standby.promote(&system.database).await;
    let promoted = hung.elapsed();
    let [sold, listed, made] = work_again(&system, &id, 100..900).await;
    println!(
        "promoted {promoted:.1?} after the primary hung; {sold:.1?} later a seat was sold, \
         {listed:.1?} bookings listed, {made:.1?} a show made"
    );
    expired_on(&standby, &system.database, &held).await;
    println!(
        "the hold was failed {:.1?} after the primary hung",
        hung.elapsed()
    );
    health_becomes(&system, true).await;
    let failed = get(&mut client, &held).await.expect("the booking exists");
    assert_eq!(failed.state(), BookingState::Failed);
    server.go_on();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_primary_that_takes_no_writes_is_left_for_the_standby_that_is_promoted() {
    let mut server = OwnServer::start_with(&[PROMOTED_SOON]).await;
    let database = server.database().await;
    let (system, standby) = on_both(&mut server, database).await;
    let id = system.a_show(1_000).await;
    work_again(&system, &id, 1..100).await;
    let owner = system.database.owner().await;
    set_read_only(&owner, "on").await;
    let said = health_becomes(&system, false).await;
    let refused = reserve(&mut system.booking_client(), &id, &["A-999"], "ann").await;
    let refused = refused.expect_err("nobody takes writes");
    assert_error(&refused, Code::Unavailable, "DATABASE_UNAVAILABLE");

    standby.promote(&system.database).await;
    let [sold, listed, made] = work_again(&system, &id, 100..900).await;
    println!(
        "read-only was detected in {said:.1?}; after the promotion a seat was sold in {sold:.1?}, \
         bookings listed in {listed:.1?}, a show made in {made:.1?}"
    );
    let there = "SELECT count(*) FROM booking.bookings WHERE state = 'CONFIRMED'";
    let on_new = standby
        .owner(&system.database)
        .await
        .query_one(there, &[])
        .await;
    let on_old = owner.query_one(there, &[]).await;
    let counts = [on_new, on_old].map(|row| row.expect("a count").get::<_, i64>(0));
    assert!(
        counts[0] > counts[1],
        "sold on the promoted one: {counts:?}"
    );
}

async fn set_read_only(owner: &tokio_postgres::Client, value: &str) {
    for statement in [
        // The session that does it may be read-only itself.
        "SET default_transaction_read_only = off".to_owned(),
        format!("ALTER SYSTEM SET default_transaction_read_only = {value}"),
        "SELECT pg_reload_conf()".to_owned(),
    ] {
        owner.batch_execute(&statement).await.expect("a superuser");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readiness_follows_a_database_that_takes_no_writes_or_stands_still() {
    let server = OwnServer::start().await;
    let system = System::start_on(server.database().await, 1).await;
    let id = system.a_show(1_000).await;
    // So that booking-svc has the show: it could not store it any more.
    work_again(&system, &id, 900..1_000).await;
    let owner = system.database.owner().await;

    set_read_only(&owner, "on").await;
    let away = health_becomes(&system, false).await;
    let refused = reserve(&mut system.booking_client(), &id, &["A-1"], "ann").await;
    let refused = refused.expect_err("it takes no writes");
    assert_error(&refused, Code::Unavailable, "DATABASE_UNAVAILABLE");
    let refused = system.catalog_client().create_show(show(3)).await;
    let refused = refused.expect_err("it takes no writes");
    assert_error(&refused, Code::Unavailable, "DATABASE_UNAVAILABLE");
    set_read_only(&owner, "off").await;
    let back = health_becomes(&system, true).await;
    println!("read-only: NOT_SERVING after {away:.1?}, SERVING after {back:.1?}");
    work_again(&system, &id, 1..100).await;

    server.freeze();
    let away = health_becomes(&system, false).await;
    // The hang itself, not a wait for something to happen.
    sleep(HANG).await;
    server.go_on();
    let back = health_becomes(&system, true).await;
    println!("standing still: NOT_SERVING after {away:.1?}, SERVING after {back:.1?}");
    let again = work_again(&system, &id, 100..900).await;
    println!("and all worked after {again:.1?}");
    assert_hold(&system.database).await;
}

/// Like a managed database with a full disk: the setting applies to each session from its
/// beginning to its end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_that_began_read_only_are_not_used_once_the_database_takes_writes() {
    let server = OwnServer::start().await;
    let system = System::start_on(server.database().await, 1).await;
    let id = system.a_show(1_000).await;
    work_again(&system, &id, 900..1_000).await;
    let owner = system.database.owner().await;
    let of_this = "EXECUTE format('ALTER DATABASE %I %s', current_database(), what)";
    let set = async |what: &str| {
        let set = format!("DO $$ DECLARE what text := '{what}'; BEGIN {of_this}; END $$");
        // This session may be read-only itself.
        for statement in ["SET default_transaction_read_only = off", &set] {
            owner.batch_execute(statement).await.expect("the owner");
        }
    };
    set("SET default_transaction_read_only = on").await;
    let end_all = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid()";
    owner.batch_execute(end_all).await.expect("a superuser");
    health_becomes(&system, false).await;
    // Pools have such sessions by then.
    for _ in 0..20 {
        let request = ListBookingsRequest {
            show_id: id.clone(),
            ..Default::default()
        };
        let (mut booking, mut catalog) = (system.booking_client(), system.catalog_client());
        let (listed, made) = join!(booking.list_bookings(request), catalog.create_show(show(3)));
        listed.expect("reads are answered");
        assert_error(
            &made.expect_err("it takes no writes"),
            Code::Unavailable,
            "DATABASE_UNAVAILABLE",
        );
    }
    set("RESET default_transaction_read_only").await;
    health_becomes(&system, true).await;
    let again = work_again(&system, &id, 1..900).await;
    println!("and all worked after {again:.1?}");
    for _ in 0..20 {
        let made = system.catalog_client().create_show(show(3)).await;
        made.expect("no session is read-only any more");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_service_stops_though_the_database_hangs() {
    let server = OwnServer::start().await;
    let mut system = System::start_on(server.database().await, 1).await;
    let id = system.a_show(10).await;
    // So that no look-up of the show interferes with the next step.
    work_again(&system, &id, 2..10).await;
    let held = reserve(&mut system.booking_client(), &id, &["A-1"], "ann").await;
    let held = held.expect("free").booking_id;
    server.freeze();
    // The callers of these leave; their work hangs.
    let mut client = system.booking_client();
    let left = timeout(CALL_MAX, confirm(&mut client, &held)).await;
    assert!(left.is_err(), "no answer: {left:?}");
    let left = timeout(CALL_MAX, system.catalog_client().create_show(show(3))).await;
    assert!(!matches!(left, Ok(Ok(_))), "no show: {left:?}");
    // Background tasks wait for the database by then, too.
    health_becomes(&system, false).await;
    for process in [
        &mut system.workers[0],
        &mut system.booking,
        &mut system.catalog,
    ] {
        let began = Instant::now();
        process.terminate();
        let status = process.wait(STOP_MAX).await;
        println!("ended {:.1?} after SIGTERM", began.elapsed());
        assert_eq!(status.code(), Some(0), "{status}");
    }
    server.go_on();
}

/// As a pooler or a proxy that hangs has it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn statements_that_get_no_answer_end_their_connections() {
    let database = postgres::database().await;
    let ways = [
        Proxy::start(&database.url("catalog_svc")).await,
        Proxy::start(&database.url("booking_svc")).await,
        Proxy::start(&database.url("expiry_worker")).await,
    ];
    let [catalog, booking, worker] = &ways;
    let catalog = catalog.url(&database.url("catalog_svc"));
    let catalog = Process::start("catalog-svc", &["--database-url", &catalog]).await;
    let (to_database, to_catalog) = (
        booking.url(&database.url("booking_svc")),
        catalog.internal_url(),
    );
    let booking = ["--database-url", &to_database, "--catalog-url", &to_catalog];
    let booking = Process::start("booking-svc", &booking).await;
    let worker = worker.url(&database.url("expiry_worker"));
    let workers = vec![Process::start("expiry-worker", &["--database-url", &worker]).await];
    let system = System {
        catalog,
        booking,
        workers,
        database,
    };
    let id = system.a_show(1_000).await;
    work_again(&system, &id, 1..100).await;

    for way in &ways {
        way.fall_silent();
    }
    health_becomes(&system, false).await;
    // Each pool and each commit worker has unanswered statements.
    let mut asking = tokio::task::JoinSet::new();
    for seat in 900..930 {
        let (mut client, id) = (system.booking_client(), id.clone());
        asking.spawn(async move {
            let _ = reserve(&mut client, &id, &[&format!("A-{seat}")], "eve").await;
        });
        let mut client = system.catalog_client();
        asking.spawn(async move { drop(client.create_show(show(3)).await) });
    }
    sleep(CALL_MAX).await;
    for way in &ways {
        way.let_new_ones_pass();
    }
    let serving = health_becomes(&system, true).await;
    let [sold, listed, made] = work_again(&system, &id, 100..900).await;
    println!(
        "new connections pass: SERVING after {serving:.1?}, then a seat was sold in {sold:.1?}, \
         bookings listed in {listed:.1?}, a show made in {made:.1?}"
    );
    asking.join_all().await;
    assert_hold(&system.database).await;
}
