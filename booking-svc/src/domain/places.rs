//! Places in general-admission areas: a quantity of an area, none of them in particular.

use std::sync::Arc;

/// A quantity of places of an area.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places {
    /// The name of the area.
    pub area: Arc<str>,
    /// How many, never 0.
    pub quantity: u32,
}

/// Places of a booking in one area, with their price as it was when they were reserved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldPlaces {
    /// The name of the area.
    pub area: Arc<str>,
    /// How many, never 0.
    pub quantity: u32,
    /// Of each, in minor units.
    pub price: i64,
    /// The name of the price tier.
    pub tier: Arc<str>,
}

impl HeldPlaces {
    /// Their total price, in minor units.
    #[must_use]
    pub fn total(&self) -> i64 {
        i64::from(self.quantity) * self.price
    }
}
