//! Where seats are drawn.

use super::*;

fn at(x: i32, y: i32) -> Option<Point> {
    Some(Point { x, y })
}

fn point_of(layout: &SeatLayout, label: &str) -> Option<Point> {
    layout.point(layout.position_of(label)?)
}

#[test]
fn rows_are_centred_and_aisles_take_room() {
    let mut described = one_section(vec![
        rows(Some(letters("A", "B")), vec![numbers(1, 4)]),
        rows(Some(letters("C", "C")), vec![numbers(1, 2), numbers(3, 4)]),
    ]);
    let behind = vec![rows(Some(list(&["Z"])), vec![numbers(1, 1)])];
    described.sections.push(section("Circle", behind));
    described.areas = vec![area("Lawn", 5), area("Roof", 5)];
    let layout = valid(described);
    for (label, x, y) in [
        ("A-1", -150, 0),
        ("A-4", 150, 0),
        ("B-2", -50, 100),
        ("C-1", -200, 200),
        ("C-2", -100, 200),
        ("C-3", 100, 200),
        ("C-4", 200, 200),
        ("Z-1", 0, 400),
    ] {
        assert_eq!(point_of(&layout, label), at(x, y), "{label}");
    }
    assert_eq!(layout.area_point(0), at(0, 600));
    assert_eq!(layout.area_point(1), at(0, 800));
    assert_eq!(layout.area_point(2), None);
    assert_eq!(layout.point(layout.seat_count()), None);
    assert_eq!(Some(layout.focal_point()), at(0, -100));
}

#[test]
fn an_origin_is_where_the_first_row_begins() {
    let mut described = one_section(vec![
        rows(Some(list(&["A"])), vec![numbers(1, 3)]),
        rows(Some(list(&["B"])), vec![numbers(1, 1)]),
    ]);
    described.sections[0].origin = at(1_000, 500);
    let second = vec![rows(Some(list(&["C"])), vec![numbers(1, 1)])];
    described.sections.push(section("Circle", second));
    described.areas = vec![area("Lawn", 5)];
    described.areas[0].origin = at(7, 8);
    let layout = valid(described.clone());
    assert_eq!(point_of(&layout, "A-1"), at(1_000, 500));
    assert_eq!(point_of(&layout, "A-3"), at(1_200, 500));
    assert_eq!(point_of(&layout, "B-1"), at(1_100, 600));
    assert_eq!(point_of(&layout, "C-1"), at(0, 0));
    assert_eq!(layout.area_point(0), at(7, 8));
    assert_eq!(Some(layout.focal_point()), at(600, -100));
    described.focal_point = at(3, 4);
    assert_eq!(Some(valid(described).focal_point()), at(3, 4));
}

#[test]
fn given_coordinates_are_kept() {
    let mut described = one_section(vec![rows(None, vec![numbers(1, 3)])]);
    described.coordinates = Some(Coordinates {
        x: vec![10, 30, 20],
        y: vec![-5, 60, 7],
    });
    let layout = valid(described);
    assert_eq!(point_of(&layout, "2"), at(30, 60));
    assert_eq!(layout.seat(2).map(|seat| seat.point()), at(20, 7));
    assert_eq!(Some(layout.focal_point()), at(20, -105));
}

#[test]
fn areas_alone_have_a_front_too() {
    let layout = valid(LayoutDescription {
        areas: vec![area("Lawn", 5)],
        ..LayoutDescription::default()
    });
    assert_eq!(layout.area_point(0), at(0, 0));
    assert_eq!(Some(layout.focal_point()), at(0, -100));
}
