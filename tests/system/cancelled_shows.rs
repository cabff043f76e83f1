//! A show with bookings is cancelled, and booking-svc is killed in the middle of ending them.

use std::time::Duration;

use proto::booking::v1::SeatStatus;
use test_harness::eventually;
use test_harness::invariants::assert_hold;
use test_harness::postgres::{self, OwnServer, TestDatabase};
use test_harness::system::{System, confirm, reserve, start_booking};
use tokio::task::JoinSet;
use tokio_postgres::Client;

const BOOKINGS: usize = 1_200;
const FULLY_CANCELLED_MAX: Duration = Duration::from_secs(30);
const STOP_MAX: Duration = Duration::from_secs(25);

/// A show with bookings, every second of them confirmed; its id.
async fn a_show_with_bookings(system: &System) -> String {
    let show = system.a_show(i32::try_from(BOOKINGS).expect("few")).await;
    let client = system.booking_client();
    let mut bookings = JoinSet::new();
    for n in 1..=BOOKINGS {
        let (mut client, show) = (client.clone(), show.clone());
        bookings.spawn(async move {
            let held = reserve(&mut client, &show, &[&format!("A-{n}")], "ada").await;
            let held = held.expect("a free seat");
            if n % 2 == 0 {
                let bought = confirm(&mut client, &held.booking_id).await;
                bought.expect("a hold");
            }
        });
    }
    bookings.join_all().await;
    show
}

async fn count(owner: &Client, query: &str) -> i64 {
    let row = owner.query_one(query, &[]).await;
    row.unwrap_or_else(|error| panic!("{query}: {error}"))
        .get(0)
}

const ENDED: &str = "SELECT count(*) FROM booking.transitions WHERE verb = 'VOID'";

/// A system whose booking-svc waits for a lock instead of continuing with other orders.
async fn waits_for_locks(database: TestDatabase) -> System {
    System::start_with(database, 0, &["--lock-wait-max", "5s"]).await
}

/// Locks a booking halfway through the show, so that the cancelled-shows worker gets that far
/// and no further; returns the session to end.
async fn a_hurdle(system: &System) -> Client {
    let hurdle = system.database.owner().await;
    let lock = "BEGIN;
        SELECT FROM booking.bookings WHERE booking_id = (
            SELECT booking_id FROM booking.bookings ORDER BY booking_id OFFSET 600 LIMIT 1
        )
        FOR UPDATE";
    hurdle.batch_execute(lock).await.expect("a lock");
    hurdle
}

/// Cancels the show, and waits until the cancelled-shows worker waits at the hurdle.
async fn half_way(system: &System, owner: &Client, show: &str) {
    system.cancel_show(show).await;
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'
        AND datname = current_database() AND usename = 'booking_svc'";
    eventually(
        FULLY_CANCELLED_MAX,
        "it stands before the hurdle",
        async || count(owner, waiting).await > 0 && count(owner, ENDED).await > 0,
    )
    .await;
    let ended = count(owner, ENDED).await;
    assert!(ended < 601, "some are left: {ended}");
}

/// Waits until all bookings have ended, and asserts that each has the right end.
async fn assert_fully_cancelled(system: &System, owner: &Client, show: &str) {
    let left = "SELECT count(*) FROM booking.sales WHERE fully_cancelled_at IS NULL";
    eventually(
        FULLY_CANCELLED_MAX,
        "the show is fully cancelled",
        async || count(owner, left).await == 0,
    )
    .await;
    let all = i64::try_from(BOOKINGS).expect("few");
    assert_eq!(count(owner, ENDED).await, all, "each once");
    let refunds = "SELECT sum(refund_due)::bigint FROM booking.bookings WHERE state = 'CANCELLED'";
    assert_eq!(count(owner, refunds).await, all / 2 * 1250);
    let failed = "SELECT count(*) FROM booking.bookings WHERE failure_reason = 'SHOW_CANCELLED'";
    assert_eq!(count(owner, failed).await, all / 2);
    let seats = system.seats(show).await;
    let free = seats
        .iter()
        .filter(|seat| seat.status() == SeatStatus::Available);
    assert_eq!(free.count(), BOOKINGS);
    assert_hold(&system.database).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn work_left_by_a_kill_is_done_after_the_restart() {
    let mut system = waits_for_locks(postgres::database().await).await;
    let owner = system.database.owner().await;
    let show = a_show_with_bookings(&system).await;
    let hurdle = a_hurdle(&system).await;
    half_way(&system, &owner, &show).await;
    system.booking.kill9().await;
    hurdle.batch_execute("ROLLBACK").await.expect("ours");
    assert_hold(&system.database).await;
    system.booking.start_again().await;
    assert_fully_cancelled(&system, &owner, &show).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_in_the_middle_is_prompt_and_another_instance_continues() {
    let mut system = waits_for_locks(postgres::database().await).await;
    let owner = system.database.owner().await;
    let show = a_show_with_bookings(&system).await;
    let hurdle = a_hurdle(&system).await;
    half_way(&system, &owner, &show).await;
    let other = start_booking(&system.database, &system.catalog).await;
    system.booking.terminate();
    hurdle.batch_execute("ROLLBACK").await.expect("ours");
    let status = system.booking.wait(STOP_MAX).await;
    assert_eq!(status.code(), Some(0), "{status}");
    system.booking = other;
    assert_fully_cancelled(&system, &owner, &show).await;
}

const INTERRUPTED: &str = "interrupted; trying again task=\"cancelled shows\"";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outage_of_the_database_in_the_middle_is_waited_out() {
    let mut server = OwnServer::start().await;
    let mut system = waits_for_locks(server.database().await).await;
    let owner = system.database.owner().await;
    let show = a_show_with_bookings(&system).await;
    let hurdle = a_hurdle(&system).await;
    half_way(&system, &owner, &show).await;
    server.crash().await;
    drop((owner, hurdle));
    eventually(
        FULLY_CANCELLED_MAX,
        "the interruption is logged",
        async || system.booking.log().contains(INTERRUPTED),
    )
    .await;
    server.restart().await;
    let owner = system.database.owner().await;
    assert_fully_cancelled(&system, &owner, &show).await;
    assert_eq!(system.booking.ended(), None);
    let log = system.booking.log();
    let lines = log.matches(INTERRUPTED).count();
    assert_eq!(lines, 1, "{log}");
}
