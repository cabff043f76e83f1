//! A show out of a file, and halls that are sold in part.

use anyhow::{Context as _, Result};
use booking_svc::domain::choose::FreeSeats;
use model::{PriceDescription, PriceTier, RowRef, SeatLayout};
use serde::Deserialize;

/// The part of a show that matters here.
#[derive(Deserialize)]
pub(crate) struct Show {
    pub(crate) layout: SeatLayout,
    price_tiers: Vec<Tier>,
}

#[derive(Deserialize)]
struct Tier {
    name: Box<str>,
    price: Money,
    #[serde(default)]
    sections: Vec<Box<str>>,
    #[serde(default)]
    rows: Vec<RowRef>,
    #[serde(default)]
    seat_labels: Vec<Box<str>>,
    #[serde(default)]
    areas: Vec<Box<str>>,
}

#[derive(Deserialize)]
struct Money {
    minor_units: i64,
    currency_code: String,
}

impl Show {
    /// Its prices.
    pub(crate) fn prices(&self) -> Result<PriceDescription> {
        let first = self.price_tiers.first().context("no price tier")?;
        let tiers = self.price_tiers.iter().map(|tier| PriceTier {
            name: tier.name.clone(),
            price: tier.price.minor_units,
            sections: tier.sections.clone(),
            rows: tier.rows.clone(),
            seat_labels: tier.seat_labels.clone(),
            areas: tier.areas.clone(),
        });
        Ok(PriceDescription {
            currency: first.price.currency_code.parse()?,
            tiers: tiers.collect(),
        })
    }
}

/// A hall of this many seats, of which this percentage is sold.
pub(crate) fn sold_at_random(seats: u32, sold: u64, seed: u64) -> FreeSeats {
    let mut free = FreeSeats::all(seats);
    let mut state = seed;
    for ordinal in 0..seats {
        if random(&mut state) % 100 < sold {
            free.remove(ordinal);
        }
    }
    free
}

/// The next of a series (splitmix64).
fn random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
