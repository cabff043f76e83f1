//! Numbering: an ordinal belongs to one label for good.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::layout::{LayoutDescription, RowBlock, Section, Series};

/// One section, "Hall", with one row, "R", in which every name is a seat's label.
fn hall(labels: &[String]) -> SeatLayout {
    let rows = RowBlock {
        names: Some(Series::List(vec!["R".into()])),
        runs: vec![Series::List(
            labels.iter().map(|label| label.as_str().into()).collect(),
        )],
        label_format: Some("{seat}".into()),
    };
    SeatLayout::new(LayoutDescription {
        sections: vec![Section {
            name: "Hall".into(),
            deck: "".into(),
            origin: None,
            rows: vec![rows],
        }],
        ..LayoutDescription::default()
    })
    .expect("a layout")
}

fn hall_of(labels: &str) -> SeatLayout {
    let labels: Vec<_> = labels.split(' ').map(str::to_owned).collect();
    hall(&labels)
}

fn json(seats: &ShowSeats) -> String {
    serde_json::to_string(seats.numbering()).expect("json")
}

fn restored(seats: &ShowSeats) -> ShowSeats {
    let numbering = serde_json::from_str(&json(seats)).expect("a numbering");
    ShowSeats::restore(seats.layout().clone(), numbering).expect("of this layout")
}

/// Labels that a layout can have, in some order.
fn some_labels() -> impl Strategy<Value = Vec<String>> {
    let all: Vec<String> = (0..12).map(|n| format!("s{n}")).collect();
    prop::sample::subsequence(all, 1..=12).prop_shuffle()
}

proptest! {
    #[test]
    fn an_ordinal_stands_for_one_label_for_good(
        layouts in prop::collection::vec(some_labels(), 1..8),
    ) {
        let mut seats = ShowSeats::new(hall(&layouts[0]));
        let mut ever: BTreeMap<String, u32> = layouts[0].iter().cloned().zip(0..).collect();
        for labels in &layouts {
            seats = seats.with_layout(hall(labels)).expect("few labels");
            for label in labels {
                let next = u32::try_from(ever.len()).expect("few labels");
                ever.entry(label.clone()).or_insert(next);
            }
            prop_assert_eq!(seats.ordinal_count() as usize, ever.len());
            for seats in [&seats, &restored(&seats)] {
                let mut retired = BTreeSet::new();
                for (label, &ordinal) in &ever {
                    let seat = seats.seat(ordinal).expect("every ordinal was given");
                    prop_assert_eq!((&*seat.label, seat.section, &*seat.row), (&**label, "Hall", "R"));
                    let position = labels.iter().zip(0..).find(|(other, _)| *other == label);
                    let position = position.map(|(_, position)| position);
                    prop_assert_eq!(seats.position_of(ordinal), position);
                    prop_assert_eq!(seats.ordinal_of_label(label), position.map(|_| ordinal));
                    prop_assert_eq!(seats.retired(ordinal).is_some(), position.is_none());
                    match position {
                        Some(position) => prop_assert_eq!(seats.ordinal_of(position), Some(ordinal)),
                        None => {
                            retired.insert(ordinal);
                        }
                    }
                }
                let ordinals = seats.retired_seats().iter().map(|seat| seat.ordinal);
                prop_assert!(ordinals.eq(retired));
                prop_assert!(seats.seat(seats.ordinal_count()).is_none());
                prop_assert!(seats.ordinal_of(seats.layout().seat_count()).is_none());
            }
        }
    }
}

#[test]
fn as_long_as_ordinals_are_positions_nothing_is_kept() {
    let first = ShowSeats::new(hall_of("a b c"));
    assert_eq!(json(&first), "null");
    assert_eq!((first.ordinal_of(2), first.ordinal_of(3)), (Some(2), None));
    assert_eq!(
        (first.position_of(2), first.position_of(3)),
        (Some(2), None)
    );
    let longer = first.with_layout(hall_of("a b c d")).expect("few labels");
    assert_eq!(
        (json(&longer).as_str(), longer.ordinal_count()),
        ("null", 4)
    );
    let moved = longer.with_layout(hall_of("b c d")).expect("few labels");
    assert_ne!(json(&moved), "null");
    let back = moved.with_layout(hall_of("a b c d")).expect("few labels");
    assert_eq!(back, longer);
    assert!(moved.weight() > back.weight());
}

#[test]
fn a_numbering_is_written_in_runs() {
    let first = ShowSeats::new(hall_of("a b c d"));
    let moved = first.with_layout(hall_of("x c d y a")).expect("few labels");
    assert_eq!(
        json(&moved),
        r#"{"ordinals":[[4,1],[2,2],[5,1],[0,1]],"#.to_owned()
            + r#""retired":[{"ordinal":1,"label":"b","section":"Hall","row":"R"}]}"#
    );
    assert_eq!(restored(&moved), moved);
}

#[test]
fn a_numbering_that_cannot_be_is_refused() {
    let retired =
        |ordinal: u32| format!(r#"{{"ordinal":{ordinal},"label":"x{ordinal}","section":"s"}}"#);
    let two = format!("{},{}", retired(3), retired(2));
    for (bad, why) in [
        (
            r#"{"ordinals":[[0,4000000000],[0,4000000000]]}"#.to_owned(),
            "too many seats",
        ),
        (r#"{"ordinals":[[0,100001]]}"#.to_owned(), "too many seats"),
        (r#"{"ordinals":[[1,2]]}"#.to_owned(), "twice, or one"),
        (r#"{"ordinals":[[0,2],[1,1]]}"#.to_owned(), "twice, or one"),
        (
            r#"{"ordinals":[[4294967295,2]]}"#.to_owned(),
            "twice, or one",
        ),
        (
            format!(r#"{{"ordinals":[[0,2]],"retired":[{}]}}"#, retired(1)),
            "twice, or one",
        ),
        (
            format!(r#"{{"ordinals":[[0,2]],"retired":[{two}]}}"#),
            "not in order",
        ),
    ] {
        let error = serde_json::from_str::<Numbering>(&bad).expect_err(&bad);
        assert!(error.to_string().contains(why), "{error}");
    }
    let moved = ShowSeats::new(hall_of("a b c"))
        .with_layout(hall_of("b c"))
        .expect("few labels");
    for other in ["a b c", "a b"] {
        assert_eq!(
            ShowSeats::restore(hall_of(other), moved.numbering().clone()),
            Err(NumberingError::OfAnotherLayout)
        );
    }
}

#[test]
fn a_show_has_a_maximum_of_labels() {
    let hall = |first: u32| {
        let mut described = LayoutDescription::of_total(SEATS_MAX);
        described.sections[0].rows[0].label_format = Some(format!("{first}/{{seat}}").into());
        SeatLayout::new(described).expect("a layout")
    };
    let mut seats = ShowSeats::new(hall(0));
    for other in 1..4 {
        seats = seats.with_layout(hall(other)).expect("not too many yet");
    }
    assert_eq!(seats.ordinal_count(), ORDINALS_MAX);
    assert_eq!(
        seats.with_layout(hall(4)),
        Err(NumberingError::TooManyLabels)
    );
}
