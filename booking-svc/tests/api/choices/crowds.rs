//! Many concurrent parties.

use std::collections::BTreeSet;

use test_harness::errors::{describe, metadata, reason};
use tonic::Status;
use uuid::Uuid;

use super::{at_once, hall, labels, party, send, wanted};
use crate::stage::{Bookings, Stage, assert_quiet};

const PARTIES: usize = 100;

/// A hundred parties of four at once in a hall of 400; asserts that all get seats.
async fn all_are_seated(stage: &Stage, clients: &[Bookings]) {
    let show = stage.create(hall(20)).await;
    let outcomes = at_once(PARTIES, |number| {
        let client = clients[number % clients.len()].clone();
        let request = wanted(&show, &[], &[party(4)]);
        async move { send(&client, request).await }
    })
    .await;
    let mut seats = BTreeSet::new();
    for outcome in outcomes {
        let booking = outcome.unwrap_or_else(|status| panic!("{}", describe(&status)));
        let mut mine = labels(&booking);
        assert_eq!(mine.len(), 4, "{mine:?}");
        let row: BTreeSet<_> = mine.iter().map(|label| label.split('-').next()).collect();
        assert_eq!(row.len(), 1, "in one row: {mine:?}");
        seats.extend(mine.drain(..));
    }
    assert_eq!(seats.len(), 4 * PARTIES);
}

#[tokio::test]
async fn a_hundred_parties_at_once_fill_the_hall() {
    let mut stage = Stage::start().await;
    all_are_seated(&stage, &[stage.client()]).await;
    stage.assert_sound().await;
}

#[tokio::test]
async fn a_hundred_parties_at_two_replicas_fill_the_hall() {
    let mut stage = Stage::start().await;
    let (mut process, other) = stage.another().await;
    all_are_seated(&stage, &[stage.client(), other]).await;
    assert_quiet(&mut process);
    stage.assert_sound().await;
}

/// Takes seats until nothing is left, a party of one to six at a time, a seat of it by label now
/// and then; how many seats.
async fn fill(client: Bookings, show: String, number: usize) -> Result<usize, Status> {
    let mut taken = 0;
    let mut party_of = number % 6 + 1;
    for call in number.. {
        let label = format!("R{}-{}", call % 20 + 1, call * 7 % 20 + 1);
        let named = (call % 3 == 0).then_some(&*label);
        let named: Vec<&str> = named.into_iter().collect();
        let count = i32::try_from(party_of).expect("small");
        let booked = send(&client, wanted(&show, &named, &[party(count)])).await;
        match booked {
            Ok(booking) => {
                taken += booking.lines.len();
                party_of = call % 6 + 1;
            }
            Err(status) => match reason(&status).as_str() {
                "CHOICE_UNAVAILABLE" => {
                    let largest = &metadata(&status)["largest_party"];
                    let largest: usize = largest.parse().expect("a number");
                    assert!(largest < party_of, "{}", describe(&status));
                    if largest == 0 && named.is_empty() {
                        return Ok(taken);
                    }
                    party_of = largest.max(1);
                }
                "SEATS_UNAVAILABLE" if !named.is_empty() => {}
                _ => return Err(status),
            },
        }
    }
    Ok(taken)
}

#[tokio::test]
async fn parties_of_one_to_six_fill_the_hall_to_the_last_seat() {
    let mut stage = Stage::start().await;
    let (mut process, other) = stage.another().await;
    let show = stage.create(hall(20)).await;
    let clients = [stage.client(), other];
    let taken = at_once(24, |number| {
        fill(clients[number % 2].clone(), show.clone(), number)
    });
    let mut seats = 0;
    for taken in taken.await {
        seats += taken.unwrap_or_else(|status| panic!("{}", describe(&status)));
    }
    assert_eq!(seats, 400);
    assert_quiet(&mut process);
    stage.assert_sound().await;
}

#[tokio::test]
async fn copies_at_once_are_one_booking() {
    let mut stage = Stage::start().await;
    let (mut process, other) = stage.another().await;
    let show = stage.create(hall(2)).await;
    let clients = [stage.client(), other];
    for round in 0..10 {
        let mut request = wanted(&show, &[], &[party(3)]);
        request.request_id = Uuid::new_v4().to_string();
        let outcomes = at_once(8, |number| {
            let (client, request) = (clients[number % 2].clone(), request.clone());
            async move { send(&client, request).await }
        });
        let ids: BTreeSet<_> = outcomes
            .await
            .into_iter()
            .map(|outcome| match outcome {
                Ok(booking) => booking.booking_id,
                Err(status) => panic!("{}", describe(&status)),
            })
            .collect();
        assert_eq!(ids.len(), 1, "round {round}");
    }
    let bookings = "SELECT count(*) FROM booking.bookings";
    assert_eq!(stage.count(bookings).await, 10);
    assert_quiet(&mut process);
    stage.assert_sound().await;
}
