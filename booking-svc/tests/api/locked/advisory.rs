//! Advisory locks: of a caller's request id, and of a quota holder. A second service holds them while
//! it waits for a seat.

use proto::booking::v1::ReserveSeatsRequest;
use proto::catalog::v1::CreateShowRequest;
use test_harness::eventually;
use test_harness::process::Process;
use test_harness::system;
use tokio::task::JoinHandle;

use super::*;
use crate::stage::WAITS_FOR_LOCKS;

/// A second service that holds locks while it waits for a locked seat.
struct Second {
    _process: Process,
    waiting: JoinHandle<Result<(), Status>>,
    seat: Holder,
}

impl Second {
    /// Has it reserve the show's first seat.
    async fn of(stage: &Stage, show: &str, reserve: ReserveSeatsRequest) -> Self {
        let lock = format!(
            "SELECT FROM booking.show_seats WHERE show_id = '{show}' AND ordinal = 0 FOR UPDATE"
        );
        let seat = Holder::of(stage, &lock).await;
        let (process, client) = stage.another_with(&WAITS_FOR_LOCKS).await;
        let waiting = tokio::spawn(async move { send_reserve(client, PATIENT, reserve).await });
        let waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'
             AND datname = current_database() AND usename = 'booking_svc'";
        eventually(PATIENT, "the second service waits", async || {
            stage.count(waits).await == 1
        })
        .await;
        Self {
            _process: process,
            waiting,
            seat,
        }
    }

    /// Its own call has an end too.
    async fn end(waiting: JoinHandle<Result<(), Status>>) {
        let ended = waiting.await.expect("no panic");
        ended.unwrap_or_else(|status| panic!("{}", describe(&status)));
    }
}

#[tokio::test]
async fn a_request_id() {
    let mut stage = Stage::start().await;
    let (show, other) = (stage.a_show(SEATS).await, stage.a_show(SEATS).await);
    stage.reserve(&show, &["A-5"]).await;
    let first = seat(&show, "A-1");
    let copy = first.clone();
    let second = Second::of(&stage, &show, first).await;
    let call = async |client, deadline| send_reserve(client, deadline, copy.clone()).await;
    let shows = [&*show, &*other];
    assert_isolated(&stage.client(), (second.seat, "a request id"), &shows, call).await;
    Second::end(second.waiting).await;
    let made = "SELECT count(*) FROM booking.bookings WHERE customer_id = 'ann' AND 0 = ANY (seat_ordinals)";
    assert_eq!(stage.count(made).await, 1);
    stage.assert_sound().await;
}

#[tokio::test]
async fn a_customer_whose_places_are_counted() {
    let mut stage = Stage::start().await;
    let described = CreateShowRequest {
        places_per_customer_max: 2,
        ..system::show(SEATS)
    };
    let (show, other) = (stage.create(described).await, stage.a_show(SEATS).await);
    let second = Second::of(&stage, &show, seat(&show, "A-1")).await;
    let call = async |client, deadline| send_reserve(client, deadline, seat(&show, "A-2")).await;
    let what = "a customer whose places are counted";
    assert_isolated(&stage.client(), (second.seat, what), &[&other], call).await;
    Second::end(second.waiting).await;
    stage.assert_sound().await;
}
