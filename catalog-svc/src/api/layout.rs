//! Layouts between the contract and the model.

use model::{
    Area, BestSeats, Coordinates, LayoutDescription, Point, Problems, RowBlock, SeatLayout,
    Section, Series,
};
use prost::Message as _;
use proto::catalog::v1 as pb;
use service_kit::FieldViolations;
use service_kit::proto_convert::timestamp;

use crate::domain::{Layout, LayoutInfo, NewLayout};

/// Where a layout stands in a request.
const PATH: &str = "layout";

/// The most bytes of a layout in an answer. A show has one, and another while a proposal is
/// pending, each with prices: together they stay below the 4 MiB that clients take by default.
pub(super) const LAYOUT_BYTES_MAX: usize = 1_536 * 1024;

/// The layout that a request describes, or violations for everything that is invalid. Without
/// a name it gets `name`.
pub(super) fn parse(
    violations: &mut FieldViolations,
    mut layout: pb::SeatLayout,
    default_name: Option<&str>,
) -> Option<NewLayout> {
    let mut name = std::mem::take(&mut layout.name);
    if name.is_empty()
        && let Some(default) = default_name
    {
        default.clone_into(&mut name);
    }
    let name = violations.take("layout.name", name.try_into());
    let origin = std::mem::take(&mut layout.derived_from);
    let derived_from = (!origin.is_empty()).then(|| origin.parse());
    let derived_from = derived_from.map(|id| violations.take("layout.derived_from", id));
    let best_seats = best_seats(violations, layout.best_seats);
    let checked = SeatLayout::new(description(layout, best_seats.unwrap_or_default()));
    let layout = checked.map_err(|problems| note(violations, PATH, problems));
    if let Ok(layout) = &layout {
        check_size(violations, layout);
    }
    Some(NewLayout {
        name: name?,
        derived_from: derived_from.map_or(Some(None), |id| id.map(Some))?,
        layout: layout.ok()?,
    })
}

/// Where the best seats are; at the front if it is not set.
fn best_seats(violations: &mut FieldViolations, number: i32) -> Option<BestSeats> {
    match pb::BestSeats::try_from(number) {
        Ok(pb::BestSeats::Unspecified | pb::BestSeats::Front) => Some(BestSeats::Front),
        Ok(pb::BestSeats::Middle) => Some(BestSeats::Middle),
        Ok(pb::BestSeats::First) => Some(BestSeats::First),
        Err(_) => {
            violations.add("layout.best_seats", "is not a known value");
            None
        }
    }
}

fn check_size(violations: &mut FieldViolations, layout: &SeatLayout) {
    let bytes = write_description(layout.description()).encoded_len();
    if bytes > LAYOUT_BYTES_MAX {
        let message = format!(
            "takes {bytes} bytes, at most {LAYOUT_BYTES_MAX} are allowed: name rows and seats by \
             series, or shorter"
        );
        violations.add(PATH, message);
    }
}

/// Adds the problems of the value at a path in a request as violations.
pub(super) fn note(violations: &mut FieldViolations, path: &str, problems: Problems) {
    violations.omit(problems.omitted());
    for problem in problems {
        violations.add(format!("{path}.{}", problem.path), problem.message);
    }
}

/// The request's layout as a description of the model. Numbers below 0 become ones that the model
/// rejects.
fn description(layout: pb::SeatLayout, best_seats: BestSeats) -> LayoutDescription {
    LayoutDescription {
        sections: layout.sections.into_iter().map(section).collect(),
        areas: layout.areas.into_iter().map(area).collect(),
        focal_point: layout.focal_point.as_ref().map(point),
        best_seats,
        accessible_seats: names(layout.accessible_seats),
        companion_seats: names(layout.companion_seats),
        blocked_seats: names(layout.blocked_seats),
        coordinates: layout.coordinates.map(|given| Coordinates {
            x: given.x,
            y: given.y,
        }),
    }
}

fn section(section: pb::Section) -> Section {
    Section {
        name: section.name.into(),
        deck: section.deck.into(),
        origin: section.origin.as_ref().map(point),
        rows: section.rows.into_iter().map(rows).collect(),
    }
}

fn rows(rows: pb::RowBlock) -> RowBlock {
    RowBlock {
        names: rows.names.map(series),
        runs: rows.runs.into_iter().map(series).collect(),
        label_format: Some(rows.label_format)
            .filter(|format| !format.is_empty())
            .map(Into::into),
    }
}

fn series(series: pb::Series) -> Series {
    use pb::series::Series as Kind;
    match series.series {
        Some(Kind::Numbers(numbers)) => Series::Numbers {
            first: number(numbers.first),
            last: number(numbers.last),
            step: if numbers.step == 0 {
                1
            } else {
                number(numbers.step)
            },
            skip: numbers.skip.into_iter().map(number).collect(),
        },
        Some(Kind::Letters(letters)) => Series::Letters {
            first: letters.first.into(),
            last: letters.last.into(),
            skip: names(letters.skip),
        },
        Some(Kind::Times(times)) => Series::Times {
            first: times.first.into(),
            last: times.last.into(),
            step_minutes: number(times.step_minutes),
        },
        Some(Kind::List(list)) => Series::List(names(list.names)),
        // A series of no kind has no names, which the model rejects.
        None => Series::List(Vec::new()),
    }
}

fn area(area: pb::Area) -> Area {
    Area {
        name: area.name.into(),
        // A negative capacity is as invalid as 0.
        capacity: u32::try_from(area.capacity).unwrap_or_default(),
        deck: area.deck.into(),
        origin: area.origin.as_ref().map(point),
    }
}

fn point(point: &pb::Point) -> Point {
    Point {
        x: point.x,
        y: point.y,
    }
}

fn names(names: Vec<String>) -> Vec<Box<str>> {
    names.into_iter().map(Into::into).collect()
}

/// A number that should not be negative; if it is, one that is over every limit.
fn number(number: i32) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// A layout as the contract writes it.
pub(super) fn write(layout: &Layout) -> pb::SeatLayout {
    let info = write_info(&layout.info);
    pb::SeatLayout {
        layout_id: info.layout_id,
        name: info.name,
        derived_from: info.derived_from,
        seat_count: info.seat_count,
        place_count: info.place_count,
        create_time: info.create_time,
        ..write_description(&layout.description)
    }
}

/// A layout's sections and areas, without the fields that the catalog sets.
fn write_description(layout: &LayoutDescription) -> pb::SeatLayout {
    let LayoutDescription {
        sections,
        areas,
        focal_point,
        best_seats,
        accessible_seats,
        companion_seats,
        blocked_seats,
        coordinates,
    } = layout;
    let best_seats = match best_seats {
        // The default reads back as not set.
        BestSeats::Front => pb::BestSeats::Unspecified,
        BestSeats::Middle => pb::BestSeats::Middle,
        BestSeats::First => pb::BestSeats::First,
    };
    pb::SeatLayout {
        sections: sections.iter().map(write_section).collect(),
        areas: areas.iter().map(write_area).collect(),
        focal_point: focal_point.map(write_point),
        best_seats: best_seats.into(),
        accessible_seats: write_names(accessible_seats),
        companion_seats: write_names(companion_seats),
        blocked_seats: write_names(blocked_seats),
        coordinates: coordinates.as_ref().map(|given| pb::Coordinates {
            x: given.x.clone(),
            y: given.y.clone(),
        }),
        ..Default::default()
    }
}

/// A layout without its sections and areas.
pub(super) fn write_info(info: &LayoutInfo) -> pb::SeatLayout {
    pb::SeatLayout {
        layout_id: info.id.to_string(),
        name: info.name.clone(),
        derived_from: info
            .derived_from
            .map(|id| id.to_string())
            .unwrap_or_default(),
        seat_count: write_number(info.seat_count),
        place_count: write_number(info.place_count),
        create_time: Some(timestamp(info.created_at)),
        ..Default::default()
    }
}

/// Where each seat is.
pub(super) fn coordinates(layout: &SeatLayout) -> pb::Coordinates {
    let points = (0..layout.seat_count()).filter_map(|position| layout.point(position));
    let (x, y) = points.map(|point| (point.x, point.y)).unzip();
    pb::Coordinates { x, y }
}

fn write_section(section: &Section) -> pb::Section {
    pb::Section {
        name: section.name.to_string(),
        deck: section.deck.to_string(),
        origin: section.origin.map(write_point),
        rows: section.rows.iter().map(write_rows).collect(),
    }
}

fn write_rows(rows: &RowBlock) -> pb::RowBlock {
    pb::RowBlock {
        names: rows.names.as_ref().map(write_series),
        runs: rows.runs.iter().map(write_series).collect(),
        label_format: rows.label_format.as_deref().unwrap_or_default().to_owned(),
    }
}

fn write_series(series: &Series) -> pb::Series {
    use pb::series::Series as Kind;
    let kind = match series {
        Series::Numbers {
            first,
            last,
            step,
            skip,
        } => Kind::Numbers(pb::NumberSeries {
            first: write_number(*first),
            last: write_number(*last),
            step: write_number(*step),
            skip: skip.iter().copied().map(write_number).collect(),
        }),
        Series::Letters { first, last, skip } => Kind::Letters(pb::LetterSeries {
            first: first.to_string(),
            last: last.to_string(),
            skip: write_names(skip),
        }),
        Series::Times {
            first,
            last,
            step_minutes,
        } => Kind::Times(pb::TimeSeries {
            first: first.to_string(),
            last: last.to_string(),
            step_minutes: write_number(*step_minutes),
        }),
        Series::List(names) => Kind::List(pb::NameList {
            names: write_names(names),
        }),
    };
    pb::Series { series: Some(kind) }
}

fn write_area(area: &Area) -> pb::Area {
    pb::Area {
        name: area.name.to_string(),
        capacity: write_number(area.capacity),
        deck: area.deck.to_string(),
        origin: area.origin.map(write_point),
    }
}

fn write_point(point: Point) -> pb::Point {
    pb::Point {
        x: point.x,
        y: point.y,
    }
}

fn write_names(names: &[Box<str>]) -> Vec<String> {
    names.iter().map(ToString::to_string).collect()
}

/// A number whose limit is far below the type's.
pub(super) fn write_number(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}
