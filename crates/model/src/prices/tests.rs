//! Prices: the most specific tier wins, everything has a price, and problems are named.

use super::*;
use crate::layout::{Area, LayoutDescription, RowBlock, Section, Series};
use crate::money::PRICE_MAX;

fn numbers(first: u32, last: u32) -> Series {
    Series::Numbers {
        first,
        last,
        step: 1,
        skip: Vec::new(),
    }
}

/// Stalls: A-1 to A-3, B-1 to B-3 and a row without a name, "s1" and "s2"; Box: R-1 and R-2;
/// an area Lawn, and an area Roof.
fn hall() -> SeatLayout {
    let section = |name: &str, rows| Section {
        name: name.into(),
        deck: "".into(),
        origin: None,
        rows,
    };
    let rows = |names: &[&str], last| RowBlock {
        names: Some(Series::List(
            names.iter().map(|&name| name.into()).collect(),
        )),
        runs: vec![numbers(1, last)],
        label_format: None,
    };
    let unnamed = RowBlock {
        names: None,
        runs: vec![numbers(1, 2)],
        label_format: Some("s{seat}".into()),
    };
    let area = |name: &str| Area {
        name: name.into(),
        capacity: 10,
        deck: "".into(),
        origin: None,
    };
    SeatLayout::new(LayoutDescription {
        sections: vec![
            section("Stalls", vec![rows(&["A", "B"], 3), unnamed]),
            section("Box", vec![rows(&["R"], 2)]),
        ],
        areas: vec![area("Lawn"), area("Roof")],
        ..LayoutDescription::default()
    })
    .expect("a layout")
}

fn eur() -> Currency {
    "EUR".parse().expect("a currency")
}

fn names(names: &[&str]) -> Vec<Box<str>> {
    names.iter().map(|&name| name.into()).collect()
}

fn tier(name: &str, price: i64) -> PriceTier {
    PriceTier {
        name: name.into(),
        price,
        ..PriceTier::default()
    }
}

fn of_sections(name: &str, price: i64, sections: &[&str]) -> PriceTier {
    PriceTier {
        sections: names(sections),
        ..tier(name, price)
    }
}

fn of_rows(name: &str, price: i64, rows: &[(&str, &str)]) -> PriceTier {
    let rows = rows.iter().map(|&(section, row)| RowRef {
        section: section.into(),
        row: row.into(),
    });
    PriceTier {
        rows: rows.collect(),
        ..tier(name, price)
    }
}

fn of_seats(name: &str, price: i64, labels: &[&str]) -> PriceTier {
    PriceTier {
        seat_labels: names(labels),
        ..tier(name, price)
    }
}

fn of_areas(name: &str, price: i64, areas: &[&str]) -> PriceTier {
    PriceTier {
        areas: names(areas),
        ..tier(name, price)
    }
}

fn priced(tiers: Vec<PriceTier>) -> Result<PriceList, Problems> {
    let description = PriceDescription {
        currency: eur(),
        tiers,
    };
    PriceList::new(description, &hall())
}

fn problems(tiers: Vec<PriceTier>) -> Vec<(String, String)> {
    let problems = priced(tiers).err().unwrap_or_default();
    problems
        .into_iter()
        .map(|problem| (problem.path, problem.message))
        .collect()
}

fn paths(tiers: Vec<PriceTier>) -> Vec<String> {
    problems(tiers).into_iter().map(|(path, _)| path).collect()
}

/// The prices of all seats, then of all areas.
fn all(list: &PriceList) -> Vec<i64> {
    let seats = (0..).map_while(|position| list.of_seat(position));
    let areas = (0..).map_while(|area| list.of_area(area));
    seats.chain(areas).map(|at| at.price).collect()
}

#[test]
fn the_most_specific_tier_wins_whatever_the_order() {
    let mut tiers = vec![
        of_seats("VIP", 5, &["A-2", "R-1"]),
        of_rows("Front", 4, &[("Stalls", "A")]),
        of_sections("Stalls", 3, &["Stalls"]),
        of_areas("Standing", 2, &["Roof"]),
        tier("Rest", 1),
    ];
    let expected = [4, 5, 4, 3, 3, 3, 3, 3, 5, 1, 1, 2];
    for _ in 0..tiers.len() {
        let list = priced(tiers.clone()).expect("valid prices");
        assert_eq!(all(&list), expected);
        tiers.rotate_left(1);
    }
    let list = priced(tiers).expect("valid prices");
    let vip = PricedAt {
        tier: "VIP",
        tier_index: 0,
        price: 5,
    };
    assert_eq!(list.of_seat(1), Some(vip));
    assert_eq!(
        list.of_area(1).map(|at| (at.tier, at.tier_index)),
        Some(("Standing", 3))
    );
    assert_eq!((list.of_seat(10), list.of_area(2)), (None, None));
}

#[test]
fn one_price_for_everything_costs_no_memory_by_seat() {
    let single = |seats| {
        let hall = SeatLayout::of_total(seats).expect("a layout");
        PriceList::new(PriceDescription::single(eur(), 1250), &hall).expect("valid prices")
    };
    let list = single(100_000);
    assert_eq!(list.weight(), single(1).weight());
    let at = list.of_seat(99_999).expect("a price");
    assert_eq!(
        (at.tier, at.price, list.currency()),
        ("Standard", 1250, eur())
    );
    assert_eq!((list.of_seat(100_000), list.of_area(0)), (None, None));
}

#[test]
fn nothing_has_two_prices_of_one_kind() {
    let (path, message) = &problems(vec![
        of_sections("a", 1, &["Stalls", "Box"]),
        of_sections("b", 2, &["Box"]),
        of_areas("c", 1, &["Lawn", "Roof"]),
    ])[0];
    assert_eq!(path, "price_tiers[1].sections[0]");
    assert_eq!(
        message,
        "the section \"Box\" has a price already, by price_tiers[0]"
    );
    let rest = || tier("rest", 1);
    assert_eq!(
        paths(vec![
            rest(),
            of_rows("a", 1, &[("Box", "R"), ("Stalls", "B"), ("Box", "R")]),
            of_seats("b", 1, &["R-1", "R-2"]),
            of_seats("c", 1, &["R-2"]),
            of_areas("d", 1, &["Roof", "Lawn"]),
            of_areas("e", 1, &["Lawn"]),
        ]),
        [
            "price_tiers[1].rows[2]",
            "price_tiers[3].seat_labels[0]",
            "price_tiers[5].areas[0]"
        ]
    );
    assert_eq!(paths(vec![rest(), tier("more", 2)]), ["price_tiers[1]"]);
}

#[test]
fn what_does_not_exist_has_no_price() {
    assert_eq!(
        problems(vec![
            tier("rest", 1),
            of_sections("a", 1, &["Lawn"]),
            of_rows("b", 1, &[("Box", "A"), ("Pit", "A"), ("Stalls", "")]),
            of_seats("c", 1, &["A-4"]),
            of_areas("d", 1, &["Stalls"]),
        ]),
        [
            (
                "price_tiers[1].sections[0]",
                "no section has the name \"Lawn\""
            ),
            (
                "price_tiers[2].rows[0]",
                "the section \"Box\" has no row \"A\""
            ),
            ("price_tiers[2].rows[1]", "no section has the name \"Pit\""),
            (
                "price_tiers[2].rows[2]",
                "the section \"Stalls\" has no row \"\""
            ),
            (
                "price_tiers[3].seat_labels[0]",
                "no seat has the label \"A-4\""
            ),
            ("price_tiers[4].areas[0]", "no area has the name \"Stalls\""),
        ]
        .map(|(path, message)| (path.to_owned(), message.to_owned()))
    );
}

#[test]
fn everything_has_a_price() {
    assert_eq!(
        problems(vec![
            of_rows("a", 1, &[("Stalls", "A")]),
            of_sections("b", 1, &["Box"]),
            of_areas("c", 1, &["Lawn"]),
        ]),
        [
            "leave 5 seats without a price, the first of them \"B-1\" in the section \"Stalls\"",
            "leave the area \"Roof\" without a price",
        ]
        .map(|message| ("price_tiers".to_owned(), message.to_owned()))
    );
}

#[test]
fn tiers_are_checked_by_themselves() {
    assert_eq!(paths(vec![]), ["price_tiers"]);
    let many = |count: usize| (0..count).map(|n| of_sections(&n.to_string(), 1, &["Box"]));
    assert_eq!(paths(many(PRICE_TIERS_MAX + 1).collect()), ["price_tiers"]);
    assert_eq!(
        paths(vec![
            tier("x", PRICE_MAX + 1),
            of_sections("x", -1, &["Box"]),
            of_sections("", PRICE_MAX, &["Stalls"]),
        ]),
        [
            "price_tiers[0].price.minor_units",
            "price_tiers[1].name",
            "price_tiers[1].price.minor_units",
            "price_tiers[2].name"
        ]
    );
    let targets = of_seats("x", 1, &["A-1"; PRICE_TARGETS_MAX + 1]);
    let found = problems(vec![tier("rest", 1), targets]);
    assert_eq!(found.len(), 1);
    assert!(found[0].1.starts_with("name 20001 "), "{found:?}");
}

#[test]
fn the_most_tiers_are_kept_apart() {
    let hall = SeatLayout::of_total(1_000).expect("a layout");
    let tiers = (1..=1_000i64).map(|n| of_seats(&n.to_string(), n, &[&n.to_string()]));
    let description = PriceDescription {
        currency: eur(),
        tiers: tiers.collect(),
    };
    let list = PriceList::new(description, &hall).expect("valid prices");
    assert!(all(&list).into_iter().eq(1..=1_000));
}

#[test]
fn prices_survive_their_json_which_is_compact() {
    let description = PriceDescription {
        currency: eur(),
        tiers: vec![of_rows("VIP", 9, &[("Box", "R")]), tier("Rest", 1)],
    };
    let json = serde_json::to_string(&description).expect("json");
    assert_eq!(
        json,
        r#"{"currency":"EUR","tiers":[{"name":"VIP","price":9,"#.to_owned()
            + r#""rows":[{"section":"Box","row":"R"}]},{"name":"Rest","price":1}]}"#
    );
    let read: PriceDescription = serde_json::from_str(&json).expect("prices");
    assert_eq!(read, description);
}
