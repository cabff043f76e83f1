//! The numbers that a show's seats keep while its layout is replaced.
//!
//! Bookings refer to a seat by its **ordinal**. In a show's first layout that is its
//! position. A layout that replaces it may put seats elsewhere, add some and drop some: a seat
//! with the same label keeps its ordinal, also one that was dropped and comes back; a new label
//! gets an ordinal that was never given; a seat that is gone is retired, and keeps its names for
//! the bookings that had it. Invariant: an ordinal belongs to one label for a show's whole life.

mod record;

use std::borrow::Cow;
use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use self::record::Record;
use crate::layout::{SEATS_MAX, SeatLayout};

/// The most ordinals that a show ever gives.
pub const ORDINALS_MAX: u32 = 4 * SEATS_MAX;

/// The stored part of a show's numbering. Empty (`null` when written) as long as every
/// seat's ordinal is its position.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Option<Record>", into = "Option<Record>")]
pub struct Numbering(Option<Box<Changed>>);

/// Every seat has one of the ordinals, every other ordinal is retired.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Changed {
    /// By position.
    ordinals: Box<[u32]>,
    /// By ordinal; the retired ones have [`RETIRED`].
    positions: Box<[u32]>,
    /// Ascending by ordinal.
    retired: Box<[RetiredSeat]>,
}

/// No seat has this position: [`SEATS_MAX`] is far below it.
const RETIRED: u32 = u32::MAX;

/// A seat that a show's layout has no more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetiredSeat {
    /// The number that it keeps.
    pub ordinal: u32,
    /// The label that it had, and will have if it comes back.
    pub label: Box<str>,
    /// The name of the section that it was in.
    pub section: Box<str>,
    /// The name of its row; may be empty.
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub row: Box<str>,
}

/// Why a numbering cannot be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NumberingError {
    /// The show's layouts have had too many labels.
    #[error("a show's layouts have {ORDINALS_MAX} different labels at most in its whole life")]
    TooManyLabels,
    /// A numbering belongs to another layout.
    #[error("the numbering is not of this layout")]
    OfAnotherLayout,
}

/// The seats of a show: those of its layout, by the ordinals that they keep, and the retired.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShowSeats {
    layout: SeatLayout,
    numbering: Numbering,
}

/// A seat of a show, retired or not, as people name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedSeat<'a> {
    /// Its label.
    pub label: Cow<'a, str>,
    /// The name of its section.
    pub section: &'a str,
    /// The name of its row; empty if it has none.
    pub row: Cow<'a, str>,
}

impl ShowSeats {
    /// The seats of a show that has its first layout.
    #[must_use]
    pub fn new(layout: SeatLayout) -> Self {
        Self {
            layout,
            numbering: Numbering::default(),
        }
    }

    /// Restores the seats of a show from their stored form.
    ///
    /// # Errors
    ///
    /// [`NumberingError::OfAnotherLayout`].
    pub fn restore(layout: SeatLayout, numbering: Numbering) -> Result<Self, NumberingError> {
        let fits = numbering.0.as_ref().is_none_or(|changed| {
            let is_gone = |seat: &RetiredSeat| layout.position_of(&seat.label).is_none();
            changed.ordinals.len() == layout.seat_count() as usize
                && changed.retired.iter().all(is_gone)
        });
        if fits {
            Ok(Self { layout, numbering })
        } else {
            Err(NumberingError::OfAnotherLayout)
        }
    }

    /// The seats after another layout has replaced this one.
    ///
    /// # Errors
    ///
    /// [`NumberingError::TooManyLabels`].
    pub fn with_layout(&self, layout: SeatLayout) -> Result<Self, NumberingError> {
        let by_label: HashMap<&str, u32> = self
            .retired_seats()
            .iter()
            .map(|seat| (&*seat.label, seat.ordinal))
            .collect();
        let mut count = self.ordinal_count();
        let mut ordinals = Vec::with_capacity(layout.seat_count() as usize);
        for seat in (0..layout.seat_count()).filter_map(|position| layout.seat(position)) {
            let label = seat.label();
            let known = self
                .ordinal_of_label(&label)
                .or_else(|| by_label.get(&*label).copied());
            ordinals.push(known.unwrap_or_else(|| {
                count += 1;
                count - 1
            }));
        }
        if count > ORDINALS_MAX {
            return Err(NumberingError::TooManyLabels);
        }
        let positions = Changed::positions(&ordinals, count);
        let retired = (0..count)
            .zip(&positions)
            .filter(|(_, position)| **position == RETIRED);
        let retired = retired
            .filter_map(|(ordinal, _)| self.retire(ordinal))
            .collect();
        let changed = Changed {
            ordinals: ordinals.into(),
            positions,
            retired,
        };
        Ok(Self {
            layout,
            numbering: Numbering((!changed.changes_nothing()).then(|| Box::new(changed))),
        })
    }

    /// The layout that the show has now.
    #[must_use]
    pub fn layout(&self) -> &SeatLayout {
        &self.layout
    }

    /// The part to be stored with the layout.
    #[must_use]
    pub fn numbering(&self) -> &Numbering {
        &self.numbering
    }

    /// How many ordinals were ever given: each is below.
    #[must_use]
    pub fn ordinal_count(&self) -> u32 {
        match &self.numbering.0 {
            None => self.layout.seat_count(),
            Some(changed) => u32::try_from(changed.positions.len()).unwrap_or(u32::MAX),
        }
    }

    /// The ordinal of the seat in this position of the layout.
    #[must_use]
    pub fn ordinal_of(&self, position: u32) -> Option<u32> {
        match &self.numbering.0 {
            None => (position < self.layout.seat_count()).then_some(position),
            Some(changed) => changed.ordinals.get(position as usize).copied(),
        }
    }

    /// The ordinal of the seat with this label; none if it is retired.
    #[must_use]
    pub fn ordinal_of_label(&self, label: &str) -> Option<u32> {
        self.ordinal_of(self.layout.position_of(label)?)
    }

    /// The position in the layout of the seat with this ordinal; none if it is retired.
    #[must_use]
    pub fn position_of(&self, ordinal: u32) -> Option<u32> {
        match &self.numbering.0 {
            None => (ordinal < self.layout.seat_count()).then_some(ordinal),
            Some(changed) => {
                let position = changed.positions.get(ordinal as usize).copied();
                position.filter(|position| *position != RETIRED)
            }
        }
    }

    /// The seat with this ordinal, retired or not.
    #[must_use]
    pub fn seat(&self, ordinal: u32) -> Option<NamedSeat<'_>> {
        if let Some(place) = self
            .position_of(ordinal)
            .and_then(|at| self.layout.seat(at))
        {
            return Some(NamedSeat {
                label: place.label().into(),
                section: &place.section().name,
                row: place.row_name(),
            });
        }
        self.retired(ordinal).map(|seat| NamedSeat {
            label: Cow::Borrowed(&seat.label),
            section: &seat.section,
            row: Cow::Borrowed(&seat.row),
        })
    }

    /// The retired seat with this ordinal.
    #[must_use]
    pub fn retired(&self, ordinal: u32) -> Option<&RetiredSeat> {
        let retired = self.retired_seats();
        let at = retired
            .binary_search_by_key(&ordinal, |seat| seat.ordinal)
            .ok()?;
        retired.get(at)
    }

    /// All retired seats, ascending by ordinal.
    #[must_use]
    pub fn retired_seats(&self) -> &[RetiredSeat] {
        self.numbering
            .0
            .as_ref()
            .map_or(&[], |changed| &changed.retired)
    }

    /// Roughly the bytes that they take in memory, for caches.
    #[must_use]
    pub fn weight(&self) -> u64 {
        let names = |seat: &RetiredSeat| seat.label.len() + seat.section.len() + seat.row.len();
        let numbering = self.numbering.0.as_ref().map_or(0, |changed| {
            size_of_val(&*changed.ordinals)
                + size_of_val(&*changed.positions)
                + size_of_val(&*changed.retired)
                + changed.retired.iter().map(names).sum::<usize>()
        });
        self.layout.weight() + numbering as u64
    }

    fn retire(&self, ordinal: u32) -> Option<RetiredSeat> {
        let seat = self.seat(ordinal)?;
        Some(RetiredSeat {
            ordinal,
            label: seat.label.into(),
            section: seat.section.into(),
            row: seat.row.into(),
        })
    }
}

impl Changed {
    /// The positions by ordinal.
    fn positions(ordinals: &[u32], count: u32) -> Box<[u32]> {
        let mut positions = vec![RETIRED; count as usize];
        for (position, ordinal) in (0..).zip(ordinals) {
            positions[*ordinal as usize] = position;
        }
        positions.into()
    }

    fn changes_nothing(&self) -> bool {
        self.retired.is_empty()
            && (0..)
                .zip(&self.ordinals)
                .all(|(at, ordinal)| at == *ordinal)
    }
}

#[cfg(test)]
mod tests;
