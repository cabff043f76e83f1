//! In every hall, the choice is the best of all possible ones.

use proptest::prelude::*;

use super::*;

/// The most seats of a hall: every subset of them is tried.
const SEATS_MAX: usize = 12;

/// How bad a choice is, by the rules, worst first: which of the ways to sit it is, people alone,
/// groups, orphans, distance.
type Badness = (u32, u32, u32, u32, u64);

fn badness(hall: &Drawn, chosen: &[u32]) -> Badness {
    let is_next = |a: &u32, b: &u32| *b == a + 1 && hall.layout.run_of(*a).contains(b);
    let groups: Vec<_> = chosen.chunk_by(is_next).collect();
    let alone = groups.iter().filter(|group| group.len() == 1).count();
    let section = |at: &u32| hall.layout.seat(*at).map(|seat| seat.section_index());
    let one_section = chosen.iter().all(|at| section(at) == section(&chosen[0]));
    let orphans = match hall.layout.best_seats() {
        BestSeats::First => 0,
        _ => groups.iter().map(|group| orphans_beside(hall, group)).sum(),
    };
    let way = match (groups.len(), alone, one_section) {
        (1, ..) => 0,
        (_, 0, true) => 1,
        (_, 0, false) => 2,
        _ => 3,
    };
    let focal = hall.layout.focal_point();
    let is_day = hall.layout.best_seats() == BestSeats::First;
    let distance = chosen
        .iter()
        .filter_map(|at| Some((*at, hall.layout.point(*at)?)))
        .map(|(at, point)| {
            if is_day {
                return u64::from(at);
            }
            u64::from(point.x.abs_diff(focal.x)).pow(2)
                + u64::from(point.y.abs_diff(focal.y)).pow(2)
        });
    let few = |count: usize| u32::try_from(count).expect("few");
    (way, few(alone), few(groups.len()), orphans, distance.sum())
}

fn orphans_beside(hall: &Drawn, group: &[u32]) -> u32 {
    let run = hall.layout.run_of(group[0]);
    let is_free =
        |at: i64| u32::try_from(at).is_ok_and(|at| run.contains(&at) && can_be_had(hall, at, true));
    let is_for_all = |at: i64| {
        let seat = u32::try_from(at).ok().and_then(|at| hall.layout.seat(at));
        seat.is_some_and(|seat| !seat.is_accessible())
    };
    let (first, last) = (i64::from(group[0]), i64::from(group[group.len() - 1]));
    [(first - 1, first - 2), (last + 1, last + 2)]
        .into_iter()
        .map(|(at, next)| u32::from(is_free(at) && is_for_all(at) && !is_free(next)))
        .sum()
}

fn can_be_had(hall: &Drawn, at: u32, companions: bool) -> bool {
    hall.free.contains(at)
        && hall
            .layout
            .seat(at)
            .is_some_and(|seat| !seat.is_blocked() && (companions || !seat.is_companion()))
}

/// Every choice for a wish without limits.
fn choices(hall: &Drawn, wish: &Wish, companions: bool) -> Vec<Vec<u32>> {
    let count = hall.layout.seat_count();
    let subsets = (1_u32..1 << count).filter(|set| set.count_ones() == u32::from(wish.count.get()));
    let subsets = subsets.map(|set| {
        (0..count)
            .filter(|at| set >> at & 1 == 1)
            .collect::<Vec<_>>()
    });
    let is_accessible = |at: &&u32| {
        hall.layout
            .seat(**at)
            .is_some_and(|seat| seat.is_accessible())
    };
    let choices = subsets.filter(|set| {
        set.iter().all(|at| can_be_had(hall, *at, companions))
            && set.iter().filter(is_accessible).count() == usize::from(wish.accessible)
    });
    let fit = choices.filter(|set| wish.seating == Seating::Best || badness(hall, set).0 == 0);
    fit.collect()
}

fn best(hall: &Drawn, wish: &Wish) -> Option<Badness> {
    let of = |companions| {
        let choices = choices(hall, wish, companions);
        choices.iter().map(|choice| badness(hall, choice)).min()
    };
    if wish.accessible > 0 {
        return of(true);
    }
    of(false).or_else(|| of(true))
}

/// Halls of at most `seats_max` seats.
pub(super) fn halls(seats_max: usize) -> impl Strategy<Value = Vec<String>> {
    let seat =
        prop_oneof![8 => Just('.'), 4 => Just('x'), 2 => Just('a'), 1 => Just('c'), 1 => Just('b')];
    let ends = prop_oneof![6 => Just(""), 2 => Just(" "), 2 => Just("\n"), 1 => Just("\n-\n")];
    let hall = prop::collection::vec((seat, ends), 1..=seats_max);
    hall.prop_map(|seats| {
        let text: String = seats
            .iter()
            .map(|(seat, end)| format!("{seat}{end}"))
            .collect();
        let text = text.trim_end_matches([' ', '\n', '-']);
        text.lines().map(|row| row.trim_end().to_owned()).collect()
    })
}

fn wishes() -> impl Strategy<Value = Wish> {
    let seating = prop_oneof![Just(Seating::Best), Just(Seating::Together)];
    (1..=8_u8, prop_oneof![3 => Just(0), 1 => 1..=2_u8], seating).prop_map(
        |(count, accessible, seating)| Wish {
            accessible,
            seating,
            ..party(count)
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn the_choice_is_the_best_one(
        rows in halls(SEATS_MAX),
        wish in wishes(),
        best_seats in prop_oneof![4 => Just(BestSeats::Front), 1 => Just(BestSeats::First)],
    ) {
        let rows: Vec<_> = rows.iter().map(String::as_str).collect();
        let hall = drawn_with(&rows, best_seats);
        let expected = best(&hall, &wish);
        match (choose(&hall.hall, &hall.free, &wish), expected) {
            (Ok(chosen), Some(expected)) => {
                let found = badness(&hall, &chosen);
                prop_assert_eq!(chosen.len(), usize::from(wish.count.get()));
                if wish.accessible == 0 {
                    prop_assert_eq!(found, expected, "{:?}", hall.with(&chosen));
                } else {
                    // The quality of a split party with accessible seats is not guaranteed.
                    prop_assert_eq!(found.0 == 0, expected.0 == 0, "{:?}", hall.with(&chosen));
                    prop_assert!(expected.0 > 0 || found == expected);
                    prop_assert!(choices(&hall, &wish, true).contains(&chosen));
                }
            }
            (Err(NoChoice { largest_party }), None) => {
                let of = |count: u8| Wish { count: count.try_into().expect("not 0"), ..wish.clone() };
                let largest = (1..=12).filter(|count| best(&hall, &of(*count)).is_some()).max();
                prop_assert_eq!(largest_party, largest.unwrap_or(0));
            }
            (chosen, expected) => prop_assert!(false, "{chosen:?} against {expected:?}"),
        }
    }

    #[test]
    fn an_orphan_had_a_free_neighbour_before_and_none_after(
        rows in halls(SEATS_MAX),
        picks in prop::collection::vec(any::<prop::sample::Index>(), 1..5),
    ) {
        let rows: Vec<_> = rows.iter().map(String::as_str).collect();
        let hall = drawn(&rows);
        let count = hall.layout.seat_count();
        let free: Vec<_> = (0..count).filter(|at| can_be_had(&hall, *at, true)).collect();
        let picked = picks.iter().filter(|_| !free.is_empty());
        let chosen: Vec<_> = picked.map(|pick| *pick.get(&free)).collect();
        let is_alone = |at: u32, taken: &[u32]| {
            let is_free = |at: &u32| free.contains(at) && !taken.contains(at);
            let run = hall.layout.run_of(at);
            let beside = [at.wrapping_sub(1), at + 1];
            is_free(&at) && !beside.iter().any(|at| run.contains(at) && is_free(at))
        };
        let is_accessible = |at: u32| hall.layout.seat(at).is_some_and(|seat| seat.is_accessible());
        let expected = (0..count).filter(|at| {
            !is_accessible(*at) && is_alone(*at, &chosen) && !is_alone(*at, &[])
        });
        let orphans = orphans_left(&hall.hall, &hall.free, &chosen);
        prop_assert_eq!(&orphans, &expected.collect::<Vec<_>>());
        let avoidable = avoidable_orphans(&hall.hall, &hall.free, &chosen);
        prop_assert!(avoidable.iter().all(|at| orphans.contains(at)));
    }
}
