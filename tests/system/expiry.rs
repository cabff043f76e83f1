//! Holds that are never confirmed.

use std::time::{Duration, SystemTime};

use proto::booking::v1::{Booking, BookingState, FailureReason, ReserveSeatsRequest, SeatStatus};
use test_harness::errors::{assert_error, reason};
use test_harness::invariants::assert_hold;
use test_harness::system::{System, confirm, get, reservation, reserve};
use test_harness::{eventually, eventually_some, machine};
use tonic::Code;

/// The shortest that the contract allows.
const HOLD: Duration = Duration::from_secs(10);
const HOLDS: usize = 60;

async fn hold(system: &System, show: &str, label: &str) -> Booking {
    let request = ReserveSeatsRequest {
        hold_duration: Some(HOLD.try_into().expect("ten seconds")),
        ..reservation(show, &[label], "forgetful")
    };
    let response = system.booking_client().reserve_seats(request).await;
    let held = response.expect("free seats").into_inner().booking;
    held.expect("the answer has the booking")
}

#[tokio::test]
async fn two_workers_fail_each_forgotten_hold_once_and_within_a_second() {
    let system = System::start(2).await;
    let show = system.a_show(i32::try_from(HOLDS).expect("a few")).await;
    let began = machine::watch();
    let mut held = Vec::new();
    for number in 1..=HOLDS {
        held.push(hold(&system, &show, &format!("A-{number}")).await);
    }
    let owner = system.database.owner().await;
    let pending = "SELECT count(*) FROM booking.bookings WHERE state = 'PENDING'";
    eventually(
        HOLD + Duration::from_secs(15),
        "no hold is left",
        async || {
            let row = owner.query_one(pending, &[]).await.expect("a count");
            row.get::<_, i64>(0) == 0
        },
    )
    .await;
    // By the database's clock alone: the time at which each was failed, and the end of its hold.
    let late = "SELECT count(*), count(DISTINCT booking_id), \
                coalesce(max(extract(epoch FROM made_at - expires_at)), 0)::float8 \
                FROM booking.transitions JOIN booking.bookings USING (show_id, booking_id) \
                WHERE verb = 'EXPIRE'";
    let row = owner.query_one(late, &[]).await.expect("a row");
    let (entries, bookings, latest): (i64, i64, f64) = (row.get(0), row.get(1), row.get(2));
    let all = i64::try_from(HOLDS).expect("a few");
    assert_eq!((entries, bookings), (all, all));
    let allowed = 1.0 + machine::stalled(began).as_secs_f64();
    assert!(
        (0.0..allowed).contains(&latest),
        "the last was failed {latest} s after its end"
    );

    let mut client = system.booking_client();
    for hold in &held {
        let found = get(&mut client, &hold.booking_id)
            .await
            .expect("it stays on record");
        let state = (found.state(), found.failure_reason());
        assert_eq!(state, (BookingState::Failed, FailureReason::Expired));
        assert_eq!(found.fail_time, hold.expire_time);
    }
    for seat in system.seats(&show).await {
        assert_eq!(seat.status(), SeatStatus::Available, "{}", seat.label);
    }
    assert_hold(&system.database).await;
}

#[tokio::test]
async fn without_a_worker_a_hold_still_ends() {
    let system = System::start(0).await;
    let show = system.a_show(2).await;
    let began = machine::watch();
    let held = hold(&system, &show, "A-1").await;
    let other = hold(&system, &show, "A-2").await;
    let mut client = system.booking_client();
    // Refused until the hold has ended, granted right after.
    let taken = eventually_some(
        HOLD + Duration::from_secs(15),
        "the seat is free",
        async || match reserve(&mut client, &show, &["A-1"], "patient").await {
            Ok(booking) => Some(booking),
            Err(status) => {
                assert_eq!(reason(&status), "SEATS_UNAVAILABLE");
                None
            }
        },
    )
    .await;
    let ended = time(held.expire_time);
    let waited = time(taken.create_time).duration_since(ended);
    let waited = waited.expect("not before the hold has ended");
    assert!(
        waited < Duration::from_secs(1) + machine::stalled(began),
        "{waited:?} after the hold had ended"
    );

    // The one whose seat was taken, and the untouched one.
    eventually(
        Duration::from_secs(15),
        "the other hold has ended",
        async || SystemTime::now() > time(other.expire_time),
    )
    .await;
    for booking in [&held, &other] {
        let status = confirm(&mut client, &booking.booking_id).await;
        let status = status.expect_err("a hold that has ended");
        assert_error(&status, Code::FailedPrecondition, "HOLD_EXPIRED");
        let found = get(&mut client, &booking.booking_id)
            .await
            .expect("it stays on record");
        let state = (found.state(), found.failure_reason());
        assert_eq!(state, (BookingState::Failed, FailureReason::Expired));
    }
    let seats = system.seats(&show).await;
    let statuses: Vec<SeatStatus> = seats.iter().map(|seat| seat.status()).collect();
    assert_eq!(statuses, [SeatStatus::Held, SeatStatus::Available]);
    confirm(&mut client, &taken.booking_id)
        .await
        .expect("a hold of one's own");
    assert_hold(&system.database).await;
}

fn time(timestamp: Option<prost_types::Timestamp>) -> SystemTime {
    let timestamp = timestamp.expect("it is set");
    timestamp.try_into().expect("a time of our age")
}
