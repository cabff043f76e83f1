//! The show that is booked: what it has, and what that costs.

use std::collections::BTreeSet;
use std::sync::Arc;

use proto::booking::v1::Booking as Told;
use proto::catalog::v1::create_show_request::Seats;
use proto::catalog::v1::{Area, CreateShowRequest, PriceTier, RowName};
use proto::money::v1::Money;
use system_tests::system;

use super::people::Person;

/// The rows of the hall, each with the name of its price tier and the price of a seat.
const ROWS: [(&str, &str, i64); 3] = [
    ("A", "Front", 2_000),
    ("B", "Back", 1_200),
    ("C", "Back", 1_200),
];
/// How many seats a row has.
const SEATS_PER_ROW: i32 = 4;
/// The section that they are all in.
pub(super) const SECTION: &str = "Stalls";
/// The area beside them.
pub(super) const AREA: &str = "Floor";
/// How many places that has.
pub(super) const CAPACITY: i32 = 6;
/// The price tier of a place.
pub(super) const PLACE_TIER: &str = "Standing";
/// The price of a place.
pub(super) const PLACE_PRICE: i64 = 700;

/// What is known of a show and its people before anything happens.
#[derive(Debug)]
pub(super) struct Terms {
    pub(super) show_id: String,
    pub(super) people: Arc<[Person]>,
    /// The most seats and places of one customer; none: any number.
    pub(super) places_max: Option<i32>,
}

/// Seats, and so many places in the area.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Lot {
    /// By label.
    pub(crate) seats: BTreeSet<String>,
    /// How many.
    pub(crate) places: i32,
}

impl Lot {
    /// What a booking has, as it is told.
    pub(super) fn of(told: &Told) -> Self {
        let labels = told.lines.iter().map(|line| line.seat_label.clone());
        let quantities = told.area_lines.iter().map(|line| line.quantity);
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

    /// What it costs.
    pub(super) fn cost(&self) -> i64 {
        cost(&self.seats) + i64::from(self.places) * PLACE_PRICE
    }
}

/// The tier and the price of a seat; none if there is no such seat.
pub(super) fn priced(label: &str) -> Option<(&'static str, i64)> {
    let (row, number) = label.split_once('-')?;
    let number: i32 = number.parse().ok()?;
    let (_, tier, price) = ROWS.iter().find(|(name, ..)| *name == row)?;
    (1..=SEATS_PER_ROW)
        .contains(&number)
        .then_some((tier, *price))
}

/// Every label of the hall.
pub(super) fn all_labels() -> Vec<String> {
    let row = |(name, ..): &(&str, &str, i64)| {
        let name = (*name).to_owned();
        (1..=SEATS_PER_ROW).map(move |number| format!("{name}-{number}"))
    };
    ROWS.iter().flat_map(row).collect()
}

/// What seats cost.
pub(super) fn cost(labels: &BTreeSet<String>) -> i64 {
    labels
        .iter()
        .filter_map(|label| priced(label))
        .map(|(_, price)| price)
        .sum()
}

/// An amount of the show's currency.
pub(super) fn money(minor_units: i64) -> Money {
    Money {
        minor_units,
        currency_code: "EUR".to_owned(),
    }
}

/// What creates it, if one customer may have so many seats and places.
pub(super) fn described(places_max: Option<i32>) -> CreateShowRequest {
    let mut layout = system::layout(SEATS_PER_ROW);
    layout.sections[0].rows[0].names = Some(system::names(ROWS.map(|(name, ..)| name)));
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
    let (front, back) = (ROWS[0], ROWS[1]);
    let first_row = RowName {
        section: SECTION.to_owned(),
        row: front.0.to_owned(),
    };
    CreateShowRequest {
        seats: Some(Seats::Layout(layout)),
        seat_price: None,
        places_per_customer_max: places_max.unwrap_or(0),
        price_tiers: vec![
            PriceTier {
                rows: vec![first_row],
                ..tier(front.1, front.2)
            },
            tier(back.1, back.2),
            PriceTier {
                areas: vec![AREA.to_owned()],
                ..tier(PLACE_TIER, PLACE_PRICE)
            },
        ],
        ..system::show(1)
    }
}
