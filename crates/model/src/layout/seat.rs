//! A seat and a row of a layout, as a look-up returns them.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use super::description::{Point, RowBlock, Section, Series};
use super::rows::{Block, Seat};
use super::{SeatLayout, label};

/// A seat of a layout.
#[derive(Clone, Copy)]
pub struct SeatPlace<'a> {
    layout: &'a SeatLayout,
    seat: Seat<'a>,
}

/// A row of a layout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowPlace<'a> {
    /// The index of its section.
    pub section: usize,
    /// Its name; empty if it has none.
    pub name: Cow<'a, str>,
    /// The positions of its seats.
    pub positions: Range<u32>,
}

impl<'a> SeatPlace<'a> {
    pub(super) fn of(layout: &'a SeatLayout, position: u32) -> Option<Self> {
        let seat = layout.0.blocks.seat(position)?;
        Some(Self { layout, seat })
    }

    /// Its place in the layout, from 0.
    #[must_use]
    pub fn position(&self) -> u32 {
        self.seat.position
    }

    /// Its label.
    #[must_use]
    pub fn label(&self) -> String {
        let mut text = String::with_capacity(8);
        // Cannot fail: the layout has passed its check, and a text takes everything.
        let _ = self.write_label(&mut text);
        text
    }

    /// Writes its label.
    ///
    /// # Errors
    ///
    /// Those of `out`.
    pub fn write_label(&self, out: &mut impl fmt::Write) -> fmt::Result {
        label::write(self.section(), self.rows(), &self.seat, out)
    }

    /// Its section.
    #[must_use]
    pub fn section(&self) -> &'a Section {
        &self.layout.sections()[self.seat.block.section]
    }

    /// The index of its section.
    #[must_use]
    pub fn section_index(&self) -> usize {
        self.seat.block.section
    }

    /// The name of its row; empty if it has none.
    #[must_use]
    pub fn row_name(&self) -> Cow<'a, str> {
        row_name(self.rows(), self.seat.block, self.seat.row)
    }

    /// Whether it is for wheelchairs and the like.
    #[must_use]
    pub fn is_accessible(&self) -> bool {
        self.layout.0.accessible.contains(self.seat.position)
    }

    /// Whether it is a companion seat.
    #[must_use]
    pub fn is_companion(&self) -> bool {
        self.layout.0.companion.contains(self.seat.position)
    }

    /// Whether it is not for sale.
    #[must_use]
    pub fn is_blocked(&self) -> bool {
        self.layout.0.blocked.contains(self.seat.position)
    }

    /// Its position, by [`SeatLayout::point`].
    #[must_use]
    pub fn point(&self) -> Point {
        let layout = &self.layout.0;
        layout.geometry.of_seat(&layout.description, &self.seat)
    }

    fn rows(&self) -> &'a RowBlock {
        &self.section().rows[self.seat.block.index]
    }
}

impl fmt::Debug for SeatPlace<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({:?})", self.seat.position, self.label())
    }
}

impl<'a> RowPlace<'a> {
    pub(super) fn all(layout: &'a SeatLayout) -> impl Iterator<Item = Self> {
        layout.0.blocks.iter().flat_map(|block| {
            let rows = &layout.sections()[block.section].rows[block.index];
            (0..block.names.count).map(move |row| Self {
                section: block.section,
                name: row_name(rows, block, row),
                positions: block.row(row),
            })
        })
    }
}

fn row_name<'a>(rows: &'a RowBlock, block: &Block, row: u32) -> Cow<'a, str> {
    match &rows.names {
        None => Cow::Borrowed(""),
        Some(Series::List(names)) => {
            Cow::Borrowed(names.get(row as usize).map_or("", |name| &**name))
        }
        Some(names) => {
            let mut text = String::new();
            // Cannot fail: the layout has passed its check, and a text takes everything.
            let _ = block.names.write(names, row, &mut text);
            Cow::Owned(text)
        }
    }
}
