//! Another layout under a sale: areas get more places or fewer, come and go. Without a catalog, so
//! that the test can stop after each step.

use booking_svc::domain::{Booking, ProposalAnswer, ProposedChange, Rejection, Snapshot};
use booking_svc::store::AreaCount;
use model::{Area, SeatLayout, ShowId};
use test_harness::invariants;

use crate::in_process::{InProcess, a_show, next, prices_of, proposing, rejection};
use crate::stage::end_hold;

/// A layout of a seat and of areas.
fn layout_of(areas: &[(&str, u32)]) -> SeatLayout {
    let mut description = crate::in_process::row_of(&["A"]).description().clone();
    let area = |&(name, capacity): &(&str, u32)| Area {
        name: name.into(),
        capacity,
        deck: "".into(),
        origin: None,
    };
    description.areas = areas.iter().map(area).collect();
    SeatLayout::new(description).expect("a layout")
}

/// A snapshot with these areas, or the catalog's next snapshot with others.
fn with_areas(mut snapshot: Snapshot, areas: &[(&str, u32)]) -> Snapshot {
    snapshot.layout = layout_of(areas);
    snapshot.prices = prices_of(1_250, &snapshot.layout);
    snapshot
}

fn proposed(areas: &[(&str, u32)]) -> ProposedChange {
    ProposedChange::Layout(layout_of(areas))
}

impl InProcess {
    async fn hold_places(&self, show: ShowId, wanted: &[(&str, u32)]) -> Booking {
        let held = self.reserve_places(show, wanted).await;
        held.unwrap_or_else(|error| panic!("{wanted:?}: {error}"))
            .booking
    }

    async fn is_full(&self, show: ShowId, area: &str, quantity: u32, left: u32) {
        let refused = rejection(self.reserve_places(show, &[(area, quantity)]).await);
        assert_eq!(
            refused,
            Rejection::AreasFull(show, vec![(area.to_owned(), left)])
        );
    }

    /// How many places of an area are available, held and booked.
    async fn count(&self, show: ShowId, area: &str) -> (u32, u32, u32) {
        let counts = self.store.areas(show).await.expect("a database");
        let count = counts.into_iter().find(|count| *count.area == *area);
        let AreaCount {
            available,
            held,
            booked,
            ..
        } = count.expect("an area that the show has had");
        (available, held, booked)
    }

    async fn the_answer(&self) -> ProposalAnswer {
        let mut undelivered = self
            .store
            .undelivered_answers(None)
            .await
            .expect("a database")
            .items;
        assert_eq!(undelivered.len(), 1, "{undelivered:?}");
        undelivered.remove(0)
    }
}

#[tokio::test]
async fn a_layout_that_takes_places_of_live_bookings_is_refused_and_names_their_areas() {
    let in_process = InProcess::open().await;
    let first = with_areas(
        a_show(&["A"], 1_250),
        &[("Floor", 10), ("Pit", 4), ("Bar", 3)],
    );
    let show = first.show_id;
    in_process.apply(&first).await;
    let held = in_process
        .hold_places(show, &[("Bar", 1), ("Floor", 4)])
        .await;
    let sold = in_process
        .hold_places(show, &[("Floor", 3), ("Pit", 1)])
        .await;
    in_process
        .confirm(sold.booking_id)
        .await
        .expect("a live hold");

    let smaller = proposed(&[("Floor", 6), ("Pit", 1)]);
    let asked = proposing(&first, smaller.clone());
    in_process.apply(&asked).await;
    let answer = in_process.the_answer().await;
    assert!(!answer.accepted);
    assert_eq!(answer.booked_seats, ["Bar", "Floor"]);
    // Nothing was taken off sale.
    assert_eq!(in_process.count(show, "Floor").await, (3, 4, 3));
    in_process
        .hold_places(show, &[("Floor", 3), ("Pit", 3)])
        .await;

    // Places that are given back can be dropped.
    in_process.cancel(held.booking_id).await;
    let again = proposing(&next(&asked), proposed(&[("Floor", 6), ("Pit", 4)]));
    in_process.apply(&again).await;
    assert!(in_process.the_answer().await.accepted);
    in_process.is_full(show, "Floor", 1, 0).await;
    invariants::assert_hold(&in_process.database).await;
}

#[tokio::test]
async fn an_accepted_layouts_dropped_places_are_off_sale_and_its_new_ones_not_yet_on_sale() {
    let in_process = InProcess::open().await;
    let first = with_areas(a_show(&["A"], 1_250), &[("Floor", 10), ("Pit", 4)]);
    let show = first.show_id;
    in_process.apply(&first).await;
    in_process.hold_places(show, &[("Floor", 2)]).await;
    let change = proposed(&[("Bar", 9), ("Floor", 5)]);
    let asked = proposing(&first, change.clone());
    in_process.apply(&asked).await;
    assert!(in_process.the_answer().await.accepted);
    in_process.is_full(show, "Floor", 4, 3).await;
    in_process.is_full(show, "Pit", 1, 0).await;
    assert_eq!(in_process.count(show, "Floor").await, (3, 2, 0));

    // A write of the show while the catalog has not decided changes nothing of it.
    let mut renamed = next(&asked);
    renamed.proposal.clone_from(&asked.proposal);
    in_process.apply(&renamed).await;
    in_process.is_full(show, "Floor", 4, 3).await;
    // The organiser thinks better of it.
    let dropped = next(&renamed);
    in_process.apply(&dropped).await;
    in_process
        .hold_places(show, &[("Floor", 4), ("Pit", 3)])
        .await;

    // Asked again it is too late; with more room it is not.
    let second = proposing(&dropped, change);
    in_process.apply(&second).await;
    assert!(!in_process.the_answer().await.accepted);
    let third = proposing(
        &next(&second),
        proposed(&[("Bar", 9), ("Floor", 20), ("Pit", 3)]),
    );
    in_process.apply(&third).await;
    assert!(in_process.the_answer().await.accepted);
    in_process.is_full(show, "Floor", 5, 4).await;
    let put = with_areas(next(&third), &[("Bar", 9), ("Floor", 20), ("Pit", 3)]);
    in_process.apply(&put).await;
    in_process
        .hold_places(show, &[("Bar", 9), ("Floor", 14)])
        .await;
    in_process.is_full(show, "Pit", 1, 0).await;
    invariants::assert_hold(&in_process.database).await;
}

#[tokio::test]
async fn ended_holds_do_not_stand_in_the_way_and_give_nothing_back_that_is_gone() {
    let in_process = InProcess::open().await;
    let first = with_areas(a_show(&["A"], 1_250), &[("Floor", 10), ("Pit", 4)]);
    let show = first.show_id;
    in_process.apply(&first).await;
    let ended = in_process
        .hold_places(show, &[("Floor", 8), ("Pit", 4)])
        .await;
    let owner = in_process.database.owner().await;
    end_hold(&owner, &ended.booking_id.to_string(), 0.0).await;
    let sold = in_process.hold_places(show, &[("Floor", 2)]).await;
    in_process
        .confirm(sold.booking_id)
        .await
        .expect("a live hold");

    // No worker has failed the expired hold.
    let asked = proposing(&first, proposed(&[("Floor", 5)]));
    in_process.apply(&asked).await;
    assert!(in_process.the_answer().await.accepted);
    in_process
        .apply(&with_areas(next(&asked), &[("Floor", 5)]))
        .await;
    assert_eq!(in_process.count(show, "Floor").await, (3, 0, 2));
    in_process.is_full(show, "Floor", 4, 3).await;
    in_process.hold_places(show, &[("Floor", 3)]).await;
    let state = "SELECT state::text FROM booking.bookings WHERE booking_id = $1";
    let row = owner.query_one(state, &[&ended.booking_id.uuid()]).await;
    assert_eq!(row.expect("a booking").get::<_, &str>(0), "FAILED");
    in_process.is_full(show, "Floor", 1, 0).await;
    invariants::assert_hold(&in_process.database).await;
}

#[tokio::test]
async fn an_area_that_goes_keeps_its_past_and_may_come_back() {
    let in_process = InProcess::open().await;
    let first = with_areas(a_show(&["A"], 1_250), &[("Floor", 10), ("Pit", 4)]);
    let show = first.show_id;
    in_process.apply(&first).await;
    let past = in_process.hold_places(show, &[("Pit", 2)]).await;
    in_process.cancel(past.booking_id).await;
    let ended = in_process.hold_places(show, &[("Pit", 2)]).await;
    let owner = in_process.database.owner().await;
    end_hold(&owner, &ended.booking_id.to_string(), 0.0).await;
    let gone = with_areas(next(&first), &[]);
    in_process.apply(&gone).await;
    let unknown = in_process.reserve_places(show, &[("Pit", 1)]).await;
    assert!(unknown.is_err(), "{unknown:?}");
    assert_eq!(in_process.count(show, "Pit").await, (0, 0, 0));
    let kept = in_process
        .store
        .booking(past.booking_id)
        .await
        .expect("a database");
    assert_eq!(kept.expect("a booking").booking.places, past.places);

    in_process
        .apply(&with_areas(next(&gone), &[("Pit", 3)]))
        .await;
    in_process.hold_places(show, &[("Pit", 3)]).await;
    in_process.is_full(show, "Pit", 1, 0).await;
    invariants::assert_hold(&in_process.database).await;
}
