//! A rejection is a result: a replay is rejected the same way, even if the seats became free.

use std::fmt::Debug;
use std::time::Duration;

use booking_svc::domain::Rejection;
use booking_svc::store::RejectionLimits;
use proto::booking::v1::{
    Booking, CancelBookingRequest, ConfirmBookingRequest, ExtendHoldRequest, ReserveSeatsRequest,
    SwapSeatsRequest,
};
use test_harness::errors::{assert_error, describe, metadata, reason, subjects};
use test_harness::eventually;
use test_harness::system::{cancel, confirm, reservation};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;
use uuid::Uuid;

use crate::in_process::{InProcess, a_show, rejection};
use crate::stage::{Bookings, Stage, all_reserve, assert_quiet};

/// A service sweeps when it starts; this is for a busy machine.
const SWEPT_MAX: Duration = Duration::from_secs(10);

const REJECTIONS: &str = "SELECT count(*) FROM booking.rejections";

fn an_id() -> String {
    Uuid::new_v4().to_string()
}

fn with_id(show: &str, labels: &[&str]) -> ReserveSeatsRequest {
    ReserveSeatsRequest {
        request_id: an_id(),
        ..reservation(show, labels, "bob")
    }
}

/// An error without the call's own log id.
fn comparable(status: &Status) -> impl PartialEq + Debug + use<> {
    let mut info = metadata(status);
    info.remove("log_id");
    let details = status.get_error_details();
    let subjects = format!(
        "{:?} {:?}",
        details.precondition_failure(),
        details.quota_failure()
    );
    let message = status.message().to_owned();
    let mut info: Vec<_> = info.into_iter().collect();
    info.sort();
    (status.code(), reason(status), message, info, subjects)
}

fn refused<T: Debug>(outcome: Result<T, Status>) -> Status {
    outcome.expect_err("it is refused")
}

#[tokio::test]
async fn a_refused_reserve_is_refused_the_same_way_though_its_seats_are_free() {
    let mut stage = Stage::start().await;
    let show = stage.a_show(3).await;
    let (mut process, mut other) = stage.another().await;
    let mut client = stage.client();
    let taken = stage.buy(&show, &["A-1"]).await;
    let held = stage.reserve(&show, &["A-2"]).await;
    let request = with_id(&show, &["A-2", "A-1"]);
    let first = refused(client.reserve_seats(request.clone()).await);
    assert_error(&first, Code::FailedPrecondition, "SEATS_UNAVAILABLE");
    assert_eq!(subjects(&first), ["A-1", "A-2"]);
    cancel(&mut client, &taken.booking_id).await.expect("live");
    cancel(&mut client, &held.booking_id).await.expect("live");

    // By a replay here and by one at another replica, now that the seat is free.
    for client in [&mut client, &mut other] {
        let again = refused(client.reserve_seats(request.clone()).await);
        assert_eq!(comparable(&again), comparable(&first));
    }
    assert_eq!(stage.count(REJECTIONS).await, 1);

    let mut another_body = request.clone();
    another_body.seat_labels.pop();
    let reused = refused(client.reserve_seats(another_body).await);
    assert_error(&reused, Code::InvalidArgument, "REQUEST_ID_REUSED");
    let mut another_attempt = request.clone();
    another_attempt.request_id = an_id();
    let got = client.reserve_seats(another_attempt.clone()).await;
    assert!(got.is_ok(), "{got:?}");
    // Now it is taken by another customer, and the replay is still rejected as before.
    let again = refused(client.reserve_seats(request).await);
    assert_eq!(comparable(&again), comparable(&first));
    let copy = client.reserve_seats(another_attempt).await;
    assert!(copy.is_ok(), "{copy:?}");
    assert_quiet(&mut process);
    stage.assert_sound().await;
}

#[tokio::test]
async fn every_command_is_rejected_the_same_way_again() {
    let mut stage = Stage::start().await;
    let show = stage.a_show(9).await;
    let mut client = stage.client();
    let held = stage.reserve(&show, &["A-1", "A-2"]).await;
    let (booking_id, etag) = (held.booking_id.clone(), "v2".to_owned());
    let to_confirm = ConfirmBookingRequest {
        booking_id: booking_id.clone(),
        request_id: an_id(),
        etag: etag.clone(),
        ..Default::default()
    };
    let to_extend = ExtendHoldRequest {
        booking_id: booking_id.clone(),
        hold_duration: Some(Duration::from_secs(1_750).try_into().expect("short")),
        request_id: an_id(),
        ..Default::default()
    };
    let to_swap = SwapSeatsRequest {
        booking_id: booking_id.clone(),
        from_seat_labels: vec!["A-5".to_owned()],
        to_seat_labels: vec!["A-6".to_owned()],
        request_id: an_id(),
        ..Default::default()
    };
    let to_cancel = CancelBookingRequest {
        booking_id: booking_id.clone(),
        request_id: an_id(),
        seat_labels: vec!["A-5".to_owned()],
        ..Default::default()
    };
    stage.end_hold(&booking_id, Duration::from_secs(25)).await;
    let mut all = Vec::new();
    for _ in 0..2 {
        let rejections = [
            refused(client.confirm_booking(to_confirm.clone()).await),
            refused(client.extend_hold(to_extend.clone()).await),
            refused(client.swap_seats(to_swap.clone()).await),
            refused(client.cancel_booking(to_cancel.clone()).await),
        ];
        assert_error(&rejections[0], Code::Aborted, "ETAG_MISMATCH");
        assert_error(
            &rejections[1],
            Code::FailedPrecondition,
            "HOLD_LIFETIME_EXCEEDED",
        );
        assert_error(
            &rejections[2],
            Code::FailedPrecondition,
            "SEATS_NOT_IN_BOOKING",
        );
        assert_error(
            &rejections[3],
            Code::FailedPrecondition,
            "SEATS_NOT_IN_BOOKING",
        );
        all.push(rejections.map(|status| comparable(&status)));

        // The cause of each rejection is gone now; the booking's version is the one that was named.
        if all.len() == 1 {
            let swap = SwapSeatsRequest {
                from_seat_labels: vec!["A-2".to_owned()],
                to_seat_labels: vec!["A-5".to_owned()],
                request_id: an_id(),
                ..to_swap.clone()
            };
            let swapped = client.swap_seats(swap).await.expect("free seats");
            let booking = swapped.into_inner().booking.expect("a booking");
            assert_eq!(booking.etag, etag);
            let longer = "UPDATE booking.bookings SET created_at = clock_timestamp(),
                expires_at = clock_timestamp() + interval '100 s'";
            stage.run(longer).await;
        }
    }
    assert_eq!(all[0], all[1]);
    assert_eq!(stage.count(REJECTIONS).await, 4);
    let confirmed = confirm(&mut client, &booking_id).await;
    assert!(confirmed.is_ok(), "{confirmed:?}");
    stage.assert_sound().await;
}

#[tokio::test]
async fn errors_that_say_nothing_about_the_booking_are_decided_again() {
    let mut stage = Stage::start().await;
    let show = stage.a_show(3).await;
    let mut client = stage.client();
    let held = stage.reserve(&show, &["A-1"]).await;
    let call = client.reserve_seats(with_id(&show, &["Z-9"]));
    stage
        .refused(call, Code::InvalidArgument, "UNKNOWN_SEATS")
        .await;
    let mut unknown = held.booking_id.clone();
    unknown.replace_range(unknown.len() - 4.., "0000");
    let call = client.confirm_booking(ConfirmBookingRequest {
        booking_id: unknown,
        request_id: an_id(),
        ..Default::default()
    });
    stage
        .refused(call, Code::NotFound, "BOOKING_NOT_FOUND")
        .await;
    let mut under_none = reservation(&show, &["A-1"], "bob");
    under_none.request_id.clear();
    let call = client.reserve_seats(under_none);
    stage
        .refused(call, Code::FailedPrecondition, "SEATS_UNAVAILABLE")
        .await;
    assert_eq!(stage.count(REJECTIONS).await, 0);
    stage.assert_sound().await;
}

#[tokio::test]
async fn replays_at_once_have_one_outcome_while_the_seat_becomes_free() {
    const ROUNDS: usize = 12;
    let mut stage = Stage::start().await;
    let show = stage.a_show(12).await;
    let (mut process, other) = stage.another().await;
    let (mut granted, mut refused) = (0, 0);
    for round in 1..=ROUNDS {
        let label = format!("A-{round}");
        let owner = stage.reserve(&show, &[&label]).await;
        let request = with_id(&show, &[&label]);
        let clients = [vec![stage.client(); 4], vec![other.clone(); 4]].concat();
        let freeing = async {
            let mut client: Bookings = other.clone();
            cancel(&mut client, &owner.booking_id).await
        };
        let (outcomes, freed) = futures_util::join!(all_reserve(&clients, &request), freeing);
        assert!(freed.is_ok(), "{freed:?}");
        let later = all_reserve(&clients[3..5], &request).await;
        match one_outcome(outcomes.into_iter().chain(later)) {
            Ok(_) => granted += 1,
            Err(_) => refused += 1,
        }
    }
    assert_eq!(granted + refused, ROUNDS);
    assert_eq!(
        stage.count(REJECTIONS).await,
        i64::try_from(refused).expect("few")
    );
    assert_quiet(&mut process);
    stage.assert_sound().await;
}

/// Asserts that all were answered alike, and returns the answer.
fn one_outcome(outcomes: impl Iterator<Item = Result<Booking, Status>>) -> Result<Booking, Status> {
    let outcomes: Vec<_> = outcomes.collect();
    for outcome in &outcomes {
        match (outcome, &outcomes[0]) {
            (Ok(booking), Ok(first)) => assert_eq!(booking, first),
            (Err(status), Err(first)) => assert_eq!(comparable(status), comparable(first)),
            (Err(status), Ok(_)) | (Ok(_), Err(status)) => {
                panic!("granted, and refused: {}", describe(status))
            }
        }
    }
    outcomes.into_iter().next().expect("there are calls")
}

/// Beyond the limit they are answered, and a replay is decided again.
#[tokio::test]
async fn no_more_are_stored_than_the_limits_allow() {
    const STORED: usize = 5;
    let in_process = InProcess::that_stores(RejectionLimits {
        burst_max: 100,
        per_second: 100,
        per_day: 5,
    })
    .await;
    let snapshot = a_show(&["1", "2"], 1250);
    in_process.apply(&snapshot).await;
    let show = snapshot.show_id;
    let held = in_process.hold(show, &["1"]).await;
    let ids: Vec<_> = (0..2 * STORED).map(|_| Uuid::new_v4()).collect();
    for id in &ids {
        let outcome = in_process.reserve_as(show, &["1"], *id).await;
        assert!(matches!(
            rejection(outcome),
            Rejection::SeatsUnavailable(..)
        ));
    }
    let owner = in_process.database.owner().await;
    let stored = owner.query_one(REJECTIONS, &[]).await.expect("a count");
    assert_eq!(usize::try_from(stored.get::<_, i64>(0)), Ok(STORED));
    in_process.cancel(held.booking_id).await;
    let (stored, others) = ids.split_at(STORED);
    for id in stored {
        let outcome = in_process.reserve_as(show, &["1"], *id).await;
        assert!(matches!(
            rejection(outcome),
            Rejection::SeatsUnavailable(..)
        ));
    }
    let had = in_process.reserve_as(show, &["1"], others[0]).await;
    let had = had.unwrap_or_else(|error| panic!("{error}")).booking;
    // It is granted from now on, and no other rejection of it is stored.
    let again = in_process.reserve_as(show, &["1"], others[0]).await;
    assert_eq!(again.expect("granted").booking, had);
    test_harness::invariants::assert_hold(&in_process.database).await;
}

#[tokio::test]
async fn refusals_are_kept_for_a_day() {
    let mut stage = Stage::start().await;
    let show = stage.a_show(3).await;
    let mut client = stage.client();
    let taken = stage.buy(&show, &["A-1"]).await;
    let (old, young) = (with_id(&show, &["A-1"]), with_id(&show, &["A-1", "A-2"]));
    for request in [&old, &young] {
        refused(client.reserve_seats(request.clone()).await);
    }
    cancel(&mut client, &taken.booking_id).await.expect("live");
    let aged = format!(
        "UPDATE booking.rejections SET refused_at = refused_at - interval '23 hours 50 minutes';
         UPDATE booking.rejections SET refused_at = refused_at - interval '11 minutes'
         WHERE request_id = '{}';
         INSERT INTO booking.rejections
         SELECT show_id, gen_random_uuid(), 1, '{{}}', refused_at
         FROM booking.rejections, generate_series(1, 1700)
         WHERE request_id = '{}'",
        old.request_id, old.request_id
    );
    stage.run(&aged).await;
    // Two replicas sweep at once.
    let ((mut one, _), (mut other, _)) = futures_util::join!(stage.another(), stage.another());
    eventually(SWEPT_MAX, "old rejections are swept", async || {
        stage.count(REJECTIONS).await == 1
    })
    .await;
    let again = refused(client.reserve_seats(young).await);
    assert_error(&again, Code::FailedPrecondition, "SEATS_UNAVAILABLE");
    let again = client.reserve_seats(old).await;
    assert!(again.is_ok(), "{again:?}");
    assert_quiet(&mut one);
    assert_quiet(&mut other);
    stage.assert_sound().await;
}
