//! The description that a layout is made from, and its stored form: compact, as the author wrote it.

use serde::{Deserialize, Serialize};

use crate::text::normalize;

/// The most seats of a layout.
pub const SEATS_MAX: u32 = 100_000;
/// The most sections of a layout.
pub const SECTIONS_MAX: usize = 1_000;
/// The most rows of a layout, in all its sections.
pub const ROWS_MAX: u32 = 10_000;
/// The most runs of a row.
pub const RUNS_MAX: usize = 50;
/// The most areas of a layout.
pub const AREAS_MAX: usize = 100;
/// The highest capacity of one area; it is 1 at least.
pub const CAPACITY_MAX: u32 = 1_000_000;
/// The most places in all areas together.
pub const PLACES_MAX: u32 = 10_000_000;
/// The most characters of a section's or an area's name; it has one at least.
pub const NAME_CHARS_MAX: usize = 100;
/// The most characters of a deck's name; it may be empty.
pub const DECK_CHARS_MAX: usize = 32;
/// The most characters of a name in a [`Series::List`]; it has one at least.
pub const SERIES_NAME_CHARS_MAX: usize = 40;
/// The most characters of a seat's label; it has one at least.
pub const LABEL_CHARS_MAX: usize = 40;
/// The most characters of a label's format.
pub const LABEL_FORMAT_CHARS_MAX: usize = 100;
/// The highest number in a [`Series::Numbers`]; the lowest is 0.
pub const NUMBER_MAX: u32 = 100_000;
/// The most values that one series skips.
pub const SKIPPED_MAX: usize = 1_000;
/// How far a coordinate may be from 0, either way.
pub const COORDINATE_MAX: i32 = 1_000_000;

/// A description of a layout; a valid one becomes a [`crate::SeatLayout`]. It has one seat or
/// one area at least.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LayoutDescription {
    /// Up to [`SECTIONS_MAX`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sections: Vec<Section>,
    /// General admission: up to [`AREAS_MAX`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub areas: Vec<Area>,
    /// The point that the best seats are near to: the middle of the stage or the screen.
    /// Default: the middle of the front, one seat before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub focal_point: Option<Point>,
    /// Where its best seats are.
    #[serde(default, skip_serializing_if = "BestSeats::is_front")]
    pub best_seats: BestSeats,
    /// Labels of the seats for wheelchairs and the like.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub accessible_seats: Vec<Box<str>>,
    /// Labels of the companion seats. A seat is not both.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub companion_seats: Vec<Box<str>>,
    /// Labels of the seats that are not for sale.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub blocked_seats: Vec<Box<str>>,
    /// Where each seat is drawn. Default: computed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub coordinates: Option<Coordinates>,
}

/// Which seats are the best.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BestSeats {
    /// Those nearest to the focal point: a stage.
    #[default]
    Front,
    /// Those straight back from the focal point, two thirds of the way from the foremost seat to
    /// the rearmost: before a screen.
    Middle,
    /// The first in the order of positions: a day's slots.
    First,
}

/// A part of the hall with seats.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Section {
    /// Unique among sections and areas; 1 to [`NAME_CHARS_MAX`] characters.
    pub name: Box<str>,
    /// The deck or floor that it is on, up to [`DECK_CHARS_MAX`] characters; may be empty.
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub deck: Box<str>,
    /// The first seat of its first row. Default: behind the section before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Point>,
    /// Its rows, from the front; one at least.
    pub rows: Vec<RowBlock>,
}

/// One or more rows with the same seats.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowBlock {
    /// The rows' names from the front, unique within the section. `None`: one row without a
    /// name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub names: Option<Series>,
    /// The seats of each row from left to right, 1 to [`RUNS_MAX`] runs. Between two runs is
    /// an aisle: the seats on its two sides are not neighbours.
    pub runs: Vec<Series>,
    /// How a label is made, up to [`LABEL_FORMAT_CHARS_MAX`] characters, from {section},
    /// {row} and {seat}, of which {seat} is a must. Default: "{row}-{seat}", or "{seat}" in a
    /// row without a name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label_format: Option<Box<str>>,
}

/// Names by a rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Series {
    /// Numbers from `first` up to `last`, or down to it where it is the lower one.
    Numbers {
        /// 0 to [`NUMBER_MAX`].
        first: u32,
        /// 0 to [`NUMBER_MAX`]. The series ends with it, or with the last step before it.
        last: u32,
        /// 1 to [`NUMBER_MAX`]; 2 for the odd or the even numbers.
        #[serde(default = "one", skip_serializing_if = "is_one")]
        step: u32,
        /// Numbers left out, up to [`SKIPPED_MAX`].
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        skip: Vec<u32>,
    },
    /// "A" to "Z", then "AA", "AB" and so on up to "ZZZ", as a spreadsheet's columns; down to
    /// `last` where it comes before `first`. All upper case, or all lower case.
    Letters {
        /// One to three letters.
        first: Box<str>,
        /// One to three letters.
        last: Box<str>,
        /// Letters left out, up to [`SKIPPED_MAX`].
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        skip: Vec<Box<str>>,
    },
    /// Times of a day, as "09:00": a day's slots.
    Times {
        /// "00:00" to "23:59".
        first: Box<str>,
        /// Not before `first`. The series ends with it, or with the last step before it.
        last: Box<str>,
        /// 1 to 1440 minutes.
        step_minutes: u32,
    },
    /// Names one by one, 1 to [`SERIES_NAME_CHARS_MAX`] characters each.
    List(Vec<Box<str>>),
}

/// A part of the hall without seats: a number of places.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Area {
    /// Unique among sections and areas; 1 to [`NAME_CHARS_MAX`] characters.
    pub name: Box<str>,
    /// How many places it has: 1 to [`CAPACITY_MAX`].
    pub capacity: u32,
    /// The deck or floor that it is on, up to [`DECK_CHARS_MAX`] characters; may be empty.
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub deck: Box<str>,
    /// Its middle. Default: behind the sections.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Point>,
}

/// A place on the drawing, in hundredths of a seat's width. `y` grows away from the stage,
/// `x` to the right of a viewer who faces it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Point {
    /// -[`COORDINATE_MAX`] to [`COORDINATE_MAX`] where it is given.
    pub x: i32,
    /// -[`COORDINATE_MAX`] to [`COORDINATE_MAX`] where it is given.
    pub y: i32,
}

/// Where each seat is drawn: a number for each, in the order of the layout.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Coordinates {
    /// The [`Point::x`] of each seat.
    pub x: Vec<i32>,
    /// The [`Point::y`] of each seat.
    pub y: Vec<i32>,
}

impl LayoutDescription {
    /// Brings all names and labels into one form.
    pub(super) fn normalize(&mut self) {
        for section in &mut self.sections {
            normalize(&mut section.name);
            normalize(&mut section.deck);
            for rows in &mut section.rows {
                rows.names.iter_mut().for_each(Series::normalize);
                rows.runs.iter_mut().for_each(Series::normalize);
                rows.label_format.iter_mut().for_each(normalize);
            }
        }
        for area in &mut self.areas {
            normalize(&mut area.name);
            normalize(&mut area.deck);
        }
        let seats = [
            &mut self.accessible_seats,
            &mut self.companion_seats,
            &mut self.blocked_seats,
        ];
        seats.into_iter().flatten().for_each(normalize);
    }
}

impl BestSeats {
    fn is_front(&self) -> bool {
        *self == Self::Front
    }
}

impl Series {
    fn normalize(&mut self) {
        // Letters and times are ASCII, or refused.
        if let Self::List(names) = self {
            names.iter_mut().for_each(normalize);
        }
    }
}

fn one() -> u32 {
    1
}

fn is_one(step: &u32) -> bool {
    *step == 1
}
