//! The problems of a description are named with their paths.

use super::*;

fn problems(description: LayoutDescription) -> Vec<Problem> {
    let problems = SeatLayout::new(description).err();
    problems.unwrap_or_default().into_iter().collect()
}

fn paths(description: LayoutDescription) -> Vec<String> {
    problems(description)
        .into_iter()
        .map(|problem| problem.path)
        .collect()
}

fn of_rows(rows: Vec<RowBlock>) -> Vec<String> {
    paths(one_section(rows))
}

fn of_run(series: Series) -> Vec<String> {
    of_rows(vec![rows(None, vec![series])])
}

fn of_format(format: &str, names: Option<Series>) -> Vec<String> {
    of_rows(vec![formatted(format, rows(names, vec![numbers(1, 2)]))])
}

#[test]
fn labels_that_stand_twice_are_found() {
    let a = || Some(list(&["A"]));
    for (blocks, path) in [
        (
            vec![
                rows(a(), vec![numbers(1, 3)]),
                rows(None, vec![list(&["x", "A-3"])]),
            ],
            "sections[0].rows[1].runs[0].list.names[1]",
        ),
        (
            vec![
                rows(None, vec![list(&["7"])]),
                rows(None, vec![numbers(5, 7)]),
            ],
            "sections[0].rows[1].runs[0]",
        ),
        (
            vec![rows(a(), vec![numbers(1, 3), numbers(3, 4)])],
            "sections[0].rows[0].runs[1]",
        ),
        (
            vec![rows(None, vec![list(&["k", "k"])])],
            "sections[0].rows[0].runs[0].list.names[1]",
        ),
    ] {
        let found = problems(one_section(blocks));
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].path, path);
        assert!(found[0].message.ends_with("is used twice"), "{found:?}");
    }
    let mut two = one_section(vec![rows(a(), vec![numbers(1, 3)])]);
    two.sections
        .push(section("Circle", vec![rows(a(), vec![numbers(3, 5)])]));
    assert_eq!(
        problems(two),
        [Problem {
            path: "sections[1].rows[0].runs[0]".to_owned(),
            message: "the label \"A-3\" is used twice".to_owned()
        }]
    );
}

#[test]
fn a_layout_has_between_one_seat_and_the_limit() {
    assert_eq!(paths(LayoutDescription::default()), ["sections"]);
    assert_eq!(of_rows(vec![]), ["sections[0].rows"]);
    assert_eq!(
        of_rows(vec![rows(None, vec![])]),
        ["sections[0].rows[0].runs"]
    );
    let many = (0..51).map(|n| numbers(n, n)).collect();
    assert_eq!(
        of_rows(vec![rows(None, many)]),
        ["sections[0].rows[0].runs"]
    );
    let full = || {
        let runs = vec![numbers(1, 5), numbers(6, 10)];
        one_section(vec![rows(Some(numbers(1, ROWS_MAX)), runs)])
    };
    assert!(paths(full()).is_empty());
    let mut over = full();
    over.sections
        .push(section("Box", vec![rows(None, vec![numbers(1, 1)])]));
    let found = problems(over);
    assert!(found[0].message.contains("10001 rows"), "{found:?}");
    assert!(found[1].message.contains("100001 seats"), "{found:?}");
    let sections = (0..1_001)
        .map(|n| section(&n.to_string(), vec![rows(None, vec![numbers(n, n)])]))
        .collect();
    assert_eq!(
        paths(LayoutDescription {
            sections,
            ..LayoutDescription::default()
        }),
        ["sections"]
    );
}

/// Would take hours and hundreds of gigabytes if anything of it were expanded.
#[test]
fn what_is_far_too_much_is_refused_by_arithmetic() {
    let block = || {
        rows(
            Some(numbers(0, NUMBER_MAX)),
            vec![numbers(0, NUMBER_MAX); RUNS_MAX],
        )
    };
    let found = problems(one_section(vec![block(); 1_000]));
    let seats = u64::from(NUMBER_MAX + 1).pow(2) * 50 * 1_000;
    assert!(
        found[1].message.contains(&format!("{seats} seats")),
        "{found:?}"
    );
    let format = "{section}".repeat(10) + "{seat}";
    let mut long = one_section(vec![formatted(
        &format,
        rows(None, vec![numbers(1, SEATS_MAX)]),
    )]);
    long.sections[0].name = "x".repeat(NAME_CHARS_MAX).into();
    assert_eq!(paths(long), ["sections[0].rows[0].runs[0]"]);
}

#[test]
fn names_are_unique_and_of_some_length() {
    let some = || vec![rows(None, vec![numbers(1, 1)])];
    let mut described = one_section(some());
    described.areas = vec![
        area("Stalls", 1),
        area("", 0),
        area("Lawn ", CAPACITY_MAX + 1),
    ];
    described.sections[0].deck = "x".repeat(33).into();
    described.areas[2].origin = Some(Point {
        x: COORDINATE_MAX + 1,
        y: 0,
    });
    described.focal_point = Some(Point {
        x: 0,
        y: -COORDINATE_MAX - 1,
    });
    assert_eq!(
        paths(described),
        [
            "sections[0].deck",
            "areas[0].name",
            "areas[1].name",
            "areas[1].capacity",
            "areas[2].name",
            "areas[2].origin.x",
            "areas[2].capacity",
            "focal_point.y"
        ]
    );
    let areas = |count: u32| {
        let areas = (0..count).map(|n| area(&n.to_string(), CAPACITY_MAX));
        paths(LayoutDescription {
            areas: areas.collect(),
            ..LayoutDescription::default()
        })
    };
    assert!(areas(10).is_empty());
    assert_eq!(areas(11), ["areas"]);
    assert_eq!(areas(101), ["areas"]);
}

#[test]
fn row_names_are_unique_within_their_section() {
    let row = |names, seat: u32| rows(Some(names), vec![numbers(seat, seat)]);
    assert_eq!(
        of_rows(vec![
            row(letters("A", "C"), 1),
            row(list(&["D", "B"]), 2),
            row(letters("C", "C"), 3),
        ]),
        [
            "sections[0].rows[1].names.list.names[1]",
            "sections[0].rows[2].names"
        ]
    );
    let mut two = one_section(vec![row(list(&["A"]), 1)]);
    two.sections
        .push(section("Circle", vec![row(list(&["A"]), 2)]));
    assert!(paths(two).is_empty());
}

#[test]
fn series_are_checked_field_by_field() {
    let run = "sections[0].rows[0].runs[0]";
    let number = |first, last, step, skip: Vec<u32>| {
        of_run(Series::Numbers {
            first,
            last,
            step,
            skip,
        })
    };
    assert_eq!(
        number(100_001, 1, 1, vec![]),
        [format!("{run}.numbers.first")]
    );
    assert_eq!(
        number(1, 100_001, 1, vec![]),
        [format!("{run}.numbers.last")]
    );
    assert_eq!(number(1, 2, 0, vec![]), [format!("{run}.numbers.step")]);
    assert_eq!(number(1, 2, 1, vec![1, 2]), [format!("{run}.numbers.skip")]);
    assert_eq!(
        number(1, 2, 1, vec![3; 1_001]),
        [format!("{run}.numbers.skip")]
    );
    let letter = |first: &str, last: &str, skip: &[&str]| {
        of_run(Series::Letters {
            first: first.into(),
            last: last.into(),
            skip: skip.iter().map(|&letters| letters.into()).collect(),
        })
    };
    for bad in ["", "ABCD", "a1", "É", "Ab"] {
        assert_eq!(
            letter(bad, "C", &[]),
            [format!("{run}.letters.first")],
            "{bad}"
        );
    }
    assert_eq!(letter("A", "c", &[]), [format!("{run}.letters.last")]);
    assert_eq!(
        letter("A", "C", &["B", "b"]),
        [format!("{run}.letters.skip[1]")]
    );
    assert_eq!(letter("A", "A", &["A"]), [format!("{run}.letters.skip")]);
    let time = |first: &str, last: &str, step_minutes| {
        of_run(Series::Times {
            first: first.into(),
            last: last.into(),
            step_minutes,
        })
    };
    for bad in [
        "", "9:00", "24:00", "12:60", "12-00", "+1:00", "12:000", "1é:0",
    ] {
        assert_eq!(
            time(bad, "23:00", 1),
            [format!("{run}.times.first")],
            "{bad}"
        );
    }
    assert_eq!(time("09:00", "x", 1), [format!("{run}.times.last")]);
    assert_eq!(time("09:00", "08:59", 1), [format!("{run}.times.last")]);
    for bad in [0, 1441] {
        assert_eq!(
            time("09:00", "10:00", bad),
            [format!("{run}.times.step_minutes")]
        );
    }
    assert_eq!(of_run(list(&[])), [format!("{run}.list.names")]);
    let long = "x".repeat(41);
    assert_eq!(
        of_run(list(&["a", "", &long, " b", "c\n"])),
        [1, 2, 3, 4].map(|i| format!("{run}.list.names[{i}]"))
    );
    let many = Series::List(vec!["x".into(); 100_001]);
    assert_eq!(of_run(many), [format!("{run}.list.names")]);
}

#[test]
fn formats_have_known_placeholders_and_short_labels() {
    let format = ["sections[0].rows[0].label_format"];
    for bad in [
        "",
        "{row}",
        "{seat",
        "seat}",
        "{Seat}",
        "{}{seat}",
        "{seat}{x}",
        " {seat}",
        "{{seat}}",
    ] {
        assert_eq!(of_format(bad, Some(list(&["A"]))), format, "{bad:?}");
    }
    assert_eq!(of_format("{row}{seat}", None), format);
    assert_eq!(of_format(&("x".repeat(95) + "{seat}"), None), format);
    let run = ["sections[0].rows[0].runs[0]"];
    assert_eq!(of_format(&("x".repeat(40) + "{seat}"), None), run);
    assert!(of_format(&("x".repeat(39) + "{seat}"), None).is_empty());
}

#[test]
fn marks_and_coordinates_are_of_seats_that_exist() {
    let mut described = one_section(vec![rows(None, vec![numbers(1, 5)])]);
    described.accessible_seats = vec!["1".into(), "2".into(), "1".into()];
    described.companion_seats = vec!["3".into(), "2".into()];
    described.blocked_seats = vec!["1".into(), "3".into(), "05".into()];
    described.coordinates = Some(Coordinates {
        x: vec![0; 4],
        y: vec![0, 1, COORDINATE_MAX + 1, 3, 4],
    });
    let found = problems(described);
    let named: Vec<_> = found.iter().map(|problem| &*problem.path).collect();
    assert_eq!(
        named,
        [
            "accessible_seats[2]",
            "blocked_seats[2]",
            "companion_seats[1]",
            "coordinates.x",
            "coordinates.y[2]"
        ]
    );
    assert_eq!(found[0].message, "\"1\" is listed twice");
    assert_eq!(found[1].message, "\"05\" is not a seat of the layout");
    let mut too_many = one_section(vec![rows(None, vec![numbers(1, 2)])]);
    too_many.blocked_seats = vec!["1".into(); 3];
    assert_eq!(paths(too_many), ["blocked_seats"]);
}

#[test]
fn the_first_problems_are_described_and_the_others_counted() {
    // Each label is there three times.
    let labels = |n: usize| format!("{}", n % 1_000).into();
    let series = Series::List((0..3_000).map(labels).collect());
    let found = SeatLayout::new(one_section(vec![rows(None, vec![series])]));
    let found = found.expect_err("labels are used twice");
    assert_eq!(found.len(), crate::PROBLEMS_MAX);
    assert_eq!(found.omitted(), 2_000 - crate::PROBLEMS_MAX);
    for (problem, place) in found.iter().zip(1_000..) {
        let path = format!("sections[0].rows[0].runs[0].list.names[{place}]");
        assert_eq!(problem.path, path);
    }
}
