//! Seat layouts: sections, their rows, the seats in them.
//!
//! A layout is described compactly (a row is a count or a list of labels) and indexed for
//! both ways of naming a seat: by label, unique within the layout, and by ordinal, its place
//! when the seats are counted through from 0. Invariant: an existing [`SeatLayout`] has 1 to
//! [`SEATS_MAX`] seats, and `ordinal_of(label_of(n)) == n` for each of them.

mod check;

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use self::check::Check;
use crate::money::Currency;

/// The most seats of a layout.
pub const SEATS_MAX: u32 = 100_000;
/// The most sections of a layout.
pub const SECTIONS_MAX: usize = 1_000;
/// The most rows of a layout, in all its sections.
pub const ROWS_MAX: usize = 10_000;
/// The most characters of a section's name; it has one at least.
pub const SECTION_NAME_CHARS_MAX: usize = 100;
/// The most characters of a row's name; it may be empty.
pub const ROW_NAME_CHARS_MAX: usize = 32;
/// The most characters of a seat's label; it has one at least.
pub const LABEL_CHARS_MAX: usize = 40;

/// A valid layout.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Description", into = "Description")]
pub struct SeatLayout {
    currency: Currency,
    sections: Vec<Section>,
    seat_count: u32,
    /// Where each row begins, in the order of ordinals.
    rows: Vec<RowIndex>,
    /// Rows whose labels follow from their name, by that name.
    counted_rows: HashMap<Box<str>, u32>,
    /// Seats that were labelled one by one.
    labels: HashMap<Box<str>, u32>,
}

/// A part of the hall whose seats have one price.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Section {
    /// Unique within the layout; 1 to [`SECTION_NAME_CHARS_MAX`] characters.
    pub name: Box<str>,
    /// In minor units of the layout's currency; 0 to [`crate::PRICE_MAX`].
    pub price: i64,
    /// Its rows, from the front.
    pub rows: Vec<SeatRow>,
}

/// A row of seats.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SeatRow {
    /// Up to [`ROW_NAME_CHARS_MAX`] characters; may be empty.
    #[serde(default)]
    pub name: Box<str>,
    /// Its seats, from left to right.
    pub seats: Seats,
}

/// The seats of a row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Seats {
    /// That many, labelled "{row}-1", "{row}-2" and so on; "1", "2" in a row without a name.
    Count(u32),
    /// One for each label, 1 to [`LABEL_CHARS_MAX`] characters.
    Labels(Vec<Box<str>>),
}

/// Where a seat is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SeatPlace<'a> {
    /// Its section, with its price.
    pub section: &'a Section,
    /// Its row.
    pub row: &'a SeatRow,
    /// Its place in the row, from 0.
    index: u32,
}

/// What is wrong with a description, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayoutProblem {
    /// The path below the layout, as "sections[2].rows[0].seat_labels[7]".
    pub path: String,
    /// What it must be.
    pub message: String,
}

/// What is written and read; everything else is derived from it.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Description {
    currency: Currency,
    sections: Vec<Section>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct RowIndex {
    first_ordinal: u32,
    section: u32,
    row: u32,
}

impl SeatLayout {
    /// Checks a description and indexes it.
    ///
    /// # Errors
    ///
    /// What is wrong with it, up to 20 problems.
    pub fn new(currency: Currency, sections: Vec<Section>) -> Result<Self, Vec<LayoutProblem>> {
        let mut check = Check::default();
        check.sections(&sections);
        if !check.problems.is_empty() {
            return Err(check.problems);
        }
        Ok(Self {
            currency,
            seat_count: check.seat_count,
            rows: check.rows,
            counted_rows: check.counted_rows,
            labels: check.labels,
            sections,
        })
    }

    /// The currency of every price in it.
    #[must_use]
    pub fn currency(&self) -> Currency {
        self.currency
    }

    /// Its sections, as they were described.
    #[must_use]
    pub fn sections(&self) -> &[Section] {
        &self.sections
    }

    /// How many seats it has.
    #[must_use]
    pub fn seat_count(&self) -> u32 {
        self.seat_count
    }

    /// The ordinal of the seat with this label.
    #[must_use]
    pub fn ordinal_of(&self, label: &str) -> Option<u32> {
        find(
            &self.labels,
            &self.counted_rows,
            &self.rows,
            &self.sections,
            label,
        )
    }

    /// Where the seat with this ordinal is.
    #[must_use]
    pub fn seat(&self, ordinal: u32) -> Option<SeatPlace<'_>> {
        if ordinal >= self.seat_count {
            return None;
        }
        let at = self
            .rows
            .partition_point(|row| row.first_ordinal <= ordinal)
            .checked_sub(1)?;
        let found = self.rows.get(at)?;
        let section = self.sections.get(found.section as usize)?;
        let row = section.rows.get(found.row as usize)?;
        Some(SeatPlace {
            section,
            row,
            index: ordinal - found.first_ordinal,
        })
    }
}

impl SeatPlace<'_> {
    /// The seat's label.
    #[must_use]
    pub fn label(&self) -> String {
        match &self.row.seats {
            Seats::Count(_) => counted_label(&self.row.name, self.index + 1),
            Seats::Labels(labels) => labels
                .get(self.index as usize)
                .map(ToString::to_string)
                .unwrap_or_default(),
        }
    }
}

impl Seats {
    fn count(&self) -> usize {
        match self {
            Self::Count(count) => *count as usize,
            Self::Labels(labels) => labels.len(),
        }
    }
}

fn counted_label(row_name: &str, number: u32) -> String {
    if row_name.is_empty() {
        number.to_string()
    } else {
        format!("{row_name}-{number}")
    }
}

fn find(
    labels: &HashMap<Box<str>, u32>,
    counted_rows: &HashMap<Box<str>, u32>,
    rows: &[RowIndex],
    sections: &[Section],
    label: &str,
) -> Option<u32> {
    if let Some(&ordinal) = labels.get(label) {
        return Some(ordinal);
    }
    let (row_name, number) = label.rsplit_once('-').unwrap_or(("", label));
    if row_name.is_empty() && label.starts_with('-') || number.starts_with(['0', '+']) {
        return None;
    }
    let found = rows.get(*counted_rows.get(row_name)? as usize)?;
    let number: u32 = number.parse().ok()?;
    let row = sections
        .get(found.section as usize)?
        .rows
        .get(found.row as usize)?;
    (number as usize <= row.seats.count()).then(|| found.first_ordinal + number - 1)
}

impl TryFrom<Description> for SeatLayout {
    type Error = String;

    fn try_from(description: Description) -> Result<Self, String> {
        Self::new(description.currency, description.sections)
            .map_err(|problems| format!("not a valid layout: {problems:?}"))
    }
}

impl From<SeatLayout> for Description {
    fn from(layout: SeatLayout) -> Self {
        Self {
            currency: layout.currency,
            sections: layout.sections,
        }
    }
}

#[cfg(test)]
mod tests;
