//! Checks a description, and builds the index on the way. Counts come first, by
//! arithmetic: nothing is expanded before it is known to be within the limits.

use std::collections::HashSet;

use super::description::{
    AREAS_MAX, Area, CAPACITY_MAX, COORDINATE_MAX, Coordinates, DECK_CHARS_MAX, LABEL_CHARS_MAX,
    LayoutDescription, NAME_CHARS_MAX, PLACES_MAX, Point, ROWS_MAX, RUNS_MAX, RowBlock, SEATS_MAX,
    SECTIONS_MAX, Section,
};
use super::label;
use super::labels::{LabelIndex, entry};
use super::rows::{Block, Blocks, Seat};
use super::series::{Sequence, path_of_name};
use crate::problem::{Problems, check_name};
use crate::text::nfc;

/// Checks everything but the labels, and counts.
///
/// # Errors
///
/// The problems, as far as they could be checked.
pub(super) fn check_shape(description: &LayoutDescription) -> Result<Blocks, Problems> {
    let mut check = Shape::default();
    check.names(description);
    for (s, section) in description.sections.iter().enumerate() {
        for (b, rows) in section.rows.iter().enumerate() {
            check.rows(s, b, rows);
        }
    }
    check.totals(description);
    check.problems.none_so_far()?;
    check.row_names(description);
    check.problems.none_so_far()?;
    Ok(check.blocks)
}

/// Writes every label once, checks it and indexes it.
///
/// # Errors
///
/// The problems of the labels.
pub(super) fn index_labels(
    description: &LayoutDescription,
    blocks: &Blocks,
) -> Result<LabelIndex, Problems> {
    let mut problems = Problems::default();
    let mut entries = Vec::with_capacity(blocks.seat_count() as usize);
    let mut text = String::new();
    let mut reported = None;
    for seat in blocks.seats() {
        let of_run = Some((seat.block.first_position, seat.run_index));
        if reported == of_run {
            continue;
        }
        write_label(description, &seat, &mut text);
        if let Err(message) = check_label(&text) {
            // One problem per run is enough; its other labels are not written.
            reported = of_run;
            problems.add(
                path_of(description, &seat),
                format!("the label {text:?} {message}"),
            );
        }
        entries.push(entry(&text, seat.position));
    }
    problems.none_so_far()?;
    let labels = LabelIndex::new(entries);
    let mut twice = Vec::new();
    for suspects in labels.suspects() {
        let mut seen = HashSet::new();
        for seat in suspects
            .into_iter()
            .filter_map(|position| blocks.seat(position))
        {
            write_label(description, &seat, &mut text);
            if !seen.insert(text.clone()) {
                twice.push(seat.position);
            }
        }
    }
    // The index has them in the order of a hash.
    twice.sort_unstable();
    for seat in twice
        .into_iter()
        .filter_map(|position| blocks.seat(position))
    {
        problems.note(|| {
            write_label(description, &seat, &mut text);
            let message = format!("the label {text:?} is used twice");
            (path_of(description, &seat), message)
        });
    }
    problems.none_so_far()?;
    Ok(labels)
}

fn check_label(label: &str) -> Result<(), String> {
    check_name(label, 1, LABEL_CHARS_MAX)?;
    if nfc(label) != label {
        // Its parts are in that form: one begins with an accent for the last letter of another.
        return Err("has a letter and its accent in two of its parts".to_owned());
    }
    Ok(())
}

/// Checks that there is a coordinate for each seat.
pub(super) fn check_coordinates(given: &Coordinates, seat_count: u32, problems: &mut Problems) {
    for (axis, values) in [("x", &given.x), ("y", &given.y)] {
        let path = format!("coordinates.{axis}");
        if values.len() != seat_count as usize {
            problems.add(
                path,
                format!(
                    "must have a number for each of the {seat_count} seats, not {}",
                    values.len()
                ),
            );
        } else if let Some(i) = values.iter().position(|value| !is_in_range(*value)) {
            problems.add(format!("{path}[{i}]"), coordinate_range());
        }
    }
}

#[derive(Default)]
struct Shape {
    problems: Problems,
    blocks: Blocks,
    rows: u64,
    seats: u64,
}

impl Shape {
    fn names(&mut self, description: &LayoutDescription) {
        let LayoutDescription {
            sections, areas, ..
        } = description;
        if sections.is_empty() && areas.is_empty() {
            self.problems
                .add("sections", "name at least one section or area");
        }
        if sections.len() > SECTIONS_MAX {
            self.problems
                .add("sections", format!("must be at most {SECTIONS_MAX}"));
        }
        if areas.len() > AREAS_MAX {
            self.problems
                .add("areas", format!("must be at most {AREAS_MAX}"));
        }
        if sections.len() > SECTIONS_MAX || areas.len() > AREAS_MAX {
            return;
        }
        let mut names = HashSet::new();
        for (s, section) in sections.iter().enumerate() {
            let path = format!("sections[{s}]");
            self.part(
                &path,
                &section.name,
                &section.deck,
                section.origin,
                &mut names,
            );
            self.section(&path, section);
        }
        for (a, area) in areas.iter().enumerate() {
            let path = format!("areas[{a}]");
            self.part(&path, &area.name, &area.deck, area.origin, &mut names);
            self.area(&path, area);
        }
        let places: u64 = areas.iter().map(|area| u64::from(area.capacity)).sum();
        if places > u64::from(PLACES_MAX) {
            self.problems.add(
                "areas",
                format!("have {places} places; at most {PLACES_MAX} are allowed"),
            );
        }
        if let Some(point) = description.focal_point {
            self.point("focal_point", point);
        }
    }

    /// The common fields of sections and areas.
    fn part<'a>(
        &mut self,
        path: &str,
        name: &'a str,
        deck: &str,
        origin: Option<Point>,
        names: &mut HashSet<&'a str>,
    ) {
        self.problems
            .check(check_name(name, 1, NAME_CHARS_MAX), || {
                format!("{path}.name")
            });
        if !names.insert(name) {
            self.problems.add(
                format!("{path}.name"),
                format!("the name {name:?} is used twice"),
            );
        }
        self.problems
            .check(check_name(deck, 0, DECK_CHARS_MAX), || {
                format!("{path}.deck")
            });
        if let Some(point) = origin {
            self.point(&format!("{path}.origin"), point);
        }
    }

    fn point(&mut self, path: &str, point: Point) {
        for (axis, value) in [("x", point.x), ("y", point.y)] {
            if !is_in_range(value) {
                self.problems
                    .add(format!("{path}.{axis}"), coordinate_range());
            }
        }
    }

    fn area(&mut self, path: &str, area: &Area) {
        if !(1..=CAPACITY_MAX).contains(&area.capacity) {
            self.problems.add(
                format!("{path}.capacity"),
                format!("must be 1 to {CAPACITY_MAX}"),
            );
        }
    }

    fn section(&mut self, path: &str, section: &Section) {
        if section.rows.is_empty() {
            self.problems
                .add(format!("{path}.rows"), "must have at least one row");
        }
        for (b, rows) in section.rows.iter().enumerate() {
            if rows.runs.is_empty() || rows.runs.len() > RUNS_MAX {
                self.problems.add(
                    format!("{path}.rows[{b}].runs"),
                    format!("must be 1 to {RUNS_MAX} runs"),
                );
            }
            if let Some(format) = &rows.label_format {
                self.problems
                    .check(label::check_format(format, rows.names.is_some()), || {
                        format!("{path}.rows[{b}].label_format")
                    });
            }
        }
    }

    fn rows(&mut self, s: usize, b: usize, rows: &RowBlock) {
        let path = format!("sections[{s}].rows[{b}]");
        let names = match &rows.names {
            Some(names) => Sequence::of(names, &format!("{path}.names"), &mut self.problems),
            None => Sequence::of_one(),
        };
        let runs = rows.runs.iter().enumerate();
        let seats: Vec<Sequence> = runs
            .map(|(r, run)| Sequence::of(run, &format!("{path}.runs[{r}]"), &mut self.problems))
            .collect();
        let per_row: u64 = seats.iter().map(|seats| u64::from(seats.count)).sum();
        self.rows += u64::from(names.count);
        self.seats += u64::from(names.count) * per_row;
        if self.rows <= u64::from(ROWS_MAX) && self.seats <= u64::from(SEATS_MAX) {
            self.blocks.push(s, b, names, seats);
        }
    }

    fn totals(&mut self, description: &LayoutDescription) {
        let (rows, seats) = (self.rows, self.seats);
        if rows > u64::from(ROWS_MAX) {
            self.problems.add(
                "sections",
                format!("have {rows} rows; at most {ROWS_MAX} are allowed"),
            );
        }
        if seats > u64::from(SEATS_MAX) {
            self.problems.add(
                "sections",
                format!("have {seats} seats; at most {SEATS_MAX} are allowed"),
            );
        }
        for (field, labels) in [
            ("accessible_seats", &description.accessible_seats),
            ("companion_seats", &description.companion_seats),
            ("blocked_seats", &description.blocked_seats),
        ] {
            if labels.len() as u64 > seats {
                self.problems.add(
                    field,
                    format!("are {}; the layout has {seats} seats", labels.len()),
                );
            }
        }
    }

    fn row_names(&mut self, description: &LayoutDescription) {
        let mut section = None;
        let mut names = HashSet::new();
        for block in self.blocks.iter() {
            if section.replace(block.section) != Some(block.section) {
                names.clear();
            }
            let Some(series) = description.sections[block.section].rows[block.index]
                .names
                .as_ref()
            else {
                continue;
            };
            for row in 0..block.names.count {
                let mut name = String::new();
                // Cannot fail: the series has passed its check, and a text takes everything.
                let _ = block.names.write(series, row, &mut name);
                if let Some(name) = names.replace(name) {
                    let path = path_of_block(block) + ".names" + &path_of_name(series, row);
                    let message = format!("the row name {name:?} is used twice in the section");
                    self.problems.add(path, message);
                }
            }
        }
    }
}

fn write_label(description: &LayoutDescription, seat: &Seat<'_>, text: &mut String) {
    text.clear();
    let section = &description.sections[seat.block.section];
    // Cannot fail: the formats and series have passed their check, and a text takes everything.
    let _ = label::write(section, &section.rows[seat.block.index], seat, text);
}

fn path_of(description: &LayoutDescription, seat: &Seat<'_>) -> String {
    let run = &description.sections[seat.block.section].rows[seat.block.index].runs[seat.run_index];
    let block = path_of_block(seat.block);
    format!(
        "{block}.runs[{}]{}",
        seat.run_index,
        path_of_name(run, seat.in_run)
    )
}

fn path_of_block(block: &Block) -> String {
    format!("sections[{}].rows[{}]", block.section, block.index)
}

fn is_in_range(coordinate: i32) -> bool {
    (-COORDINATE_MAX..=COORDINATE_MAX).contains(&coordinate)
}

fn coordinate_range() -> String {
    format!("must be -{COORDINATE_MAX} to {COORDINATE_MAX}")
}
