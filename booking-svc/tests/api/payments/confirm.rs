//! Each way that a payment can go while its call waits.

use std::time::Duration;

use futures_util::future::join_all;
use proto::booking::v1::{
    Booking, BookingState, BookingVerb, CancelBookingRequest, ConfirmBookingRequest,
    ExtendHoldRequest, PaymentState, ReserveSeatsRequest, SeatStatus, SwapSeatsRequest,
};
use proto::payment::v1::PaymentState as ProviderState;
use service_kit::proto_convert;
use test_harness::errors::{assert_error, assert_refused, fields, metadata, subjects};
use test_harness::system::{confirm, reservation, reserve};
use test_harness::{eventually, machine};
use tonic::Code;
use uuid::Uuid;

use super::till::{SETTLED_MAX, Till, granted, paying, state};
use crate::stage::text_of;

const NOT_DONE: Code = Code::FailedPrecondition;

fn hold_left(booking: &Booking) -> Duration {
    let ends = proto_convert::instant(booking.expire_time.as_ref().expect("set")).expect("a time");
    let left = ends - time::OffsetDateTime::now_utc();
    Duration::try_from(left).unwrap_or_default()
}

#[tokio::test]
async fn an_approved_payment_confirms_and_a_replay_gets_the_same_reply() {
    // Time for several missing answers.
    let mut till = Till::with(&["--payment-timeout", "12s"]).await;
    let show = till.stage.a_show(3).await;
    let mut settled = Vec::new();
    // The worst that an answer can do: it gets lost after the money was held, and taken.
    for (seat, token) in [
        ("A-1", "approve"),
        ("A-2", "lost-answer"),
        ("A-3", "timeout"),
    ] {
        let held = till.stage.reserve(&show, &[seat]).await;
        let mut request = paying(&held.booking_id, token);
        request.etag.clone_from(&held.etag);
        let paid = granted(till.send(request.clone()).await);
        assert_eq!(paid.state(), BookingState::Confirmed, "{token}");
        assert_eq!(state(&paid), PaymentState::Captured);
        let payment = paid.payment.clone().expect("set");
        assert_eq!(payment.amount, held.total);
        assert_eq!(
            (payment.refunded_amount, payment.refund_due_amount),
            (None, None)
        );
        assert_eq!(
            till.books().await[&payment.payment_key],
            (ProviderState::Captured, 1250)
        );
        assert_eq!(granted(till.send(request.clone()).await), paid, "a copy");
        assert_eq!(till.stage.get(&held.booking_id).await, paid);
        let wanted = [BookingVerb::Reserve, BookingVerb::Pay, BookingVerb::Confirm];
        assert_eq!(till.commands(&held.booking_id).await, wanted);
        settled.push((request, paid));
    }
    assert_eq!(till.books().await.len(), 3);
    till.provider.kill9().await;
    for (request, paid) in settled {
        let copy = granted(till.send(request).await);
        assert_eq!(copy, paid, "nobody has to be asked");
    }
    assert_eq!(till.stage.labels(&show, SeatStatus::Booked).await.len(), 3);
    till.assert_sound().await;
}

#[tokio::test]
async fn a_payment_that_comes_to_nothing_leaves_the_hold_for_another_try() {
    let mut till = Till::with(&["--payment-timeout", "6s"]).await;
    let show = till.stage.a_show(1).await;
    let held = till.stage.reserve(&show, &["A-1"]).await;
    let began = machine::watch();
    let mut left = hold_left(&held);
    for (token, reason, provider_state) in [
        (
            "decline",
            "INSUFFICIENT_FUNDS",
            Some(ProviderState::Declined),
        ),
        ("decline-capture", "", Some(ProviderState::Declined)),
        ("slow:1h", "NOT_COMPLETED", Some(ProviderState::Voided)),
        ("nonsense", "NOT_COMPLETED", Some(ProviderState::Voided)),
        // Voided before it was ever asked for.
        (
            "no token of the provider",
            "NOT_COMPLETED",
            Some(ProviderState::Voided),
        ),
    ] {
        let request = paying(&held.booking_id, token);
        let outcome = till.send(request.clone()).await;
        let status = assert_refused(outcome, NOT_DONE, "PAYMENT_DECLINED");
        let about = metadata(&status);
        assert_eq!(about["booking_id"], held.booking_id);
        if !reason.is_empty() {
            assert_eq!(about["decline_reason"], reason, "{token}");
        }
        assert_eq!(subjects(&status), [&*held.booking_id]);
        let books = till.books().await;
        let payment = books.get(&about["payment_key"]).copied();
        assert_eq!(payment, provider_state.map(|state| (state, 0)), "{token}");

        let now = till.stage.get(&held.booking_id).await;
        assert_eq!(now.state(), BookingState::Pending);
        assert_eq!(state(&now), PaymentState::Declined);
        let payment = now.payment.clone().expect("set");
        assert_eq!(payment.decline_reason, about["decline_reason"]);
        assert_eq!(about["expire_time"], text_of(now.expire_time.as_ref()));
        // Nothing of the hold is lost but the time of this check.
        let since = hold_left(&now);
        assert!(
            since + Duration::from_secs(5) + machine::stalled(began) > left,
            "{since:?} of {left:?}"
        );
        left = since;

        let copy = assert_refused(till.send(request).await, NOT_DONE, "PAYMENT_DECLINED");
        assert_eq!(metadata(&copy)["payment_key"], about["payment_key"]);
        assert_eq!(till.books().await.len(), books.len(), "no second attempt");
    }
    let paid = granted(till.pay(&held.booking_id, "approve").await);
    assert_eq!(paid.state(), BookingState::Confirmed);
    let log = till.commands(&held.booking_id).await;
    assert_eq!(
        log[1..]
            .chunks(2)
            .filter(|pair| **pair == [BookingVerb::Pay, BookingVerb::Decline])
            .count(),
        5
    );
    let kept: i64 = till.books().await.values().map(|(_, kept)| kept).sum();
    assert_eq!(kept, 1250);
    assert_eq!(till.booking.ended(), None);
    test_harness::invariants::assert_hold(&till.stage.system.database).await;
    // A nonsensical answer is logged as a fault, once.
    let log = till.booking.log();
    let faults = log.lines().filter(|line| line.contains("answers nonsense"));
    assert_eq!(faults.count(), 1, "{log}");
}

#[tokio::test]
async fn other_commands_are_rejected_meanwhile_and_replays_wait_for_the_same_end() {
    let mut till = Till::open().await;
    let show = till.stage.a_show(3).await;
    let held = till.stage.reserve(&show, &["A-1", "A-2"]).await;
    let id = &held.booking_id;
    let request = paying(id, "approve");
    // It cannot answer before all of that has been tried.
    till.provider.freeze();
    let copies = join_all((0..4).map(|_| till.send(request.clone())));
    let meanwhile = async {
        till.started().await;
        let mut client = till.client.clone();
        let pending = "PAYMENT_PENDING";
        for other in [paying(id, "approve"), paying(id, "decline")] {
            assert_refused(till.send(other).await, NOT_DONE, pending);
        }
        let cancel = CancelBookingRequest {
            booking_id: id.clone(),
            ..Default::default()
        };
        let part = CancelBookingRequest {
            seat_labels: vec!["A-1".to_owned()],
            ..cancel.clone()
        };
        for request in [cancel, part] {
            assert_refused(client.cancel_booking(request).await, NOT_DONE, pending);
        }
        let extend = ExtendHoldRequest {
            booking_id: id.clone(),
            hold_duration: Some(Duration::from_secs(60).try_into().expect("a minute")),
            ..Default::default()
        };
        assert_refused(client.extend_hold(extend).await, NOT_DONE, pending);
        let swap = SwapSeatsRequest {
            booking_id: id.clone(),
            from_seat_labels: vec!["A-1".to_owned()],
            to_seat_labels: vec!["A-3".to_owned()],
            ..Default::default()
        };
        let status = assert_refused(client.swap_seats(swap).await, NOT_DONE, pending);
        assert_eq!(metadata(&status)["booking_id"], *id);
        let taken = reserve(&mut client, &show, &["A-2"], "bob").await;
        assert_error(&taken.expect_err("held"), NOT_DONE, "SEATS_UNAVAILABLE");
        let now = till.stage.get(id).await;
        assert_eq!(state(&now), PaymentState::Started);
        let shielded = hold_left(&now) + Duration::from_secs(8);
        assert!(shielded > hold_left(&held) + Duration::from_secs(10));
        till.provider.go_on();
    };
    let (paid, ()) = futures_util::join!(copies, meanwhile);
    let mut paid = paid.into_iter().map(granted);
    let first = paid.next().expect("four");
    assert_eq!(first.state(), BookingState::Confirmed);
    assert!(paid.all(|copy| copy == first));
    assert_eq!(till.only().await, (ProviderState::Captured, 2 * 1250));
    till.assert_sound().await;
}

#[tokio::test]
async fn a_payment_continues_after_its_caller_has_left() {
    let mut till = Till::open().await;
    let show = till.stage.a_show(1).await;
    let held = till.stage.reserve(&show, &["A-1"]).await;
    let request = paying(&held.booking_id, "slow:2s");
    let calling = tokio::spawn({
        let (mut client, request) = (till.client.clone(), request.clone());
        async move { client.confirm_booking(request).await }
    });
    // Before the provider is asked the caller may take it back.
    eventually(SETTLED_MAX, "the provider is asked", async || {
        !till.books().await.is_empty()
    })
    .await;
    calling.abort();
    let paid = till.settled(&held.booking_id, PaymentState::Captured).await;
    assert_eq!(paid.state(), BookingState::Confirmed);
    assert_eq!(granted(till.send(request).await), paid);
    till.assert_sound().await;
}

#[tokio::test]
async fn confirms_with_and_without_payment_follow_the_settings() {
    let mut till = Till::open().await;
    let show = till.stage.a_show(4).await;
    let held = till.stage.reserve(&show, &["A-1"]).await;
    let id = &held.booking_id;
    // Without a provider nothing is paid, and all else is as ever.
    let mut other = till.stage.client();
    let outcome = other.confirm_booking(paying(id, "approve")).await;
    let status = assert_refused(outcome, NOT_DONE, "PAYMENT_NOT_OFFERED");
    assert_eq!(subjects(&status), ["payment_token"]);
    // With one nothing is confirmed unpaid,
    let unpaid = confirm(&mut till.client.clone(), id).await;
    let status = assert_refused(unpaid, NOT_DONE, "PAYMENT_REQUIRED");
    assert_eq!(metadata(&status)["booking_id"], *id);
    let elsewhere = ConfirmBookingRequest {
        payment_token: String::new(),
        payment_reference: "till 4".to_owned(),
        ..paying(id, "")
    };
    let outcome = till.send(elsewhere.clone()).await;
    assert_refused(outcome, NOT_DONE, "PAYMENT_REQUIRED");
    let mut at_once = reservation(&show, &["A-2"], "bob");
    at_once.confirm = true;
    let outcome = till.client.clone().reserve_seats(at_once.clone()).await;
    let status = assert_refused(outcome, NOT_DONE, "PAYMENT_REQUIRED");
    assert_eq!(subjects(&status), ["confirm"]);
    // unless a flag allows it.
    let url = till.provider.url();
    let arguments = ["--payment-provider", &url, "--confirm-unpaid", "true"];
    let (_both, mut both) = till.stage.another_with(&arguments).await;
    let sold = both.reserve_seats(at_once).await;
    sold.expect("sold without a hold");
    let confirmed = both.confirm_booking(elsewhere).await.expect("live");
    let confirmed = confirmed.into_inner().booking.expect("set");
    assert_eq!(
        (confirmed.payment, &*confirmed.payment_reference),
        (None, "till 4")
    );
    let held = till.stage.reserve(&show, &["A-3"]).await;
    let paid = both
        .confirm_booking(paying(&held.booking_id, "approve"))
        .await;
    let paid = paid.expect("paid here").into_inner().booking.expect("set");
    assert_eq!(state(&paid), PaymentState::Captured);

    let held = till.stage.reserve(&show, &["A-4"]).await;
    let mut wrong = paying(&held.booking_id, &"x".repeat(1_025));
    wrong.payment_reference = "till 4".to_owned();
    let status = assert_refused(
        till.send(wrong).await,
        Code::InvalidArgument,
        "INVALID_FIELD",
    );
    assert_eq!(fields(&status), ["payment_token", "payment_token"]);
    let mut stale = paying(&held.booking_id, "approve");
    stale.etag = "v7".to_owned();
    assert_refused(till.send(stale).await, Code::Aborted, "ETAG_MISMATCH");
    let mut request = paying(&held.booking_id, "decline");
    assert_refused(
        till.send(request.clone()).await,
        NOT_DONE,
        "PAYMENT_DECLINED",
    );
    request.payment_token = "approve".to_owned();
    let reused = till.send(request).await;
    assert_refused(reused, Code::InvalidArgument, "REQUEST_ID_REUSED");
    till.assert_sound().await;
}

#[tokio::test]
async fn what_costs_nothing_is_not_paid() {
    let mut till = Till::open().await;
    let mut show = test_harness::system::show(2);
    show.seat_price.as_mut().expect("set").minor_units = 0;
    let show = till.stage.create(show).await;
    for (seat, token) in [("A-1", ""), ("A-2", "decline")] {
        let held = till.stage.reserve(&show, &[seat]).await;
        let request = paying(&held.booking_id, token);
        let confirmed = granted(till.send(request.clone()).await);
        assert_eq!(confirmed.state(), BookingState::Confirmed);
        assert_eq!(confirmed.payment, None);
        assert_eq!(granted(till.send(request).await), confirmed);
    }
    assert!(till.books().await.is_empty());
    till.assert_sound().await;
}

#[tokio::test]
async fn a_replay_of_the_reserve_has_the_current_payment() {
    let mut till = Till::open().await;
    let show = till.stage.a_show(1).await;
    let request = ReserveSeatsRequest {
        request_id: Uuid::new_v4().to_string(),
        ..reservation(&show, &["A-1"], "ann")
    };
    let mut client = till.client.clone();
    let held = client.reserve_seats(request.clone()).await;
    let held = held.expect("a free seat").into_inner().booking;
    let held = held.expect("the answer has the booking");
    let paid = granted(till.pay(&held.booking_id, "approve").await);
    let copy = client.reserve_seats(request).await;
    let copy = copy.expect("the same").into_inner().booking;
    let payment = paid.payment;
    assert_eq!(copy, Some(Booking { payment, ..held }));
    till.assert_sound().await;
}
