//! The seats that parties get.

use model::{Coordinates, Point};

use super::*;

#[test]
fn the_middle_of_the_front_is_the_best() {
    let hall = drawn(&["......", "......"]);
    hall.gives(&party(2), &["..##..", "......"]);
    hall.gives(&party(6), &["######", "......"]);
    let three = drawn(&[".......", "......."]);
    three.gives(&party(3), &["..###..", "......."]);
}

#[test]
fn of_two_as_near_the_lower_ordinal_wins() {
    drawn(&[".."]).gives(&party(1), &["#."]);
    drawn(&["..xx.."]).gives(&party(2), &["##xx.."]);
}

#[test]
fn an_aisle_parts_neighbours() {
    let hall = drawn(&[".. ..", "...."]);
    hall.gives(&together(3), &[".. ..", "###."]);
    hall.gives(&together(2), &["## ..", "...."]);
}

#[test]
fn no_seat_is_left_alone_while_that_can_be_helped() {
    // The middle would leave an orphan on each side, and so would the second pair.
    drawn(&["x....x"]).gives(&party(2), &["x##..x"]);
    // Farther away, but without an orphan.
    let hall = drawn(&["x...x", "xxxxx", "xx..x"]);
    hall.gives(&party(2), &["x...x", "xxxxx", "xx##x"]);
    hall.gives(&party(1), &["x#..x", "xxxxx", "xx..x"]);
    // A single free seat goes to a party of one.
    drawn(&["x..x.x", "......"]).gives(&party(1), &["x..x#x", "......"]);
}

#[test]
fn one_is_left_alone_rather_than_the_party_split() {
    drawn(&["xx...xx.."]).gives(&party(3), &["xx###xx.."]);
    drawn(&["x...x.x"]).gives(&party(2), &["x.##x.x"]);
}

#[test]
fn a_party_is_split_within_one_section_before_it_is_split_over_two() {
    let hall = drawn(&["..x..", "-", "x...x", "xxxxx", "xx..x"]);
    hall.gives(&party(4), &["##x##", "-", "x...x", "xxxxx", "xx..x"]);
    hall.gives(&party(5), &["..x..", "-", "x###x", "xxxxx", "xx##x"]);
    hall.refuses(&together(5), 3);
    hall.gives(&party(7), &["##x##", "-", "x###x", "xxxxx", "xx..x"]);
}

#[test]
fn nobody_sits_alone_while_that_can_be_helped() {
    // Two and one are nearer, in one section too.
    let hall = drawn(&["..x.x", "xxxxx", "x..x.", "-", "xx..x"]);
    hall.gives(&party(4), &["##x.x", "xxxxx", "x##x.", "-", "xx..x"]);
    hall.gives(&party(6), &["##x.x", "xxxxx", "x##x.", "-", "xx##x"]);
    hall.gives(&party(3), &["##x#x", "xxxxx", "x..x.", "-", "xx..x"]);
    hall.gives(&party(7), &["##x#x", "xxxxx", "x##x.", "-", "xx##x"]);
    hall.gives(&party(8), &["##x#x", "xxxxx", "x##x#", "-", "xx##x"]);
    hall.refuses(&party(9), 8);
    // The nearest three are of three pairs.
    drawn(&[".. ..", ".."]).gives(&party(3), &["## #.", ".."]);
}

#[test]
fn fewer_groups_are_better_than_near_ones() {
    let hall = drawn(&["..x..x..", "xxxxxxxx", "..x....x"]);
    hall.gives(&party(6), &["..x##x..", "xxxxxxxx", "..x####x"]);
    let hall = drawn(&["..x..x..", "xxxxxxxx", "x.....xx"]);
    hall.gives(&party(6), &["..x##x..", "xxxxxxxx", "x.####xx"]);
    // Three and two, since four and one would leave one alone.
    let hall = drawn(&["x....x...x"]);
    hall.gives(&party(5), &["x..##x###x"]);
}

#[test]
fn a_section_tiers_and_a_price_are_kept_to() {
    let hall = drawn(&["....", "....", "-", "....", "...."]);
    let in_second = Wish {
        section: Some(1),
        ..party(2)
    };
    hall.gives(&in_second, &["....", "....", "-", "##..", "...."]);
    let cheap = Wish {
        price_max: Some(20),
        ..party(2)
    };
    hall.gives(&cheap, &["....", "##..", "-", "....", "...."]);
    let both = Wish {
        tiers: vec![1],
        ..in_second.clone()
    };
    hall.gives(&both, &["....", "....", "-", "....", "##.."]);
    hall.refuses(
        &Wish {
            price_max: Some(19),
            ..party(1)
        },
        0,
    );
    hall.refuses(
        &Wish {
            section: Some(2),
            ..party(1)
        },
        0,
    );
    hall.refuses(
        &Wish {
            count: 9.try_into().expect("not 0"),
            ..in_second
        },
        8,
    );
}

#[test]
fn anywhere_is_the_first_that_are_free() {
    let hall = drawn(&["x.x...", ".bc..."]);
    hall.gives(&anywhere(3), &["x#x##.", ".bc..."]);
    hall.gives(&anywhere(8), &["x#x###", "#bc###"]);
    hall.gives(&anywhere(9), &["x#x###", "#b####"]);
    hall.refuses(&anywhere(10), 9);
}

#[test]
fn blocked_and_sold_seats_are_never_given() {
    let hall = drawn(&["bbxx", "b..x"]);
    hall.gives(&party(2), &["bbxx", "b##x"]);
    hall.refuses(&party(3), 2);
    drawn(&["bx"]).refuses(&party(1), 0);
}

#[test]
fn a_party_over_the_limit_is_never_seated() {
    let row = ".".repeat(120);
    let hall = drawn(&[&row]);
    assert_eq!(
        choose(&hall.hall, &hall.free, &party(PARTY_MAX)).map(|c| c.len()),
        Ok(100)
    );
    hall.refuses(&party(PARTY_MAX + 1), PARTY_MAX);
}

#[test]
fn seats_are_named_by_their_stable_ordinals() {
    let old = drawn(&["...", "..."]);
    let new = drawn(&["....", "x.."]);
    let seats = ShowSeats::new(old.layout);
    let seats = seats.with_layout(new.layout.clone()).expect("few labels");
    let free = FreeSeats::all(seats.ordinal_count());
    let withdrawn = Withdrawn {
        seats: [0, 1].into(),
        show: false,
    };
    let hall = Hall::of(&seats, &prices(&new.layout), &withdrawn);
    // R1-3 has kept its ordinal, R1-4 is new.
    assert_eq!(choose(&hall, &free, &together(2)), Ok(vec![2, 6]));
    assert_eq!(orphans_left(&hall, &free, &[6]), [2]);
}

#[test]
fn near_is_near_to_the_focal_point_as_the_seats_are_drawn() {
    let plain = drawn(&["....", "...."]);
    let mut described = plain.layout.description().clone();
    described.focal_point = Some(Point { x: 150, y: 200 });
    let layout = SeatLayout::new(described.clone()).expect("a layout");
    let of = |layout: &SeatLayout| {
        Hall::of(
            &ShowSeats::new(layout.clone()),
            &prices(layout),
            &Withdrawn::default(),
        )
    };
    assert_eq!(choose(&of(&layout), &plain.free, &party(2)), Ok(vec![6, 7]));
    described.coordinates = Some(Coordinates {
        x: vec![150, 150, 900, 900, 0, 0, 0, 0],
        y: vec![200, 200, 900, 900, 0, 0, 0, 0],
    });
    let layout = SeatLayout::new(described).expect("a layout");
    assert_eq!(choose(&of(&layout), &plain.free, &party(2)), Ok(vec![0, 1]));
}
