//! Layouts: labels lead back to their seats, and rows and runs are where they were described.

mod drawing;
mod problems;
mod series;

use std::fmt::Write as _;

use proptest::prelude::*;

use super::*;

fn numbers(first: u32, last: u32) -> Series {
    Series::Numbers {
        first,
        last,
        step: 1,
        skip: Vec::new(),
    }
}

fn letters(first: &str, last: &str) -> Series {
    Series::Letters {
        first: first.into(),
        last: last.into(),
        skip: Vec::new(),
    }
}

fn list(names: &[&str]) -> Series {
    Series::List(names.iter().map(|&name| name.into()).collect())
}

fn rows(names: Option<Series>, runs: Vec<Series>) -> RowBlock {
    RowBlock {
        names,
        runs,
        label_format: None,
    }
}

fn formatted(format: &str, rows: RowBlock) -> RowBlock {
    RowBlock {
        label_format: Some(format.into()),
        ..rows
    }
}

fn section(name: &str, rows: Vec<RowBlock>) -> Section {
    Section {
        name: name.into(),
        deck: "".into(),
        origin: None,
        rows,
    }
}

fn area(name: &str, capacity: u32) -> Area {
    Area {
        name: name.into(),
        capacity,
        deck: "".into(),
        origin: None,
    }
}

fn one_section(rows: Vec<RowBlock>) -> LayoutDescription {
    LayoutDescription {
        sections: vec![section("Stalls", rows)],
        ..LayoutDescription::default()
    }
}

fn valid(description: LayoutDescription) -> SeatLayout {
    SeatLayout::new(description).expect("a valid layout")
}

fn labels(layout: &SeatLayout) -> Vec<String> {
    (0..layout.seat_count())
        .map(|position| layout.seat(position).expect("a seat").label())
        .collect()
}

/// A series of numbers, and the names that it describes.
fn known_numbers(max: u32) -> impl Strategy<Value = (Series, Vec<String>)> {
    let skip = prop::collection::vec(0u32..200, 0..6);
    (0..100u32, 1..max, 1..4u32, skip, any::<bool>()).prop_filter_map(
        "leaves nothing",
        |(low, count, step, skip, descends)| {
            let high = low + (count - 1) * step;
            let mut values: Vec<u32> = (0..count).map(|k| low + k * step).collect();
            if descends {
                values.reverse();
            }
            values.retain(|value| !skip.contains(value));
            let (first, last) = if descends { (high, low) } else { (low, high) };
            let series = Series::Numbers {
                first,
                last,
                step,
                skip,
            };
            let names: Vec<_> = values.iter().map(u32::to_string).collect();
            (!names.is_empty()).then_some((series, names))
        },
    )
}

proptest! {
    #[test]
    fn every_seat_is_where_it_was_described(
        blocks in prop::collection::vec(
            (prop::option::of(known_numbers(5)), known_numbers(8)), 1..8),
    ) {
        let mut sections = Vec::new();
        let mut expected = Vec::new();
        for (s, (names, (run, seats))) in blocks.into_iter().enumerate() {
            let (names, row_names) = names.unzip();
            let format = if names.is_some() { "{section}/{row}/{seat}" } else { "{section}//{seat}" };
            sections.push(section(&s.to_string(), vec![formatted(format, rows(names, vec![run]))]));
            for row in row_names.unwrap_or_else(|| vec![String::new()]) {
                let first = expected.len();
                let row_end = first + seats.len();
                let label = |seat| format!("{s}/{row}/{seat}");
                expected.extend(seats.iter().map(|seat| (label(seat), first..row_end)));
            }
        }
        let layout = valid(LayoutDescription { sections, ..LayoutDescription::default() });
        prop_assert_eq!(layout.seat_count() as usize, expected.len());
        for (position, (label, row)) in (0..).zip(expected) {
            prop_assert_eq!(layout.seat(position).map(|seat| seat.label()), Some(label.clone()));
            prop_assert_eq!(layout.position_of(&label), Some(position));
            let of_row = layout.row_of(position);
            prop_assert_eq!(of_row.start as usize..of_row.end as usize, row);
        }
        prop_assert!(layout.seat(layout.seat_count()).is_none());
    }

    #[test]
    fn an_aisle_parts_neighbours(lengths in prop::collection::vec(1u32..9, 1..6), copies in 1u32..4) {
        let width: u32 = lengths.iter().sum();
        let mut next = 1;
        let runs = lengths.iter().map(|length| {
            next += length;
            numbers(next - length, next - 1)
        });
        let runs = runs.collect();
        let layout = valid(one_section(vec![rows(Some(numbers(1, copies)), runs)]));
        let mut position = 0;
        for row in 0..copies {
            for length in &lengths {
                let run = position..position + length;
                for at in run.clone() {
                    prop_assert_eq!(layout.run_of(at), run.clone());
                    prop_assert_eq!(layout.row_of(at), row * width..(row + 1) * width);
                }
                position = run.end;
            }
        }
        prop_assert_eq!(layout.seat_count(), position);
        prop_assert!(layout.run_of(position).is_empty() && layout.row_of(position).is_empty());
    }
}

#[test]
fn of_total_numbers_its_seats() {
    for total in [1, 7, SEATS_MAX] {
        let layout = SeatLayout::of_total(total).expect("a layout");
        assert_eq!(layout.seat_count(), total);
        assert_eq!(layout.position_of(&total.to_string()), Some(total - 1));
        let last = layout.seat(total - 1).expect("a seat");
        assert_eq!(
            (last.label(), &*last.section().name),
            (total.to_string(), "General")
        );
        assert_eq!(last.row_name(), "");
    }
    for total in [0, SEATS_MAX + 1] {
        let problems = SeatLayout::of_total(total).expect_err("out of range");
        assert_eq!(problems[0].path, "total_seats");
    }
}

#[test]
fn labels_that_only_look_like_a_seat_are_unknown() {
    let layout = valid(one_section(vec![
        rows(Some(list(&["A"])), vec![numbers(1, 9)]),
        rows(None, vec![numbers(1, 9)]),
    ]));
    for label in [
        "A-0", "A-01", "A-+1", "A-10", "A-", "A", "a-1", "-1", "0", "10", "", "A-1 ", "A-1-",
    ] {
        assert_eq!(layout.position_of(label), None, "{label:?}");
    }
}

/// Hashes may collide, so a label that only begins as another does must not pass for it.
#[test]
fn labels_are_compared_whole() {
    let is_a_12 = |text: &str| {
        label::writes(text, |out| {
            out.write_str("A-")?;
            out.write_str("12")
        })
    };
    assert!(is_a_12("A-12"));
    for other in ["A-123", "A-1", "A-", "", "B-12"] {
        assert!(!is_a_12(other), "{other:?}");
    }
}

#[test]
fn a_seat_knows_its_section_its_row_and_its_marks() {
    let mut described = one_section(vec![rows(Some(letters("A", "B")), vec![numbers(1, 40)])]);
    described.sections.push(section(
        "Box",
        vec![rows(Some(list(&["Royal"])), vec![numbers(1, 2)])],
    ));
    described.accessible_seats = vec!["A-40".into(), "B-40".into()];
    described.companion_seats = vec!["A-39".into()];
    described.blocked_seats = vec!["Royal-2".into(), "A-40".into()];
    let layout = valid(described);
    assert_eq!(layout.accessible_positions().collect::<Vec<_>>(), [39, 79]);
    assert_eq!(layout.companion_positions().collect::<Vec<_>>(), [38]);
    assert_eq!(layout.blocked_positions().collect::<Vec<_>>(), [39, 81]);
    let marks = |label: &str| {
        let position = layout.position_of(label).expect(label);
        let seat = layout.seat(position).expect(label);
        assert_eq!(seat.position(), position);
        [seat.is_accessible(), seat.is_companion(), seat.is_blocked()]
    };
    assert_eq!(marks("A-40"), [true, false, true]);
    assert_eq!(marks("A-39"), [false, true, false]);
    assert_eq!(marks("B-39"), [false, false, false]);
    assert_eq!(marks("Royal-2"), [false, false, true]);
    let royal = layout.seat(81).expect("a seat");
    assert_eq!(
        (&*royal.section().name, &*royal.row_name()),
        ("Box", "Royal")
    );
    assert_eq!(royal.section_index(), 1);
    assert_eq!(layout.section_positions(0), 0..80);
    assert_eq!(layout.section_positions(1), 80..82);
    assert!(layout.section_positions(2).is_empty());
    let named: Vec<_> = layout
        .rows()
        .map(|row| (row.section, row.name.into_owned(), row.positions))
        .collect();
    assert_eq!(
        named,
        [
            (0, "A".to_owned(), 0..40),
            (0, "B".to_owned(), 40..80),
            (1, "Royal".to_owned(), 80..82)
        ]
    );
}

#[test]
fn areas_need_no_seats() {
    let layout = valid(LayoutDescription {
        areas: vec![area("Lawn", 500), area("Pit", CAPACITY_MAX)],
        ..LayoutDescription::default()
    });
    assert_eq!((layout.seat_count(), layout.place_count()), (0, 1_000_500));
    assert_eq!(layout.area("Pit").map(|(index, _)| index), Some(1));
    assert!(layout.area("Roof").is_none() && layout.seat(0).is_none());
    assert!(layout.position_of("1").is_none());
}

#[test]
fn a_layout_survives_its_json_which_is_compact() {
    let mut described = one_section(vec![
        rows(
            Some(letters("A", "C")),
            vec![numbers(1, 4), list(&["x", "y"])],
        ),
        formatted("{section} {seat}", rows(None, vec![numbers(9, 7)])),
    ]);
    described.areas = vec![area("Lawn", 5)];
    described.accessible_seats = vec!["A-x".into()];
    described.focal_point = Some(Point { x: 50, y: -300 });
    let layout = valid(described);
    let json = serde_json::to_string(&layout).expect("json");
    assert_eq!(
        json,
        r#"{"sections":[{"name":"Stalls","rows":[{"names":{"letters":{"first":"A","last":"C"}},"#
            .to_owned()
            + r#""runs":[{"numbers":{"first":1,"last":4}},{"list":["x","y"]}]},"#
            + r#"{"runs":[{"numbers":{"first":9,"last":7}}],"label_format":"{section} {seat}"}]}],"#
            + r#""areas":[{"name":"Lawn","capacity":5}],"focal_point":{"x":50,"y":-300},"#
            + r#""accessible_seats":["A-x"]}"#
    );
    let read: SeatLayout = serde_json::from_str(&json).expect("a layout");
    assert_eq!(read, layout);
    assert_eq!(labels(&read), labels(&layout));
    let bad = serde_json::from_str::<SeatLayout>(r#"{"sections":[]}"#).expect_err("no seat");
    assert!(bad.to_string().contains("one section or area"), "{bad}");
}

#[test]
fn a_seat_costs_some_bytes_however_many_there_are() {
    let hall = |seats| SeatLayout::of_total(seats).expect("a layout").weight();
    let bytes = hall(100_000) - hall(1_000);
    assert!((8 * 99_000..9 * 99_000).contains(&bytes), "{bytes}");
    assert!(hall(1_000) < 10_000, "{}", hall(1_000));
    let listed: Vec<Box<str>> = (0..1_000).map(|n| format!("seat {n}").into()).collect();
    let listed = valid(one_section(vec![rows(None, vec![Series::List(listed)])]));
    assert!(
        listed.weight() > hall(1_000) + 20_000,
        "{}",
        listed.weight()
    );
}
