//! Money that is taken after the hold has ended.

use proto::booking::v1::{BookingState, BookingVerb, FailureReason, PaymentState};
use proto::catalog::v1::CreateShowRequest;
use proto::payment::v1::PaymentState as ProviderState;
use test_harness::errors::{assert_refused, metadata};
use tonic::{Code, Status};

use super::till::{Till, granted, paying, state};

/// Ends a hold that is being paid at once, its extension included.
async fn end_hold(till: &Till, booking: &str) {
    till.started().await;
    till.stage.lapse(booking).await;
}

/// Pays, and lets the provider answer once the hold has ended and `meanwhile` has run.
async fn pay_late(
    till: &Till,
    booking: &str,
    meanwhile: impl Future<Output = ()>,
) -> Result<proto::booking::v1::Booking, Status> {
    till.provider.freeze();
    let paying = till.send(paying(booking, "approve"));
    let ending = async {
        end_hold(till, booking).await;
        meanwhile.await;
        till.provider.go_on();
    };
    futures_util::join!(paying, ending).0
}

#[tokio::test]
async fn the_same_seats_come_back_at_the_frozen_price_if_they_are_free() {
    let mut till = Till::open().await;
    let show = till.stage.a_show(3).await;
    // With and without another holder in between.
    for is_taken in [false, true] {
        let held = till.stage.reserve(&show, &["A-1", "A-2"]).await;
        let paid = pay_late(&till, &held.booking_id, async {
            if is_taken {
                let other = till.stage.reserve(&show, &["A-2"]).await;
                till.stage.lapse(&other.booking_id).await;
            }
        });
        let paid = granted(paid.await);
        assert_eq!(paid.state(), BookingState::Confirmed);
        assert_eq!((paid.fail_time, &paid.lines), (None, &held.lines));
        assert_eq!(paid.refund_due, None);
        let now = till.stage.get(&held.booking_id).await;
        assert_eq!(now, paid);
        let log = till.commands(&held.booking_id).await;
        assert_eq!(log[2..], [BookingVerb::Expire, BookingVerb::Reinstate]);
        test_harness::invariants::assert_hold(&till.stage.system.database).await;
        test_harness::system::cancel(&mut till.client.clone(), &held.booking_id)
            .await
            .expect("live");
        till.settled(&held.booking_id, PaymentState::Refunded).await;
    }
    till.assert_sound().await;
}

#[tokio::test]
async fn money_for_seats_that_are_gone_is_given_back() {
    let mut till = Till::open().await;
    let show = till.stage.a_show(2).await;
    let held = till.stage.reserve(&show, &["A-1", "A-2"]).await;
    let outcome = pay_late(&till, &held.booking_id, async {
        till.stage.reserve(&show, &["A-2"]).await;
    });
    let status = assert_refused(outcome.await, Code::FailedPrecondition, "PAYMENT_TOO_LATE");
    assert_eq!(metadata(&status)["failure_reason"], "EXPIRED");
    let now = till.settled(&held.booking_id, PaymentState::Refunded).await;
    assert_eq!(now.state(), BookingState::Failed);
    assert_eq!(now.failure_reason(), FailureReason::Expired);
    assert_eq!(now.refund_due, now.total);
    let log = till.commands(&held.booking_id).await;
    assert_eq!(log[2..], [BookingVerb::Expire, BookingVerb::Repay]);
    assert_eq!(till.only().await, (ProviderState::Captured, 0));
    till.assert_sound().await;
}

#[tokio::test]
async fn money_for_more_than_a_customer_may_have_by_then_is_given_back() {
    let mut till = Till::open().await;
    let capped = CreateShowRequest {
        places_per_customer_max: 2,
        ..test_harness::system::show(3)
    };
    let show = till.stage.create(capped).await;
    let held = till.stage.reserve(&show, &["A-1", "A-2"]).await;
    let outcome = pay_late(&till, &held.booking_id, async {
        till.stage.buy(&show, &["A-3"]).await;
    });
    let status = assert_refused(outcome.await, Code::FailedPrecondition, "PAYMENT_TOO_LATE");
    assert_eq!(metadata(&status)["failure_reason"], "EXPIRED");
    till.settled(&held.booking_id, PaymentState::Refunded).await;

    // With fewer other seats the same customer gets them back.
    let held = till.stage.reserve(&show, &["A-1"]).await;
    let paid = granted(pay_late(&till, &held.booking_id, async {}).await);
    assert_eq!(paid.state(), BookingState::Confirmed);
    till.assert_sound().await;
}

#[tokio::test]
async fn money_for_a_show_that_was_cancelled_meanwhile_is_given_back() {
    let mut till = Till::open().await;
    let show = till.stage.a_show(1).await;
    let held = till.stage.reserve(&show, &["A-1"]).await;
    till.provider.freeze();
    let (outcome, ()) =
        futures_util::join!(till.send(paying(&held.booking_id, "approve")), async {
            till.started().await;
            till.stage.cancel_show(&show).await;
            till.stage.settle().await;
            till.provider.go_on();
        });
    let status = assert_refused(outcome, Code::FailedPrecondition, "PAYMENT_TOO_LATE");
    assert_eq!(metadata(&status)["failure_reason"], "SHOW_CANCELLED");
    let log = till.commands(&held.booking_id).await;
    assert_eq!(log[2..], [BookingVerb::Void, BookingVerb::Repay]);
    till.settled(&held.booking_id, PaymentState::Refunded).await;
    till.assert_sound().await;
}

#[tokio::test]
async fn a_decline_after_the_hold_has_ended_does_not_bring_it_back() {
    let mut till = Till::with(&["--payment-timeout", "8s"]).await;
    let show = till.stage.a_show(1).await;
    let held = till.stage.reserve(&show, &["A-1"]).await;
    let (outcome, ()) = futures_util::join!(
        till.send(paying(&held.booking_id, "slow:1h")),
        end_hold(&till, &held.booking_id)
    );
    assert_refused(outcome, Code::FailedPrecondition, "HOLD_EXPIRED");
    let now = till.stage.get(&held.booking_id).await;
    assert_eq!(now.state(), BookingState::Failed);
    assert_eq!(state(&now), PaymentState::Declined);
    assert_eq!(till.only().await, (ProviderState::Voided, 0));
    till.stage.reserve(&show, &["A-1"]).await;
    till.assert_sound().await;
}
