//! The show under test: its seats and places, and their prices.

use std::collections::BTreeSet;
use std::sync::Arc;

use proto::booking::v1::Booking as BookingReply;
use proto::catalog::v1::create_show_request::Seats;
use proto::catalog::v1::series::Series as Kind;
use proto::catalog::v1::{
    Area, CreateShowRequest, NumberSeries, PriceTier, RowBlock, RowName, Section, Series,
};
use proto::money::v1::Money;
use test_harness::system;

use super::people::Person;

/// A row of the hall.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) section: &'static str,
    pub(super) name: &'static str,
    pub(super) tier: &'static str,
    /// Of a seat.
    pub(super) price: i64,
    /// The number of the last seat before an aisle.
    aisle_after: i32,
}

/// The rows.
const ROWS: [Row; 3] = [
    Row {
        section: "Stalls",
        name: "A",
        tier: "Front",
        price: 2_000,
        aisle_after: SEATS_PER_ROW,
    },
    Row {
        section: "Stalls",
        name: "B",
        tier: "Back",
        price: 1_200,
        aisle_after: SEATS_PER_ROW,
    },
    Row {
        section: "Balcony",
        name: "C",
        tier: "Back",
        price: 1_200,
        aisle_after: 2,
    },
];
/// How many seats each of them has.
const SEATS_PER_ROW: i32 = 4;
/// The area beside them.
pub(super) const AREA: &str = "Floor";
/// How many places that has.
pub(super) const CAPACITY: i32 = 6;
/// The price tier of a place.
pub(super) const PLACE_TIER: &str = "Standing";
/// The price of a place.
pub(super) const PLACE_PRICE: i64 = 700;

/// The terms of a show and its people, fixed before the run.
#[derive(Debug)]
pub(super) struct Terms {
    pub(super) show_id: String,
    pub(super) people: Arc<[Person]>,
    /// The most seats and places of one customer; none: any number.
    pub(super) places_max: Option<i32>,
}

/// Seats, and a number of places in the area.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Lot {
    /// By label.
    pub(crate) seats: BTreeSet<String>,
    /// How many.
    pub(crate) places: i32,
}

impl Lot {
    /// What a booking has, according to a reply.
    pub(super) fn of(reply: &BookingReply) -> Self {
        let labels = reply.lines.iter().map(|line| line.seat_label.clone());
        let quantities = reply.area_lines.iter().map(|line| line.quantity);
        Self {
            seats: labels.collect(),
            places: quantities.sum(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.seats.is_empty() && self.places == 0
    }

    /// How many seats and places it is.
    pub(super) fn count(&self) -> i32 {
        i32::try_from(self.seats.len()).expect("it is small") + self.places
    }

    /// Its price.
    pub(super) fn cost(&self) -> i64 {
        cost(&self.seats) + i64::from(self.places) * PLACE_PRICE
    }
}

fn parts_of(label: &str) -> Option<(&'static Row, i32)> {
    let (name, number) = label.split_once('-')?;
    let number: i32 = number.parse().ok()?;
    let row = ROWS.iter().find(|row| row.name == name)?;
    (1..=SEATS_PER_ROW)
        .contains(&number)
        .then_some((row, number))
}

/// The row of a seat; none if there is no such seat.
pub(super) fn row_of(label: &str) -> Option<&'static Row> {
    parts_of(label).map(|(row, _)| row)
}

/// Whether the second seat follows the first, without an aisle between.
pub(super) fn are_beside(first: &str, second: &str) -> bool {
    let (Some((row, number)), Some((other, next))) = (parts_of(first), parts_of(second)) else {
        return false;
    };
    row.name == other.name && number + 1 == next && number != row.aisle_after
}

/// Every label of the hall.
pub(super) fn all_labels() -> Vec<String> {
    let seats = |row: &Row| {
        let name = row.name;
        (1..=SEATS_PER_ROW).map(move |number| format!("{name}-{number}"))
    };
    ROWS.iter().flat_map(seats).collect()
}

/// The price of seats.
pub(super) fn cost(labels: &BTreeSet<String>) -> i64 {
    labels
        .iter()
        .filter_map(|label| row_of(label))
        .map(|row| row.price)
        .sum()
}

/// An amount of the show's currency.
pub(super) fn money(minor_units: i64) -> Money {
    Money {
        minor_units,
        currency_code: "EUR".to_owned(),
    }
}

/// The request that creates it, with this limit of seats and places for one customer.
pub(super) fn described(places_max: Option<i32>) -> CreateShowRequest {
    let mut layout = system::layout(1);
    layout.sections = vec![section("Stalls"), section("Balcony")];
    layout.areas = vec![Area {
        name: AREA.to_owned(),
        capacity: CAPACITY,
        ..Default::default()
    }];
    let tier = |name: &str, price| PriceTier {
        name: name.to_owned(),
        price: Some(money(price)),
        ..Default::default()
    };
    let (front, back) = (&ROWS[0], &ROWS[1]);
    let first_row = RowName {
        section: front.section.to_owned(),
        row: front.name.to_owned(),
    };
    CreateShowRequest {
        seats: Some(Seats::Layout(layout)),
        seat_price: None,
        places_per_customer_max: places_max.unwrap_or(0),
        price_tiers: vec![
            PriceTier {
                rows: vec![first_row],
                ..tier(front.tier, front.price)
            },
            tier(back.tier, back.price),
            PriceTier {
                areas: vec![AREA.to_owned()],
                ..tier(PLACE_TIER, PLACE_PRICE)
            },
        ],
        ..system::show(1)
    }
}

fn section(name: &str) -> Section {
    let rows = ROWS.iter().filter(|row| row.section == name);
    let described = rows.map(|row| RowBlock {
        names: Some(system::names([row.name])),
        runs: [(1, row.aisle_after), (row.aisle_after + 1, SEATS_PER_ROW)]
            .into_iter()
            .filter(|(first, last)| first <= last)
            .map(|(first, last)| Series {
                series: Some(Kind::Numbers(NumberSeries {
                    first,
                    last,
                    ..Default::default()
                })),
            })
            .collect(),
        ..Default::default()
    });
    Section {
        name: name.to_owned(),
        rows: described.collect(),
        ..Default::default()
    }
}
