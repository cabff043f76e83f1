//! Where a layout has its best seats.

use model::Point;

use super::*;

const HALL: [&str; 7] = [
    ".......", ".......", ".......", ".......", ".......", ".......", ".......",
];

/// The hall with another line in place of one of its rows.
fn with(row: usize, line: &'static str) -> [&'static str; 7] {
    let mut rows = HALL;
    rows[row] = line;
    rows
}

#[test]
fn before_a_screen_the_best_are_in_the_middle_towards_the_back() {
    let hall = drawn_with(&HALL, BestSeats::Middle);
    hall.gives(&party(1), &with(4, "...#..."));
    hall.gives(&party(3), &with(4, "..###.."));
    // One row farther back is as near as one in front: the lower ordinal wins. Beside is nearer
    // than both ends of the row.
    let taken = drawn_with(&with(4, "xxxxxxx"), BestSeats::Middle);
    let mut expected = with(4, "xxxxxxx");
    expected[3] = "..###..";
    taken.gives(&party(3), &expected);
    // Before a stage it is the front.
    drawn(&HALL).gives(&party(3), &with(0, "..###.."));
}

#[test]
fn the_middle_is_straight_back_from_the_screen_if_the_layout_has_one() {
    let plain = drawn_with(&HALL, BestSeats::Middle);
    let mut described = plain.layout.description().clone();
    // The first seat of each row is drawn at -300, in the middle of the row is 0.
    described.focal_point = Some(Point { x: -200, y: -900 });
    let layout = SeatLayout::new(described).expect("a layout");
    let seats = ShowSeats::new(layout.clone());
    let hall = Hall::of(&seats, &prices(&layout), &Withdrawn::default());
    let chosen = choose(&hall, &plain.free, &party(3)).expect("free seats");
    assert_eq!(plain.with(&chosen), with(4, "###...."));
}

#[test]
fn of_a_day_the_first_slots_are_the_best() {
    let day = |rows: &[&str]| drawn_with(rows, BestSeats::First);
    day(&["........"]).gives(&party(1), &["#......."]);
    day(&["xx......"]).gives(&party(2), &["xx##...."]);
    // A single slot between two is no orphan here.
    day(&["x..x...."]).gives(&party(1), &["x#.x...."]);
    day(&["x.x....."]).gives(&party(2), &["x.x##..."]);
    // One doctor after the other, as the layout has them.
    day(&["xx.x", "-", "...."]).gives(&party(1), &["xx#x", "-", "...."]);
    day(&["xx.x", "-", "...."]).gives(&party(2), &["xx.x", "-", "##.."]);
    // A party that cannot have consecutive slots gets the first free ones.
    day(&[".x.x.x.."]).gives(&party(3), &["#x.x.x##"]);
}
