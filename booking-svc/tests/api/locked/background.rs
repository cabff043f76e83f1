//! Background tasks: they skip locked rows, continue with the rest, and come back.

use proto::booking::v1::{BookingState, PaymentState};
use proto::catalog::v1::DeleteShowRequest;
use test_harness::eventually;

use super::*;
use crate::cancelled_show::mark_fully_cancelled;
use crate::payments::till::Till;

/// How long a task that waits for no lock may take on a busy machine.
const SOON: Duration = Duration::from_secs(20);

/// The ids of `count` shows of ten seats, ascending, as the worker takes them.
async fn shows(stage: &Stage, count: usize) -> Vec<String> {
    let mut shows = Vec::new();
    for _ in 0..count {
        shows.push(stage.a_show(10).await);
    }
    shows.sort_unstable();
    shows
}

#[tokio::test]
async fn cancelled_shows() {
    let mut stage = Stage::start().await;
    let all = shows(&stage, 4).await;
    let [empty, closed, mixed, open] = [0, 1, 2, 3].map(|place: usize| &*all[place]);
    stage.reserve(closed, &["A-1"]).await;
    let (left, other) = (
        stage.buy(mixed, &["A-1"]).await,
        stage.buy(mixed, &["A-2"]).await,
    );
    let elsewhere = stage.buy(open, &["A-1"]).await;
    // booking-svc knows the cancellation before the sale is locked.
    let cancel = format!(
        "UPDATE booking.sales SET state = 'CANCELLED' WHERE show_id IN ('{empty}', '{closed}')"
    );
    stage.run(&cancel).await;
    let lock = format!(
        "SELECT FROM booking.sales WHERE show_id IN ('{empty}', '{closed}') FOR UPDATE;
         SELECT FROM booking.bookings WHERE booking_id = '{}' FOR UPDATE",
        left.booking_id
    );
    let holder = Holder::of(&stage, &lock).await;
    stage.cancel_show(mixed).await;
    stage.cancel_show(open).await;
    for seen in [&other, &elsewhere] {
        eventually(SOON, "the others end", async || {
            stage.get(&seen.booking_id).await.state() == BookingState::Cancelled
        })
        .await;
    }
    let done = "SELECT count(*) FROM booking.sales WHERE fully_cancelled_at IS NOT NULL";
    eventually(SOON, "a show that is not locked is done with", async || {
        stage.count(done).await == 1
    })
    .await;
    assert_eq!(stage.get(&left.booking_id).await, left);
    holder.release().await;
    mark_fully_cancelled(&stage).await;
    let live = "SELECT count(*) FROM booking.bookings WHERE state IN ('PENDING', 'CONFIRMED')";
    assert_eq!(stage.count(live).await, 0);
    stage.assert_sound().await;
}

#[tokio::test]
async fn attempts_to_pay_whose_deadline_has_passed() {
    let mut till = Till::with(&["--payment-timeout", "1s"]).await;
    let show = till.stage.a_show(10).await;
    let (left, other) = (
        till.stage.reserve(&show, &["A-1"]).await,
        till.stage.reserve(&show, &["A-2"]).await,
    );
    till.provider.kill9().await;
    let paying = [&left, &other].map(|held| till.pay(&held.booking_id, "approve"));
    for outcome in join_all(paying).await {
        assert!(outcome.is_err(), "{outcome:?}");
    }
    let lock = format!(
        "SELECT FROM booking.bookings WHERE booking_id = '{}' FOR UPDATE",
        left.booking_id
    );
    let holder = Holder::of(&till.stage, &lock).await;
    till.provider.start_again().await;
    till.settled(&other.booking_id, PaymentState::Declined)
        .await;
    holder.release().await;
    till.settled(&left.booking_id, PaymentState::Declined).await;
    test_harness::invariants::assert_hold(&till.stage.system.database).await;
}

#[tokio::test]
async fn stored_rejections_that_are_old() {
    let mut stage = Stage::start().await;
    let show = stage.a_show(10).await;
    let old = format!(
        "INSERT INTO booking.rejections
         SELECT '{show}', gen_random_uuid(), 1, '{{}}', now() - interval '25 hours' - n * interval '1 s'
         FROM generate_series(1, 1200) AS n"
    );
    stage.run(&old).await;
    let lock = "SELECT FROM booking.rejections
        WHERE refused_at = (SELECT min(refused_at) FROM booking.rejections) FOR UPDATE";
    let holder = Holder::of(&stage, lock).await;
    // It sweeps when it starts.
    let (mut another, _) = stage.another().await;
    let left = "SELECT count(*) FROM booking.rejections";
    eventually(SOON, "the others are swept", async || {
        stage.count(left).await == 1
    })
    .await;
    holder.release().await;
    crate::stage::assert_quiet(&mut another);
    stage.assert_sound().await;
}

#[tokio::test]
async fn delivered_answers() {
    let mut stage = Stage::start().await;
    let all = shows(&stage, 2).await;
    // No proposal waits for it any more.
    let stale = format!(
        "INSERT INTO booking.answers VALUES ('{}', 1, true, '{{}}')",
        all[0]
    );
    let lock = format!("{stale}; COMMIT; BEGIN; SELECT FROM booking.answers FOR UPDATE");
    let holder = Holder::of(&stage, &lock).await;
    let request = DeleteShowRequest {
        show_id: all[1].clone(),
        ..Default::default()
    };
    let answered = stage.system.catalog_client().delete_show(request).await;
    answered.expect("the catalog has the answer");
    holder.release().await;
    stage.settle().await;
    stage.assert_sound().await;
}
