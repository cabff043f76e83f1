//! The worker's own loop.

use std::collections::BTreeSet;
use std::time::Duration;

use test_harness::system::{System, reserve};
use test_harness::{eventually, machine};
use tokio_postgres::types::Timestamp;

use crate::hall::{Hall, Standing};

const SOON: Duration = Duration::from_secs(20);
const OPEN: &str = "SELECT count(*) FROM booking.bookings WHERE state = 'PENDING'";

/// The query that counts holds that were failed too early, or later than that after their end: by the
/// database's clock, which is the one that ends holds.
fn later_than(allowed: Duration) -> String {
    let seconds = allowed.as_secs_f64();
    format!(
        "SELECT count(*) FROM booking.transitions AS t
         JOIN booking.bookings AS b USING (show_id, booking_id)
         WHERE t.verb = 'EXPIRE' AND t.made_at - b.expires_at
             NOT BETWEEN interval '0' AND interval '{seconds} s'"
    )
}

#[tokio::test]
async fn a_lapse_is_picked_up_within_a_second() {
    let hall = Hall::new(20).await;
    let mut worker = hall.worker(&[]).await;
    let began = machine::watch();
    let mut ids = Vec::new();
    for seat in 0..20 {
        ids.push(hall.hold(&[seat], 0.05 * f64::from(seat)).await);
    }
    eventually(SOON, "all have failed", async || {
        hall.count(OPEN).await == 0
    })
    .await;
    for id in ids {
        assert_eq!(hall.standing(id).await, Standing::expired());
    }
    let late = later_than(Duration::from_secs(1) + machine::stalled(began));
    assert_eq!(hall.count(&late).await, 0);
    assert_eq!(worker.ended(), None);
    hall.assert_sound().await;
}

#[tokio::test]
async fn without_holds_it_is_quiet() {
    let hall = Hall::new(1).await;
    let mut worker = hall.worker(&["--poll-interval", "20ms"]).await;
    let before = hall.digest().await;
    let last = "SELECT query_start FROM pg_stat_activity WHERE datname = current_database()
         AND usename = 'expiry_worker' AND query LIKE '%OFFSET $2::bigint - 1%'";
    let mut looks = BTreeSet::new();
    eventually(SOON, "it has looked often", async || {
        for row in hall.owner.query(last, &[]).await.expect("a look") {
            if let Timestamp::Value(at) = row.get::<_, Timestamp<std::time::SystemTime>>(0) {
                looks.insert(at);
            }
        }
        looks.len() > 20
    })
    .await;
    assert_eq!(worker.ended(), None);
    assert_eq!(hall.digest().await, before);
    let log = worker.log();
    // A busy machine may be warned of.
    let lines = log.lines().filter(|line| !line.contains(" WARN "));
    assert!(lines.count() <= 6, "{log}");
    let trouble = [" ERROR ", "panicked"];
    assert!(!trouble.iter().any(|sign| log.contains(sign)), "{log}");
}

#[tokio::test]
async fn freed_seats_are_sold_again() {
    let system = System::start(1).await;
    let show = system.a_show(3).await;
    let mut client = system.booking_client();
    let held = reserve(&mut client, &show, &["A-1", "A-2"], "ann").await;
    let held = held.expect("free seats");
    let owner = system.database.owner().await;
    let lapse = "UPDATE booking.bookings SET created_at = created_at - interval '2 min',
         expires_at = expires_at - interval '2 min'";
    owner.batch_execute(lapse).await.expect("a hold");
    let failed = "SELECT FROM booking.bookings WHERE state = 'FAILED'";
    eventually(SOON, "the worker has swept", async || {
        owner
            .query_opt(failed, &[])
            .await
            .expect("a look")
            .is_some()
    })
    .await;
    let next = reserve(&mut client, &show, &["A-2", "A-3"], "bob").await;
    let next = next.expect("free seats");
    assert_ne!(next.booking_id, held.booking_id);
    test_harness::invariants::assert_hold(&system.database).await;
}
