//! Chooses seats for callers that name none, and finds the orphans that a choice leaves. Pure, and
//! bounded: the work grows with the seats of the hall and the size of the party, never with their
//! ways to sit.
//!
//! Seats are **together** if they are next to each other in one run of a row: an aisle and the
//! end of a row separate neighbours, the drawn positions do not. A seat is **near** by the square
//! of its distance from the point where the layout has its best seats; a party by the sum over its
//! seats, so of two blocks the one whose middle is nearer wins. Where the first seats are the best,
//! near is early in the order of the layout, and no seat is an orphan. In order of preference:
//!
//! 1. together, leaving no orphan; then leaving as few as possible;
//! 2. in groups of two or more within one section; then in such groups anywhere;
//! 3. with as few people alone as possible.
//!
//! Within each: fewer groups, then fewer orphans, then nearer, then the lower ordinal. For a hall,
//! a set of free seats and criteria there is exactly one choice.
//!
//! **Accessible seats** go only to parties that ask for them, exactly as many as they ask for.
//! **Companion seats** go to a party with an accessible seat; to others only if the choice cannot be
//! met without.
//!
//! **Companions** come before all of that except sitting together: a person in an accessible seat
//! has one of the party next to them, as far as there are others; else as near as possible, and in
//! the same section. The rest of the party is then seated as one without accessible seats, in
//! that section if possible.

mod apart;
mod beside;
mod free_seats;
mod goodness;
mod hall;
mod largest;
mod offer;
mod orphans;
mod several;
mod together;

use std::num::NonZeroU8;
use std::ops::Range;

pub use self::free_seats::FreeSeats;
pub use self::hall::Hall;
use self::offer::{Kinds, Offer};
pub use self::orphans::{avoidable_orphans, orphans_left};
pub use self::several::{Unmet, choose_all};

/// The most people that seats are chosen for at once.
pub const PARTY_MAX: u8 = 100;

/// What a party without named seats asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    /// For how many people. Up to [`PARTY_MAX`]; more is never met.
    pub count: NonZeroU8,
    /// How many of them need an accessible seat. More than `count` is never met.
    pub accessible: u8,
    /// The section by its index in the layout; none: any.
    pub section: Option<usize>,
    /// Price tiers by their index in the price list; none: any.
    pub tiers: Vec<usize>,
    /// The highest price of a seat, in minor units; none: any.
    pub price_max: Option<i64>,
    /// How they want to sit.
    pub seating: Seating,
}

/// How a party wants to sit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seating {
    /// Together, or not at all.
    Together,
    /// As well as can be.
    Best,
    /// Anywhere: the first free seats in the order of the layout.
    Anywhere,
}

/// A wish that cannot be met.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the largest party that can have such seats now is {largest_party}")]
pub struct NoChoice {
    /// For how many people the same wish could be met now, at most: 0 to [`PARTY_MAX`].
    pub largest_party: u8,
}

/// The best of the free seats for a wish: their ordinals, ascending.
///
/// # Errors
///
/// [`NoChoice`], if there are no such seats.
pub fn choose(hall: &Hall, free: &FreeSeats, wish: &Wish) -> Result<Vec<u32>, NoChoice> {
    let kinds: &[Kinds] = match wish.accessible {
        0 => &[Kinds::Ordinary, Kinds::OrdinaryAndCompanion],
        _ => &[Kinds::All],
    };
    let mut offers = kinds
        .iter()
        .map(|kinds| Offer::new(hall, free, wish, *kinds));
    for offer in offers.clone().filter(|_| wish.count.get() <= PARTY_MAX) {
        if let Some(mut chosen) = ordinals(&offer, free, wish) {
            chosen.sort_unstable();
            return Ok(chosen);
        }
    }
    let largest = offers
        .next_back()
        .map(|widest| largest::party(&widest, wish));
    Err(NoChoice {
        largest_party: largest.unwrap_or(0),
    })
}

/// The ordinals of the best seats on offer.
fn ordinals(offer: &Offer<'_>, free: &FreeSeats, wish: &Wish) -> Option<Vec<u32>> {
    let party = Party {
        count: wish.count.get().into(),
        accessible: wish.accessible.into(),
    };
    let needs_company = party.accessible > 0 && party.count > party.accessible;
    let chosen = match wish.seating {
        Seating::Anywhere if needs_company => None,
        Seating::Anywhere => Some(offer.first(party)?),
        Seating::Together => Some(together::nearest(offer, party)?.collect()),
        Seating::Best => match together::nearest(offer, party) {
            Some(together) => Some(together.collect()),
            None if needs_company => apart::accompanied(offer, party),
            None => Some(apart::nearest(offer, party)?),
        },
    };
    match chosen {
        Some(places) => Some(
            places
                .into_iter()
                .map(|at| offer.hall.ordinal(at))
                .collect(),
        ),
        None => with_company(offer, free, wish, party),
    }
}

/// First the people in accessible seats, each with a companion; then the rest of the party.
fn with_company(
    offer: &Offer<'_>,
    free: &FreeSeats,
    wish: &Wish,
    party: Party,
) -> Option<Vec<u32>> {
    let hall = offer.hall;
    let pairs = beside::pairs(offer, party, wish.seating)?;
    let section = pairs.first().map(|place| hall.section_of(*place));
    let mut chosen: Vec<_> = pairs.into_iter().map(|at| hall.ordinal(at)).collect();
    let seated = u8::try_from(chosen.len()).ok()?;
    let Some(count) = NonZeroU8::new(wish.count.get().checked_sub(seated)?) else {
        return Some(chosen);
    };
    let mut left = free.clone();
    chosen.iter().for_each(|ordinal| left.remove(*ordinal));
    let wish_of_rest = |section| Wish {
        count,
        accessible: 0,
        section,
        ..wish.clone()
    };
    let rest = choose(hall, &left, &wish_of_rest(section))
        .or_else(|_| choose(hall, &left, &wish_of_rest(wish.section)));
    chosen.extend(rest.ok()?);
    Some(chosen)
}

/// How many people, and how many of them need an accessible seat.
#[derive(Debug, Clone, Copy)]
struct Party {
    count: u32,
    accessible: u32,
}

/// Places next to each other for a party or a part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Block {
    cost: Cost,
    /// The ordinal of its first seat.
    ordinal: u32,
    from: u32,
    size: u32,
    /// How many of its seats are accessible.
    accessible: u32,
}

/// The cost of a choice, the most important part first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Cost {
    /// People in accessible seats without anybody of the party next to them, if there are others.
    without_company: u32,
    /// People without anybody of the party next to them.
    alone: u32,
    groups: u32,
    orphans: u32,
    /// The sum of the distances, which are squares.
    distance: u64,
}

impl Block {
    fn places(&self) -> Range<u32> {
        self.from..self.from + self.size
    }
}

impl Cost {
    fn and(self, other: Self) -> Self {
        Self {
            without_company: self.without_company + other.without_company,
            alone: self.alone + other.alone,
            groups: self.groups + other.groups,
            orphans: self.orphans + other.orphans,
            distance: self.distance + other.distance,
        }
    }
}

#[cfg(test)]
mod tests;
