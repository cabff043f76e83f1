//! Expired holds with places, without a worker to fail them: their places are free.

use futures_util::future::join_all;
use proto::booking::v1::{BookingState, FailureReason};
use test_harness::errors::{assert_error, describe, metadata};
use tonic::Code;

use super::{cart, reserve, show_of};
use crate::stage::{Stage, assert_quiet};

/// Ends every hold of the database.
pub(crate) const END_ALL: &str = "
    UPDATE booking.bookings AS b
    SET created_at = b.created_at - moved.by, expires_at = b.expires_at - moved.by,
        places_held_until = b.places_held_until - moved.by
    FROM (
        SELECT booking_id, expires_at - clock_timestamp() + interval '1 s' AS by
        FROM booking.bookings WHERE state = 'PENDING'
    ) AS moved
    WHERE b.booking_id = moved.booking_id";

#[tokio::test]
async fn the_next_reserve_takes_the_places_of_an_ended_hold() {
    let mut stage = Stage::start().await;
    let show = stage.create(show_of(2, &[("Floor", 10), ("Pit", 2)])).await;
    let ended = stage
        .hold(&show, &["A-1"], &[("Floor", 6), ("Pit", 1)])
        .await;
    stage.hold(&show, &[], &[("Floor", 2)]).await;
    assert_eq!(stage.counts(&show).await, [(2, 8, 0), (1, 1, 0)]);
    stage.lapse(&ended.booking_id).await;
    assert_eq!(stage.counts(&show).await, [(8, 2, 0), (2, 0, 0)]);

    // Even that is not enough: nothing is written.
    let mut client = stage.client();
    let call = client.reserve_seats(cart(&show, &[], &[("Floor", 9)]));
    let status = stage
        .refused(call, Code::FailedPrecondition, "AREA_FULL")
        .await;
    assert_eq!(metadata(&status)["left"], "8");

    // An order that fits without the expired hold does not fail it.
    stage.hold(&show, &[], &[("Floor", 2)]).await;
    let failed = "SELECT count(*) FROM booking.bookings WHERE state = 'FAILED'";
    assert_eq!(stage.count(failed).await, 0);
    stage
        .hold(&show, &["A-1"], &[("Floor", 5), ("Pit", 2)])
        .await;
    let seen = stage.get(&ended.booking_id).await;
    assert_eq!(seen.state(), BookingState::Failed);
    assert_eq!(seen.failure_reason(), FailureReason::Expired);
    assert_eq!(seen.fail_time, seen.expire_time);
    assert_eq!(stage.count(failed).await, 1);
    assert_eq!(stage.counts(&show).await, [(1, 9, 0), (0, 2, 0)]);
    stage.assert_sound().await;
}

#[tokio::test]
async fn many_ended_holds_go_to_one_reserve() {
    let mut stage = Stage::start().await;
    let show = stage.create(show_of(0, &[("Floor", 60)])).await;
    for _ in 0..60 {
        stage.hold(&show, &[], &[("Floor", 1)]).await;
    }
    stage.run(END_ALL).await;
    stage.hold(&show, &[], &[("Floor", 60)]).await;
    assert_eq!(stage.counts(&show).await, [(0, 60, 0)]);
    stage.assert_sound().await;
}

#[tokio::test]
async fn many_reserves_at_once_share_ended_holds() {
    let mut stage = Stage::start().await;
    let (mut process, other) = stage.another().await;
    let show = stage.create(show_of(0, &[("Floor", 120)])).await;
    for _ in 0..40 {
        stage.hold(&show, &[], &[("Floor", 3)]).await;
    }
    stage.run(END_ALL).await;
    let calls = (0..121).map(|number| {
        let mut client = [stage.client(), other.clone()][number % 2].clone();
        let request = cart(&show, &[], &[("Floor", 1)]);
        async move { reserve(&mut client, request).await }
    });
    let outcomes = join_all(calls).await;
    let refused: Vec<_> = outcomes.iter().filter_map(|o| o.as_ref().err()).collect();
    assert_eq!(refused.len(), 1, "{}", describe(refused[0]));
    assert_error(refused[0], Code::FailedPrecondition, "AREA_FULL");
    assert_eq!(stage.counts(&show).await, [(0, 120, 0)]);
    assert_quiet(&mut process);
    stage.assert_sound().await;
}

#[tokio::test]
async fn an_ended_hold_behind_many_of_other_areas_is_found() {
    let mut stage = Stage::start().await;
    let show = stage
        .create(show_of(0, &[("Floor", 5), ("Pit", 400)]))
        .await;
    let calls = (0..300).map(|_| {
        let (mut client, request) = (stage.client(), cart(&show, &[], &[("Pit", 1)]));
        async move { reserve(&mut client, request).await }
    });
    for outcome in join_all(calls).await {
        outcome.unwrap_or_else(|status| panic!("{}", describe(&status)));
    }
    stage.run(END_ALL).await;
    let last = stage.hold(&show, &[], &[("Floor", 5)]).await;
    stage.lapse(&last.booking_id).await;
    stage.hold(&show, &[], &[("Floor", 5)]).await;
    assert_eq!(stage.counts(&show).await, [(0, 5, 0), (400, 0, 0)]);
    stage.assert_sound().await;
}
