//! Orphans: free seats with no free neighbour, which are hard to sell. Which of them a choice
//! leaves, and which of those are avoidable.
//!
//! A seat that is its whole run is no orphan, and neither is an accessible seat, because it is
//! sold by itself.

use std::ops::Range;

use super::hall::Kind;
use super::{FreeSeats, Hall};

/// The positions that anybody can take.
#[derive(Clone, Copy)]
pub(super) struct Vacancy<'a> {
    pub(super) hall: &'a Hall,
    pub(super) free: &'a FreeSeats,
}

/// The orphans, ascending by ordinal, that this choice would leave and that were no orphans before.
/// Chosen seats count as free before, whether or not they are in `free`.
#[must_use]
pub fn orphans_left(hall: &Hall, free: &FreeSeats, chosen: &[u32]) -> Vec<u32> {
    let (before, after) = before_and_after(free, chosen);
    let before = Vacancy {
        hall,
        free: &before,
    };
    let after = Vacancy { hall, free: &after };
    let mut orphans = Vec::new();
    for place in chosen.iter().filter_map(|ordinal| hall.place(*ordinal)) {
        let stretch = before.stretch_around(place);
        let beside = [place.checked_sub(1), place.checked_add(1)];
        let beside = beside.into_iter().flatten();
        let left = beside.filter(|at| stretch.contains(at) && after.is_orphan(*at));
        orphans.extend(left.map(|at| hall.ordinal(at)));
    }
    orphans.sort_unstable();
    orphans.dedup();
    orphans
}

/// The avoidable ones of [`orphans_left`]: in the same unbroken stretch of free seats as many
/// adjacent seats, with as many accessible ones among them and none dearer than the dearest, could
/// be chosen and leave no orphan. If such a stretch has just one seat more than needed, an
/// orphan cannot be avoided; free seats in other rows are no reason to reject this choice.
#[must_use]
pub fn avoidable_orphans(hall: &Hall, free: &FreeSeats, chosen: &[u32]) -> Vec<u32> {
    let mut orphans = orphans_left(hall, free, chosen);
    if orphans.is_empty() {
        return orphans;
    }
    let (before, after) = before_and_after(free, chosen);
    let before = Vacancy {
        hall,
        free: &before,
    };
    let after = Vacancy { hall, free: &after };
    orphans.retain(|ordinal| {
        let Some(place) = hall.place(*ordinal) else {
            return false;
        };
        let run = hall.run_of(place);
        let stretch = before.stretch_around(place);
        let taken = || stretch.clone().filter(|place| !after.has(*place));
        let is_accessible = |place: &u32| hall.kind(*place) == Kind::Accessible;
        let accessible = taken().filter(is_accessible).count();
        let dearest = taken().map(|place| hall.price(place)).max();
        let size = u32::try_from(taken().count()).unwrap_or(u32::MAX);
        let mut others = stretch.start..=stretch.end.saturating_sub(size);
        others.any(|from| {
            let places = from..from + size;
            hall.accessible(&places) as usize == accessible
                && places.clone().map(|place| hall.price(place)).max() <= dearest
                && before.orphans_beside(&run, &places) == 0
        })
    });
    orphans
}

fn before_and_after(free: &FreeSeats, chosen: &[u32]) -> (FreeSeats, FreeSeats) {
    let (mut before, mut after) = (free.clone(), free.clone());
    for ordinal in chosen {
        before.insert(*ordinal);
        after.remove(*ordinal);
    }
    (before, after)
}

impl Vacancy<'_> {
    /// Whether a place is available.
    pub(super) fn has(&self, place: u32) -> bool {
        self.hall.kind(place) != Kind::Blocked && self.free.contains(self.hall.ordinal(place))
    }

    /// How many orphans there are next to adjacent free places of a run, once the places
    /// are taken.
    pub(super) fn orphans_beside(&self, run: &Range<u32>, places: &Range<u32>) -> u32 {
        let has = |place: u32| run.contains(&place) && self.has(place);
        let is_orphan = |place: Option<u32>, next: Option<u32>| {
            place.is_some_and(|place| has(place) && self.hall.kind(place) != Kind::Accessible)
                && !next.is_some_and(has)
        };
        let (start, end) = (places.start, places.end);
        u32::from(is_orphan(start.checked_sub(1), start.checked_sub(2)))
            + u32::from(is_orphan(Some(end), end.checked_add(1)))
    }

    /// Whether a place is available, but neither of its neighbours.
    fn is_orphan(&self, place: u32) -> bool {
        let stretch = self.stretch_around(place);
        stretch.end - stretch.start == 1 && self.hall.kind(place) != Kind::Accessible
    }

    /// The unbroken stretch of available places around this one; empty if it is not available.
    fn stretch_around(&self, place: u32) -> Range<u32> {
        let run = self.hall.run_of(place);
        let from = (run.start..=place).rev().take_while(|at| self.has(*at));
        let to = (place..run.end).take_while(|at| self.has(*at));
        from.last().unwrap_or(place)..to.last().map_or(place, |last| last + 1)
    }
}
