//! Checking a description: one pass that collects the index, and all that is wrong.

use std::collections::{HashMap, HashSet};

use super::{
    LABEL_CHARS_MAX, LayoutProblem, ROW_NAME_CHARS_MAX, ROWS_MAX, RowIndex, SEATS_MAX,
    SECTION_NAME_CHARS_MAX, SECTIONS_MAX, SeatRow, Seats, Section, counted_label, find,
};
use crate::money::PRICE_MAX;

/// The most problems that are told at once.
const PROBLEMS_MAX: usize = 20;

/// One pass over a description: collects the index, and what is wrong.
#[derive(Default)]
pub(super) struct Check {
    pub(super) problems: Vec<LayoutProblem>,
    pub(super) seat_count: u32,
    pub(super) rows: Vec<RowIndex>,
    pub(super) counted_rows: HashMap<Box<str>, u32>,
    pub(super) labels: HashMap<Box<str>, u32>,
}

impl Check {
    pub(super) fn sections(&mut self, sections: &[Section]) {
        let row_count: usize = sections.iter().map(|section| section.rows.len()).sum();
        let seat_count: usize = sections
            .iter()
            .flat_map(|section| &section.rows)
            .map(|row| row.seats.count())
            .sum();
        if sections.is_empty() || sections.len() > SECTIONS_MAX {
            self.problem("sections", format!("must be 1 to {SECTIONS_MAX} sections"));
        }
        if row_count > ROWS_MAX {
            self.problem(
                "sections",
                format!("have {row_count} rows; {ROWS_MAX} are the most"),
            );
        }
        if seat_count > SEATS_MAX as usize {
            self.problem(
                "sections",
                format!("have {seat_count} seats; {SEATS_MAX} are the most"),
            );
        }
        if !self.problems.is_empty() {
            return;
        }
        let mut names = HashSet::new();
        for (s, section) in sections.iter().enumerate() {
            let path = format!("sections[{s}]");
            if let Err(message) = check_name(&section.name, 1, SECTION_NAME_CHARS_MAX) {
                self.problem(format!("{path}.name"), message);
            }
            if !names.insert(&section.name) {
                self.problem(
                    format!("{path}.name"),
                    format!("{:?} stands twice", section.name),
                );
            }
            if !(0..=PRICE_MAX).contains(&section.price) {
                self.problem(
                    format!("{path}.price.minor_units"),
                    format!("must be 0 to {PRICE_MAX}"),
                );
            }
            if section.rows.is_empty() {
                self.problem(format!("{path}.rows"), "must have a row at least");
            }
            for (r, row) in section.rows.iter().enumerate() {
                self.row(&format!("{path}.rows[{r}]"), s, r, row, sections);
            }
        }
    }

    fn row(&mut self, path: &str, s: usize, r: usize, row: &SeatRow, sections: &[Section]) {
        if let Err(message) = check_name(&row.name, 0, ROW_NAME_CHARS_MAX) {
            self.problem(format!("{path}.name"), message);
        }
        if row.seats.count() == 0 {
            self.problem(
                path,
                "must have a seat at least: set seat_count or seat_labels",
            );
        }
        let index = RowIndex {
            first_ordinal: self.seat_count,
            section: u32::try_from(s).unwrap_or(u32::MAX),
            row: u32::try_from(r).unwrap_or(u32::MAX),
        };
        let row_number = u32::try_from(self.rows.len()).unwrap_or(u32::MAX);
        self.rows.push(index);
        match &row.seats {
            Seats::Count(count) => {
                self.counted_row(path, row, *count, row_number);
                self.seat_count += count;
            }
            Seats::Labels(labels) => {
                for (i, label) in labels.iter().enumerate() {
                    self.label(&format!("{path}.seat_labels[{i}]"), label, sections);
                    self.seat_count += 1;
                }
            }
        }
    }

    fn counted_row(&mut self, path: &str, row: &SeatRow, count: u32, row_number: u32) {
        if self
            .counted_rows
            .insert(row.name.clone(), row_number)
            .is_some()
        {
            let message = format!(
                "another row has the name {:?} too, so their seats would have the same labels",
                row.name
            );
            self.problem(format!("{path}.name"), message);
        }
        if self.labels.is_empty() {
            return;
        }
        for number in 1..=count {
            let label = counted_label(&row.name, number);
            if self.labels.contains_key(&*label) {
                self.problem(
                    format!("{path}.seat_count"),
                    format!("the label {label:?} stands twice"),
                );
            }
        }
    }

    fn label(&mut self, path: &str, label: &str, sections: &[Section]) {
        if let Err(message) = check_name(label, 1, LABEL_CHARS_MAX) {
            self.problem(path, message);
        }
        if find(
            &self.labels,
            &self.counted_rows,
            &self.rows,
            sections,
            label,
        )
        .is_some()
        {
            self.problem(path, format!("the label {label:?} stands twice"));
        }
        self.labels.insert(label.into(), self.seat_count);
    }

    fn problem(&mut self, path: impl Into<String>, message: impl Into<String>) {
        if self.problems.len() < PROBLEMS_MAX {
            self.problems.push(LayoutProblem {
                path: path.into(),
                message: message.into(),
            });
        }
    }
}

fn check_name(name: &str, min: usize, max: usize) -> Result<(), String> {
    let chars = name.chars().count();
    if chars < min || chars > max {
        return Err(format!("must have {min} to {max} characters"));
    }
    if name.trim() != name || name.chars().any(char::is_control) {
        return Err("must not begin or end with a space, nor have control characters".to_owned());
    }
    Ok(())
}
