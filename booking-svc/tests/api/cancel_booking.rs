//! CancelBooking.

use proto::booking::v1::{BookingState, CancelBookingRequest, CancelReason, SeatStatus};
use test_harness::errors::{describe, fields, metadata, subjects};
use test_harness::system::{cancel, confirm};
use tonic::Code;

use crate::stage::{Stage, text_of};

fn request(booking: &str) -> CancelBookingRequest {
    CancelBookingRequest {
        booking_id: booking.to_owned(),
        ..Default::default()
    }
}

#[tokio::test]
async fn it_frees_the_seats_of_a_hold_and_of_a_sale() {
    let mut stage = Stage::start().await;
    let show = stage.a_show(4).await;
    let held = stage.reserve(&show, &["A-1", "A-2"]).await;
    let bought = stage.buy(&show, &["A-3"]).await;
    let mut client = stage.client();
    for before in [held, bought] {
        let mut request = request(&before.booking_id);
        request.etag.clone_from(&before.etag);
        let response = client.cancel_booking(request).await.expect("live");
        let booking = response.into_inner().booking.expect("set");
        assert_eq!(booking.state(), BookingState::Cancelled);
        let order = [before.create_time, before.confirm_time, booking.cancel_time];
        let order: Vec<_> = order
            .iter()
            .flatten()
            .map(|t| (t.seconds, t.nanos))
            .collect();
        assert!(order.is_sorted(), "{order:?}");
        assert!(booking.cancel_time.is_some());
        assert_ne!(booking.etag, before.etag);
        assert_eq!(booking.cancel_reason(), CancelReason::Customer);
        let paid = before.confirm_time.and(before.total.clone());
        assert_eq!(booking.refund_due, paid, "the whole of what was paid");
        let mut rest = booking.clone();
        rest.state = before.state;
        rest.cancel_time = None;
        rest.cancel_reason = before.cancel_reason;
        rest.refund_due = None;
        rest.etag.clone_from(&before.etag);
        assert_eq!(rest, before, "nothing else has changed");
        assert_eq!(stage.get(&booking.booking_id).await, booking);
    }
    let free = stage.labels(&show, SeatStatus::Available).await;
    assert_eq!(free, ["A-1", "A-2", "A-3", "A-4"]);
    stage.reserve(&show, &["A-2", "A-3"]).await;
    stage.assert_sound().await;
}

#[tokio::test]
async fn a_malformed_request_is_refused() {
    type Spoil = fn(&mut CancelBookingRequest);
    let cases: [(Spoil, &[&str]); 4] = [
        (|r| r.booking_id.clear(), &["booking_id"]),
        (|r| r.request_id = "{}".to_owned(), &["request_id"]),
        (|r| r.etag = "v".to_owned(), &["etag"]),
        (|r| r.etag = "v99999999999".to_owned(), &["etag"]),
    ];
    let mut stage = Stage::start().await;
    let show = stage.a_show(3).await;
    let held = stage.reserve(&show, &["A-1"]).await;
    let mut client = stage.client();
    for (place, (spoil, wanted)) in cases.into_iter().enumerate() {
        let mut request = request(&held.booking_id);
        spoil(&mut request);
        let call = client.cancel_booking(request);
        let status = stage
            .refused(call, Code::InvalidArgument, "INVALID_FIELD")
            .await;
        assert_eq!(
            fields(&status),
            wanted,
            "case {place}: {}",
            describe(&status)
        );
    }
    stage.assert_sound().await;
}

#[tokio::test]
async fn a_booking_that_is_over_or_not_there_is_refused() {
    let mut stage = Stage::start().await;
    let show = stage.a_show(3).await;
    let mut client = stage.client();
    let known: model::ShowId = show.parse().expect("a show's id");
    let mut nobodies = vec![show.clone(), uuid::Uuid::new_v4().to_string()];
    for show in [known, model::ShowId::generate()] {
        nobodies.push(model::BookingId::generate(show).to_string());
    }
    for nobody in nobodies {
        let call = cancel(&mut client, &nobody);
        let status = stage
            .refused(call, Code::NotFound, "BOOKING_NOT_FOUND")
            .await;
        assert_eq!(metadata(&status)["booking_id"], nobody);
    }

    let held = stage.reserve(&show, &["A-1"]).await;
    let over = cancel(&mut client, &held.booking_id).await.expect("live");
    let call = cancel(&mut client, &over.booking_id);
    let status = stage
        .refused(call, Code::FailedPrecondition, "BOOKING_STATE")
        .await;
    assert_eq!(metadata(&status)["state"], "CANCELLED");
    let since = text_of(over.cancel_time.as_ref());
    assert_eq!(metadata(&status)["since_time"], since);
    assert_eq!(subjects(&status), [&*over.booking_id]);

    let lapsed = stage.reserve(&show, &["A-2"]).await;
    stage.lapse(&lapsed.booking_id).await;
    let lapsed = stage.get(&lapsed.booking_id).await;
    let call = cancel(&mut client, &lapsed.booking_id);
    let status = stage
        .refused(call, Code::FailedPrecondition, "HOLD_EXPIRED")
        .await;
    let ended = text_of(lapsed.expire_time.as_ref());
    assert_eq!(metadata(&status)["expire_time"], ended);
    stage.assert_sound().await;
}

#[tokio::test]
async fn an_etag_that_is_no_more_aborts() {
    let mut stage = Stage::start().await;
    let show = stage.a_show(3).await;
    let held = stage.reserve(&show, &["A-1"]).await;
    let mut client = stage.client();
    let confirmed = confirm(&mut client, &held.booking_id).await.expect("live");
    let mut stale = request(&held.booking_id);
    stale.etag = held.etag;
    let call = client.cancel_booking(stale);
    let status = stage.refused(call, Code::Aborted, "ETAG_MISMATCH").await;
    assert_eq!(metadata(&status)["etag"], confirmed.etag);
    let mut fresh = request(&held.booking_id);
    fresh.etag = confirmed.etag;
    assert!(client.cancel_booking(fresh).await.is_ok());
    stage.assert_sound().await;
}

#[tokio::test]
async fn a_part_of_a_booking_is_cancelled_and_the_rest_is_kept() {
    let mut stage = Stage::start().await;
    let show = stage.a_show(6).await;
    let held = stage.reserve(&show, &["A-1", "A-2", "A-3"]).await;
    let bought = stage.buy(&show, &["A-4", "A-5"]).await;
    let mut client = stage.client();
    let mut some = request(&held.booking_id);
    some.seat_labels = vec!["A-3".to_owned(), "A-1".to_owned()];
    some.request_id = uuid::Uuid::new_v4().to_string();
    let response = client.cancel_booking(some.clone()).await.expect("its own");
    let rest = response.into_inner().booking.expect("set");
    assert_eq!(rest.state(), BookingState::Pending);
    let labels: Vec<_> = rest.lines.iter().map(|line| &*line.seat_label).collect();
    assert_eq!((labels, rest.refund_due.clone()), (vec!["A-2"], None));
    assert_eq!(rest.total.as_ref().expect("set").minor_units, 1_250);

    let mut one = request(&bought.booking_id);
    one.seat_labels = vec!["A-5".to_owned()];
    let response = client.cancel_booking(one.clone()).await.expect("its own");
    let paid = response.into_inner().booking.expect("set");
    assert_eq!(paid.state(), BookingState::Confirmed);
    assert_eq!(paid.refund_due.expect("due").minor_units, 1_250);
    let call = async { client.cancel_booking(one).await };
    let status = stage
        .refused(call, Code::FailedPrecondition, "SEATS_NOT_IN_BOOKING")
        .await;
    assert_eq!(subjects(&status), ["A-5"]);

    // Cancelling all that is left is a whole cancel.
    let mut last = request(&held.booking_id);
    last.seat_labels = vec!["A-2".to_owned()];
    let response = stage.client().cancel_booking(last).await.expect("its own");
    let over = response.into_inner().booking.expect("set");
    assert_eq!(over.state(), BookingState::Cancelled);
    let copy = stage.client().cancel_booking(some).await.expect("a copy");
    assert_eq!(copy.into_inner().booking, Some(rest));
    let whole = cancel(&mut stage.client(), &bought.booking_id).await;
    let refund = whole.expect("live").refund_due.expect("due").minor_units;
    assert_eq!(refund, 2_500, "all that was paid");
    let free = stage.labels(&show, SeatStatus::Available).await;
    assert_eq!(free.len(), 6);
    stage.assert_sound().await;
}
