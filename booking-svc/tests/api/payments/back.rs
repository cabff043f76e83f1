//! Money that is given back.

use std::time::Duration;

use proto::booking::v1::{Booking, BookingState, CancelBookingRequest, PaymentState};
use proto::money::v1::Money;
use proto::payment::v1::PaymentState as ProviderState;
use test_harness::{eventually, invariants};

use super::till::{SETTLED_MAX, Till, granted, state};

const DECLINED: &str = "SELECT count(*) FROM booking.refunds WHERE state = 'DECLINED'";
/// How often the provider was asked, or was to be.
const LOOKS: &str = "
    SELECT coalesce(sum(looks), 0)::bigint FROM booking.refunds WHERE state = 'DECLINED'";

fn units(money: &Option<Money>) -> i64 {
    money.as_ref().map_or(0, |money| money.minor_units)
}

async fn cancel(till: &Till, booking: &str, labels: &[&str]) -> Booking {
    let request = CancelBookingRequest {
        booking_id: booking.to_owned(),
        seat_labels: labels.iter().map(ToString::to_string).collect(),
        ..Default::default()
    };
    let cancelled = till.client.clone().cancel_booking(request).await;
    cancelled.expect("live").into_inner().booking.expect("set")
}

#[tokio::test]
async fn what_is_cancelled_is_given_back_part_by_part_and_never_twice() {
    let mut till = Till::open().await;
    let show = till.stage.a_show(3).await;
    let held = till.stage.reserve(&show, &["A-1", "A-2", "A-3"]).await;
    let paid = granted(till.pay(&held.booking_id, "lost-answer").await);
    let id = &paid.booking_id;

    let rest = cancel(&till, id, &["A-2"]).await;
    assert_eq!(rest.state(), BookingState::Confirmed);
    assert_eq!(state(&rest), PaymentState::RefundRequired);
    let rest = till.settled(id, PaymentState::Captured).await;
    let payment = rest.payment.expect("set");
    assert_eq!(units(&payment.refunded_amount), 1250);
    assert_eq!(payment.refund_due_amount, None);
    assert_eq!(till.only().await, (ProviderState::Captured, 2 * 1250));

    let over = cancel(&till, id, &[]).await;
    assert_eq!(units(&over.refund_due), 3 * 1250);
    let over = till.settled(id, PaymentState::Refunded).await;
    assert_eq!(over.state(), BookingState::Cancelled);
    let payment = over.payment.expect("set");
    assert_eq!(payment.amount, payment.refunded_amount);
    assert_eq!(till.only().await, (ProviderState::Captured, 0));
    till.assert_sound().await;
}

#[tokio::test]
async fn a_cancelled_show_is_refunded_as_soon_as_the_provider_is_back() {
    let mut till = Till::open().await;
    let show = till.stage.a_show(2).await;
    let held = till.stage.reserve(&show, &["A-1"]).await;
    let paid = granted(till.pay(&held.booking_id, "approve").await);
    till.provider.kill9().await;
    till.stage.cancel_show(&show).await;
    till.stage.settle().await;
    let over = till
        .settled(&paid.booking_id, PaymentState::RefundRequired)
        .await;
    assert_eq!(over.state(), BookingState::Cancelled);
    // It is tried, and stays due.
    let looks = "SELECT max(looks)::bigint FROM booking.refunds";
    eventually(SETTLED_MAX, "it is tried twice", async || {
        till.stage.count(looks).await >= 2
    })
    .await;
    till.provider.start_again().await;
    till.settled(&paid.booking_id, PaymentState::Refunded).await;
    assert_eq!(till.only().await, (ProviderState::Captured, 0));
    till.assert_sound().await;
}

#[tokio::test]
async fn a_declined_refund_is_reported_and_not_retried() {
    let till = Till::open().await;
    let show = till.stage.a_show(3).await;
    let held = till.stage.reserve(&show, &["A-1", "A-2"]).await;
    let paid = granted(till.pay(&held.booking_id, "decline-refund").await);
    let id = &paid.booking_id;

    // A part, which leaves the rest sold, and then that.
    for (labels, declined) in [(vec!["A-2"], 1), (vec![], 2)] {
        cancel(&till, id, &labels).await;
        eventually(SETTLED_MAX, "it is declined", async || {
            till.stage.count(DECLINED).await == declined
        })
        .await;
        let booking = till.stage.get(id).await;
        assert_eq!(state(&booking), PaymentState::RefundDeclined);
        assert_eq!(units(&booking.refund_due), declined * 1250);
        let payment = booking.payment.expect("set");
        assert_eq!(units(&payment.amount), 2 * 1250);
        assert_eq!(payment.refunded_amount, None);
        assert_eq!(payment.refund_due_amount, None);
    }
    assert_eq!(till.only().await, (ProviderState::Captured, 2 * 1250));

    let looks = till.stage.count(LOOKS).await;
    // The unreadable ones are due again; later ones are done, and these are skipped.
    let due = "UPDATE booking.refunds SET look_at = now() - interval '1 hour'";
    till.stage.run(due).await;
    let other = till.stage.reserve(&show, &["A-3"]).await;
    granted(till.pay(&other.booking_id, "approve").await);
    cancel(&till, &other.booking_id, &[]).await;
    till.settled(&other.booking_id, PaymentState::Refunded)
        .await;
    let declined = (
        till.stage.count(DECLINED).await,
        till.stage.count(LOOKS).await,
    );
    assert_eq!(declined, (2, looks));
    invariants::assert_hold(&till.stage.system.database).await;
    // A person has to handle each.
    let log = till.booking.log();
    assert_eq!(log.matches("a refund was declined").count(), 2, "{log}");
}

#[tokio::test]
async fn nonsense_about_a_refund_is_not_believed_and_asked_again() {
    let till = Till::open().await;
    let show = till.stage.a_show(1).await;
    let held = till.stage.reserve(&show, &["A-1"]).await;
    let paid = granted(till.pay(&held.booking_id, "nonsense-refund").await);
    let over = cancel(&till, &paid.booking_id, &[]).await;
    assert_eq!(state(&over), PaymentState::RefundRequired);
    till.settled(&paid.booking_id, PaymentState::Refunded).await;
    assert_eq!(till.only().await, (ProviderState::Captured, 0));
    let looks = "SELECT sum(looks)::bigint FROM booking.refunds";
    assert!(till.stage.count(looks).await >= 2);
    invariants::assert_hold(&till.stage.system.database).await;
    let log = till.booking.log();
    assert_eq!(log.matches("answers nonsense").count(), 1, "{log}");
}

#[tokio::test]
async fn refunds_continue_after_the_database_refused_one() {
    let till = Till::open().await;
    let show = till.stage.a_show(1).await;
    let held = till.stage.reserve(&show, &["A-1"]).await;
    let paid = granted(till.pay(&held.booking_id, "approve").await);
    let right = "UPDATE (looks) ON booking.refunds";
    let revoke = format!("REVOKE {right} FROM booking_svc");
    till.stage.run(&revoke).await;
    cancel(&till, &paid.booking_id, &[]).await;
    eventually(SETTLED_MAX, "it reports the interruption", async || {
        till.booking
            .log()
            .contains("failed; trying again task=\"payments\"")
    })
    .await;
    let grant = format!("GRANT {right} TO booking_svc");
    till.stage.run(&grant).await;
    till.settled(&paid.booking_id, PaymentState::Refunded).await;
    invariants::assert_hold(&till.stage.system.database).await;
}

#[tokio::test]
async fn without_a_provider_at_work_nothing_is_known_and_the_hold_stays() {
    let mut till = Till::with(&["--payment-timeout", "2s"]).await;
    let show = till.stage.a_show(1).await;
    let held = till.stage.reserve(&show, &["A-1"]).await;
    till.provider.kill9().await;
    let request = super::till::paying(&held.booking_id, "approve");
    for _ in 0..2 {
        let outcome = till.send(request.clone()).await;
        let status = test_harness::errors::assert_refused(
            outcome,
            tonic::Code::Unavailable,
            "PAYMENT_UNAVAILABLE",
        );
        assert!(test_harness::errors::has_retry_info(&status));
    }
    let now = till.stage.get(&held.booking_id).await;
    assert_eq!(state(&now), PaymentState::Started);
    till.provider.start_again().await;
    let now = till.settled(&held.booking_id, PaymentState::Declined).await;
    assert_eq!(now.state(), BookingState::Pending);
    // As much as there was: a hold here is made for two minutes.
    let held_for = |booking: &Booking| booking.expire_time.as_ref().expect("set").seconds;
    assert!(held_for(&now) - held_for(&held) >= Duration::from_secs(2).as_secs().cast_signed());
    assert_eq!(till.only().await, (ProviderState::Voided, 0));
    let paid = granted(till.pay(&held.booking_id, "approve").await);
    assert_eq!(paid.state(), BookingState::Confirmed);
    till.assert_sound().await;
}

#[tokio::test]
async fn payments_that_cannot_be_read_are_named_and_hold_up_no_other() {
    let mut till = Till::open().await;
    let show = till.stage.a_show(3).await;
    let mut bought = Vec::new();
    for label in ["A-1", "A-2", "A-3"] {
        let held = till.stage.reserve(&show, &[label]).await;
        bought.push(granted(till.pay(&held.booking_id, "approve").await));
    }
    till.provider.kill9().await;
    for booking in &bought {
        cancel(&till, &booking.booking_id, &[]).await;
    }
    // A service that has read the rows would continue with the old ones.
    till.booking.kill9().await;
    // The first cannot be converted, the second is unknown to us.
    for (booking, wrong) in bought
        .iter()
        .zip(["started_at = '-infinity'", "currency = '???'"])
    {
        let id = &booking.booking_id;
        let spoil = format!("UPDATE booking.payments SET {wrong} WHERE booking_id = '{id}'");
        till.stage.run(&spoil).await;
    }
    // All tried ones are due at once.
    let due = "UPDATE booking.refunds SET look_at = now() - interval '1 hour'";
    till.stage.run(due).await;
    till.provider.start_again().await;
    till.booking.start_again().await;
    till.settled(&bought[2].booking_id, PaymentState::Refunded)
        .await;
    let keys = bought[..2].iter().map(|booking| {
        let payment = booking.payment.as_ref().expect("it was paid");
        payment.payment_key.clone()
    });
    let keys: Vec<_> = keys.collect();
    eventually(SETTLED_MAX, "the others are named", async || {
        let log = till.booking.log();
        let lines = log.lines().filter(|line| line.contains(" ERROR "));
        let lines: Vec<_> = lines.collect();
        keys.iter()
            .all(|key| lines.iter().any(|line| line.contains(key)))
    })
    .await;
    let log = till.booking.log();
    assert!(!log.contains("lost a task"), "{log}");
    let left = "SELECT count(*) FROM booking.refunds WHERE state = 'DUE'";
    assert_eq!(till.stage.count(left).await, 2);
}
