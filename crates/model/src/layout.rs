//! Seat layouts: sections, their rows, the seats in them; areas without seats.
//!
//! A layout keeps its compact description and an index over it, so that a seat costs some
//! nine bytes however it is described. A seat's **position** is its place in the layout,
//! counted from 0: section by section, row by row from the front, from left to right.
//! Invariant: an existing [`SeatLayout`] is within the limits, has a seat or an area, and
//! `position_of(seat(n).label()) == n` for each of its seats.

mod check;
mod description;
mod geometry;
mod label;
mod labels;
mod rows;
mod seat;
mod seat_set;
mod series;
mod weight;

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use serde::{Deserialize, Serialize, Serializer};

pub use self::description::{
    AREAS_MAX, Area, BestSeats, CAPACITY_MAX, COORDINATE_MAX, Coordinates, DECK_CHARS_MAX,
    LABEL_CHARS_MAX, LABEL_FORMAT_CHARS_MAX, LayoutDescription, NAME_CHARS_MAX, NUMBER_MAX,
    PLACES_MAX, Point, ROWS_MAX, RUNS_MAX, RowBlock, SEATS_MAX, SECTIONS_MAX,
    SERIES_NAME_CHARS_MAX, SKIPPED_MAX, Section, Series,
};
use self::geometry::Geometry;
use self::labels::LabelIndex;
use self::rows::Blocks;
pub use self::seat::{RowPlace, SeatPlace};
use self::seat_set::SeatSet;
use crate::problem::{Problem, Problems, in_words};

/// A valid layout. It never changes, and a clone of it is cheap.
#[derive(Clone, Deserialize)]
#[serde(try_from = "LayoutDescription")]
pub struct SeatLayout(Arc<Inner>);

struct Inner {
    description: LayoutDescription,
    blocks: Blocks,
    labels: LabelIndex,
    accessible: SeatSet,
    companion: SeatSet,
    blocked: SeatSet,
    geometry: Geometry,
}

impl SeatLayout {
    /// Checks a description and indexes it. Its names and labels are normalised
    /// ([`crate::nfc`]); texts to look up must be normalised too.
    ///
    /// # Errors
    ///
    /// The problems of the description.
    pub fn new(mut description: LayoutDescription) -> Result<Self, Problems> {
        description.normalize();
        let blocks = check::check_shape(&description)?;
        let labels = check::index_labels(&description, &blocks)?;
        let geometry = Geometry::of(&description, &blocks);
        let mut inner = Inner {
            description,
            blocks,
            labels,
            accessible: SeatSet::default(),
            companion: SeatSet::default(),
            blocked: SeatSet::default(),
            geometry,
        };
        inner.mark()?;
        Ok(Self(Arc::new(inner)))
    }

    /// This many seats, labelled from "1" on, in one section "General".
    ///
    /// # Errors
    ///
    /// That it must be 1 to [`SEATS_MAX`], at the path "total_seats".
    pub fn of_total(seats: u32) -> Result<Self, Problems> {
        if !(1..=SEATS_MAX).contains(&seats) {
            return Err(Problems::from(vec![Problem {
                path: "total_seats".to_owned(),
                message: format!("must be 1 to {SEATS_MAX}"),
            }]));
        }
        Self::new(LayoutDescription::of_total(seats))
    }

    /// The description that it was made from.
    #[must_use]
    pub fn description(&self) -> &LayoutDescription {
        &self.0.description
    }

    /// How many seats it has; 0 where all is general admission.
    #[must_use]
    pub fn seat_count(&self) -> u32 {
        self.0.blocks.seat_count()
    }

    /// How many places its areas have together.
    #[must_use]
    pub fn place_count(&self) -> u32 {
        self.areas().iter().map(|area| area.capacity).sum()
    }

    /// The position of the seat with this label.
    #[must_use]
    pub fn position_of(&self, label: &str) -> Option<u32> {
        self.0.position_of(label)
    }

    /// The seat in this position.
    #[must_use]
    pub fn seat(&self, position: u32) -> Option<SeatPlace<'_>> {
        SeatPlace::of(self, position)
    }

    /// Its sections, as described.
    #[must_use]
    pub fn sections(&self) -> &[Section] {
        &self.0.description.sections
    }

    /// The positions of the seats of a section, by its index. Empty if there is no such section.
    #[must_use]
    pub fn section_positions(&self, section: usize) -> Range<u32> {
        self.0.blocks.of_section(section)
    }

    /// Every row, in the order of positions.
    pub fn rows(&self) -> impl Iterator<Item = RowPlace<'_>> {
        RowPlace::all(self)
    }

    /// The positions of the seats in the same row as this one, itself among them. Empty if
    /// there is no such seat.
    #[must_use]
    pub fn row_of(&self, position: u32) -> Range<u32> {
        let seat = self.0.blocks.seat(position);
        seat.map_or(position..position, |seat| seat.block.row(seat.row))
    }

    /// The positions of the seats in the same row as this one with no aisle between, itself
    /// among them: those next to each other are neighbours. Empty if there is no such seat.
    #[must_use]
    pub fn run_of(&self, position: u32) -> Range<u32> {
        let seat = self.0.blocks.seat(position);
        seat.map_or(position..position, |seat| seat.neighbours())
    }

    /// Its areas, as described.
    #[must_use]
    pub fn areas(&self) -> &[Area] {
        &self.0.description.areas
    }

    /// The area with this name, and its index.
    #[must_use]
    pub fn area(&self, name: &str) -> Option<(usize, &Area)> {
        self.areas()
            .iter()
            .enumerate()
            .find(|(_, area)| &*area.name == name)
    }

    /// The positions of the seats for wheelchairs and the like, ascending.
    pub fn accessible_positions(&self) -> impl Iterator<Item = u32> {
        self.0.accessible.iter()
    }

    /// The positions of the companion seats, ascending.
    pub fn companion_positions(&self) -> impl Iterator<Item = u32> {
        self.0.companion.iter()
    }

    /// The positions of the seats that are not for sale, ascending.
    pub fn blocked_positions(&self) -> impl Iterator<Item = u32> {
        self.0.blocked.iter()
    }

    /// The point that the best seats are near to, as described or else the middle of the
    /// front, one seat before it.
    #[must_use]
    pub fn focal_point(&self) -> Point {
        self.0.geometry.focal_point
    }

    /// Where its best seats are.
    #[must_use]
    pub fn best_seats(&self) -> BestSeats {
        self.0.description.best_seats
    }

    /// The position of a seat, as described or else computed: 100 from seat to seat and from row to
    /// row, an aisle 100 wide, every row centred on the first of its section, sections without an
    /// origin centred one behind another with 200 between.
    #[must_use]
    pub fn point(&self, position: u32) -> Option<Point> {
        let seat = self.0.blocks.seat(position)?;
        Some(self.0.geometry.of_seat(&self.0.description, &seat))
    }

    /// The position of an area's middle, by its index: as described or else computed, behind the
    /// sections with 200 between.
    #[must_use]
    pub fn area_point(&self, area: usize) -> Option<Point> {
        self.0.geometry.of_area(area)
    }

    /// Roughly the bytes that it takes in memory, for caches.
    #[must_use]
    pub fn weight(&self) -> u64 {
        weight::of(&self.0)
    }
}

impl Inner {
    fn position_of(&self, label: &str) -> Option<u32> {
        self.labels.candidates(label).find(|position| {
            self.blocks.seat(*position).is_some_and(|seat| {
                let section = &self.description.sections[seat.block.section];
                let rows = &section.rows[seat.block.index];
                label::writes(label, |out| label::write(section, rows, &seat, out))
            })
        })
    }

    /// Finds the seats that the description names, and checks its other lists by seat.
    fn mark(&mut self) -> Result<(), Problems> {
        let mut problems = Problems::default();
        let described = &self.description;
        let accessible = self.set_of(
            "accessible_seats",
            &described.accessible_seats,
            &mut problems,
        );
        let companion = self.set_of("companion_seats", &described.companion_seats, &mut problems);
        let blocked = self.set_of("blocked_seats", &described.blocked_seats, &mut problems);
        for (i, label) in described.companion_seats.iter().enumerate() {
            if self
                .position_of(label)
                .is_some_and(|position| accessible.contains(position))
            {
                problems.add(
                    format!("companion_seats[{i}]"),
                    format!("the seat {label:?} is among the accessible seats already"),
                );
            }
        }
        if let Some(given) = &described.coordinates {
            check::check_coordinates(given, self.blocks.seat_count(), &mut problems);
        }
        problems.none_so_far()?;
        (self.accessible, self.companion, self.blocked) = (accessible, companion, blocked);
        Ok(())
    }

    fn set_of(&self, field: &str, labels: &[Box<str>], problems: &mut Problems) -> SeatSet {
        let mut set = SeatSet::default();
        for (i, label) in labels.iter().enumerate() {
            let wrong = match self.position_of(label) {
                Some(position) if set.insert(position, self.blocks.seat_count()) => continue,
                Some(_) => "is listed twice",
                None => "is not a seat of the layout",
            };
            problems.note(|| (format!("{field}[{i}]"), format!("{label:?} {wrong}")));
        }
        set
    }
}

impl LayoutDescription {
    /// This many seats, labelled from "1" on, in one section "General".
    #[must_use]
    pub fn of_total(seats: u32) -> Self {
        let numbers = Series::Numbers {
            first: 1,
            last: seats,
            step: 1,
            skip: Vec::new(),
        };
        Self {
            sections: vec![Section {
                name: "General".into(),
                deck: "".into(),
                origin: None,
                rows: vec![RowBlock {
                    names: None,
                    runs: vec![numbers],
                    label_format: None,
                }],
            }],
            ..Self::default()
        }
    }
}

impl TryFrom<LayoutDescription> for SeatLayout {
    type Error = String;

    fn try_from(description: LayoutDescription) -> Result<Self, String> {
        Self::new(description)
            .map_err(|problems| format!("not a valid layout: {}", in_words(&problems)))
    }
}

impl Serialize for SeatLayout {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.description.serialize(serializer)
    }
}

impl PartialEq for SeatLayout {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0.description == other.0.description
    }
}

impl Eq for SeatLayout {}

impl fmt::Debug for SeatLayout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SeatLayout")
            .field(&self.0.description)
            .finish()
    }
}

#[cfg(test)]
mod tests;
