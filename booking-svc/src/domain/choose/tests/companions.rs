//! A companion sits next to an accessible seat.

use proptest::prelude::*;

use super::brute_force::halls;
use super::*;

/// The most seats of a random hall.
const SEATS_MAX: usize = 40;

fn with_accessible(count: u8, accessible: u8) -> Wish {
    Wish {
        accessible,
        ..party(count)
    }
}

#[test]
fn a_space_that_stands_alone_has_a_companion_across_the_aisle_or_in_front() {
    // The best seats of the hall are in another section.
    let across = drawn(&["....", "-", "xxxxx", "a ..."]);
    across.gives(&with_accessible(2, 1), &["....", "-", "xxxxx", "# #.."]);
    across.gives(&with_accessible(4, 1), &["....", "-", "xxxxx", "# ###"]);
    let both = drawn(&["....", "-", "....", "a ..."]);
    both.gives(&with_accessible(2, 1), &["....", "-", "....", "# #.."]);
    let in_front = drawn(&["....", "-", "....", "a x."]);
    in_front.gives(&with_accessible(2, 1), &["....", "-", "#...", "# x."]);
    // Not near, but in the section.
    let far = drawn(&["....", "-", "xxx.", "xxxx", "xxxx", "xxxx", "a"]);
    far.gives(
        &with_accessible(2, 1),
        &["....", "-", "xxx#", "xxxx", "xxxx", "xxxx", "#"],
    );
    // Nothing is left in the section.
    let alone = drawn(&["....", "-", "xxxx", "a"]);
    alone.gives(&with_accessible(2, 1), &[".#..", "-", "xxxx", "#"]);
}

#[test]
fn a_space_with_company_is_better_than_one_near_the_stage() {
    let hall = drawn(&["a", "-", "xxxx", "xxxx", "a x."]);
    hall.gives(&with_accessible(2, 1), &["a", "-", "xxxx", "xxxx", "# x#"]);
    let hall = drawn(&["a xxx.", "-", "xxxx", "xxxx", "a .x"]);
    hall.gives(
        &with_accessible(2, 1),
        &["a xxx.", "-", "xxxx", "xxxx", "# #x"],
    );
}

#[test]
fn each_has_a_companion_of_their_own() {
    // Two and two would be nearer, and fewer groups.
    let hall = drawn(&["aax..xxx", "a.xa.xxx"]);
    hall.gives(&with_accessible(4, 2), &["aax..xxx", "##x##xxx"]);
    let spaces = drawn(&["......", "-", "......", "a a a"]);
    spaces.gives(&with_accessible(4, 2), &["......", "-", "#.#...", "# # a"]);
    // The rest of the party sits together, in the section.
    spaces.gives(&with_accessible(5, 1), &["......", "-", "..####", "a # a"]);
    // One of them has no companion.
    spaces.gives(&with_accessible(3, 2), &["......", "-", "..#...", "# # a"]);
}

#[test]
fn a_companion_has_a_seat_for_companions_if_one_is_as_near() {
    let hall = drawn(&["x.acx"]);
    hall.gives(
        &Wish {
            seating: Seating::Anywhere,
            ..with_accessible(2, 1)
        },
        &["x.##x"],
    );
    let hall = drawn(&["xx", "cx", "a x"]);
    hall.gives(&with_accessible(2, 1), &["xx", "#x", "# x"]);
}

#[test]
fn prices_and_sections_are_kept_to() {
    let hall = drawn(&["....", "a .x", "-", "....", "a .x"]);
    let cheap = Wish {
        price_max: Some(20),
        section: Some(1),
        ..with_accessible(2, 1)
    };
    hall.gives(&cheap, &["....", "a .x", "-", "....", "# #x"]);
    hall.refuses(
        &Wish {
            count: 3.try_into().expect("not 0"),
            ..cheap
        },
        2,
    );
}

fn is_accessible(hall: &Drawn, at: u32) -> bool {
    hall.layout
        .seat(at)
        .is_some_and(|seat| seat.is_accessible())
}

fn is_for_others(hall: &Drawn, at: u32) -> bool {
    let seat = hall.layout.seat(at);
    hall.free.contains(at) && seat.is_some_and(|seat| !seat.is_accessible() && !seat.is_blocked())
}

/// How close the companion of an accessible seat is, among these seats: next to it, near, in its
/// section, or farther.
fn company(hall: &Drawn, accessible: u32, others: &[u32]) -> u8 {
    let section = |at: u32| hall.layout.seat(at).map(|seat| seat.section_index());
    let run = hall.layout.run_of(accessible);
    let others = others.iter().map(|other| {
        let (one, two) = (hall.layout.point(accessible), hall.layout.point(*other));
        let (one, two) = (one.expect("a seat"), two.expect("a seat"));
        let (across, rows) = (one.x.abs_diff(two.x), 3 * one.y.abs_diff(two.y));
        let squares = u64::from(across).pow(2) + u64::from(rows).pow(2);
        match () {
            () if run.contains(other) && other.abs_diff(accessible) == 1 => 0,
            () if section(*other) != section(accessible) => 3,
            () if squares <= 400 * 400 => 1,
            () => 2,
        }
    });
    others.min().unwrap_or(3)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn a_companion_gets_the_nearest_seat(
        rows in halls(SEATS_MAX),
        (count, accessible) in (2..=8_u8).prop_flat_map(|count| (Just(count), 1..count.min(4))),
        anywhere in any::<bool>(),
    ) {
        let rows: Vec<_> = rows.iter().map(String::as_str).collect();
        let hall = drawn(&rows);
        let seating = if anywhere { Seating::Anywhere } else { Seating::Best };
        let wish = Wish { seating, ..with_accessible(count, accessible) };
        let all: Vec<_> = (0..hall.layout.seat_count()).filter(|at| hall.free.contains(*at)).collect();
        let (spaces, others): (Vec<u32>, Vec<u32>) = all
            .into_iter()
            .filter(|at| is_accessible(&hall, *at) || is_for_others(&hall, *at))
            .partition(|at| is_accessible(&hall, *at));
        let Ok(chosen) = choose(&hall.hall, &hall.free, &wish) else {
            prop_assert!(spaces.len() < accessible.into() || others.len() < (count - accessible).into());
            return Ok(());
        };
        let (mine, with_me): (Vec<u32>, Vec<u32>) =
            chosen.iter().partition(|at| is_accessible(&hall, **at));
        prop_assert_eq!((mine.len(), chosen.len()), (accessible.into(), count.into()));
        // As close as the closest possible companion.
        let could_be = spaces.iter().map(|space| company(&hall, *space, &others)).min();
        let is = mine.iter().map(|space| company(&hall, *space, &with_me)).min();
        prop_assert_eq!(is, could_be, "{:?}", hall.with(&chosen));
        // Nobody is alone in a section where a companion could have been, if there are enough.
        let left: Vec<_> = others.iter().filter(|at| !with_me.contains(at)).copied().collect();
        for space in mine.iter().filter(|_| with_me.len() >= mine.len()) {
            let is = company(&hall, *space, &with_me);
            prop_assert!(
                is < 3 || company(&hall, *space, &left) == 3,
                "{:?}", hall.with(&chosen)
            );
        }
    }
}
