//! Rows of payments, which are locked last.

use proto::booking::v1::PaymentState;

use super::*;
use crate::payments::till::{Till, granted, paying, state};

const LOCK: &str = "SELECT FROM booking.payments FOR UPDATE";

#[tokio::test]
async fn a_payment_whose_booking_is_cancelled() {
    let mut till = Till::open().await;
    let stage = &till.stage;
    let (show, other) = (stage.a_show(SEATS).await, stage.a_show(SEATS).await);
    let held = stage.reserve(&show, &["A-1"]).await;
    let paid = granted(till.pay(&held.booking_id, "approve").await);
    let holder = Holder::of(stage, LOCK).await;
    let call = async |client, deadline| send_cancel(client, deadline, &paid.booking_id).await;
    let what = "a payment whose booking is cancelled";
    assert_isolated(&till.client, (holder, what), &[&show, &other], call).await;
    till.settled(&paid.booking_id, PaymentState::Refunded).await;
    till.assert_sound().await;
}

/// The money is taken by then, so the error must not say that nothing was changed.
#[tokio::test]
async fn a_payment_that_ends() {
    let mut till = Till::open().await;
    let stage = &till.stage;
    let (show, other) = (stage.a_show(SEATS).await, stage.a_show(SEATS).await);
    let held = stage.reserve(&show, &["A-1"]).await;
    // Long enough for it to be locked meanwhile.
    let paying = paying(&held.booking_id, "slow:2s");
    let released = Cell::new(None);
    let first = async {
        let outcome = till.send(paying.clone()).await;
        released.set(Some(Instant::now()));
        outcome.expect_err("it is locked")
    };
    let locking = async {
        till.started().await;
        Holder::of(stage, LOCK).await
    };
    let others = [&show, &other].map(|show| others(&till.client, show, &released));
    let (status, holder, longest) = join!(first, locking, join_all(others));
    assert_error(&status, Code::Unavailable, "PAYMENT_UNAVAILABLE");
    let longest = longest.into_iter().max().unwrap_or_default();
    println!("a payment that ends: others waited {longest:?} at most");
    assert!(longest < OTHERS_MAX, "others waited {longest:?}");
    holder.release().await;
    let paid = granted(till.send(paying).await);
    assert_eq!(state(&paid), PaymentState::Captured);
    till.assert_sound().await;
}
