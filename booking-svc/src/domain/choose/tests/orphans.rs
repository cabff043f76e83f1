//! The orphans that a choice leaves, and which are avoidable.

use super::*;

const NONE: [u32; 0] = [];

/// A drawing with the choice marked as `#`: the orphans that it leaves, and the avoidable ones.
fn judged(rows: &[&str]) -> (Vec<u32>, Vec<u32>) {
    let free: Vec<_> = rows.iter().map(|row| row.replace('#', ".")).collect();
    let free: Vec<_> = free.iter().map(String::as_str).collect();
    let hall = drawn(&free);
    let seats = rows.iter().flat_map(|row| row.chars());
    let seats = (0..).zip(seats.filter(|seat| !" -".contains(*seat)));
    let chosen = seats.filter(|(_, seat)| *seat == '#').map(|(at, _)| at);
    let chosen: Vec<_> = chosen.collect();
    (
        orphans_left(&hall.hall, &hall.free, &chosen),
        avoidable_orphans(&hall.hall, &hall.free, &chosen),
    )
}

#[test]
fn one_seat_between_the_choice_and_a_taken_seat_is_an_orphan() {
    for (row, expected) in [
        (".##...", vec![0]),
        ("##....", vec![]),
        ("..##..", vec![]),
        ("x.##.x", vec![1, 4]),
        ("x.#.##", vec![1, 3]),
        ("b.#...", vec![1]),
        (".# ...", vec![0]),
        (". ##..", vec![]),
        (".. .##", vec![2]),
        ("#.#.#.", vec![1, 3, 5]),
    ] {
        assert_eq!(judged(&[row]).0, expected, "{row}");
    }
}

#[test]
fn what_was_alone_before_is_not_left_by_the_choice() {
    assert_eq!(judged(&["x.x##.."]).0, NONE);
    assert_eq!(judged(&[".x.#."]).0, [2, 4]);
}

#[test]
fn an_accessible_seat_is_no_orphan_but_keeps_company() {
    assert_eq!(judged(&["xa##.."]).0, NONE);
    assert_eq!(judged(&["a.##.."]).0, NONE);
    assert_eq!(judged(&["c.##.."]).0, NONE);
    assert_eq!(judged(&["xc##.."]).0, [1]);
}

#[test]
fn it_is_avoidable_where_moving_along_helps() {
    for (row, expected) in [
        (".##...", vec![0]),
        // Four wanted of five: one is left in any case.
        ("x.####x", vec![]),
        ("x####.x", vec![]),
        ("x.##.x", vec![1, 4]),
        // The other half of the row has room, but it is not asked for.
        ("x.##x......", vec![]),
        ("#.#", vec![]),
        ("#.#.", vec![1, 3]),
        // One stretch can do better, the other cannot.
        (".#x.#...", vec![3]),
    ] {
        assert_eq!(judged(&[row]).1, expected, "{row}");
    }
}

#[test]
fn it_is_not_avoidable_where_only_other_seats_would_help() {
    let hall = drawn(&["x.a.x"]);
    assert_eq!(orphans_left(&hall.hall, &hall.free, &[2]), [1, 3]);
    assert_eq!(avoidable_orphans(&hall.hall, &hall.free, &[2]), NONE);
    let hall = drawn(&["x.aax"]);
    assert_eq!(orphans_left(&hall.hall, &hall.free, &[2]), [1]);
    assert_eq!(avoidable_orphans(&hall.hall, &hall.free, &[2]), [1]);
}

#[test]
fn it_is_not_avoidable_where_only_dearer_seats_would_help() {
    let plain = drawn(&["....."]);
    let cheap = PriceTier {
        name: "Cheap".into(),
        price: 10,
        seat_labels: ["R1-2", "R1-3"].map(Into::into).into(),
        ..PriceTier::default()
    };
    let dear = PriceTier {
        name: "Dear".into(),
        price: 20,
        ..PriceTier::default()
    };
    let description = PriceDescription {
        currency: "EUR".parse().expect("a currency"),
        tiers: vec![cheap, dear],
    };
    let prices = PriceList::new(description, &plain.layout).expect("prices");
    let seats = ShowSeats::new(plain.layout);
    let hall = Hall::of(&seats, &prices, &Withdrawn::default());
    assert_eq!(orphans_left(&hall, &plain.free, &[1, 2]), [0]);
    assert_eq!(avoidable_orphans(&hall, &plain.free, &[1, 2]), NONE);
    assert_eq!(avoidable_orphans(&hall, &plain.free, &[1]), [0]);
    assert_eq!(avoidable_orphans(&hall, &plain.free, &[2, 3]), [4]);
}

#[test]
fn what_is_chosen_need_not_be_free_any_more() {
    let hall = drawn(&["x.xx.."]);
    assert_eq!(orphans_left(&hall.hall, &hall.free, &[2, 3]), [1]);
    assert_eq!(orphans_left(&hall.hall, &hall.free, &[99]), NONE);
}
