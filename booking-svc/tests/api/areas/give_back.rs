//! Places that are given back: all or some, whatever ends the booking, and only once.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use proto::booking::v1::{BookingState, CancelBookingRequest};
use proto::expiry::v1::RunOnceRequest;
use test_harness::errors::{describe, fields, metadata, reason, subjects};
use test_harness::eventually;
use test_harness::system::confirm;
use tonic::Code;
use uuid::Uuid;

use super::{cancel, held, part, show_of};
use crate::stage::{Stage, assert_quiet, end_hold};

const SOON: Duration = Duration::from_secs(10);

#[tokio::test]
async fn a_cancel_gives_places_back_once_however_often_it_is_sent() {
    let mut stage = Stage::start().await;
    let (mut process, other) = stage.another().await;
    let show = stage.create(show_of(2, &[("Floor", 10)])).await;
    let kept = stage.hold(&show, &[], &[("Floor", 5)]).await;
    let booking = stage.hold(&show, &["A-1"], &[("Floor", 5)]).await;
    let mut request = part(&booking, &[], &[]);
    request.request_id = Uuid::new_v4().to_string();
    let clients = [stage.client(), other.clone(), stage.client(), other];
    let copies = clients.clone().map(|mut client| {
        let request = request.clone();
        async move { cancel(&mut client, request).await }
    });
    let mut answers = join_all(copies).await.into_iter();
    let first = answers.next().expect("four").expect("a live hold");
    assert_eq!(first.state(), BookingState::Cancelled);
    assert_eq!(held(&first), [("Floor", 5)], "the first reply");
    answers.for_each(|copy| assert_eq!(copy.expect("a copy"), first));
    for mut client in clients {
        let call = client.cancel_booking(part(&booking, &[], &[]));
        stage
            .refused(call, Code::FailedPrecondition, "BOOKING_STATE")
            .await;
    }
    assert_eq!(stage.counts(&show).await, [(5, 5, 0)]);
    confirm(&mut stage.client(), &kept.booking_id)
        .await
        .expect("live");
    assert_quiet(&mut process);
    stage.assert_sound().await;
}

#[tokio::test]
async fn some_places_are_cancelled_and_the_rest_is_kept() {
    let mut stage = Stage::start().await;
    let show = stage.create(show_of(2, &[("Floor", 10), ("Pit", 4)])).await;
    let wanted = [("Floor", 4), ("Pit", 2)];
    let booking = stage.hold(&show, &["A-1"], &wanted).await;
    let mut client = stage.client();
    confirm(&mut client, &booking.booking_id)
        .await
        .expect("live");

    let too_many = part(&booking, &["A-1"], &[("Pit", 1), ("Floor", 5)]);
    let call = client.cancel_booking(too_many);
    let reason = "SEATS_NOT_IN_BOOKING";
    let status = stage.refused(call, Code::FailedPrecondition, reason).await;
    assert_eq!(subjects(&status), ["Floor"]);
    assert_eq!(metadata(&status)["booking_id"], booking.booking_id);
    let mut twice = part(&booking, &[], &[("Pit", 1), ("Pit", 1)]);
    twice.places[0].quantity = -7;
    let call = client.cancel_booking(twice);
    let status = stage
        .refused(call, Code::InvalidArgument, "INVALID_FIELD")
        .await;
    assert_eq!(fields(&status), ["places[0].quantity", "places[1].area"]);

    let mut some = part(&booking, &["A-1"], &[("Floor", 3)]);
    some.request_id = Uuid::new_v4().to_string();
    let rest = cancel(&mut client, some.clone()).await.expect("its own");
    assert_eq!(rest.state(), BookingState::Confirmed);
    assert_eq!(
        (held(&rest), rest.lines.len()),
        (vec![("Floor", 1), ("Pit", 2)], 0)
    );
    let minor_units =
        |refund: &Option<proto::money::v1::Money>| refund.as_ref().map(|m| m.minor_units);
    assert_eq!(minor_units(&rest.refund_due), Some(4 * 1_250));
    assert_eq!(minor_units(&rest.total), Some(3 * 1_250));
    assert_eq!(stage.counts(&show).await, [(9, 0, 1), (2, 0, 2)]);

    let pit = part(&booking, &[], &[("Pit", 2)]);
    let rest_of_it = cancel(&mut client, pit).await.expect("its own");
    assert_eq!(held(&rest_of_it), [("Floor", 1)]);
    // A replay gets the first reply; another body does not.
    assert_eq!(
        cancel(&mut client, some.clone()).await.expect("a copy"),
        rest
    );
    some.places[0].quantity = 1;
    let call = client.cancel_booking(some);
    stage
        .refused(call, Code::InvalidArgument, "REQUEST_ID_REUSED")
        .await;
    let last = part(&booking, &[], &[("Floor", 1)]);
    let over = cancel(&mut client, last).await.expect("its own");
    assert_eq!(over.state(), BookingState::Cancelled);
    assert_eq!(
        minor_units(&over.refund_due),
        Some(7 * 1_250),
        "all that was paid"
    );
    assert_eq!(stage.counts(&show).await, [(10, 0, 0), (4, 0, 0)]);

    // All of a hold's places go, and its seat keeps it.
    let hold = stage.hold(&show, &["A-2"], &[("Floor", 2)]).await;
    let given = part(&hold, &[], &[("Floor", 2)]);
    let seat = cancel(&mut client, given).await.expect("its own");
    assert_eq!(
        (seat.state(), seat.area_lines.len()),
        (BookingState::Pending, 0)
    );
    confirm(&mut client, &hold.booking_id).await.expect("live");
    stage.assert_sound().await;
}

#[tokio::test]
async fn cancel_against_expiry_against_cancel_gives_back_once() {
    const ROUNDS: usize = 300;
    const AT_ONCE: usize = 6;
    let mut stage = Stage::with_workers(1).await;
    let (mut process, other) = stage.another().await;
    let show = stage
        .create(show_of(0, &[("Floor", 20), ("Pit", 20)]))
        .await;
    let over = Arc::new(AtomicBool::new(false));
    let mut sweeper = stage.system.worker_client(0);
    let sweeping = tokio::spawn({
        let over = Arc::clone(&over);
        async move {
            while !over.load(Ordering::Relaxed) {
                sweeper.run_once(RunOnceRequest {}).await.expect("a sweep");
            }
        }
    });
    // How long a cancel takes here and now: the pace adapts so that both sides win sometimes.
    let pace = AtomicU64::new(5_000);
    let paced = |percent: u64| {
        let change = |micros: u64| Some((micros * percent / 100).clamp(500, 1_000_000));
        let _ = pace.fetch_update(Ordering::Relaxed, Ordering::Relaxed, change);
    };
    let round = async |number: usize| {
        let wanted = [("Pit", 1), ("Floor", 2)];
        let hold = stage.hold(&show, &[], &wanted).await;
        // Before, during and after the cancels.
        let place = u64::try_from(number % 40).expect("small");
        let micros = pace.load(Ordering::Relaxed) * place / 20;
        let ends_in = Duration::from_micros(micros).as_secs_f64();
        end_hold(&stage.owner, &hold.booking_id, ends_in).await;
        let calls = [stage.client(), other.clone()].map(|mut client| {
            let request = CancelBookingRequest {
                booking_id: hold.booking_id.clone(),
                ..Default::default()
            };
            async move { cancel(&mut client, request).await }
        });
        let outcomes = join_all(calls).await;
        let done = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
        assert!(done <= 1, "{outcomes:?}");
        for status in outcomes.iter().filter_map(|outcome| outcome.as_ref().err()) {
            let reason = reason(status);
            let legal = ["HOLD_EXPIRED", "BOOKING_STATE"].contains(&&*reason);
            assert!(legal, "{}", describe(status));
        }
        if done == 1 {
            paced(95);
            "cancelled"
        } else {
            paced(106);
            "expired"
        }
    };
    let workers = (0..AT_ONCE).map(|worker| {
        let round = &round;
        async move {
            let mut seen = Vec::new();
            for number in (worker..ROUNDS).step_by(AT_ONCE) {
                seen.push(round(number).await);
            }
            seen
        }
    });
    let mut seen = BTreeMap::new();
    for outcome in join_all(workers).await.concat() {
        *seen.entry(outcome).or_insert(0) += 1;
    }
    assert!(
        seen.len() == 2 && seen.values().all(|n| *n >= 10),
        "{seen:?}"
    );
    over.store(true, Ordering::Relaxed);
    sweeping.await.expect("no sweep fails");
    let mut sweeper = stage.system.worker_client(0);
    sweeper.run_once(RunOnceRequest {}).await.expect("a sweep");
    let taken = "SELECT sum(taken) FROM booking.show_areas";
    assert_eq!(stage.count(taken).await, 0);
    assert_quiet(&mut process);
    assert_quiet(&mut stage.system.workers[0]);
    stage.assert_sound().await;
}

#[tokio::test]
async fn a_cancelled_show_gives_its_places_back() {
    let mut stage = Stage::start().await;
    let show = stage.create(show_of(2, &[("Floor", 10)])).await;
    let held = stage.hold(&show, &["A-1"], &[("Floor", 2)]).await;
    let sold = stage.hold(&show, &[], &[("Floor", 3)]).await;
    confirm(&mut stage.client(), &sold.booking_id)
        .await
        .expect("live");
    stage.cancel_show(&show).await;
    eventually(SOON, "the bookings end", async || {
        stage
            .count("SELECT sum(taken) FROM booking.show_areas")
            .await
            == 0
    })
    .await;
    let sold = stage.get(&sold.booking_id).await;
    assert_eq!(sold.state(), BookingState::Cancelled);
    assert_eq!(sold.refund_due.expect("due").minor_units, 3 * 1_250);
    let held = stage.get(&held.booking_id).await;
    assert_eq!(held.state(), BookingState::Failed);
    stage.settle().await;
    stage.assert_sound().await;
}
