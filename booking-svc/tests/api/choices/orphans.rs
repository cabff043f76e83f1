//! The orphan rule of a show.

use proto::booking::v1::SwapSeatsRequest;
use proto::catalog::v1::OrphanRule;
use test_harness::errors::{assert_refused, describe, subjects};
use test_harness::system::{confirm, reserve};
use tonic::Code;
use uuid::Uuid;

use super::{chosen, party, section, send, show_of, wanted};
use crate::stage::{Stage, assert_quiet};

const ROUNDS: usize = 100;

/// A show under a rule, with rows of this many seats.
async fn show_under(stage: &Stage, rule: OrphanRule, rows: usize, seats: i32) -> String {
    let names: Vec<String> = (1..=rows).map(|row| format!("R{row}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut show = show_of(vec![section("Stalls", &names, seats)]);
    show.orphan_rule = rule.into();
    stage.create(show).await
}

#[tokio::test]
async fn strict_rejects_an_avoidable_orphan() {
    let mut stage = Stage::start().await;
    let show = show_under(&stage, OrphanRule::Strict, 2, 6).await;
    let leaves = |labels: &'static [&'static str], left: &'static [&'static str]| {
        let (mut client, show, stage) = (stage.client(), show.clone(), &stage);
        async move {
            let call = reserve(&mut client, &show, labels, "ann");
            let status = stage.refused(call, Code::FailedPrecondition, "ORPHAN_SEATS");
            assert_eq!(subjects(&status.await), left, "{labels:?}");
        }
    };
    leaves(&["R1-2", "R1-3"], &["R1-1"]).await;
    leaves(&["R1-2", "R1-5"], &["R1-1", "R1-6"]).await;
    leaves(&["R1-1", "R1-3", "R2-1"], &["R1-2"]).await;
    let held = stage.reserve(&show, &["R1-1", "R1-2"]).await;
    assert_eq!(held.orphan_seat_labels, [""; 0]);
    leaves(&["R1-4"], &["R1-3"]).await;
    // Three of four leave one, whichever they are.
    let marked = stage.reserve(&show, &["R1-4", "R1-5", "R1-6"]).await;
    assert_eq!(marked.orphan_seat_labels, ["R1-3"]);
    // Chosen in addition to the named ones, R2-1 and R2-2 are not neighbours of R2-5 and R2-6.
    let mine = chosen(&stage, &show, &["R2-5", "R2-6"], &[party(2)]).await;
    assert_eq!(mine.len(), 4, "{mine:?}");
    stage.assert_sound().await;
}

#[tokio::test]
async fn warn_marks_the_booking_until_it_is_swapped() {
    let mut stage = Stage::start().await;
    let show = show_under(&stage, OrphanRule::Warn, 1, 8).await;
    let mut request = wanted(&show, &["R1-2", "R1-4"], &[]);
    request.request_id = Uuid::new_v4().to_string();
    let marked = send(&stage.client(), request.clone()).await.expect("free");
    assert_eq!(marked.orphan_seat_labels, ["R1-1", "R1-3"]);
    assert_eq!(stage.get(&marked.booking_id).await, marked);
    let swap = SwapSeatsRequest {
        booking_id: marked.booking_id.clone(),
        from_seat_labels: vec!["R1-2".to_owned()],
        to_seat_labels: vec!["R1-7".to_owned()],
        ..Default::default()
    };
    let swapped = stage.client().swap_seats(swap).await.expect("free");
    let swapped = swapped.into_inner().booking.expect("set");
    assert_eq!(swapped.orphan_seat_labels, ["R1-8"]);
    let copy = send(&stage.client(), request).await.expect("a copy");
    assert_eq!(copy, marked, "as it was then");
    let confirmed = confirm(&mut stage.client(), &marked.booking_id).await;
    assert_eq!(confirmed.expect("held").orphan_seat_labels, ["R1-8"]);
    stage.assert_sound().await;
}

#[tokio::test]
async fn orphan_rule_off_reports_no_orphans() {
    let mut stage = Stage::start().await;
    let show = show_under(&stage, OrphanRule::Off, 1, 4).await;
    let held = stage.reserve(&show, &["R1-2"]).await;
    assert_eq!(held.orphan_seat_labels, [""; 0]);
    stage.assert_sound().await;
}

#[tokio::test]
async fn a_swap_obeys_the_rule() {
    let mut stage = Stage::start().await;
    let show = show_under(&stage, OrphanRule::Strict, 1, 8).await;
    let held = stage.reserve(&show, &["R1-1", "R1-2"]).await;
    let mut client = stage.client();
    let swap = |from: &str, to: &str| SwapSeatsRequest {
        booking_id: held.booking_id.clone(),
        from_seat_labels: vec![from.to_owned()],
        to_seat_labels: vec![to.to_owned()],
        ..Default::default()
    };
    for (from, to, left) in [("R1-2", "R1-7", "R1-8"), ("R1-2", "R1-3", "R1-2")] {
        let call = client.swap_seats(swap(from, to));
        let status = stage
            .refused(call, Code::FailedPrecondition, "ORPHAN_SEATS")
            .await;
        assert_eq!(subjects(&status), [left]);
    }
    // The returned seat is next to the one that it leaves, so there is no orphan.
    let swapped = client.swap_seats(swap("R1-2", "R1-4")).await.expect("free");
    let swapped = swapped.into_inner().booking.expect("set");
    assert_eq!(swapped.orphan_seat_labels, [""; 0]);
    stage.assert_sound().await;
}

/// Neither leaves an orphan alone, but both together leave seat 7, which either could avoid.
#[tokio::test]
async fn neighbours_at_once_see_each_other() {
    let mut stage = Stage::start().await;
    let strict = show_under(&stage, OrphanRule::Strict, ROUNDS, 12).await;
    let warn = show_under(&stage, OrphanRule::Warn, ROUNDS, 12).await;
    let (mut process, other) = stage.another().await;
    let mut first = [0; 2];
    for round in 1..=ROUNDS {
        let seat = |number: u32| format!("R{round}-{number}");
        let (left, right) = ([seat(5), seat(6)], [seat(8), seat(9)]);
        let (left, right) = ([&*left[0], &*left[1]], [&*right[0], &*right[1]]);
        let (mut here, mut there) = (stage.client(), other.clone());
        let one = reserve(&mut here, &strict, &left, "ann");
        let two = reserve(&mut there, &strict, &right, "bob");
        // They take turns in being sent first.
        let both = if round.is_multiple_of(2) {
            futures_util::join!(one, two)
        } else {
            let (two, one) = futures_util::join!(two, one);
            (one, two)
        };
        let refused = match both {
            (Ok(_), refused @ Err(_)) => {
                first[0] += 1;
                refused
            }
            (refused @ Err(_), Ok(_)) => {
                first[1] += 1;
                refused
            }
            both => panic!("not exactly one: {both:?}"),
        };
        let status = assert_refused(refused, Code::FailedPrecondition, "ORPHAN_SEATS");
        assert_eq!(subjects(&status), [seat(7)]);

        let both = futures_util::join!(
            reserve(&mut here, &warn, &left, "ann"),
            reserve(&mut there, &warn, &right, "bob")
        );
        let marks = [both.0, both.1].map(|outcome| match outcome {
            Ok(booking) => booking.orphan_seat_labels,
            Err(status) => panic!("{}", describe(&status)),
        });
        assert_eq!(marks.concat(), [seat(7)], "the second booking names it");
    }
    assert!(first.iter().all(|wins| *wins > 0), "{first:?}");
    assert_quiet(&mut process);
    stage.assert_sound().await;
}
