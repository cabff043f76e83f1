//! Converts the catalog's layouts and prices into values of the model. The catalog has checked
//! them; a value that is invalid anyway is described for the log.

use model::{
    Area, BestSeats, Coordinates, Currency, LayoutDescription, Point, PriceDescription, PriceList,
    PriceTier, RowBlock, RowRef, SeatLayout, Section, Series,
};
use proto::catalog::v1 as pb;
use proto::catalog::v1::series::Series as PbSeries;

/// A layout.
pub(super) fn layout(layout: pb::SeatLayout) -> Result<SeatLayout, String> {
    let best_seats = match layout.best_seats() {
        pb::BestSeats::Unspecified | pb::BestSeats::Front => BestSeats::Front,
        pb::BestSeats::Middle => BestSeats::Middle,
        pb::BestSeats::First => BestSeats::First,
    };
    let description = LayoutDescription {
        sections: all(layout.sections, section)?,
        areas: all(layout.areas, area)?,
        focal_point: layout.focal_point.map(point),
        best_seats,
        accessible_seats: texts(layout.accessible_seats),
        companion_seats: texts(layout.companion_seats),
        blocked_seats: texts(layout.blocked_seats),
        coordinates: layout
            .coordinates
            .map(|pb::Coordinates { x, y }| Coordinates { x, y }),
    };
    SeatLayout::new(description).map_err(|problems| format!("no valid layout: {problems:?}"))
}

/// The prices of a layout.
pub(super) fn prices(tiers: Vec<pb::PriceTier>, layout: &SeatLayout) -> Result<PriceList, String> {
    let first = tiers.first().and_then(|tier| tier.price.as_ref());
    let currency = Currency::of_price(&first.ok_or("no price")?.currency_code);
    let description = PriceDescription {
        currency: currency.map_err(|error| format!("currency {error}"))?,
        tiers: tiers.into_iter().map(tier).collect(),
    };
    PriceList::new(description, layout).map_err(|problems| format!("no valid prices: {problems:?}"))
}

fn section(section: pb::Section) -> Result<Section, String> {
    Ok(Section {
        name: section.name.into(),
        deck: section.deck.into(),
        origin: section.origin.map(point),
        rows: all(section.rows, rows)?,
    })
}

fn rows(rows: pb::RowBlock) -> Result<RowBlock, String> {
    Ok(RowBlock {
        names: rows.names.map(series).transpose()?,
        runs: all(rows.runs, series)?,
        label_format: (!rows.label_format.is_empty()).then(|| rows.label_format.into()),
    })
}

fn series(series: pb::Series) -> Result<Series, String> {
    Ok(match series.series.ok_or("a series is not set")? {
        PbSeries::Numbers(numbers) => Series::Numbers {
            first: number(numbers.first)?,
            last: number(numbers.last)?,
            step: number(numbers.step)?.max(1),
            skip: all(numbers.skip, number)?,
        },
        PbSeries::Letters(letters) => Series::Letters {
            first: letters.first.into(),
            last: letters.last.into(),
            skip: texts(letters.skip),
        },
        PbSeries::Times(times) => Series::Times {
            first: times.first.into(),
            last: times.last.into(),
            step_minutes: number(times.step_minutes)?,
        },
        PbSeries::List(list) => Series::List(texts(list.names)),
    })
}

fn area(area: pb::Area) -> Result<Area, String> {
    Ok(Area {
        name: area.name.into(),
        capacity: number(area.capacity)?,
        deck: area.deck.into(),
        origin: area.origin.map(point),
    })
}

fn point(pb::Point { x, y }: pb::Point) -> Point {
    Point { x, y }
}

fn tier(tier: pb::PriceTier) -> PriceTier {
    let rows = tier.rows.into_iter().map(|row| RowRef {
        section: row.section.into(),
        row: row.row.into(),
    });
    PriceTier {
        name: tier.name.into(),
        price: tier.price.map_or(0, |price| price.minor_units),
        sections: texts(tier.sections),
        rows: rows.collect(),
        seat_labels: texts(tier.seat_labels),
        areas: texts(tier.areas),
    }
}

fn number(number: i32) -> Result<u32, String> {
    u32::try_from(number).map_err(|_| format!("{number} is negative"))
}

fn texts(texts: Vec<String>) -> Vec<Box<str>> {
    texts.into_iter().map(Into::into).collect()
}

fn all<A, B>(items: Vec<A>, one: impl Fn(A) -> Result<B, String>) -> Result<Vec<B>, String> {
    items.into_iter().map(one).collect()
}
