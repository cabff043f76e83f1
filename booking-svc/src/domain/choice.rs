//! Choices, as callers ask for them; and what an order says about its picked seats and about the
//! seats around its named ones.

use std::num::NonZeroU8;
use std::sync::Arc;

use model::Currency;

use super::choose::{Hall, Seating, Unmet, Wish};
use super::sale::Sale;

/// How many positions from a named seat its neighbours are checked; seats farther away count as
/// taken. A run that is free up to there has another way to sit anyway.
const REACH: u32 = 50;

/// Seats for a party, by the names that the caller knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// For how many people.
    pub count: NonZeroU8,
    /// How many of them need an accessible seat.
    pub accessible: u8,
    /// The name of the section; none: any.
    pub section: Option<String>,
    /// The names of the price tiers; none: any.
    pub tiers: Vec<String>,
    /// The highest price of a seat, in minor units of a currency; none: any.
    pub price_max: Option<(i64, Currency)>,
    /// How they want to sit.
    pub seating: Seating,
}

/// A name in a choice that the show does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Misnamed {
    /// Its section.
    Section,
    /// Its price tier in this place.
    Tier(usize),
    /// The currency of its price: the show's is this one.
    Currency(Currency),
}

impl Choice {
    /// The choice in a show's own terms.
    ///
    /// # Errors
    ///
    /// All names that the show does not have.
    pub fn wish(&self, sale: &Sale) -> Result<Wish, Vec<Misnamed>> {
        let mut misnamed = Vec::new();
        let section = self.section.as_deref().and_then(|name| {
            let mut sections = sale.seats.layout().sections().iter();
            let found = sections.position(|section| &*section.name == name);
            if found.is_none() {
                misnamed.push(Misnamed::Section);
            }
            found
        });
        let known = &sale.prices.description().tiers;
        let mut tiers = Vec::with_capacity(self.tiers.len());
        for (at, name) in self.tiers.iter().enumerate() {
            match known.iter().position(|tier| *tier.name == **name) {
                Some(tier) => tiers.push(tier),
                None => misnamed.push(Misnamed::Tier(at)),
            }
        }
        let currency = sale.prices.currency();
        if self.price_max.is_some_and(|(_, other)| other != currency) {
            misnamed.push(Misnamed::Currency(currency));
        }
        if !misnamed.is_empty() {
            return Err(misnamed);
        }
        Ok(Wish {
            count: self.count,
            accessible: self.accessible,
            section,
            tiers,
            price_max: self.price_max.map(|(minor_units, _)| minor_units),
            seating: self.seating,
        })
    }
}

/// The seats picked for the choices of a reservation; none if it has no choices.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Picks {
    /// The ordinals of the seats, ascending, all of them among the reservation's own. If one is
    /// taken, that is no rejection: others can be picked.
    pub ordinals: Vec<u32>,
    /// The choice that nothing could be picked for: that is a rejection, if nothing else is.
    pub unmet: Option<Unmet>,
}

/// What is needed to determine which orphans a choice by label leaves. Only for shows with an
/// orphan rule.
#[derive(Debug, Clone)]
pub struct Surroundings {
    hall: Arc<Hall>,
    ordinals: Vec<u32>,
}

impl Surroundings {
    /// The seats around these seats of a hall.
    #[must_use]
    pub fn of(hall: Arc<Hall>, chosen: &[u32]) -> Self {
        let ordinals = hall.around(chosen, REACH);
        Self { hall, ordinals }
    }

    /// The hall.
    #[must_use]
    pub fn hall(&self) -> &Hall {
        &self.hall
    }

    /// The ordinals of the seats whose owners must be known, ascending.
    #[must_use]
    pub fn ordinals(&self) -> &[u32] {
        &self.ordinals
    }
}
