//! Request ids: a mutation can be repeated, at once or later, and is done once.

use futures_util::future::join_all;
use proto::booking::v1::reserve_seats_request::Customer;
use proto::booking::v1::{
    Booking, BookingState, CancelBookingRequest, ConfirmBookingRequest, ReserveSeatsRequest,
};
use test_harness::errors::{describe, fields};
use test_harness::system::{confirm, reservation};
use tonic::{Code, Status};
use uuid::Uuid;

use crate::stage::{Bookings, Stage, all_reserve};

fn with_id(mut request: ReserveSeatsRequest) -> ReserveSeatsRequest {
    request.request_id = Uuid::new_v4().to_string();
    request
}

fn to_confirm(booking: &str) -> ConfirmBookingRequest {
    ConfirmBookingRequest {
        booking_id: booking.to_owned(),
        request_id: Uuid::new_v4().to_string(),
        ..Default::default()
    }
}

fn to_cancel(booking: &str) -> CancelBookingRequest {
    CancelBookingRequest {
        booking_id: booking.to_owned(),
        request_id: Uuid::new_v4().to_string(),
        ..Default::default()
    }
}

async fn all_confirm(
    clients: &[Bookings],
    request: &ConfirmBookingRequest,
) -> Vec<Result<Booking, Status>> {
    let calls = clients.iter().map(|client| {
        let (mut client, request) = (client.clone(), request.clone());
        async move {
            let response = client.confirm_booking(request).await?.into_inner();
            Ok(response.booking.expect("the answer has the booking"))
        }
    });
    join_all(calls).await
}

async fn all_cancel(
    clients: &[Bookings],
    request: &CancelBookingRequest,
) -> Vec<Result<Booking, Status>> {
    let calls = clients.iter().map(|client| {
        let (mut client, request) = (client.clone(), request.clone());
        async move {
            let response = client.cancel_booking(request).await?.into_inner();
            Ok(response.booking.expect("the answer has the booking"))
        }
    });
    join_all(calls).await
}

/// Asserts that all were answered alike, and returns the answer.
fn one_answer(outcomes: Vec<Result<Booking, Status>>) -> Booking {
    let mut answers = outcomes
        .into_iter()
        .map(|outcome| outcome.unwrap_or_else(|status| panic!("{}", describe(&status))));
    let first = answers.next().expect("there are calls");
    assert!(answers.all(|answer| answer == first), "not all alike");
    first
}

#[tokio::test]
async fn a_repeated_reserve_gets_the_first_result_after_later_changes() {
    let mut stage = Stage::start().await;
    let show = stage.a_show(3).await;
    let client = [stage.client()];
    let mut request = with_id(reservation(&show, &["A-1", "A-2"], ""));
    request.customer = Some(Customer::Email("Ann@example.org".to_owned()));
    let first = one_answer(all_reserve(&client, &request).await);
    let digest = stage.digest().await;
    assert_eq!(one_answer(all_reserve(&client, &request).await), first);
    // Seats have no order, nor have letters of an address a case.
    let mut same = request.clone();
    same.seat_labels.reverse();
    same.customer = Some(Customer::Email("ann@EXAMPLE.org".to_owned()));
    same.request_id = same.request_id.to_uppercase();
    assert_eq!(one_answer(all_reserve(&client, &same).await), first);
    assert_eq!(stage.digest().await, digest, "nothing was written again");

    // The booking changes; the first call's result stays the same.
    let confirming = to_confirm(&first.booking_id);
    let confirmed = one_answer(all_confirm(&client, &confirming).await);
    assert_eq!(one_answer(all_reserve(&client, &request).await), first);
    let cancelling = to_cancel(&first.booking_id);
    let cancelled = one_answer(all_cancel(&client, &cancelling).await);
    let digest = stage.digest().await;
    assert_eq!(one_answer(all_reserve(&client, &request).await), first);
    let again = one_answer(all_confirm(&client, &confirming).await);
    assert_eq!(again, confirmed);
    let again = one_answer(all_cancel(&client, &cancelling).await);
    assert_eq!(again, cancelled);
    assert_eq!(stage.digest().await, digest);
    assert_eq!(stage.get(&first.booking_id).await, cancelled);

    // Its seats were sold again, and the show cancelled: the answer is still the first.
    stage.buy(&show, &["A-1"]).await;
    stage.cancel_show(&show).await;
    stage.follow_feed().await;
    assert_eq!(one_answer(all_reserve(&client, &request).await), first);
    stage.assert_sound().await;
}

#[tokio::test]
async fn a_repeated_call_after_the_hold_lapsed_gets_the_first_result_too() {
    let mut stage = Stage::start().await;
    let show = stage.a_show(3).await;
    let client = [stage.client()];
    let request = with_id(reservation(&show, &["A-1"], "ann"));
    let first = one_answer(all_reserve(&client, &request).await);
    let shifted = "UPDATE booking.bookings SET state = 'FAILED', failure_reason = 'EXPIRED',
             failed_at = expires_at, version = 2;
         UPDATE booking.show_seats SET booking_id = NULL;
         INSERT INTO booking.transitions (show_id, booking_id, version, verb, from_state,
             to_state, made_at, actor, request_id, fingerprint)
         SELECT show_id, booking_id, 2, 'EXPIRE', 'PENDING', 'FAILED', expires_at, 'test',
             gen_random_uuid(), 0 FROM booking.bookings";
    stage.run(shifted).await;
    let now = stage.get(&first.booking_id).await;
    assert_eq!(now.state(), BookingState::Failed);
    let again = one_answer(all_reserve(&client, &request).await);
    assert_eq!(again, first);
    assert_eq!(again.state(), BookingState::Pending);
    stage.assert_sound().await;
}

#[tokio::test]
async fn an_id_that_was_used_for_another_body_is_refused() {
    type Change = fn(&mut ReserveSeatsRequest);
    let changes: [Change; 5] = [
        |r| r.seat_labels = vec!["A-2".to_owned()],
        |r| r.seat_labels.push("A-3".to_owned()),
        |r| r.customer = Some(Customer::CustomerId("bob".to_owned())),
        |r| r.customer = Some(Customer::Email("ann".to_owned() + "@b.org")),
        |r| {
            r.hold_duration = Some(prost_types::Duration {
                seconds: 120,
                nanos: 0,
            });
        },
    ];
    let mut stage = Stage::start().await;
    let show = stage.a_show(3).await;
    let mut client = stage.client();
    let request = with_id(reservation(&show, &["A-1"], "ann"));
    let held = one_answer(all_reserve(&[client.clone()], &request).await);
    // A customer already, so that nothing is written for the address.
    let mut elsewhere = reservation(&stage.a_show(1).await, &["A-1"], "");
    elsewhere.customer = Some(Customer::Email("ann@b.org".to_owned()));
    one_answer(all_reserve(&[client.clone()], &elsewhere).await);
    let reused = (Code::InvalidArgument, "REQUEST_ID_REUSED");
    for (place, change) in changes.into_iter().enumerate() {
        let mut other = request.clone();
        change(&mut other);
        let call = client.reserve_seats(other);
        let status = stage.refused(call, reused.0, reused.1).await;
        assert_eq!(fields(&status), ["request_id"], "case {place}");
    }

    let mut confirming = to_confirm(&held.booking_id);
    confirming.request_id.clone_from(&request.request_id);
    let call = client.confirm_booking(confirming);
    stage.refused(call, reused.0, reused.1).await;
    let mut cancelling = to_cancel(&held.booking_id);
    cancelling.request_id.clone_from(&request.request_id);
    let call = client.cancel_booking(cancelling);
    stage.refused(call, reused.0, reused.1).await;

    // The same command with another etag is another body, and so is another booking.
    let confirming = to_confirm(&held.booking_id);
    one_answer(all_confirm(&[client.clone()], &confirming).await);
    let mut other = confirming.clone();
    other.etag = "v1".to_owned();
    let call = client.confirm_booking(other);
    stage.refused(call, reused.0, reused.1).await;
    let mut other = confirming;
    other.booking_id = stage.reserve(&show, &["A-2"]).await.booking_id;
    let call = client.confirm_booking(other);
    stage.refused(call, reused.0, reused.1).await;

    // On another show the id is another one.
    let mut elsewhere = request;
    elsewhere.show_id = stage.a_show(3).await;
    one_answer(all_reserve(&[client], &elsewhere).await);
    stage.assert_sound().await;
}

#[tokio::test]
async fn twenty_replays_at_once_make_one_booking_in_one_process_and_in_two() {
    let mut stage = Stage::start().await;
    let show = stage.a_show(20).await;
    let (mut process, other) = stage.another().await;
    let one = vec![stage.client(); 20];
    let two = [vec![stage.client(); 10], vec![other; 10]].concat();
    let mut bookings = 0;
    for round in 0..8 {
        let clients = if round % 2 == 0 { &one } else { &two };
        let (left, right) = (
            format!("A-{}", 2 * round + 1),
            format!("A-{}", 2 * round + 2),
        );
        let request = with_id(reservation(&show, &[&left, &right], "ann"));
        let held = one_answer(all_reserve(clients, &request).await);
        bookings += 1;
        let count = "SELECT count(*) FROM booking.bookings";
        assert_eq!(stage.count(count).await, bookings);
        let confirmed = one_answer(all_confirm(clients, &to_confirm(&held.booking_id)).await);
        assert_eq!(confirmed.state(), BookingState::Confirmed);
        let cancelled = one_answer(all_cancel(clients, &to_cancel(&held.booking_id)).await);
        assert_eq!(cancelled.state(), BookingState::Cancelled);
        assert_eq!(stage.get(&held.booking_id).await, cancelled);
    }
    let steps = "SELECT count(*) FROM booking.transitions";
    assert_eq!(stage.count(steps).await, 3 * bookings);
    crate::stage::assert_quiet(&mut process);
    stage.assert_sound().await;
}

#[tokio::test]
async fn two_bodies_under_one_request_id_at_once_make_one_booking() {
    let mut stage = Stage::start().await;
    let show = stage.a_show(20).await;
    let (mut process, other) = stage.another().await;
    for round in 1..=10 {
        let left = with_id(reservation(&show, &[&format!("A-{round}")], "ann"));
        let mut right = reservation(&show, &[&format!("A-{}", round + 10)], "ann");
        right.request_id.clone_from(&left.request_id);
        let (mut here, mut there) = (stage.client(), other.clone());
        let (left, right) =
            futures_util::join!(here.reserve_seats(left), there.reserve_seats(right));
        let refused = match (left, right) {
            (Ok(_), Err(refused)) | (Err(refused), Ok(_)) => refused,
            both => panic!("not exactly one: {both:?}"),
        };
        let reused = (Code::InvalidArgument, "REQUEST_ID_REUSED");
        test_harness::errors::assert_error(&refused, reused.0, reused.1);
    }
    assert_eq!(
        stage.count("SELECT count(*) FROM booking.bookings").await,
        10
    );
    crate::stage::assert_quiet(&mut process);
    stage.assert_sound().await;
}

#[tokio::test]
async fn without_an_id_each_call_stands_for_itself() {
    let mut stage = Stage::start().await;
    let show = stage.a_show(3).await;
    let mut client = stage.client();
    let held = stage.reserve(&show, &["A-1"]).await;
    let (first, second) = (confirm(&mut client, &held.booking_id).await, {
        let call = confirm(&mut client, &held.booking_id);
        stage
            .refused(call, Code::FailedPrecondition, "BOOKING_STATE")
            .await
    });
    assert!(first.is_ok(), "{first:?} {second:?}");
    stage.assert_sound().await;
}
