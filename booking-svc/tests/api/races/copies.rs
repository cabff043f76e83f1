//! Of every verb: two copies of a call and a call with another body, all under one request id, in
//! two processes. Either the copies are one change and the other call is refused, or the other
//! way round.

use std::collections::BTreeSet;

use proto::booking::v1::Booking;
use proto::booking::v1::reserve_seats_request::Customer;
use test_harness::errors::assert_error;
use test_harness::system::{get, reserve};
use tonic::{Code, Status};
use uuid::Uuid;

use super::{ROUNDS, assert_both, granted, rounds, swap};
use crate::model::ask::{Ask, Paid, Reserve};
use crate::model::show::Lot;
use crate::stage::{Bookings, Stage, assert_quiet};

/// The number of seats of each round.
const SEATS: usize = 4;

/// Two bodies of a call: about a booking of the first two of these seats, if it is about one.
type Bodies = fn(&Booking, [&str; SEATS]) -> [Ask; 2];

fn set(label: &str) -> BTreeSet<String> {
    [label.to_owned()].into()
}

fn seats(seats: BTreeSet<String>) -> Lot {
    Lot { seats, places: 0 }
}

pub(super) fn reserves(seat: &str, confirm: bool) -> Ask {
    Ask::Reserve(Reserve {
        wanted: seats(set(seat)),
        customer: Some(Customer::CustomerId("ann".to_owned())),
        confirm,
        ..Reserve::default()
    })
}

pub(super) fn confirms(held: &Booking, reference: &str) -> Ask {
    Ask::Confirm {
        booking: held.booking_id.clone(),
        etag: String::new(),
        paid: Paid::Elsewhere(reference.to_owned()),
    }
}

fn cancels(held: &Booking, labels: BTreeSet<String>) -> Ask {
    Ask::Cancel {
        booking: held.booking_id.clone(),
        etag: String::new(),
        given: seats(labels),
    }
}

fn extends(held: &Booking, hold_seconds: i64) -> Ask {
    Ask::Extend {
        booking: held.booking_id.clone(),
        etag: String::new(),
        hold_seconds,
    }
}

fn swaps(held: &Booking, from: &str, to: &str) -> Ask {
    Ask::Swap {
        booking: held.booking_id.clone(),
        etag: String::new(),
        from: set(from),
        to: set(to),
    }
}

const VERBS: [(&str, Bodies); 7] = [
    ("RESERVE", |_, [.., c, d]| {
        [c, d].map(|seat| reserves(seat, false))
    }),
    ("SELL", |_, [.., c, d]| {
        [c, d].map(|seat| reserves(seat, true))
    }),
    ("CONFIRM", |held, _| {
        ["", "paid"].map(|reference| confirms(held, reference))
    }),
    ("CANCEL", |held, [a, b, ..]| {
        [BTreeSet::new(), set(a).union(&set(b)).cloned().collect()].map(|all| cancels(held, all))
    }),
    ("RELEASE", |held, [a, b, ..]| {
        [a, b].map(|seat| cancels(held, set(seat)))
    }),
    ("EXTEND", |held, _| {
        [600, 700].map(|seconds| extends(held, seconds))
    }),
    ("SWAP", |held, [a, _, c, d]| {
        [c, d].map(|to| swaps(held, a, to))
    }),
];

/// One round: who was first.
async fn round(
    (here, there): (&mut Bookings, &mut Bookings),
    show: &str,
    number: usize,
    bodies: Bodies,
) -> &'static str {
    let seats: [String; SEATS] = [1, 2, 3, 4].map(|seat| format!("A-{}", SEATS * number + seat));
    let seats = [&*seats[0], &*seats[1], &*seats[2], &*seats[3]];
    let held = granted(reserve(here, show, &seats[..2], "ann").await);
    let [body, another] = bodies(&held, seats);
    let id = Some(Uuid::new_v4());
    let mut here_too = here.clone();
    // They take turns in being sent first, and the replicas in getting two of them.
    let (one, two, other) = if number % 4 < 2 {
        futures_util::join!(
            body.send(here, show, id),
            body.send(there, show, id),
            another.send(&mut here_too, show, id),
        )
    } else {
        let (other, one, two) = futures_util::join!(
            another.send(&mut here_too, show, id),
            body.send(here, show, id),
            body.send(there, show, id),
        );
        (one, two, other)
    };
    let reused = |status: &Status| assert_error(status, Code::InvalidArgument, "REQUEST_ID_REUSED");
    let (done, outcome) = match (one, two, other) {
        (Ok(one), Ok(two), Err(refused)) => {
            reused(&refused);
            assert_eq!(one, two, "copies get one answer");
            (one, "the copies")
        }
        (Err(one), Err(two), Ok(other)) => {
            reused(&one);
            reused(&two);
            (other, "the other")
        }
        all => panic!("neither the copies nor the other: {all:?}"),
    };
    assert_eq!(granted(get(here, &done.booking_id).await), done);
    outcome
}

#[tokio::test]
async fn replays_and_another_body_of_every_command() {
    let mut stage = Stage::start().await;
    let (mut process, other) = stage.another().await;
    for (verb, bodies) in VERBS {
        let seats = i32::try_from(SEATS * ROUNDS).expect("small");
        let show = stage.a_show(seats).await;
        let seen = rounds(async |number| {
            let (mut here, mut there) = swap(number, stage.client(), other.clone());
            round((&mut here, &mut there), &show, number, bodies).await
        })
        .await;
        assert_both(&seen);
        let changes = format!(
            "SELECT count(*) FROM booking.transitions WHERE show_id = '{show}' AND verb = '{verb}'"
        );
        let held = if verb == "RESERVE" { ROUNDS } else { 0 };
        let changed = stage.count(&changes).await;
        assert_eq!(usize::try_from(changed), Ok(ROUNDS + held), "{verb}");
    }
    assert_quiet(&mut process);
    stage.assert_sound().await;
}
