//! Prices: named tiers, given to the seats and areas of a layout.
//!
//! The most specific tier wins: one that names the seat, then its row, then its section, then
//! the one tier that names nothing, which is the price of everything else. Invariant: an
//! existing [`PriceList`] has one price for every seat and every area of its layout.

mod assign;

use serde::{Deserialize, Serialize};

use self::assign::Assignment;
use crate::layout::SeatLayout;
use crate::money::Currency;
use crate::problem::Problems;
use crate::text::normalize;

/// The most tiers of a price list; it has one at least.
pub const PRICE_TIERS_MAX: usize = 1_000;
/// The most sections, rows, seats and areas that the tiers of a price list name in all.
pub const PRICE_TARGETS_MAX: usize = 20_000;

/// A named price, and the sections, rows or seats that have it. A tier that names nothing is the price of
/// everything else.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PriceTier {
    /// Unique among the tiers; 1 to [`crate::NAME_CHARS_MAX`] characters.
    pub name: Box<str>,
    /// In minor units; 0 to [`crate::PRICE_MAX`].
    pub price: i64,
    /// Names of sections.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sections: Vec<Box<str>>,
    /// Rows that have a name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rows: Vec<RowRef>,
    /// Labels of seats.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub seat_labels: Vec<Box<str>>,
    /// Names of areas.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub areas: Vec<Box<str>>,
}

/// A row by its name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RowRef {
    /// The name of its section.
    pub section: Box<str>,
    /// The name that it has there.
    pub row: Box<str>,
}

/// The prices of a show as they are written and read; valid ones become a [`PriceList`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PriceDescription {
    /// Of every price.
    pub currency: Currency,
    /// 1 to [`PRICE_TIERS_MAX`].
    pub tiers: Vec<PriceTier>,
}

/// The price of every seat and area of a layout.
#[derive(Debug, Clone)]
pub struct PriceList {
    description: PriceDescription,
    assignment: Assignment,
}

/// A price and its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PricedAt<'a> {
    /// The name of the tier.
    pub tier: &'a str,
    /// The place of the tier in its list, from 0.
    pub tier_index: usize,
    /// In minor units.
    pub price: i64,
}

impl PriceDescription {
    /// One price for everything, in a tier "Standard".
    #[must_use]
    pub fn single(currency: Currency, price: i64) -> Self {
        let tier = PriceTier {
            name: "Standard".into(),
            price,
            ..PriceTier::default()
        };
        Self {
            currency,
            tiers: vec![tier],
        }
    }

    /// Normalises all names and labels ([`crate::nfc`]), like those of a [`PriceList`].
    pub fn normalize(&mut self) {
        for tier in &mut self.tiers {
            normalize(&mut tier.name);
            let named = [&mut tier.sections, &mut tier.seat_labels, &mut tier.areas];
            named.into_iter().flatten().for_each(normalize);
            for row in &mut tier.rows {
                normalize(&mut row.section);
                normalize(&mut row.row);
            }
        }
    }
}

impl PriceList {
    /// Checks prices and finds the seats and areas that each tier applies to, with all names normalised
    /// ([`crate::nfc`]).
    ///
    /// # Errors
    ///
    /// The problems of the prices.
    pub fn new(mut description: PriceDescription, layout: &SeatLayout) -> Result<Self, Problems> {
        description.normalize();
        let assignment = Assignment::new(&description.tiers, layout)?;
        Ok(Self {
            description,
            assignment,
        })
    }

    /// The description that it was made from.
    #[must_use]
    pub fn description(&self) -> &PriceDescription {
        &self.description
    }

    /// The currency of every price.
    #[must_use]
    pub fn currency(&self) -> Currency {
        self.description.currency
    }

    /// The price of a seat by its position in the layout. `None` only if there is no such seat.
    #[must_use]
    pub fn of_seat(&self, position: u32) -> Option<PricedAt<'_>> {
        self.in_tier(self.assignment.seats.tier_of(position as usize)?)
    }

    /// The price of a place in an area by its index. `None` only if there is no such area.
    #[must_use]
    pub fn of_area(&self, area: usize) -> Option<PricedAt<'_>> {
        self.in_tier(self.assignment.areas.tier_of(area)?)
    }

    /// Roughly the bytes that it takes in memory, for caches.
    #[must_use]
    pub fn weight(&self) -> u64 {
        let of_name = |name: &str| size_of::<Box<str>>() + name.len();
        let of_tier = |tier: &PriceTier| {
            let names = tier
                .sections
                .iter()
                .chain(&tier.seat_labels)
                .chain(&tier.areas);
            let rows = tier
                .rows
                .iter()
                .map(|row| of_name(&row.section) + of_name(&row.row));
            size_of::<PriceTier>() + names.map(|name| of_name(name)).chain(rows).sum::<usize>()
        };
        let tiers: usize = self.description.tiers.iter().map(of_tier).sum();
        (size_of::<Self>() + tiers + self.assignment.weight()) as u64
    }

    fn in_tier(&self, tier_index: usize) -> Option<PricedAt<'_>> {
        let tier = self.description.tiers.get(tier_index)?;
        Some(PricedAt {
            tier: &tier.name,
            tier_index,
            price: tier.price,
        })
    }
}

#[cfg(test)]
mod tests;
