//! Holds that have ended, without a worker to fail them: reads show them as FAILED, and other
//! customers get their seats.

use std::time::Duration;

use proto::booking::v1::{Booking, BookingState, FailureReason, ListBookingsRequest, SeatStatus};
use test_harness::errors::{assert_error, describe, metadata, subjects};
use test_harness::eventually;
use test_harness::system::{confirm, reservation, reserve};
use tonic::Code;

use crate::areas::END_ALL;
use crate::stage::{Stage, all_reserve, text_of};

const SOON: Duration = Duration::from_secs(5);

async fn in_state(stage: &Stage, show: &str, state: BookingState) -> Vec<Booking> {
    let request = ListBookingsRequest {
        show_id: show.to_owned(),
        state: state.into(),
        ..Default::default()
    };
    let page = stage.client().list_bookings(request).await;
    page.expect("a page").into_inner().bookings
}

/// How a booking is stored: its state and version, and its last transition.
async fn stored(stage: &Stage, booking: &str) -> (String, i32, String) {
    let query = format!(
        "SELECT b.state::text, b.version, t.verb::text FROM booking.bookings AS b
         JOIN booking.transitions AS t USING (show_id, booking_id, version)
         WHERE booking_id = '{booking}'"
    );
    let row = stage.owner.query_one(&query, &[]).await.expect("a booking");
    (row.get(0), row.get(1), row.get(2))
}

#[tokio::test]
async fn a_lapsed_hold_reads_as_failed_and_cannot_be_confirmed() {
    let mut stage = Stage::start().await;
    let show = stage.a_show(4).await;
    let fresh = stage.reserve(&show, &["A-1", "A-2"]).await;
    let old = stage.reserve(&show, &["A-3"]).await;
    let live = stage.reserve(&show, &["A-4"]).await;
    stage.lapse(&fresh.booking_id).await;
    stage.lapse_a_day_ago(&old.booking_id).await;

    let mut client = stage.client();
    let mut lapsed = Vec::new();
    for booking in [&fresh, &old] {
        let call = confirm(&mut client, &booking.booking_id);
        let status = stage
            .refused(call, Code::FailedPrecondition, "HOLD_EXPIRED")
            .await;
        let found = stage.get(&booking.booking_id).await;
        let about = metadata(&status);
        assert_eq!(about["booking_id"], booking.booking_id);
        assert_eq!(about["expire_time"], text_of(found.expire_time.as_ref()));
        assert_eq!(subjects(&status), [&*booking.booking_id]);
        assert_eq!(found.state(), BookingState::Failed);
        assert_eq!(found.failure_reason(), FailureReason::Expired);
        assert_eq!(found.fail_time, found.expire_time);
        assert_eq!(
            (&found.lines, &found.total),
            (&booking.lines, &booking.total)
        );
        lapsed.push(found);
    }
    assert_eq!(in_state(&stage, &show, BookingState::Failed).await, lapsed);
    assert_eq!(in_state(&stage, &show, BookingState::Pending).await, [live]);
    let free = stage.labels(&show, SeatStatus::Available).await;
    assert_eq!(free, ["A-1", "A-2", "A-3"]);
    assert_eq!(stage.labels(&show, SeatStatus::Held).await, ["A-4"]);
    stage.assert_sound().await;
}

#[tokio::test]
async fn a_confirm_that_waited_past_the_end_is_refused() {
    let mut stage = Stage::that_waits_for_locks().await;
    let show = stage.a_show(1).await;
    let held = stage.reserve(&show, &["A-1"]).await;
    let holder = stage.system.database.owner().await;
    stage
        .end_hold(&held.booking_id, Duration::from_secs(1))
        .await;
    let lock = "BEGIN; SELECT FROM booking.bookings FOR UPDATE";
    holder.batch_execute(lock).await.expect("its lock");
    let mut client = stage.client();
    // The hold was live when the confirm began: the time at which it gets its lock counts.
    let ending = async {
        let waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'
             AND datname = current_database() AND usename = 'booking_svc'";
        eventually(SOON, "the confirm waits", async || {
            stage.count(waits).await == 1
        })
        .await;
        let ended = "SELECT count(*) FROM booking.bookings WHERE expires_at <= clock_timestamp()";
        eventually(SOON, "the hold ends", async || {
            stage.count(ended).await == 1
        })
        .await;
        holder.batch_execute("ROLLBACK").await.expect("ours");
    };
    let (outcome, ()) = futures_util::join!(confirm(&mut client, &held.booking_id), ending);
    let status = outcome.expect_err("the hold has ended");
    assert_error(&status, Code::FailedPrecondition, "HOLD_EXPIRED");
    stage.assert_sound().await;
}

#[tokio::test]
async fn the_next_reserve_takes_its_seats_or_a_part_of_them() {
    let mut stage = Stage::start().await;
    let show = stage.a_show(8).await;
    let one = stage.reserve(&show, &["A-1", "A-2", "A-3"]).await;
    let two = stage.reserve(&show, &["A-4", "A-5"]).await;
    let three = stage.reserve(&show, &["A-6"]).await;
    for booking in [&one, &two, &three] {
        stage.lapse(&booking.booking_id).await;
    }
    // Part of one hold, part of another, and a seat that was free all along.
    let next = stage.reserve(&show, &["A-2", "A-5", "A-7"]).await;
    for booking in [&one, &two] {
        let now = stored(&stage, &booking.booking_id).await;
        assert_eq!(now, ("FAILED".to_owned(), 2, "EXPIRE".to_owned()));
        let seen = stage.get(&booking.booking_id).await;
        assert_eq!(seen.fail_time, seen.expire_time);
        assert_eq!(seen.failure_reason(), FailureReason::Expired);
    }
    let untouched = stored(&stage, &three.booking_id).await;
    assert_eq!(untouched.0, "PENDING", "nobody wanted its seats");
    assert_eq!(stage.get(&next.booking_id).await, next);
    let held = stage.labels(&show, SeatStatus::Held).await;
    assert_eq!(held, ["A-2", "A-5", "A-7"]);
    // The lapsed hold's other seats are free for others.
    stage.reserve(&show, &["A-1", "A-3", "A-4"]).await;
    stage.assert_sound().await;
}

#[tokio::test]
async fn a_reserve_that_is_refused_for_another_seat_names_only_that() {
    let mut stage = Stage::start().await;
    let show = stage.a_show(4).await;
    let lapsed = stage.reserve(&show, &["A-1"]).await;
    stage.reserve(&show, &["A-2"]).await;
    stage.lapse(&lapsed.booking_id).await;
    let mut client = stage.client();
    let outcome = reserve(&mut client, &show, &["A-1", "A-2"], "bob").await;
    let status = outcome.expect_err("A-2 is held");
    assert_error(&status, Code::FailedPrecondition, "SEATS_UNAVAILABLE");
    assert_eq!(subjects(&status), ["A-2"]);
    stage.assert_sound().await;
}

#[tokio::test]
async fn many_lapsed_holds_go_to_one_reserve() {
    let mut stage = Stage::start().await;
    let show = stage.a_show(60).await;
    let labels: Vec<String> = (1..=60).map(|n| format!("A-{n}")).collect();
    for label in &labels {
        stage.reserve(&show, &[label]).await;
    }
    stage.run(END_ALL).await;
    let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
    let all = stage.reserve(&show, &labels).await;
    assert_eq!(all.lines.len(), 60);
    let failed = "SELECT count(*) FROM booking.bookings WHERE state = 'FAILED'";
    assert_eq!(stage.count(failed).await, 60);
    stage.assert_sound().await;
}

#[tokio::test]
async fn of_two_reserves_at_once_one_gets_the_seats_of_a_lapsed_hold() {
    let mut stage = Stage::start().await;
    let show = stage.a_show(40).await;
    let (mut process, other) = stage.another().await;
    for round in 0..10 {
        let seat = |offset| format!("A-{}", 4 * round + offset);
        let [a, b, c, d] = [seat(1), seat(2), seat(3), seat(4)];
        let lapsed = stage.reserve(&show, &[&a, &b, &c, &d]).await;
        stage.lapse(&lapsed.booking_id).await;
        // Both want the same two, by one process or by two.
        let second = if round % 2 == 0 {
            &other
        } else {
            &stage.client()
        };
        let clients = [stage.client(), second.clone()];
        // Under no id: these are no copies.
        let mut request = reservation(&show, &[&b, &a], "bob");
        request.request_id.clear();
        let outcomes = all_reserve(&clients, &request).await;
        let won = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
        assert_eq!(won, 1, "{outcomes:?}");
        let lost = outcomes.iter().find_map(|outcome| outcome.as_ref().err());
        let lost = lost.expect("one of two");
        assert_error(lost, Code::FailedPrecondition, "SEATS_UNAVAILABLE");
        // The others are free, each for its own.
        let (mut here, mut there) = (stage.client(), second.clone());
        let (c, d) = ([c.as_str()], [d.as_str()]);
        let (third, fourth) = futures_util::join!(
            reserve(&mut here, &show, &c, "cid"),
            reserve(&mut there, &show, &d, "dan"),
        );
        for outcome in [third, fourth] {
            outcome.unwrap_or_else(|status| panic!("{}", describe(&status)));
        }
        let now = stored(&stage, &lapsed.booking_id).await;
        assert_eq!(now, ("FAILED".to_owned(), 2, "EXPIRE".to_owned()));
    }
    crate::stage::assert_quiet(&mut process);
    stage.assert_sound().await;
}

#[tokio::test]
async fn two_reserves_at_once_share_a_lapsed_hold() {
    let mut stage = Stage::start().await;
    let show = stage.a_show(40).await;
    let (mut process, other) = stage.another().await;
    for round in 0..10 {
        let (a, b) = (
            format!("A-{}", 2 * round + 1),
            format!("A-{}", 2 * round + 2),
        );
        let lapsed = stage.reserve(&show, &[&a, &b]).await;
        stage.lapse(&lapsed.booking_id).await;
        let (a, b) = ([a.as_str()], [b.as_str()]);
        let (mut here, mut there) = (stage.client(), other.clone());
        let (one, two) = futures_util::join!(
            reserve(&mut here, &show, &a, "bob"),
            reserve(&mut there, &show, &b, "cid"),
        );
        for outcome in [one, two] {
            outcome.unwrap_or_else(|status| panic!("{}", describe(&status)));
        }
    }
    crate::stage::assert_quiet(&mut process);
    stage.assert_sound().await;
}
