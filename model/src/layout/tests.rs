//! Layouts: labels lead back to their seats, and what is wrong is named with its place.

use proptest::prelude::*;

use super::*;
use crate::money::PRICE_MAX;

fn eur() -> Currency {
    "EUR".parse().expect("a currency")
}

fn counted(name: &str, count: u32) -> SeatRow {
    SeatRow {
        name: name.into(),
        seats: Seats::Count(count),
    }
}

fn labelled(name: &str, labels: &[&str]) -> SeatRow {
    let labels = labels.iter().map(|&label| label.into()).collect();
    SeatRow {
        name: name.into(),
        seats: Seats::Labels(labels),
    }
}

fn one_section(rows: Vec<SeatRow>) -> Vec<Section> {
    vec![Section {
        name: "Stalls".into(),
        price: 1250,
        rows,
    }]
}

fn paths(sections: Vec<Section>) -> Vec<String> {
    match SeatLayout::new(eur(), sections) {
        Ok(_) => Vec::new(),
        Err(problems) => problems.into_iter().map(|problem| problem.path).collect(),
    }
}

proptest! {
    #[test]
    fn every_label_leads_back_to_its_seat(counts in prop::collection::vec(1u32..20, 1..8)) {
        let mut rows: Vec<_> =
            counts.iter().enumerate().map(|(i, &n)| counted(&format!("R-{i}"), n)).collect();
        rows.push(labelled("Box", &["Box 1", "R-900-1", "007", "-5"]));
        rows.push(counted("", 3));
        let layout = SeatLayout::new(eur(), one_section(rows)).expect("a valid layout");
        prop_assert_eq!(layout.seat_count(), counts.iter().sum::<u32>() + 7);
        for ordinal in 0..layout.seat_count() {
            let label = layout.seat(ordinal).expect("a seat").label();
            prop_assert_eq!(layout.ordinal_of(&label), Some(ordinal), "{}", label);
        }
        prop_assert!(layout.seat(layout.seat_count()).is_none());
    }
}

#[test]
fn labels_that_only_look_like_a_seat_are_unknown() {
    let layout = SeatLayout::new(eur(), one_section(vec![counted("A", 9), counted("", 9)]))
        .expect("a valid layout");
    for label in [
        "A-0", "A-01", "A-+1", "A-10", "A-", "A", "a-1", "-1", "0", "10", "", "A-1 ",
    ] {
        assert_eq!(layout.ordinal_of(label), None, "{label:?}");
    }
}

#[test]
fn labels_that_stand_twice_are_found_whichever_comes_first() {
    for rows in [
        vec![counted("A", 3), counted("A", 2)],
        vec![counted("A", 3), labelled("x", &["A-3"])],
        vec![labelled("x", &["A-3"]), counted("A", 3)],
        vec![labelled("x", &["7"]), counted("", 7)],
        vec![labelled("x", &["k", "k"])],
    ] {
        assert_eq!(paths(one_section(rows.clone())).len(), 1, "{rows:?}");
    }
    assert!(
        paths(one_section(vec![
            labelled("x", &["A-4", "A-0", "A"]),
            counted("A", 3)
        ]))
        .is_empty()
    );
}

#[test]
fn limits_are_named_with_their_place() {
    assert_eq!(paths(vec![]), ["sections"]);
    assert_eq!(paths(one_section(vec![])), ["sections[0].rows"]);
    assert_eq!(
        paths(one_section(vec![counted("A", 0)])),
        ["sections[0].rows[0]"]
    );
    assert_eq!(
        paths(one_section(vec![labelled("A", &[""])])),
        ["sections[0].rows[0].seat_labels[0]"]
    );
    assert_eq!(
        paths(one_section(vec![counted("A", SEATS_MAX + 1)])),
        ["sections"]
    );
    assert!(paths(one_section(vec![counted("A", SEATS_MAX)])).is_empty());
    let mut dear = one_section(vec![counted("A", 1)]);
    dear[0].price = PRICE_MAX + 1;
    assert_eq!(paths(dear), ["sections[0].price.minor_units"]);
}

#[test]
fn a_layout_survives_its_json() {
    let rows = vec![counted("A", 3), labelled("", &["x", "y"])];
    let layout = SeatLayout::new(eur(), one_section(rows)).expect("a valid layout");
    let json = serde_json::to_string(&layout).expect("json");
    assert_eq!(
        serde_json::from_str::<SeatLayout>(&json).expect("a layout"),
        layout
    );
    assert!(serde_json::from_str::<SeatLayout>(r#"{"currency":"EUR","sections":[]}"#).is_err());
}
