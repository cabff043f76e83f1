//! Finds the tier of each seat: two bytes per seat, or none if all have the same tier.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use super::{PRICE_TARGETS_MAX, PRICE_TIERS_MAX, PriceTier, RowRef};
use crate::layout::{NAME_CHARS_MAX, SeatLayout};
use crate::money::PRICE_MAX;
use crate::problem::{Problems, check_name};

/// No tier has this index: [`PRICE_TIERS_MAX`] is below it.
const NO_TIER: u16 = u16::MAX;

/// The tier of each seat and of each area, by index.
#[derive(Debug, Clone)]
pub(super) struct Assignment {
    pub(super) seats: Tiers,
    pub(super) areas: Tiers,
}

/// The tier of each item.
#[derive(Debug, Clone)]
pub(super) enum Tiers {
    Same { tier: u16, count: usize },
    Each(Box<[u16]>),
}

/// A target: the thing that a tier names.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Target {
    Section(usize),
    /// By its first seat.
    Row(u32),
    Seat(u32),
    Area(usize),
}

/// Looks targets up, and remembers which tier had them first.
struct Resolver<'a> {
    layout: &'a SeatLayout,
    problems: Problems,
    sections: HashMap<&'a str, usize>,
    areas: HashMap<&'a str, usize>,
    /// By section and name, the first seat.
    rows: HashMap<(usize, String), u32>,
    taken: HashMap<Target, usize>,
}

/// The tier of everything that is named, by how specific it is.
#[derive(Default)]
struct Named {
    sections: Vec<(Range<u32>, u16)>,
    rows: Vec<(Range<u32>, u16)>,
    seats: Vec<(Range<u32>, u16)>,
    areas: Vec<(usize, u16)>,
}

impl Assignment {
    pub(super) fn new(tiers: &[PriceTier], layout: &SeatLayout) -> Result<Self, Problems> {
        let mut problems = Problems::default();
        let rest = check_tiers(tiers, &mut problems);
        problems.none_so_far()?;
        let named = Resolver::new(layout, tiers).resolve(tiers)?;
        let rest = rest.map_or(NO_TIER, index);
        let mut seats = vec![rest; layout.seat_count() as usize];
        for (positions, tier) in [named.sections, named.rows, named.seats]
            .into_iter()
            .flatten()
        {
            seats[positions.start as usize..positions.end as usize].fill(tier);
        }
        let mut areas = vec![rest; layout.areas().len()];
        for (area, tier) in named.areas {
            areas[area] = tier;
        }
        check_complete(&seats, &areas, layout, &mut problems);
        problems.none_so_far()?;
        Ok(Self {
            seats: Tiers::of(seats),
            areas: Tiers::of(areas),
        })
    }

    /// Bytes on the heap.
    pub(super) fn weight(&self) -> usize {
        self.seats.weight() + self.areas.weight()
    }
}

impl Tiers {
    fn of(tiers: Vec<u16>) -> Self {
        match tiers.split_first() {
            Some((first, others)) if others.iter().any(|tier| tier != first) => {
                Self::Each(tiers.into())
            }
            first => Self::Same {
                tier: first.map_or(NO_TIER, |(tier, _)| *tier),
                count: tiers.len(),
            },
        }
    }

    pub(super) fn tier_of(&self, at: usize) -> Option<usize> {
        let tier = match self {
            Self::Same { tier, count } => (at < *count).then_some(*tier),
            Self::Each(tiers) => tiers.get(at).copied(),
        };
        tier.map(usize::from)
    }

    fn weight(&self) -> usize {
        match self {
            Self::Same { .. } => 0,
            Self::Each(tiers) => size_of_val(&**tiers),
        }
    }
}

/// Checks that need no layout; returns the tier that names nothing.
fn check_tiers(tiers: &[PriceTier], problems: &mut Problems) -> Option<usize> {
    if tiers.is_empty() || tiers.len() > PRICE_TIERS_MAX {
        problems.add("price_tiers", format!("must be 1 to {PRICE_TIERS_MAX}"));
        return None;
    }
    let targets: usize = tiers.iter().map(PriceTier::target_count).sum();
    if targets > PRICE_TARGETS_MAX {
        problems.add(
            "price_tiers",
            format!(
                "name {targets} sections, rows, seats and areas; at most {PRICE_TARGETS_MAX} are allowed"
            ),
        );
    }
    let mut names = HashSet::new();
    let mut rest = None;
    for (t, tier) in tiers.iter().enumerate() {
        let path = format!("price_tiers[{t}]");
        problems.check(check_name(&tier.name, 1, NAME_CHARS_MAX), || {
            format!("{path}.name")
        });
        if !names.insert(&*tier.name) {
            problems.add(
                format!("{path}.name"),
                format!("the name {:?} is used twice", tier.name),
            );
        }
        if !(0..=PRICE_MAX).contains(&tier.price) {
            problems.add(
                format!("{path}.price.minor_units"),
                format!("must be 0 to {PRICE_MAX}"),
            );
        }
        if tier.target_count() > 0 {
            continue;
        }
        match rest {
            None => rest = Some(t),
            Some(first) => problems.add(
                path,
                format!(
                    "names nothing, as price_tiers[{first}] does: only one tier can be the price \
                     of everything else"
                ),
            ),
        }
    }
    rest
}

/// Names the first seat and the first area without a price.
fn check_complete(seats: &[u16], areas: &[u16], layout: &SeatLayout, problems: &mut Problems) {
    let first = seats.iter().zip(0..).find(|(tier, _)| **tier == NO_TIER);
    if let Some(seat) = first.and_then(|(_, position)| layout.seat(position)) {
        let unpriced = seats.iter().filter(|tier| **tier == NO_TIER).count();
        problems.add(
            "price_tiers",
            format!(
                "leave {unpriced} seats without a price, the first of them {:?} in the section {:?}",
                seat.label(),
                seat.section().name
            ),
        );
    }
    let unpriced = areas
        .iter()
        .zip(layout.areas())
        .find(|(tier, _)| **tier == NO_TIER);
    if let Some((_, area)) = unpriced {
        problems.add(
            "price_tiers",
            format!("leave the area {:?} without a price", area.name),
        );
    }
}

impl PriceTier {
    fn target_count(&self) -> usize {
        self.sections.len() + self.rows.len() + self.seat_labels.len() + self.areas.len()
    }
}

impl<'a> Resolver<'a> {
    fn new(layout: &'a SeatLayout, tiers: &[PriceTier]) -> Self {
        let sections = layout.sections().iter().map(|section| &*section.name);
        let areas = layout.areas().iter().map(|area| &*area.name);
        let mut rows = HashMap::new();
        if tiers.iter().any(|tier| !tier.rows.is_empty()) {
            let named = layout.rows().filter(|row| !row.name.is_empty());
            rows.extend(
                named.map(|row| ((row.section, row.name.into_owned()), row.positions.start)),
            );
        }
        Self {
            layout,
            problems: Problems::default(),
            sections: sections.zip(0..).collect(),
            areas: areas.zip(0..).collect(),
            rows,
            taken: HashMap::new(),
        }
    }

    fn resolve(mut self, tiers: &[PriceTier]) -> Result<Named, Problems> {
        let mut named = Named::default();
        for (t, tier) in tiers.iter().enumerate() {
            self.tier(t, tier, &mut named);
        }
        self.problems.none_so_far()?;
        Ok(named)
    }

    fn tier(&mut self, t: usize, tier: &PriceTier, named: &mut Named) {
        for (i, name) in tier.sections.iter().enumerate() {
            let path = || format!("price_tiers[{t}].sections[{i}]");
            let what = || format!("section {name:?}");
            let found = self.section(name);
            if let Some(section) = self.take(t, found, Target::Section, path, what) {
                let positions = self.layout.section_positions(section);
                named.sections.push((positions, index(t)));
            }
        }
        for (i, row) in tier.rows.iter().enumerate() {
            let path = || format!("price_tiers[{t}].rows[{i}]");
            let what = || format!("row {:?} in the section {:?}", row.row, row.section);
            let found = self.row(row);
            if let Some(first) = self.take(t, found, Target::Row, path, what) {
                named.rows.push((self.layout.row_of(first), index(t)));
            }
        }
        for (i, label) in tier.seat_labels.iter().enumerate() {
            let path = || format!("price_tiers[{t}].seat_labels[{i}]");
            let what = || format!("seat {label:?}");
            let found = self.layout.position_of(label);
            let found = found.ok_or_else(|| format!("no seat has the label {label:?}"));
            if let Some(position) = self.take(t, found, Target::Seat, path, what) {
                named.seats.push((position..position + 1, index(t)));
            }
        }
        for (i, name) in tier.areas.iter().enumerate() {
            let path = || format!("price_tiers[{t}].areas[{i}]");
            let what = || format!("area {name:?}");
            let found = self.areas.get(&**name).copied();
            let found = found.ok_or_else(|| format!("no area has the name {name:?}"));
            if let Some(area) = self.take(t, found, Target::Area, path, what) {
                named.areas.push((area, index(t)));
            }
        }
    }

    fn section(&self, name: &str) -> Result<usize, String> {
        let found = self.sections.get(name).copied();
        found.ok_or_else(|| format!("no section has the name {name:?}"))
    }

    /// The first seat of a row.
    fn row(&self, row: &RowRef) -> Result<u32, String> {
        let section = self.section(&row.section)?;
        let found = self.rows.get(&(section, row.row.to_string())).copied();
        found.ok_or_else(|| format!("the section {:?} has no row {:?}", row.section, row.row))
    }

    /// Gives a target to a tier; not if it was not found, or has been given before.
    fn take<T: Copy>(
        &mut self,
        tier: usize,
        found: Result<T, String>,
        target: impl Fn(T) -> Target,
        path: impl Fn() -> String,
        what: impl Fn() -> String,
    ) -> Option<T> {
        let found = match found {
            Ok(found) => found,
            Err(message) => {
                self.problems.add(path(), message);
                return None;
            }
        };
        if let Some(first) = self.taken.insert(target(found), tier) {
            self.problems.add(
                path(),
                format!(
                    "the {} has a price already, by price_tiers[{first}]",
                    what()
                ),
            );
            return None;
        }
        Some(found)
    }
}

/// Of a tier, which is below [`PRICE_TIERS_MAX`].
fn index(tier: usize) -> u16 {
    u16::try_from(tier).unwrap_or(NO_TIER)
}
