//! A command against the end of its hold, which comes by the clock and by the worker's sweeps.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use proto::booking::v1::{Booking, BookingState, ExtendHoldRequest, FailureReason};
use proto::expiry::v1::RunOnceRequest;
use test_harness::errors::assert_error;
use test_harness::system::{confirm, get, reserve};
use tonic::{Code, Status};

use super::{ROUNDS, Seen, assert_both, granted, rounds};
use crate::stage::{Bookings, Stage, assert_quiet, end_hold};

/// Runs the rounds of `verb`, while a worker sweeps without a pause. Returns the stage, and how
/// often the command was "done" and the hold had "expired".
async fn against_expiry(
    verb: impl AsyncFn(&mut Bookings, &str) -> Result<Booking, Status>,
) -> (Stage, Seen) {
    let mut stage = Stage::with_workers(1).await;
    let show = stage.a_show(i32::try_from(ROUNDS).expect("small")).await;
    let over = Arc::new(AtomicBool::new(false));
    let mut sweeper = stage.system.worker_client(0);
    let sweeping = tokio::spawn({
        let over = Arc::clone(&over);
        async move {
            while !over.load(Ordering::Relaxed) {
                sweeper.run_once(RunOnceRequest {}).await.expect("a sweep");
            }
        }
    });
    // How long the command takes here and now: the pace adapts so that both sides win sometimes.
    let pace = AtomicU64::new(5_000);
    let paced = |percent: u64| {
        let change = |micros: u64| Some((micros * percent / 100).clamp(500, 1_000_000));
        let _ = pace.fetch_update(Ordering::Relaxed, Ordering::Relaxed, change);
    };
    let verb = &verb;
    let seen = rounds(async |number| {
        let mut client = stage.client();
        let label = format!("A-{}", number + 1);
        let held = granted(reserve(&mut client, &show, &[&label], "ann").await);
        // Before, during and after the verb.
        let place = u64::try_from(number % 40).expect("small");
        let micros = pace.load(Ordering::Relaxed) * place / 20;
        let ends_in = Duration::from_micros(micros).as_secs_f64();
        end_hold(&stage.owner, &held.booking_id, ends_in).await;
        let outcome = verb(&mut client, &held.booking_id).await;
        let now = granted(get(&mut client, &held.booking_id).await);
        match outcome {
            Ok(done) => {
                assert_eq!(now, done, "a reply stays true");
                paced(95);
                "done"
            }
            Err(status) => {
                assert_error(&status, Code::FailedPrecondition, "HOLD_EXPIRED");
                assert_eq!(now.state(), BookingState::Failed);
                assert_eq!(now.failure_reason(), FailureReason::Expired);
                assert_eq!(now.fail_time, now.expire_time);
                paced(106);
                "expired"
            }
        }
    })
    .await;
    over.store(true, Ordering::Relaxed);
    sweeping.await.expect("no sweep fails");
    let mut worker = stage.system.worker_client(0);
    worker.run_once(RunOnceRequest {}).await.expect("a sweep");
    assert_both(&seen);
    assert_quiet(&mut stage.system.workers[0]);
    stage.assert_sound().await;
    (stage, seen)
}

/// The number of bookings in these states is the number of such replies.
async fn assert_stored(stage: &Stage, done: &str, seen: &Seen) {
    for (state, outcome) in [(done, "done"), ("FAILED", "expired")] {
        let count = format!("SELECT count(*) FROM booking.bookings WHERE state = '{state}'");
        let stored = stage.count(&count).await;
        assert_eq!(usize::try_from(stored), Ok(seen[outcome]), "{state}");
    }
}

#[tokio::test]
async fn confirm_against_expiry() {
    let (stage, seen) =
        against_expiry(async |client, booking| confirm(client, booking).await).await;
    assert_stored(&stage, "CONFIRMED", &seen).await;
}

#[tokio::test]
async fn extend_against_expiry() {
    let (stage, seen) = against_expiry(async |client, booking| {
        let request = ExtendHoldRequest {
            booking_id: booking.to_owned(),
            hold_duration: Some(prost_types::Duration {
                seconds: 600,
                nanos: 0,
            }),
            ..Default::default()
        };
        let extended = client.extend_hold(request).await?.into_inner();
        Ok(extended.booking.expect("the answer has the booking"))
    })
    .await;
    assert_stored(&stage, "PENDING", &seen).await;
}
