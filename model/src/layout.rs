//! Seat layouts: sections, their rows, the seats in them.
//!
//! A layout is described compactly (a row is a count or a list of labels) and indexed for
//! both ways of naming a seat: by label, unique within the layout, and by ordinal, its place
//! when the seats are counted through from 0. Invariant: an existing [`SeatLayout`] has 1 to
//! [`SEATS_MAX`] seats, and `ordinal_of(label_of(n)) == n` for each of them.

use std::collections::{HashMap, HashSet};

use serde::{Deserialize, Serialize};

use crate::money::{Currency, PRICE_MAX};

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

/// The most problems that are told at once.
const PROBLEMS_MAX: usize = 20;

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
    /// In minor units of the layout's currency; 0 to [`PRICE_MAX`].
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

/// One pass over a description: collects the index, and what is wrong.
#[derive(Default)]
struct Check {
    problems: Vec<LayoutProblem>,
    seat_count: u32,
    rows: Vec<RowIndex>,
    counted_rows: HashMap<Box<str>, u32>,
    labels: HashMap<Box<str>, u32>,
}

impl Check {
    fn sections(&mut self, sections: &[Section]) {
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
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn eur() -> Currency {
        "EUR".parse().expect("a currency")
    }

    fn counted(name: &str, count: u32) -> SeatRow {
        SeatRow {
            name: name.into(),
            seats: Seats::Count(count),
        }
    }

    fn labelled(name: &str, labels: &[&str]) -> SeatRow {
        let labels = labels.iter().map(|&label| label.into()).collect();
        SeatRow {
            name: name.into(),
            seats: Seats::Labels(labels),
        }
    }

    fn one_section(rows: Vec<SeatRow>) -> Vec<Section> {
        vec![Section {
            name: "Stalls".into(),
            price: 1250,
            rows,
        }]
    }

    fn paths(sections: Vec<Section>) -> Vec<String> {
        match SeatLayout::new(eur(), sections) {
            Ok(_) => Vec::new(),
            Err(problems) => problems.into_iter().map(|problem| problem.path).collect(),
        }
    }

    proptest! {
        #[test]
        fn every_label_leads_back_to_its_seat(counts in prop::collection::vec(1u32..20, 1..8)) {
            let mut rows: Vec<_> =
                counts.iter().enumerate().map(|(i, &n)| counted(&format!("R-{i}"), n)).collect();
            rows.push(labelled("Box", &["Box 1", "R-900-1", "007", "-5"]));
            rows.push(counted("", 3));
            let layout = SeatLayout::new(eur(), one_section(rows)).expect("a valid layout");
            prop_assert_eq!(layout.seat_count(), counts.iter().sum::<u32>() + 7);
            for ordinal in 0..layout.seat_count() {
                let label = layout.seat(ordinal).expect("a seat").label();
                prop_assert_eq!(layout.ordinal_of(&label), Some(ordinal), "{}", label);
            }
            prop_assert!(layout.seat(layout.seat_count()).is_none());
        }
    }

    #[test]
    fn labels_that_only_look_like_a_seat_are_unknown() {
        let layout = SeatLayout::new(eur(), one_section(vec![counted("A", 9), counted("", 9)]))
            .expect("a valid layout");
        for label in [
            "A-0", "A-01", "A-+1", "A-10", "A-", "A", "a-1", "-1", "0", "10", "", "A-1 ",
        ] {
            assert_eq!(layout.ordinal_of(label), None, "{label:?}");
        }
    }

    #[test]
    fn labels_that_stand_twice_are_found_whichever_comes_first() {
        for rows in [
            vec![counted("A", 3), counted("A", 2)],
            vec![counted("A", 3), labelled("x", &["A-3"])],
            vec![labelled("x", &["A-3"]), counted("A", 3)],
            vec![labelled("x", &["7"]), counted("", 7)],
            vec![labelled("x", &["k", "k"])],
        ] {
            assert_eq!(paths(one_section(rows.clone())).len(), 1, "{rows:?}");
        }
        assert!(
            paths(one_section(vec![
                labelled("x", &["A-4", "A-0", "A"]),
                counted("A", 3)
            ]))
            .is_empty()
        );
    }

    #[test]
    fn limits_are_named_with_their_place() {
        assert_eq!(paths(vec![]), ["sections"]);
        assert_eq!(paths(one_section(vec![])), ["sections[0].rows"]);
        assert_eq!(
            paths(one_section(vec![counted("A", 0)])),
            ["sections[0].rows[0]"]
        );
        assert_eq!(
            paths(one_section(vec![labelled("A", &[""])])),
            ["sections[0].rows[0].seat_labels[0]"]
        );
        assert_eq!(
            paths(one_section(vec![counted("A", SEATS_MAX + 1)])),
            ["sections"]
        );
        assert!(paths(one_section(vec![counted("A", SEATS_MAX)])).is_empty());
        let mut dear = one_section(vec![counted("A", 1)]);
        dear[0].price = PRICE_MAX + 1;
        assert_eq!(paths(dear), ["sections[0].price.minor_units"]);
    }

    #[test]
    fn a_layout_survives_its_json() {
        let rows = vec![counted("A", 3), labelled("", &["x", "y"])];
        let layout = SeatLayout::new(eur(), one_section(rows)).expect("a valid layout");
        let json = serde_json::to_string(&layout).expect("json");
        assert_eq!(
            serde_json::from_str::<SeatLayout>(&json).expect("a layout"),
            layout
        );
        assert!(serde_json::from_str::<SeatLayout>(r#"{"currency":"EUR","sections":[]}"#).is_err());
    }
}
