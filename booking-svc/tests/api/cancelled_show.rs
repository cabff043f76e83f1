//! The ends of the bookings of a cancelled show.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use proto::booking::v1::{Booking, BookingState, CancelReason, FailureReason, SeatStatus};
use test_harness::errors::{assert_error, describe, metadata, reason};
use test_harness::eventually;
use test_harness::system::{cancel, confirm, get, reserve};
use tonic::Code;

use crate::stage::{Bookings, Stage, assert_quiet};

/// How soon a change in the catalog must hold here.
const SOON: Duration = Duration::from_secs(1);
/// How long ending some thousand bookings may take on a busy machine.
const FULLY_CANCELLED_MAX: Duration = Duration::from_secs(30);
/// The price of a seat, in cents.
const PRICE: i64 = 1250;

/// Waits until nothing is left to end of any cancelled show.
pub(crate) async fn mark_fully_cancelled(stage: &Stage) {
    stage.follow_feed().await;
    let left = "SELECT count(*) FROM booking.sales WHERE state = 'CANCELLED' AND fully_cancelled_at IS NULL";
    eventually(
        FULLY_CANCELLED_MAX,
        "cancelled shows are fully cancelled",
        async || stage.count(left).await == 0,
    )
    .await;
}

/// The refund due for a booking, in cents; none if nothing.
fn refund_due(booking: &Booking) -> Option<i64> {
    let refund = booking.refund_due.as_ref()?;
    assert_eq!(refund.currency_code, "EUR");
    Some(refund.minor_units)
}

/// Asserts that a booking whose last reply was `seen` has the right end.
pub(crate) fn assert_ended(seen: &Booking, now: &Booking) {
    let ended = (
        now.state(),
        now.failure_reason(),
        now.cancel_reason(),
        refund_due(now),
    );
    let total = seen.total.as_ref().map(|total| total.minor_units);
    let nobody = CancelReason::Unspecified;
    let wanted = match seen.state() {
        BookingState::Confirmed => {
            let organiser = CancelReason::ShowCancelled;
            let nothing = FailureReason::Unspecified;
            (BookingState::Cancelled, nothing, organiser, total)
        }
        BookingState::Pending => {
            let why = FailureReason::ShowCancelled;
            (BookingState::Failed, why, nobody, None)
        }
        _ => {
            assert_eq!(now, seen, "it had ended before");
            return;
        }
    };
    assert_eq!(ended, wanted, "{seen:?} {now:?}");
    assert_eq!(now.confirm_time, seen.confirm_time);
    assert_ne!(now.etag, seen.etag);
}

/// What a customer did before the show was cancelled; also the customer's name.
const FATES: [&str; 5] = ["held", "bought", "cancelled", "gave back", "came late"];

/// A booking with its own seats and fate, by its number; its customer has the fate's name.
async fn with_fate(mut client: Bookings, show: &str, number: usize) -> Booking {
    let fate = FATES[number % FATES.len()];
    // Two seats or one.
    let labels = [2 * number + 1, 2 * number + 2].map(|seat| format!("A-{seat}"));
    let labels: Vec<_> = labels.iter().take(1 + number % 2).map(|l| &**l).collect();
    let held = reserve(&mut client, show, &labels, fate).await;
    let mut booking = held.unwrap_or_else(|status| panic!("{}", describe(&status)));
    if matches!(fate, "bought" | "gave back") {
        let confirmed = confirm(&mut client, &booking.booking_id).await;
        booking = confirmed.unwrap_or_else(|status| panic!("{}", describe(&status)));
    }
    if matches!(fate, "cancelled" | "gave back") {
        let cancelled = cancel(&mut client, &booking.booking_id).await;
        booking = cancelled.unwrap_or_else(|status| panic!("{}", describe(&status)));
    }
    booking
}

/// A show with this many bookings, the same number of each fate.
async fn a_show_with_bookings(stage: &Stage, bookings: usize) -> (String, Vec<Booking>) {
    let seats = i32::try_from(2 * bookings).expect("few");
    let show = stage.a_show(seats).await;
    let mut made = Vec::new();
    let numbers: Vec<_> = (0..bookings).collect();
    for some in numbers.chunks(200) {
        let bookings = some.iter().map(|n| with_fate(stage.client(), &show, *n));
        made.extend(join_all(bookings).await);
    }
    let lapse = "UPDATE booking.bookings SET created_at = created_at - interval '1 h',
            expires_at = expires_at - interval '1 h'
        WHERE customer_id = 'came late'";
    stage.run(lapse).await;
    (show, made)
}

/// What the rows of each customer's bookings and their last log entries say, and how often.
/// Bookings that describe an unlogged moment are left out.
async fn ends(stage: &Stage) -> BTreeMap<String, i64> {
    let query = "
        SELECT concat_ws(' ', b.customer_id || ':', b.state, b.failure_reason, b.cancel_reason,
            CASE b.refund_due WHEN b.total THEN 'refund' END, 'by', t.verb, t.actor), count(*)
        FROM booking.bookings AS b
        JOIN booking.transitions AS t USING (show_id, booking_id, version)
        WHERE t.made_at = coalesce(b.cancelled_at, nullif(b.failed_at, b.expires_at), t.made_at)
        GROUP BY 1";
    let rows = stage.owner.query(query, &[]).await.expect("rows");
    rows.iter().map(|row| (row.get(0), row.get(1))).collect()
}

#[tokio::test]
async fn thousands_of_bookings_get_the_right_end() {
    const EACH: usize = 440;
    let mut stage = Stage::start().await;
    let other = stage.a_show(10).await;
    let elsewhere = stage.buy(&other, &["A-1"]).await;
    let (show, made) = a_show_with_bookings(&stage, EACH * FATES.len()).await;
    stage.cancel_show(&show).await;
    mark_fully_cancelled(&stage).await;

    let mut client = stage.client();
    for (seen, _) in made.iter().zip(0..4) {
        let now = get(&mut client, &seen.booking_id).await.expect("known");
        assert_ended(seen, &now);
    }
    assert_eq!(stage.get(&elsewhere.booking_id).await, elsewhere);
    let each = i64::try_from(EACH).expect("few");
    let wanted = [
        ("ann: CONFIRMED by CONFIRM booking-svc", 1),
        (
            "bought: CANCELLED SHOW_CANCELLED refund by VOID booking-svc",
            each,
        ),
        ("came late: FAILED EXPIRED by EXPIRE booking-svc", each),
        (
            "gave back: CANCELLED CUSTOMER refund by CANCEL booking-svc",
            each,
        ),
        ("cancelled: CANCELLED CUSTOMER by CANCEL booking-svc", each),
        ("held: FAILED SHOW_CANCELLED by VOID booking-svc", each),
    ];
    let wanted = wanted.map(|(what, count)| (what.to_owned(), count));
    assert_eq!(ends(&stage).await, wanted.into());
    let seats = "SELECT sum(cardinality(seat_ordinals))::bigint FROM booking.bookings
        WHERE customer_id IN ('bought', 'gave back')";
    let refunds = "SELECT sum(refund_due)::bigint FROM booking.bookings";
    assert_eq!(stage.count(refunds).await, PRICE * stage.count(seats).await);
    let free = stage.labels(&show, SeatStatus::Available).await;
    assert_eq!(free.len(), 2 * made.len());
    let call = reserve(&mut client, &show, &["A-1"], "bob");
    let code = Code::FailedPrecondition;
    stage.refused(call, code, "SHOW_NOT_ON_SALE").await;
    let call = confirm(&mut client, &made[0].booking_id);
    let status = stage.refused(call, code, "BOOKING_STATE").await;
    assert_eq!(metadata(&status)["failure_reason"], "SHOW_CANCELLED");
    let call = cancel(&mut client, &made[1].booking_id);
    let status = stage.refused(call, code, "BOOKING_STATE").await;
    assert_eq!(metadata(&status)["state"], "CANCELLED");
    stage.assert_sound().await;
}

#[tokio::test]
async fn two_instances_at_once_end_each_booking_once() {
    let mut stage = Stage::start().await;
    let (mut process, _) = stage.another().await;
    let (show, made) = a_show_with_bookings(&stage, 1_000).await;
    stage.cancel_show(&show).await;
    mark_fully_cancelled(&stage).await;
    let voided = "SELECT count(*) FROM booking.transitions WHERE verb = 'VOID'";
    let live = made.len() / FATES.len() * 2;
    assert_eq!(usize::try_from(stage.count(voided).await), Ok(live));
    assert_eq!(
        stage.labels(&show, SeatStatus::Available).await.len(),
        2_000
    );
    assert_quiet(&mut process);
    stage.assert_sound().await;
}

/// Buys one seat after another until the show is cancelled; returns the last reply for each booking
/// of, and when the last was reserved.
async fn buy_to_the_end(
    mut client: Bookings,
    show: &str,
    first: usize,
    step: usize,
) -> (Vec<Booking>, Instant) {
    let mut replies = Vec::new();
    let mut last = Instant::now();
    for seat in (first..).step_by(step) {
        let held = match reserve(&mut client, show, &[&format!("A-{seat}")], "ann").await {
            Ok(held) => held,
            Err(status) => {
                assert_error(&status, Code::FailedPrecondition, "SHOW_NOT_ON_SALE");
                break;
            }
        };
        last = Instant::now();
        match confirm(&mut client, &held.booking_id).await {
            Ok(confirmed) => replies.push(confirmed),
            Err(status) => {
                // Either may come: the worker may have ended it or not.
                let reasons = ["SHOW_NOT_ON_SALE", "BOOKING_STATE"];
                assert!(
                    reasons.contains(&&*reason(&status)),
                    "{}",
                    describe(&status)
                );
                replies.push(held);
            }
        }
    }
    (replies, last)
}

#[tokio::test]
async fn no_booking_slips_by_while_others_reserve_and_confirm() {
    const CUSTOMERS: usize = 24;
    let mut stage = Stage::start().await;
    let show = stage.a_show(20_000).await;
    let (mut process, other) = stage.another().await;
    let buying = (1..=CUSTOMERS).map(|first| {
        let client = if first % 2 == 0 {
            stage.client()
        } else {
            other.clone()
        };
        buy_to_the_end(client, &show, first, CUSTOMERS)
    });
    let cancelling = async {
        let sold = "SELECT count(*) FROM booking.bookings WHERE state = 'CONFIRMED'";
        eventually(FULLY_CANCELLED_MAX, "300 are sold", async || {
            stage.count(sold).await >= 300
        })
        .await;
        stage.cancel_show(&show).await;
        Instant::now()
    };
    let (bought, cancelled) = futures_util::join!(join_all(buying), cancelling);
    let last = bought.iter().map(|(_, last)| *last).max().expect("many");
    let late = last.saturating_duration_since(cancelled);
    assert!(
        late < 3 * SOON,
        "a reserve was granted {late:?} after the show was cancelled"
    );

    mark_fully_cancelled(&stage).await;
    let replies: Vec<_> = bought
        .into_iter()
        .flat_map(|(replies, _)| replies)
        .collect();
    let mut client = stage.client();
    for seen in &replies {
        let now = get(&mut client, &seen.booking_id).await.expect("known");
        assert_ended(seen, &now);
    }
    let all = "SELECT count(*) FROM booking.bookings";
    assert_eq!(usize::try_from(stage.count(all).await), Ok(replies.len()));
    let voided = "SELECT count(*) FROM booking.transitions WHERE verb = 'VOID'";
    assert_eq!(
        usize::try_from(stage.count(voided).await),
        Ok(replies.len())
    );
    assert_quiet(&mut process);
    stage.assert_sound().await;
}

#[tokio::test]
async fn until_the_worker_ends_it_a_booking_can_be_cancelled_but_not_confirmed() {
    let mut stage = Stage::start().await;
    let show = stage.a_show(3).await;
    let held = stage.reserve(&show, &["A-1"]).await;
    let bought = stage.buy(&show, &["A-2", "A-3"]).await;
    // Not through the feed, so that nothing woke the worker yet.
    stage
        .run("UPDATE booking.sales SET state = 'CANCELLED'")
        .await;
    let mut client = stage.client();
    let call = confirm(&mut client, &held.booking_id);
    let code = Code::FailedPrecondition;
    let status = stage.refused(call, code, "SHOW_NOT_ON_SALE").await;
    assert_eq!(metadata(&status)["show_id"], show);
    assert_eq!(metadata(&status)["state"], "CANCELLED");
    for (booking, refund) in [(held, None), (bought, Some(2 * PRICE))] {
        let over = cancel(&mut client, &booking.booking_id).await;
        let over = over.expect("live");
        assert_eq!(over.state(), BookingState::Cancelled);
        assert_eq!(over.cancel_reason(), CancelReason::Customer);
        assert_eq!(refund_due(&over), refund);
        assert_eq!(stage.get(&booking.booking_id).await, over);
    }
    stage.cancel_show(&show).await;
    mark_fully_cancelled(&stage).await;
    let voided = "SELECT count(*) FROM booking.transitions WHERE verb = 'VOID'";
    assert_eq!(stage.count(voided).await, 0);
    stage.assert_sound().await;
}

#[tokio::test]
async fn a_booking_that_cannot_be_ended_holds_up_no_other_and_is_retried() {
    let stage = Stage::start().await;
    let show = stage.a_show(4).await;
    let broken = stage.buy(&show, &["A-1"]).await;
    let others = [
        stage.buy(&show, &["A-2"]).await,
        stage.reserve(&show, &["A-3"]).await,
    ];
    let later = stage.a_show(2).await;
    let elsewhere = stage.buy(&later, &["A-1"]).await;
    // The seat of one that another has.
    let seat = |owner: &Booking| {
        let (show, owner) = (&show, &owner.booking_id);
        format!(
            "UPDATE booking.show_seats SET booking_id = '{owner}' WHERE ordinal = 0 AND show_id = '{show}'"
        )
    };
    stage.run(&seat(&others[0])).await;
    stage.cancel_show(&show).await;
    stage.cancel_show(&later).await;
    stage.follow_feed().await;
    for seen in others.iter().chain([&elsewhere]) {
        eventually(FULLY_CANCELLED_MAX, "the others end", async || {
            stage.get(&seen.booking_id).await.state() != seen.state()
        })
        .await;
        assert_ended(seen, &stage.get(&seen.booking_id).await);
    }
    assert_eq!(stage.get(&broken.booking_id).await, broken);
    let done = "SELECT count(*) FROM booking.sales WHERE fully_cancelled_at IS NOT NULL";
    eventually(
        FULLY_CANCELLED_MAX,
        "the other show is fully cancelled",
        async || stage.count(done).await == 1,
    )
    .await;

    stage.run(&seat(&broken)).await;
    mark_fully_cancelled(&stage).await;
    assert_ended(&broken, &stage.get(&broken.booking_id).await);
    let log = stage.system.booking.log();
    assert_eq!(log.matches(" ERROR ").count(), 1, "logged once:\n{log}");
    test_harness::invariants::assert_hold(&stage.system.database).await;
}
