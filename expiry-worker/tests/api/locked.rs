//! Rows that stay locked: the other holds end meanwhile.

#![allow(
    clippy::print_stdout,
    reason = "how long the others took is worth seeing"
)]

use std::time::{Duration, Instant};

use model::BookingId;
use test_harness::eventually;
use tokio_postgres::Client;

use crate::hall::{Hall, Standing};

/// How long a sweep that waits for no lock may take on a busy machine; shorter than a role's lock timeout.
const SOON: Duration = Duration::from_secs(2);
const OPEN: &str = "SELECT count(*) FROM booking.bookings WHERE state = 'PENDING'";

/// An open transaction of another session, with a lock.
async fn holder(hall: &Hall, lock: &str) -> Client {
    let holder = hall.database.owner().await;
    let locked = holder.batch_execute(&format!("BEGIN; {lock}")).await;
    locked.unwrap_or_else(|error| panic!("{lock}: {error}"));
    holder
}

/// Asserts that a sweep fails all holds but those that need the locked row; and those after its release.
async fn assert_left(hall: &Hall, lock: &str, left: &[BookingId], all: u64) {
    let holder = holder(hall, lock).await;
    let left_open = i64::try_from(left.len()).expect("few");
    let began = Instant::now();
    assert_eq!(hall.sweep(16).await, all - left.len() as u64);
    let took = began.elapsed();
    println!("{lock}: the others were failed within {took:?}");
    assert!(took < SOON, "{took:?}");
    assert_eq!(hall.count(OPEN).await, left_open);
    for id in left {
        assert_eq!(hall.standing(*id).await.state, "PENDING");
    }
    holder.batch_execute("ROLLBACK").await.expect("ours");
    assert_eq!(hall.sweep(16).await, left.len() as u64);
    for id in left {
        assert_eq!(hall.standing(*id).await, Standing::expired());
    }
    hall.assert_sound().await;
}

#[tokio::test]
async fn seats_hold_up_only_the_bookings_that_have_them() {
    let hall = Hall::new(60).await;
    let mut ids = hall.stale(0, 40).await;
    // The last of two seats.
    ids.push(hall.hold(&[50, 51], -60.0).await);
    let lock = "SELECT FROM booking.show_seats WHERE ordinal IN (7, 30, 51) FOR UPDATE";
    assert_left(&hall, lock, &[ids[7], ids[30], ids[40]], 41).await;
}

#[tokio::test]
async fn an_area_holds_up_only_the_bookings_with_places_in_it() {
    let hall = Hall::new(40).await;
    hall.with_areas(&["Floor", "Pit"]).await;
    let ids = hall.stale(0, 40).await;
    hall.give_places(ids[3], &[("Floor", 1), ("Pit", 2)]).await;
    hall.give_places(ids[4], &[("Floor", 3)]).await;
    hall.give_places(ids[20], &[("Pit", 1)]).await;
    let lock = "SELECT FROM booking.show_areas WHERE area = 'Pit' FOR UPDATE";
    assert_left(&hall, lock, &[ids[3], ids[20]], 40).await;
}

/// More than fill a batch, all of which ended at one instant.
#[tokio::test]
async fn a_whole_batch_that_is_locked_does_not_keep_those_behind_it() {
    let hall = Hall::new(60).await;
    let mut ids = hall.stale(0, 40).await;
    let at_once = "UPDATE booking.bookings AS b SET expires_at = first.at,
            created_at = first.at - interval '120 s'
        FROM (SELECT min(expires_at) AS at FROM booking.bookings) AS first";
    hall.run(at_once).await;
    let later = hall.stale(40, 5).await;
    let lock = "SELECT FROM booking.show_seats WHERE ordinal < 40 FOR UPDATE";
    ids.truncate(40);
    assert_left(&hall, lock, &ids, 45).await;
    for id in later {
        assert_eq!(hall.standing(id).await, Standing::expired());
    }
}

/// The worker's own loop: it comes back to locked bookings.
#[tokio::test]
async fn a_worker_skips_locked_bookings_and_comes_back() {
    let hall = Hall::new(60).await;
    let ids = hall.stale(0, 40).await;
    let lock = "SELECT FROM booking.show_seats WHERE ordinal = 7 FOR UPDATE";
    let holder = holder(&hall, lock).await;
    let worker = hall.worker(&["--batch-max", "16"]).await;
    eventually(
        Duration::from_secs(20),
        "the others have failed",
        async || hall.count(OPEN).await == 1,
    )
    .await;
    let later = hall.hold(&[50], -1.0).await;
    eventually(Duration::from_secs(20), "a later one has too", async || {
        hall.standing(later).await == Standing::expired()
    })
    .await;
    holder.batch_execute("ROLLBACK").await.expect("ours");
    eventually(Duration::from_secs(20), "it comes back", async || {
        hall.standing(ids[7]).await == Standing::expired()
    })
    .await;
    let log = worker.log();
    for sign in [" ERROR ", " WARN "] {
        assert!(!log.contains(sign), "{log}");
    }
    hall.assert_sound().await;
}
