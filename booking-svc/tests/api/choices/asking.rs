//! The parameters of choices, and their errors.

use proto::booking::v1::{SeatChoice, Seating};
use proto::catalog::v1::create_show_request::Seats;
use proto::catalog::v1::{BestSeats, PriceTier};
use proto::money::v1::Money;
use test_harness::errors::{assert_refused, fields, metadata, quota_subjects, subjects};
use tonic::Code;
use uuid::Uuid;

use super::{chosen, hall, labels, party, seated, section, send, show_of, wanted};
use crate::stage::Stage;

fn euros(minor_units: i64) -> Option<Money> {
    Some(Money {
        minor_units,
        currency_code: "EUR".to_owned(),
    })
}

fn tier(name: &str, price: i64, sections: &[&str]) -> PriceTier {
    PriceTier {
        name: name.to_owned(),
        price: euros(price),
        sections: sections.iter().map(ToString::to_string).collect(),
        ..Default::default()
    }
}

#[tokio::test]
async fn section_tiers_and_ceiling_bound_the_choice() {
    let mut stage = Stage::start().await;
    let mut request = show_of(vec![
        section("Stalls", &["A", "B"], 6),
        section("Circle", &["C"], 6),
        section("Gods", &["D"], 6),
    ]);
    request.seat_price = None;
    request.price_tiers = vec![
        tier("Best", 9000, &["Stalls"]),
        tier("Good", 5000, &["Circle"]),
        tier("Cheap", 1000, &[]),
    ];
    let show = stage.create(request).await;
    assert_eq!(
        chosen(&stage, &show, &[], &[party(2)]).await,
        ["A-3", "A-4"]
    );
    let circle = SeatChoice {
        section: "Circle".to_owned(),
        ..party(2)
    };
    let mine = chosen(&stage, &show, &[], &[circle]).await;
    assert_eq!(mine, ["C-3", "C-4"]);
    let tiers = SeatChoice {
        price_tiers: vec!["Cheap".to_owned(), "Good".to_owned()],
        ..seated(4, Seating::Together)
    };
    let mine = chosen(&stage, &show, &[], &[tiers]).await;
    assert!(mine.iter().all(|label| label.starts_with("D-")), "{mine:?}");
    let ceiling = SeatChoice {
        price_max: euros(5000),
        ..party(6)
    };
    let mine = chosen(&stage, &show, &[], std::slice::from_ref(&ceiling)).await;
    let dear = mine.iter().any(|label| label.starts_with(['A', 'B']));
    assert!(!dear && mine.len() == 6, "{mine:?}");
    let call = send(&stage.client(), wanted(&show, &[], &[party(1), ceiling]));
    let status = stage
        .refused(call, Code::FailedPrecondition, "CHOICE_UNAVAILABLE")
        .await;
    assert_eq!(metadata(&status)["largest_party"], "0");
    assert_eq!(metadata(&status)["choice"], "1");
    assert_eq!(subjects(&status), ["choices[1]"]);
    stage.assert_sound().await;
}

#[tokio::test]
async fn the_largest_party_depends_on_the_seating() {
    let mut stage = Stage::start().await;
    let request = show_of(vec![section("Stalls", &["A", "B"], 6)]);
    let show = stage.create(request).await;
    stage.reserve(&show, &["A-2", "B-5"]).await;
    for (seating, count, largest) in [
        (Seating::Together, 5, "4"),
        (Seating::Best, 11, "10"),
        (Seating::Any, 50, "10"),
    ] {
        let call = send(
            &stage.client(),
            wanted(&show, &[], &[seated(count, seating)]),
        );
        let status = stage
            .refused(call, Code::FailedPrecondition, "CHOICE_UNAVAILABLE")
            .await;
        assert_eq!(metadata(&status)["largest_party"], largest, "{seating:?}");
    }
    let four = [seated(4, Seating::Together)];
    let mine = chosen(&stage, &show, &[], &four).await;
    assert_eq!(mine, ["A-3", "A-4", "A-5", "A-6"]);
    let any = chosen(&stage, &show, &[], &[seated(3, Seating::Any)]).await;
    assert_eq!(any, ["A-1", "B-1", "B-2"], "the first in order");
    // Another caller has just returned one: that is known at once.
    let held = stage.reserve(&show, &["B-3", "B-4", "B-6"]).await;
    let (_process, other) = stage.another().await;
    let none = send(&other, wanted(&show, &[], &[party(1)])).await;
    assert_refused(none, Code::FailedPrecondition, "CHOICE_UNAVAILABLE");
    let cancelled = test_harness::system::cancel(&mut stage.client(), &held.booking_id).await;
    cancelled.expect("it is held");
    let two = send(&other, wanted(&show, &[], &[party(2)])).await;
    assert_eq!(labels(&two.expect("free again")), ["B-3", "B-4"]);
    stage.assert_sound().await;
}

#[tokio::test]
async fn the_best_seats_are_where_the_layout_says() {
    let mut stage = Stage::start().await;
    for (best_seats, wanted) in [
        (BestSeats::Unspecified, ["R1-10", "R1-11"]),
        (BestSeats::Front, ["R1-10", "R1-11"]),
        (BestSeats::Middle, ["R3-10", "R3-11"]),
        (BestSeats::First, ["R1-1", "R1-2"]),
    ] {
        let mut show = hall(4);
        if let Some(Seats::Layout(layout)) = &mut show.seats {
            layout.best_seats = best_seats.into();
        }
        let show = stage.create(show).await;
        assert_eq!(chosen(&stage, &show, &[], &[party(2)]).await, wanted);
    }
    stage.assert_sound().await;
}

#[tokio::test]
async fn accessible_seats_go_to_parties_that_ask() {
    let mut stage = Stage::start().await;
    let mut request = show_of(vec![section("Stalls", &["A"], 6)]);
    if let Some(Seats::Layout(layout)) = &mut request.seats {
        layout.accessible_seats = vec!["A-1".to_owned(), "A-2".to_owned()];
        layout.companion_seats = vec!["A-3".to_owned()];
    }
    let show = stage.create(request).await;
    let call = send(&stage.client(), wanted(&show, &[], &[party(5)]));
    let status = stage
        .refused(call, Code::FailedPrecondition, "CHOICE_UNAVAILABLE")
        .await;
    assert_eq!(metadata(&status)["largest_party"], "4");
    let one = SeatChoice {
        accessible_count: 1,
        ..party(2)
    };
    assert_eq!(chosen(&stage, &show, &[], &[one]).await, ["A-2", "A-3"]);
    assert_eq!(
        chosen(&stage, &show, &[], &[party(3)]).await,
        ["A-4", "A-5", "A-6"]
    );
    let call = send(&stage.client(), wanted(&show, &[], &[party(1)]));
    stage
        .refused(call, Code::FailedPrecondition, "CHOICE_UNAVAILABLE")
        .await;
    stage.assert_sound().await;
}

#[tokio::test]
async fn a_companion_sits_beside_the_space_for_a_wheelchair_and_not_near_the_stage() {
    let mut stage = Stage::start().await;
    // The accessible seat is behind an aisle, in the section at the back.
    let mut balcony = section("Balcony", &["V"], 4);
    let mut space = section("Balcony", &["W"], 1).rows.remove(0);
    let beside = test_harness::system::names(["2", "3", "4"]);
    space.runs.push(beside);
    balcony.rows.push(space);
    let mut request = show_of(vec![section("Stalls", &["A"], 6), balcony]);
    if let Some(Seats::Layout(layout)) = &mut request.seats {
        layout.accessible_seats = vec!["W-1".to_owned()];
    }
    for (taken, seating, expected) in [
        (vec![], Seating::Best, ["W-1", "W-2"]),
        (vec![], Seating::Any, ["W-1", "W-2"]),
        (vec!["W-2", "W-3"], Seating::Best, ["V-1", "W-1"]),
        (
            vec!["W-2", "W-3", "W-4", "V-1", "V-2", "V-3"],
            Seating::Best,
            ["V-4", "W-1"],
        ),
    ] {
        let show = stage.create(request.clone()).await;
        if !taken.is_empty() {
            stage.reserve(&show, &taken).await;
        }
        let two = SeatChoice {
            accessible_count: 1,
            seating: seating.into(),
            ..party(2)
        };
        assert_eq!(
            chosen(&stage, &show, &[], &[two]).await,
            expected,
            "{seating:?}"
        );
    }
    stage.assert_sound().await;
}

#[tokio::test]
async fn labels_and_choices_share_a_call_and_no_seat() {
    let mut stage = Stage::start().await;
    let request = show_of(vec![section("Stalls", &["A"], 10)]);
    let show = stage.create(request).await;
    // The best two would be.
    let mixed = [party(2), seated(1, Seating::Any)];
    let mine = chosen(&stage, &show, &["A-5", "A-6"], &mixed).await;
    assert_eq!(mine.len(), 5, "{mine:?}");
    assert!(mine.contains(&"A-5".to_owned()) && mine.contains(&"A-1".to_owned()));
    // All or nothing.
    let call = send(&stage.client(), wanted(&show, &["A-5"], &[party(2)]));
    let status = stage
        .refused(call, Code::FailedPrecondition, "SEATS_UNAVAILABLE")
        .await;
    assert_eq!(subjects(&status), ["A-5"]);
    let free = stage.labels(&show, proto::booking::v1::SeatStatus::Available);
    let free = free.await;
    let call = send(&stage.client(), wanted(&show, &[&free[0]], &[party(5)]));
    let status = stage
        .refused(call, Code::FailedPrecondition, "CHOICE_UNAVAILABLE")
        .await;
    assert_eq!(metadata(&status)["largest_party"], "4");
    let all = chosen(&stage, &show, &[&free[0]], &[party(4)]).await;
    assert_eq!(all, free);
    stage.assert_sound().await;
}

#[tokio::test]
async fn a_hold_that_has_ended_leaves_its_seats_to_be_chosen() {
    let mut stage = Stage::start().await;
    let request = show_of(vec![section("Stalls", &["A"], 4)]);
    let show = stage.create(request).await;
    let held = stage.reserve(&show, &["A-1", "A-2", "A-3", "A-4"]).await;
    let call = send(&stage.client(), wanted(&show, &[], &[party(1)]));
    stage
        .refused(call, Code::FailedPrecondition, "CHOICE_UNAVAILABLE")
        .await;
    stage.lapse(&held.booking_id).await;
    let mine = chosen(&stage, &show, &[], &[party(2)]).await;
    assert_eq!(mine.len(), 2);
    stage.assert_sound().await;
}

#[tokio::test]
async fn nonsense_is_named_and_changes_nothing() {
    let mut stage = Stage::start().await;
    let show = stage.create(hall(1)).await;
    let with = |change: fn(&mut SeatChoice)| {
        let mut choice = party(2);
        change(&mut choice);
        choice
    };
    let cases = [
        (with(|c| c.count = 0), "count"),
        (with(|c| c.count = -7), "count"),
        (with(|c| c.seating = 9), "seating"),
        (with(|c| c.section = "Pit".to_owned()), "section"),
        (
            with(|c| c.price_tiers = vec!["Standard".to_owned(), "Gold".to_owned()]),
            "price_tiers[1]",
        ),
        (
            with(|c| c.price_tiers = vec!["Standard".to_owned(); 2]),
            "price_tiers[1]",
        ),
        (
            with(|c| c.price_tiers = (0..51).map(|n| n.to_string()).collect()),
            "price_tiers",
        ),
        (
            with(|c| {
                c.price_max = euros(5000);
                c.price_max.as_mut().expect("set").currency_code = "USD".to_owned();
            }),
            "price_max.currency_code",
        ),
        (
            with(|c| {
                c.price_max = euros(5000);
                c.price_max.as_mut().expect("set").currency_code = "euro".to_owned();
            }),
            "price_max.currency_code",
        ),
        (with(|c| c.price_max = euros(-1)), "price_max.minor_units"),
        (with(|c| c.accessible_count = -1), "accessible_count"),
        (with(|c| c.accessible_count = 3), "accessible_count"),
        (
            with(|c| (c.count, c.accessible_count) = (20, 9)),
            "accessible_count",
        ),
    ];
    for (choice, field) in cases {
        let call = send(&stage.client(), wanted(&show, &[], &[party(1), choice]));
        let status = stage
            .refused(call, Code::InvalidArgument, "INVALID_FIELD")
            .await;
        assert_eq!(fields(&status), [format!("choices[1].{field}")]);
    }
    let call = send(&stage.client(), wanted(&show, &[], &vec![party(1); 11]));
    let status = stage
        .refused(call, Code::InvalidArgument, "INVALID_FIELD")
        .await;
    assert_eq!(fields(&status), ["choices"]);
    for choices in [
        vec![party(101)],
        vec![party(60), party(40)],
        vec![party(i32::MAX); 3],
    ] {
        let call = send(&stage.client(), wanted(&show, &["R1-1"], &choices));
        let status = stage
            .refused(call, Code::ResourceExhausted, "SEATS_PER_BOOKING_EXCEEDED")
            .await;
        assert_eq!(quota_subjects(&status), ["seat_labels"]);
    }
    let mut strict = hall(1);
    strict.seats_per_booking_max = 4;
    let few = stage.create(strict).await;
    let call = send(&stage.client(), wanted(&few, &["R1-1"], &[party(4)]));
    let status = stage
        .refused(call, Code::ResourceExhausted, "SEATS_PER_BOOKING_EXCEEDED")
        .await;
    assert_eq!(metadata(&status)["limit"], "4");
    stage.assert_sound().await;
}

#[tokio::test]
async fn a_request_id_knows_its_choices() {
    let mut stage = Stage::start().await;
    let show = stage.create(hall(1)).await;
    let mut request = wanted(&show, &["R1-1"], &[party(2)]);
    request.request_id = Uuid::new_v4().to_string();
    let booked = send(&stage.client(), request.clone()).await.expect("free");
    let again = send(&stage.client(), request.clone()).await;
    assert_eq!(again.expect("a copy"), booked);
    let same = SeatChoice {
        price_max: euros(1250),
        ..party(2)
    };
    let others = [
        vec![],
        vec![party(3)],
        vec![seated(2, Seating::Best)],
        vec![same],
        vec![party(2), party(2)],
    ];
    for choices in others {
        let mut other = request.clone();
        other.choices = choices;
        let call = send(&stage.client(), other);
        stage
            .refused(call, Code::InvalidArgument, "REQUEST_ID_REUSED")
            .await;
    }
    // Nothing is left to choose from; the first result stands.
    let rest = chosen(&stage, &show, &[], &[party(17)]).await;
    assert_eq!(rest.len(), 17);
    let again = send(&stage.client(), request).await;
    assert_eq!(again.expect("a copy"), booked);
    stage.assert_sound().await;
}
