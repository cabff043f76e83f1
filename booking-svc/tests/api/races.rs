//! Two verbs at once for the same booking or the same seats: a thousand rounds each, few at a
//! time. Whatever the order, the outcome is a legal one, and the seats agree with it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use proto::booking::v1::{Booking, BookingState, FailureReason};
use proto::expiry::v1::RunOnceRequest;
use system_tests::errors::{assert_error, describe, metadata, subjects};
use system_tests::system::{cancel, confirm, get, reserve};
use tonic::{Code, Status};

use crate::stage::{Bookings, Stage, assert_quiet, end_hold};

const ROUNDS: usize = 1_000;
/// How many rounds go on at once, each with a part of the show of its own.
const AT_ONCE: usize = 8;

/// How often each outcome was seen.
type Seen = BTreeMap<&'static str, usize>;

/// Runs the rounds, each on its own number; the outcomes.
async fn rounds<F>(round: impl Fn(usize) -> F) -> Seen
where
    F: Future<Output = &'static str>,
{
    let workers = (0..AT_ONCE).map(|worker| {
        let round = &round;
        async move {
            let mut seen = Vec::new();
            for number in (worker..ROUNDS).step_by(AT_ONCE) {
                seen.push(round(number).await);
            }
            seen
        }
    });
    let mut seen = Seen::new();
    for outcome in join_all(workers).await.concat() {
        *seen.entry(outcome).or_default() += 1;
    }
    seen
}

fn granted(outcome: Result<Booking, Status>) -> Booking {
    outcome.unwrap_or_else(|status| panic!("{}", describe(&status)))
}

fn refused_by_state(status: &Status, state: &str) {
    assert_error(status, Code::FailedPrecondition, "BOOKING_STATE");
    assert_eq!(metadata(status)["state"], state);
}

#[tokio::test]
async fn confirm_against_expiry() {
    let mut stage = Stage::with_workers(1).await;
    let show = stage.a_show(1_000).await;
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
    // How long a confirm takes here and now: whoever wins makes it harder for itself.
    let pace = AtomicU64::new(5_000);
    let paced = |percent: u64| {
        let change = |micros: u64| Some((micros * percent / 100).clamp(500, 1_000_000));
        let _ = pace.fetch_update(Ordering::Relaxed, Ordering::Relaxed, change);
    };
    let seen = rounds(async |number| {
        let mut client = stage.client();
        let label = format!("A-{}", number + 1);
        let held = granted(reserve(&mut client, &show, &[&label], "ann").await);
        // Before, during and after the confirm.
        let place = u64::try_from(number % 40).expect("small");
        let micros = pace.load(Ordering::Relaxed) * place / 20;
        let ends_in = Duration::from_micros(micros).as_secs_f64();
        end_hold(&stage.owner, &held.booking_id, ends_in).await;
        let outcome = confirm(&mut client, &held.booking_id).await;
        let now = granted(get(&mut client, &held.booking_id).await);
        match outcome {
            Ok(confirmed) => {
                assert_eq!(now, confirmed, "a confirm that was told is kept");
                paced(95);
                "confirmed"
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
    let last = stage
        .system
        .worker_client(0)
        .run_once(RunOnceRequest {})
        .await;
    last.expect("a sweep");
    assert!(
        seen.len() == 2 && seen.values().all(|n| *n >= 20),
        "{seen:?}"
    );
    let in_state = |state| format!("SELECT count(*) FROM booking.bookings WHERE state = '{state}'");
    let confirmed = stage.count(&in_state("CONFIRMED")).await;
    assert_eq!(usize::try_from(confirmed), Ok(seen["confirmed"]));
    let failed = stage.count(&in_state("FAILED")).await;
    assert_eq!(usize::try_from(failed), Ok(seen["expired"]));
    assert_quiet(&mut stage.system.workers[0]);
    stage.assert_sound().await;
}

#[tokio::test]
async fn confirm_against_cancel_in_two_processes() {
    let mut stage = Stage::start().await;
    let show = stage.a_show(1_000).await;
    let (mut process, other) = stage.another().await;
    let seen = rounds(async |number| {
        let (mut here, mut there) = swap(number, stage.client(), other.clone());
        let label = format!("A-{}", number + 1);
        let held = granted(reserve(&mut here, &show, &[&label], "ann").await);
        let (confirmed, cancelled) = tokio::join!(
            confirm(&mut here, &held.booking_id),
            cancel(&mut there, &held.booking_id),
        );
        // Both PENDING and CONFIRMED can be cancelled, so a cancel always succeeds.
        let cancelled = granted(cancelled);
        let now = granted(get(&mut here, &held.booking_id).await);
        assert_eq!(now, cancelled);
        match confirmed {
            Ok(confirmed) => {
                assert_eq!(confirmed.confirm_time, cancelled.confirm_time);
                assert_eq!(confirmed.state(), BookingState::Confirmed);
                "confirmed first"
            }
            Err(status) => {
                refused_by_state(&status, "CANCELLED");
                assert_eq!(cancelled.confirm_time, None);
                "cancelled first"
            }
        }
    })
    .await;
    assert!(
        seen.len() == 2 && seen.values().all(|n| *n >= 20),
        "{seen:?}"
    );
    let owned = "SELECT count(*) FROM booking.show_seats WHERE booking_id IS NOT NULL";
    assert_eq!(stage.count(owned).await, 0);
    assert_quiet(&mut process);
    stage.assert_sound().await;
}

#[tokio::test]
async fn two_reserves_in_opposite_orders_in_two_processes() {
    let mut stage = Stage::start().await;
    let show = stage.a_show(4_000).await;
    let (mut process, other) = stage.another().await;
    let seen = rounds(async |number| {
        let (mut here, mut there) = (stage.client(), other.clone());
        let seat = |n: usize| format!("A-{}", 4 * number + n);
        let [a, b, c, d] = [seat(1), seat(2), seat(3), seat(4)];
        // Two seats in common; each wants one more of its own.
        let (left, right) = ([&*a, &*b, &*c], [&*d, &*c, &*b]);
        let (one, two) = tokio::join!(
            reserve(&mut here, &show, &left, "ann"),
            reserve(&mut there, &show, &right, "bob"),
        );
        let (won, lost, outcome) = match (one, two) {
            (Ok(won), Err(lost)) => (won, lost, "here"),
            (Err(lost), Ok(won)) => (won, lost, "there"),
            both => panic!("not exactly one: {both:?}"),
        };
        assert_error(&lost, Code::FailedPrecondition, "SEATS_UNAVAILABLE");
        assert_eq!(subjects(&lost), [&*b, &*c], "the seats in common");
        assert_eq!(won.lines.len(), 3);
        outcome
    })
    .await;
    assert!(
        seen.len() == 2 && seen.values().all(|n| *n >= 20),
        "{seen:?}"
    );
    let owned = "SELECT count(*) FROM booking.show_seats WHERE booking_id IS NOT NULL";
    let wanted = i64::try_from(3 * ROUNDS).expect("small");
    assert_eq!(stage.count(owned).await, wanted);
    assert_quiet(&mut process);
    stage.assert_sound().await;
}

/// The two, or the other way round.
fn swap(number: usize, one: Bookings, other: Bookings) -> (Bookings, Bookings) {
    if number.is_multiple_of(2) {
        (one, other)
    } else {
        (other, one)
    }
}
