//! A layout's approximate size in memory.

use super::Inner;
use super::description::{Area, RowBlock, Section, Series};

pub(super) fn of(layout: &Inner) -> u64 {
    let described = &layout.description;
    let sections = described.sections.iter().map(of_section).sum::<usize>();
    let areas = described.areas.iter().map(of_area).sum::<usize>();
    let marked = [
        &described.accessible_seats,
        &described.companion_seats,
        &described.blocked_seats,
    ];
    let coordinates = described.coordinates.as_ref();
    let bytes = size_of::<Inner>()
        + sections
        + areas
        + marked
            .into_iter()
            .map(|labels| of_names(labels))
            .sum::<usize>()
        + coordinates.map_or(0, |given| size_of_val(&*given.x) + size_of_val(&*given.y))
        + layout.blocks.weight()
        + layout.labels.weight()
        + layout.accessible.weight()
        + layout.companion.weight()
        + layout.blocked.weight()
        + layout.geometry.weight();
    bytes as u64
}

fn of_section(section: &Section) -> usize {
    let rows = section.rows.iter().map(of_rows).sum::<usize>();
    size_of::<Section>() + section.name.len() + section.deck.len() + rows
}

fn of_area(area: &Area) -> usize {
    size_of::<Area>() + area.name.len() + area.deck.len()
}

fn of_rows(rows: &RowBlock) -> usize {
    let names = rows.names.as_ref().map_or(0, of_series);
    let runs = rows
        .runs
        .iter()
        .map(|run| size_of::<Series>() + of_series(run))
        .sum::<usize>();
    size_of::<RowBlock>()
        + rows.label_format.as_ref().map_or(0, |format| format.len())
        + names
        + runs
}

fn of_series(series: &Series) -> usize {
    match series {
        Series::Numbers { skip, .. } => size_of_val(&**skip),
        Series::Letters { first, last, skip } => first.len() + last.len() + of_names(skip),
        Series::Times { first, last, .. } => first.len() + last.len(),
        Series::List(names) => of_names(names),
    }
}

fn of_names(names: &[Box<str>]) -> usize {
    names
        .iter()
        .map(|name| size_of::<Box<str>>() + name.len())
        .sum()
}
