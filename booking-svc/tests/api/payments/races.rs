//! A payment that succeeds after its hold has ended, against another customer who wants the same seats.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use proto::booking::v1::{Booking, BookingState};
use proto::payment::v1::PaymentState as ProviderState;
use test_harness::errors::reason;
use test_harness::system::reserve;
use tonic::Status;
use uuid::Uuid;

use super::till::{Till, paying};
use crate::stage::move_hold;

const ROUNDS: u64 = 1_000;
/// How many rounds run at once, each with its own seat.
const AT_ONCE: u64 = 16;
/// The number of steps in which the rival's reserve moves to and fro around the end of the payment.
const STEPS: u64 = 16;

fn outcome(outcome: &Result<Booking, Status>) -> String {
    match outcome {
        Ok(booking) => booking.state().as_str_name().to_owned(),
        Err(status) => reason(status),
    }
}

/// One seat: its hold ends while it is paid, and somebody else wants it. How long the payment
/// takes here and now is in `pace`, in microseconds; it adapts so that both sides win sometimes.
async fn round(
    till: &Till,
    show: &str,
    seat: &str,
    number: u64,
    pace: &AtomicU64,
) -> (String, String) {
    let held = till.stage.reserve(show, &[seat]).await;
    let id = held.booking_id;
    let late = async {
        let request = paying(&id, "slow:40ms");
        let key = request.request_id.clone();
        let ending = async {
            wait_for(till, &id, &key).await;
            // It may be paid by now.
            move_hold(&till.stage.owner, &id, 0.0).await;
            let micros = pace.load(Ordering::Relaxed) * 2 * (number % STEPS) / STEPS;
            tokio::time::sleep(Duration::from_micros(micros)).await;
            let mut client = till.client.clone();
            loop {
                let rival = reserve(&mut client, show, &[seat], "rival").await;
                if !matches!(&rival, Err(status) if reason(status) == "CONTENTION") {
                    return rival;
                }
            }
        };
        futures_util::join!(till.send(request), ending)
    };
    let (paid, rival) = late.await;
    let said = (outcome(&paid), outcome(&rival));
    let now = till.stage.get(&id).await;
    let paced = |percent: u64| {
        let change = |micros: u64| Some((micros * percent / 100).clamp(5_000, 2_000_000));
        let _ = pace.fetch_update(Ordering::Relaxed, Ordering::Relaxed, change);
    };
    match (&*said.0, &*said.1) {
        ("BOOKING_STATE_CONFIRMED", "SEATS_UNAVAILABLE") => {
            assert_eq!(now.state(), BookingState::Confirmed);
            paced(95);
        }
        ("PAYMENT_TOO_LATE", "BOOKING_STATE_PENDING") => {
            assert_eq!(now.state(), BookingState::Failed);
            assert_eq!(now.refund_due, now.total);
            paced(106);
        }
        other => panic!("{other:?} in round {number}"),
    }
    said
}

/// Waits until the attempt is on record: the log has it.
async fn wait_for(till: &Till, booking: &str, request: &str) {
    let id: model::BookingId = booking.parse().expect("an id");
    let show = id.show().uuid();
    let request: Uuid = request.parse().expect("an id");
    let logged = "SELECT count(*) FROM booking.transitions WHERE show_id = $1 AND request_id = $2";
    test_harness::eventually(Duration::from_secs(20), "it is being paid", async || {
        let row = till.stage.owner.query_one(logged, &[&show, &request]).await;
        row.expect("a count").get::<_, i64>(0) == 1
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn late_money_against_a_new_reserve_of_the_same_seats() {
    let mut till = Till::open().await;
    let show = till
        .stage
        .a_show(i32::try_from(ROUNDS).expect("a few"))
        .await;
    let mut seen = BTreeMap::new();
    let pace = AtomicU64::new(75_000);
    for first in (0..ROUNDS).step_by(usize::try_from(AT_ONCE).expect("few")) {
        let rounds = (first..ROUNDS.min(first + AT_ONCE)).map(|number| {
            let (till, show, pace) = (&till, &show, &pace);
            async move { round(till, show, &format!("A-{}", number + 1), number, pace).await }
        });
        for said in join_all(rounds).await {
            *seen.entry(said).or_insert(0) += 1;
        }
    }
    assert_eq!(seen.len(), 2, "both outcomes, and no other: {seen:?}");
    assert_eq!(seen.values().sum::<u64>(), ROUNDS);
    // Late payments are refunded in the end, and nothing else is.
    let due = "SELECT count(*) FROM booking.refunds WHERE state = 'DUE'";
    test_harness::eventually(Duration::from_secs(60), "all is given back", async || {
        till.stage.count(due).await == 0
    })
    .await;
    let books = till.books().await;
    let bookings = "SELECT payment_key::text, state::text FROM booking.bookings \
                    WHERE payment_key IS NOT NULL";
    let rows = till.stage.owner.query(bookings, &[]).await.expect("rows");
    assert_eq!((rows.len(), books.len()), (1_000, 1_000));
    for row in rows {
        let (key, sold): (String, bool) = (row.get(0), row.get::<_, &str>(1) == "CONFIRMED");
        let wanted = (ProviderState::Captured, if sold { 1250 } else { 0 });
        assert_eq!(books[&key], wanted, "{key}");
    }
    till.assert_sound().await;
}
