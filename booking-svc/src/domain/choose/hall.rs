//! A show's layout and prices, prepared for choosing: made once, read by every choice.
//!
//! Inside, a seat is identified by its **place**: its position in the layout, where neighbours in a
//! run have consecutive places.

use std::ops::Range;

use model::{Point, PriceList, SeatPlace, ShowSeats};

use super::goodness::Goodness;
use crate::domain::Withdrawn;

/// A show's seats, indexed for choosing among them. It takes some 40 bytes a seat.
#[derive(Debug)]
pub struct Hall {
    /// By place.
    seats: Box<[HallSeat]>,
    /// By ordinal; the retired ones have [`RETIRED`].
    places: Box<[u32]>,
    /// By place, with one more after the last: the sum of the distances of all places before it,
    /// modulo 2^64. The sum over a party never comes near to that.
    distances_before: Box<[u64]>,
    /// By place, with one more after the last: the number of accessible seats before it.
    accessible_before: Box<[u32]>,
    /// In the order of places.
    runs: Box<[Run]>,
    /// The indexes of the runs, by their nearest seat.
    nearest_runs: Box<[u32]>,
    /// By tier.
    prices: Box<[i64]>,
    goodness: Goodness,
}

/// No seat has this place: a layout's seats are far fewer.
const RETIRED: u32 = u32::MAX;

#[derive(Debug, Clone, Copy)]
struct HallSeat {
    ordinal: u32,
    tier: u16,
    kind: Kind,
    /// Where it is drawn.
    point: Point,
}

/// The kind of people that a seat is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Ordinary,
    Accessible,
    Companion,
    /// Not for sale.
    Blocked,
}

/// Seats in a row with no aisle between.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) section: usize,
    pub(super) places: Range<u32>,
    /// The distance of the nearest of its seats.
    pub(super) nearest: u64,
}

impl Hall {
    /// The hall of a show. Withdrawn seats count as blocked, so make a new one when the withdrawn
    /// seats, the layout or the prices change.
    #[must_use]
    pub fn of(seats: &ShowSeats, prices: &PriceList, withdrawn: &Withdrawn) -> Self {
        let layout = seats.layout();
        let count = layout.seat_count();
        let mut hall = Vec::with_capacity(count as usize);
        let mut places = vec![RETIRED; seats.ordinal_count() as usize];
        let mut distances_before = vec![0_u64];
        let mut accessible_before = vec![0];
        let mut runs: Vec<Run> = Vec::new();
        let goodness = Goodness::of(layout);
        for (place, seat) in (0..count).filter_map(|at| Some((at, layout.seat(at)?))) {
            let ordinal = seats.ordinal_of(place).unwrap_or(RETIRED);
            let kind = if withdrawn.seats.binary_search(&ordinal).is_ok() {
                Kind::Blocked
            } else {
                Kind::of(&seat)
            };
            if let Some(known) = places.get_mut(ordinal as usize) {
                *known = place;
            }
            let tier = prices.of_seat(place).map_or(0, |price| price.tier_index);
            let point = seat.point();
            hall.push(HallSeat {
                ordinal,
                // A price list has fewer tiers than that.
                tier: u16::try_from(tier).unwrap_or(u16::MAX),
                kind,
                point,
            });
            let distance = goodness.distance(place, point);
            let before = distances_before[place as usize];
            distances_before.push(before.wrapping_add(distance));
            let before = accessible_before[place as usize];
            accessible_before.push(before + u32::from(kind == Kind::Accessible));
            match runs.last_mut().filter(|run| run.places.contains(&place)) {
                Some(run) => run.nearest = run.nearest.min(distance),
                None => runs.push(Run {
                    section: seat.section_index(),
                    places: layout.run_of(place),
                    nearest: distance,
                }),
            }
        }
        let mut nearest_runs: Vec<_> = (0..)
            .zip(&runs)
            .map(|(at, run)| (run.nearest, at))
            .collect();
        nearest_runs.sort_unstable();
        Self {
            seats: hall.into(),
            places: places.into(),
            distances_before: distances_before.into(),
            accessible_before: accessible_before.into(),
            runs: runs.into(),
            nearest_runs: nearest_runs.into_iter().map(|(_, at)| at).collect(),
            prices: prices
                .description()
                .tiers
                .iter()
                .map(|tier| tier.price)
                .collect(),
            goodness,
        }
    }

    /// Whether a free seat with no free neighbour is worth less than others.
    pub(super) fn minds_orphans(&self) -> bool {
        self.goodness != Goodness::First
    }

    /// Roughly the bytes that it takes in memory, for caches.
    #[must_use]
    pub fn weight(&self) -> u64 {
        let bytes = size_of::<Self>()
            + size_of_val(&*self.seats)
            + size_of_val(&*self.places)
            + size_of_val(&*self.distances_before)
            + size_of_val(&*self.accessible_before)
            + size_of_val(&*self.runs)
            + size_of_val(&*self.nearest_runs)
            + size_of_val(&*self.prices);
        bytes as u64
    }

    /// The seats of these seats' runs, by ordinal, ascending: each with its neighbours at most
    /// `reach` places away, itself included.
    #[must_use]
    pub fn around(&self, ordinals: &[u32], reach: u32) -> Vec<u32> {
        let mut around = Vec::new();
        for place in ordinals.iter().filter_map(|ordinal| self.place(*ordinal)) {
            let run = self.run_of(place);
            let from = place.saturating_sub(reach).max(run.start);
            let to = place.saturating_add(reach + 1).min(run.end);
            around.extend((from..to).map(|place| self.ordinal(place)));
        }
        around.sort_unstable();
        around.dedup();
        around
    }

    /// The prices by tier, in minor units.
    pub(super) fn prices(&self) -> &[i64] {
        &self.prices
    }

    /// All runs, in the order of places.
    pub(super) fn runs(&self) -> &[Run] {
        &self.runs
    }

    /// All runs, by their nearest seat.
    pub(super) fn nearest_runs(&self) -> impl Iterator<Item = &Run> {
        self.nearest_runs.iter().map(|at| &self.runs[*at as usize])
    }

    /// How many places it has.
    pub(super) fn seat_count(&self) -> usize {
        self.seats.len()
    }

    /// How many sections its seats are in: all indices of theirs are below.
    pub(super) fn section_count(&self) -> usize {
        self.runs.last().map_or(0, |run| run.section + 1)
    }

    /// The index of the section that a place is in.
    pub(super) fn section_of(&self, place: u32) -> usize {
        let behind = self.runs.partition_point(|run| run.places.start <= place);
        let run = behind.checked_sub(1).and_then(|at| self.runs.get(at));
        run.map_or(0, |run| run.section)
    }

    /// The places of a section.
    pub(super) fn places_of(&self, section: usize) -> Range<u32> {
        let from = self.runs.partition_point(|run| run.section < section);
        let to = self.runs.partition_point(|run| run.section <= section);
        match (self.runs.get(from), to.checked_sub(1)) {
            (Some(first), Some(last)) if last >= from => {
                first.places.start..self.runs[last].places.end
            }
            _ => 0..0,
        }
    }

    /// Where a place is drawn.
    pub(super) fn point(&self, place: u32) -> Point {
        self.seats[place as usize].point
    }

    /// The run that a place is in.
    pub(super) fn run_of(&self, place: u32) -> Range<u32> {
        let behind = self.runs.partition_point(|run| run.places.start <= place);
        let run = behind.checked_sub(1).and_then(|at| self.runs.get(at));
        run.map_or(place..place, |run| run.places.clone())
    }

    /// The place of the seat with this ordinal; none if the layout no longer has it.
    pub(super) fn place(&self, ordinal: u32) -> Option<u32> {
        let place = self.places.get(ordinal as usize).copied();
        place.filter(|place| *place != RETIRED)
    }

    pub(super) fn ordinal(&self, place: u32) -> u32 {
        self.seats[place as usize].ordinal
    }

    pub(super) fn kind(&self, place: u32) -> Kind {
        self.seats[place as usize].kind
    }

    pub(super) fn tier(&self, place: u32) -> usize {
        self.seats[place as usize].tier.into()
    }

    pub(super) fn price(&self, place: u32) -> i64 {
        self.prices
            .get(self.tier(place))
            .copied()
            .unwrap_or(i64::MAX)
    }

    /// The sum of the distances from where the best seats are.
    pub(super) fn distance(&self, places: &Range<u32>) -> u64 {
        let before = |place: u32| self.distances_before[place as usize];
        before(places.end).wrapping_sub(before(places.start))
    }

    /// How many of these are accessible.
    pub(super) fn accessible(&self, places: &Range<u32>) -> u32 {
        let before = |place: u32| self.accessible_before[place as usize];
        before(places.end) - before(places.start)
    }
}

impl Kind {
    fn of(seat: &SeatPlace<'_>) -> Self {
        if seat.is_blocked() {
            Self::Blocked
        } else if seat.is_accessible() {
            Self::Accessible
        } else if seat.is_companion() {
            Self::Companion
        } else {
            Self::Ordinary
        }
    }
}
