//! How the store handles the catalog's proposals and new layouts: without a catalog, so that the
//! test can stop after each step.

use booking_svc::commands::CommandError;
use booking_svc::domain::{ProposalAnswer, ProposedChange, Rejection, SaleState, Taken};
use booking_svc::store::Applied;
use test_harness::invariants;
use uuid::Uuid;

use crate::in_process::{
    InProcess, a_show, labels, next, prices_of, proposing, rejection, reserve, row_of, with_layout,
};

fn unknown(
    outcome: Result<booking_svc::commands::BookingView, CommandError>,
) -> Vec<(usize, String)> {
    match outcome {
        Err(CommandError::UnknownSeats { seats, .. }) => seats,
        other => panic!("all known: {other:?}"),
    }
}

#[tokio::test]
async fn a_layout_is_refused_for_live_bookings_alone_and_their_seats_are_named() {
    let in_process = InProcess::open().await;
    let first = a_show(&["A", "B", "C", "D", "E"], 1250);
    let show = first.show_id;
    in_process.apply(&first).await;
    let held = in_process.hold(show, &["D"]).await;
    let sold = in_process.hold(show, &["B"]).await;
    in_process
        .confirm(sold.booking_id)
        .await
        .expect("a live hold");
    let lapsed = in_process.hold(show, &["C"]).await;
    crate::stage::end_hold(
        &in_process.database.owner().await,
        &lapsed.booking_id.to_string(),
        0.0,
    )
    .await;
    let over = in_process.hold(show, &["E"]).await;
    in_process.cancel(over.booking_id).await;

    let change = ProposedChange::Layout(row_of(&["A", "X"]));
    let asked = proposing(&first, change.clone());
    let applied = in_process
        .store
        .apply(&asked, None, None)
        .await
        .expect("a database");
    assert_eq!(applied, Applied::SaleAndAnswer);
    let refused = ProposalAnswer {
        show_id: show,
        proposal: asked.revision,
        accepted: false,
        booked_seats: vec!["B".to_owned(), "D".to_owned()],
    };
    let undelivered = in_process
        .store
        .undelivered_answers(None)
        .await
        .expect("a database")
        .items;
    assert_eq!(undelivered, [refused]);
    // Nothing was taken off sale: free seats sell.
    in_process.hold(show, &["A", "E"]).await;

    // The organiser waits for the customers, and asks again.
    in_process.cancel(held.booking_id).await;
    in_process.cancel(sold.booking_id).await;
    let keeps_what_is_held = ProposedChange::Layout(row_of(&["E", "A", "X"]));
    let again = proposing(&next(&asked), keeps_what_is_held);
    in_process.apply(&again).await;
    let undelivered = in_process
        .store
        .undelivered_answers(None)
        .await
        .expect("a database")
        .items;
    assert_eq!(undelivered.len(), 1, "{undelivered:?}");
    assert!(undelivered[0].accepted && undelivered[0].booked_seats.is_empty());
    assert_eq!(
        undelivered[0].proposal, again.revision,
        "the older one is over"
    );
    invariants::assert_hold(&in_process.database).await;
}

#[tokio::test]
async fn seats_dropped_by_an_accepted_layout_are_off_sale_until_it_is_decided() {
    let in_process = InProcess::open().await;
    let (_, other) = in_process.another();
    let first = a_show(&["A", "B", "C"], 1250);
    let show = first.show_id;
    in_process.apply(&first).await;
    // Both replicas have looked the sale up before.
    in_process.hold(show, &["A"]).await;
    assert_eq!(
        unknown(reserve(&other, show, &["X"]).await),
        [(0, "X".to_owned())]
    );

    let change = ProposedChange::Layout(row_of(&["X", "A"]));
    let asked = proposing(&first, change);
    in_process.apply(&asked).await;
    for commands in [&other, &other] {
        let taken = vec![("B".to_owned(), Taken::Blocked)];
        let refused = rejection(reserve(commands, show, &["B"]).await);
        assert_eq!(refused, Rejection::SeatsUnavailable(show, taken));
    }
    let digest = "SELECT proposal, withdrawn::text FROM booking.sales";
    let owner = in_process.database.owner().await;
    let row = owner.query_one(digest, &[]).await.expect("a sale");
    assert_eq!((row.get(0), row.get(1)), (Some(asked.revision), "{1,2}"));

    // Another write of the show while the catalog has not decided changes nothing of it.
    let mut renamed = next(&asked);
    renamed.proposal.clone_from(&asked.proposal);
    let applied = in_process
        .store
        .apply(&renamed, None, None)
        .await
        .expect("a database");
    assert_eq!(applied, Applied::Sale, "it is answered already");
    rejection(in_process.reserve(show, &["C"]).await);

    // The organiser thinks better of it.
    let dropped = next(&renamed);
    in_process.apply(&dropped).await;
    assert_eq!(
        in_process
            .store
            .undelivered_answers(None)
            .await
            .expect("a database")
            .items,
        []
    );
    in_process.hold(show, &["B", "C"]).await;
    invariants::assert_hold(&in_process.database).await;
}

#[tokio::test]
async fn seats_keep_their_bookings_under_another_layout() {
    let in_process = InProcess::open().await;
    let (_, other) = in_process.another();
    let first = a_show(&["A", "B", "C"], 1250);
    let show = first.show_id;
    in_process.apply(&first).await;
    let kept = in_process.hold(show, &["C"]).await;
    let request_id = Uuid::new_v4();
    let past = in_process
        .reserve_as(show, &["B"], request_id)
        .await
        .expect("free");
    in_process.cancel(past.booking.booking_id).await;

    let second = with_layout(&first, &["X", "C", "A", "Y"]);
    in_process.apply(&second).await;
    let names = labels(
        &in_process
            .confirm(kept.booking_id)
            .await
            .expect("a live hold"),
    );
    assert_eq!(names, ["C"]);
    assert_eq!(
        unknown(reserve(&other, show, &["A", "B"]).await),
        [(1, "B".to_owned())]
    );
    let new = reserve(&other, show, &["Y", "X", "A"])
        .await
        .expect("all are free");
    assert_eq!(labels(&new), ["A", "X", "Y"], "by their numbers");
    // This replica still knows the first layout; a cancel still finds the seats' names.
    let refused = rejection(in_process.reserve(show, &["C", "Y"]).await);
    let taken = [("C", Taken::Booked), ("Y", Taken::Held)];
    let taken = taken.map(|(label, how)| (label.to_owned(), how)).to_vec();
    assert_eq!(refused, Rejection::SeatsUnavailable(show, taken));
    // The seat is gone, but the call was made when it was there.
    let again = in_process
        .reserve_as(show, &["B"], request_id)
        .await
        .expect("a copy");
    assert_eq!(again.booking, past.booking);
    assert_eq!(labels(&again), ["B"]);
    let rows = "SELECT count(*), count(DISTINCT ordinal) FROM booking.show_seats";
    let row = in_process
        .database
        .owner()
        .await
        .query_one(rows, &[])
        .await
        .expect("counts");
    assert_eq!((row.get::<_, i64>(0), row.get::<_, i64>(1)), (5, 5));

    // A label that comes back is the seat that it was.
    in_process
        .apply(&with_layout(&second, &["B", "X", "C", "A", "Y"]))
        .await;
    let back = in_process.hold(show, &["B"]).await;
    assert_eq!(back.seats[0].ordinal, past.booking.seats[0].ordinal);
    invariants::assert_hold(&in_process.database).await;
}

#[tokio::test]
async fn a_show_that_never_had_a_booking_is_taken_off_sale_to_be_deleted() {
    let in_process = InProcess::open().await;
    let first = a_show(&["A", "B"], 1250);
    let show = first.show_id;
    in_process.apply(&first).await;
    unknown(in_process.reserve(show, &["X"]).await);
    let asked = proposing(&first, ProposedChange::Deletion);
    in_process.apply(&asked).await;
    let undelivered = in_process
        .store
        .undelivered_answers(None)
        .await
        .expect("a database")
        .items;
    assert!(undelivered[0].accepted, "{undelivered:?}");
    let closed = Rejection::ShowNotOnSale(show, SaleState::Closed, None);
    assert_eq!(rejection(in_process.reserve(show, &["A"]).await), closed);

    let deleted =
        in_process
            .store
            .apply_deleted(show, asked.revision + 1, crate::feed::START, None);
    deleted.await.expect("a database");
    assert_eq!(
        in_process
            .store
            .undelivered_answers(None)
            .await
            .expect("a database")
            .items,
        []
    );

    // Any booking prevents the deletion, even an ended one.
    let other = a_show(&["A"], 1250);
    in_process.apply(&other).await;
    let booking = in_process.hold(other.show_id, &["A"]).await;
    in_process.cancel(booking.booking_id).await;
    let asked = proposing(&other, ProposedChange::Deletion);
    in_process.apply(&asked).await;
    let undelivered = in_process
        .store
        .undelivered_answers(None)
        .await
        .expect("a database")
        .items;
    assert!(!undelivered[0].accepted && undelivered[0].booked_seats.is_empty());
    in_process.hold(other.show_id, &["A"]).await;
    invariants::assert_hold(&in_process.database).await;
}

#[tokio::test]
async fn replicas_answer_a_proposal_once() {
    let in_process = InProcess::open().await;
    let (store, commands) = in_process.another();
    for _ in 0..20 {
        let first = a_show(&["A", "B", "C"], 1250);
        let show = first.show_id;
        in_process.apply(&first).await;
        let asked = proposing(&first, ProposedChange::Layout(row_of(&["A"])));
        let (one, two, held) = futures_util::join!(
            in_process.store.apply(&asked, None, None),
            store.apply(&asked, None, None),
            reserve(&commands, show, &["C"]),
        );
        let applied = [one.expect("a database"), two.expect("a database")];
        assert!(applied.contains(&Applied::SaleAndAnswer) && applied.contains(&Applied::Nothing));
        let undelivered = in_process
            .store
            .undelivered_answers(None)
            .await
            .expect("a database")
            .items;
        let answer = undelivered.iter().find(|answer| answer.show_id == show);
        let answer = answer.expect("it was answered");
        assert_eq!(answer.accepted, held.is_err(), "{answer:?} {held:?}");
        assert_eq!(answer.booked_seats.is_empty(), answer.accepted);
        in_process
            .store
            .answer_delivered(answer)
            .await
            .expect("a database");
    }
    invariants::assert_hold(&in_process.database).await;
}

#[tokio::test]
async fn prices_are_frozen_when_reserved_and_a_sale_that_changed_is_looked_up_again() {
    let in_process = InProcess::open().await;
    let (_, other) = in_process.another();
    let first = a_show(&["A", "B", "C"], 1250);
    let show = first.show_id;
    in_process.apply(&first).await;
    let before = in_process.hold(show, &["A"]).await;
    let mut dearer = next(&first);
    dearer.prices = prices_of(1400, &dearer.layout);
    in_process.apply(&dearer).await;
    let after = [
        in_process
            .reserve(show, &["B"])
            .await
            .expect("free")
            .booking,
        reserve(&other, show, &["C"]).await.expect("free").booking,
    ];
    for booking in after {
        assert_eq!((booking.total, &*booking.seats[0].tier), (1400, "Standard"));
    }
    let confirmed = in_process
        .confirm(before.booking_id)
        .await
        .expect("a live hold")
        .booking;
    assert_eq!((confirmed.total, confirmed.seats), (1250, before.seats));
    invariants::assert_hold(&in_process.database).await;
}
