//! Two calls with different bodies under one request id, at once in two processes, on rows that
//! they do not share. One of them could be granted and the other not, or neither: the first has a
//! result like any other call, and the second is rejected for its id.

use proto::booking::v1::Booking;
use test_harness::errors::{assert_error, reason};
use test_harness::system::{cancel, get, reserve};
use tonic::{Code, Status};
use uuid::Uuid;

use super::copies::{confirms, reserves};
use super::{ROUNDS, SEEN_MIN, granted, rounds, swap};
use crate::model::ask::Ask;
use crate::stage::{Bookings, Stage, assert_quiet};

/// The seats of each round: two taken ones, and two free ones.
const SEATS: usize = 4;

/// Two bodies that are about a booking which was cancelled, or about seats.
type Bodies = fn(&Booking, [&str; SEATS]) -> [Ask; 2];

/// Two calls: their seats, their bodies, and the result of each if it is the first.
type Pair = ([&'static str; 2], Bodies, [Option<&'static str>; 2]);

const PAIRS: [Pair; 4] = [
    (
        [
            "a free seat, not a taken one",
            "a taken seat, not a free one",
        ],
        |_, [a, _, c, _]| [c, a].map(|seat| reserves(seat, false)),
        [None, Some("SEATS_UNAVAILABLE")],
    ),
    (
        ["a seat, not a booking", "a booking, not a seat"],
        |over, [.., c, _]| [reserves(c, true), confirms(over, "")],
        [None, Some("BOOKING_STATE")],
    ),
    (
        ["one taken seat", "the other taken seat"],
        |_, [a, b, ..]| [a, b].map(|seat| reserves(seat, false)),
        [Some("SEATS_UNAVAILABLE"); 2],
    ),
    (
        ["a taken seat, not a booking", "a booking, not a taken seat"],
        |over, [a, ..]| [reserves(a, false), confirms(over, "")],
        [Some("SEATS_UNAVAILABLE"), Some("BOOKING_STATE")],
    ),
];

/// The outcome: granted, or the reason.
fn outcome(answer: &Result<Booking, Status>) -> Option<String> {
    answer.as_ref().err().map(reason)
}

/// One round: whose call was first.
async fn round(
    (here, there): (&mut Bookings, &mut Bookings),
    show: &str,
    number: usize,
) -> &'static str {
    let (names, bodies, alones) = PAIRS[number / 4 % PAIRS.len()];
    let seats: [String; SEATS] = [1, 2, 3, 4].map(|seat| format!("A-{}", SEATS * number + seat));
    let seats = [&*seats[0], &*seats[1], &*seats[2], &*seats[3]];
    granted(reserve(here, show, &seats[..2], "bob").await);
    let over = granted(reserve(here, show, &seats[3..], "ann").await);
    granted(cancel(here, &over.booking_id).await);
    let [one, two] = bodies(&over, seats);
    let id = Some(Uuid::new_v4());
    // They take turns in being sent first.
    let (first, second) = if number % 4 < 2 {
        futures_util::join!(one.send(here, show, id), two.send(there, show, id))
    } else {
        let (second, first) =
            futures_util::join!(two.send(there, show, id), one.send(here, show, id));
        (first, second)
    };
    let results = [first, second];
    let winner = match results
        .each_ref()
        .map(outcome)
        .each_ref()
        .map(Option::as_deref)
    {
        [alone, Some("REQUEST_ID_REUSED")] if alone == alones[0] => 0,
        [Some("REQUEST_ID_REUSED"), alone] if alone == alones[1] => 1,
        both => panic!("not one of the two: {both:?}"),
    };
    if let Err(status) = &results[1 - winner] {
        assert_error(status, Code::InvalidArgument, "REQUEST_ID_REUSED");
    }
    // So it stays, at the other replica too.
    let again = [
        one.send(there, show, id).await,
        two.send(here, show, id).await,
    ];
    assert_eq!(
        again.each_ref().map(outcome),
        results.each_ref().map(outcome)
    );
    if let Ok(booking) = &results[winner] {
        assert_eq!(granted(get(there, &booking.booking_id).await), *booking);
    }
    names[winner]
}

#[tokio::test]
async fn two_bodies_under_one_request_id_of_which_one_or_both_are_rejected() {
    let mut stage = Stage::start().await;
    let (mut process, other) = stage.another().await;
    let seats = i32::try_from(SEATS * ROUNDS).expect("small");
    let show = stage.a_show(seats).await;
    let seen = rounds(async |number| {
        let (mut here, mut there) = swap(number, stage.client(), other.clone());
        round((&mut here, &mut there), &show, number).await
    })
    .await;
    let are_all_seen = seen.len() == 2 * PAIRS.len() && seen.values().all(|n| *n >= SEEN_MIN);
    assert!(are_all_seen, "{seen:?}");
    assert_quiet(&mut process);
    stage.assert_sound().await;
}
