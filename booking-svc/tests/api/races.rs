//! Two commands at once for the same booking or the same seats: a thousand rounds each, few at a
//! time. Whatever the order, the outcome is a legal one, and the seats agree with it.

mod bodies;
mod copies;
mod expiry;
mod parts;

use std::collections::BTreeMap;

use futures_util::future::join_all;
use proto::booking::v1::{Booking, BookingState};
use test_harness::errors::{assert_error, describe, metadata, subjects};
use test_harness::system::{cancel, confirm, get, reserve};
use tonic::{Code, Status};

use crate::stage::{Bookings, Stage, assert_quiet};

const ROUNDS: usize = 1_000;
/// How often each outcome must be seen.
const SEEN_MIN: usize = 20;
/// How many rounds run at once, each with its own part of the show.
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

/// A race of which one outcome is never seen shows nothing.
fn assert_both(seen: &Seen) {
    assert!(
        seen.len() == 2 && seen.values().all(|n| *n >= SEEN_MIN),
        "{seen:?}"
    );
}

fn granted(outcome: Result<Booking, Status>) -> Booking {
    outcome.unwrap_or_else(|status| panic!("{}", describe(&status)))
}

fn refused_by_state(status: &Status, state: &str) {
    assert_error(status, Code::FailedPrecondition, "BOOKING_STATE");
    assert_eq!(metadata(status)["state"], state);
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
        let confirming = confirm(&mut here, &held.booking_id);
        let cancelling = cancel(&mut there, &held.booking_id);
        let (confirmed, cancelled) = in_turns(number / 2, confirming, cancelling).await;
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
    assert_both(&seen);
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
        // Two seats in common; each wants one more.
        let (left, right) = ([&*a, &*b, &*c], [&*d, &*c, &*b]);
        let one = reserve(&mut here, &show, &left, "ann");
        let two = reserve(&mut there, &show, &right, "bob");
        let (one, two) = in_turns(number, one, two).await;
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
    assert_both(&seen);
    let owned = "SELECT count(*) FROM booking.show_seats WHERE booking_id IS NOT NULL";
    let wanted = i64::try_from(3 * ROUNDS).expect("small");
    assert_eq!(stage.count(owned).await, wanted);
    assert_quiet(&mut process);
    stage.assert_sound().await;
}

/// The outcomes of two concurrent calls, which take turns in being sent first.
async fn in_turns<A, B>(
    number: usize,
    one: impl Future<Output = A>,
    other: impl Future<Output = B>,
) -> (A, B) {
    if number.is_multiple_of(2) {
        futures_util::join!(one, other)
    } else {
        let (other, one) = futures_util::join!(other, one);
        (one, other)
    }
}

/// The two, or the other way round.
fn swap(number: usize, one: Bookings, other: Bookings) -> (Bookings, Bookings) {
    if number.is_multiple_of(2) {
        (one, other)
    } else {
        (other, one)
    }
}
