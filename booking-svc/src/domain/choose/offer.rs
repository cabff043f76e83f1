//! The free seats that may meet a choice.

use std::ops::Range;

use super::hall::{Kind, Run};
use super::orphans::Vacancy;
use super::{Block, Cost, FreeSeats, Hall, Party, Wish};

/// The seats that may meet a choice.
pub(super) struct Offer<'a> {
    pub(super) hall: &'a Hall,
    vacancy: Vacancy<'a>,
    /// By tier, whether it is among the wished ones and not too dear.
    tiers: Box<[bool]>,
    section: Option<usize>,
    kinds: Kinds,
}

/// Kinds of seats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kinds {
    Ordinary,
    OrdinaryAndCompanion,
    All,
}

/// Neighbours that are all on offer, and no more of them on either side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stretch {
    pub(super) section: usize,
    /// The run that it is in.
    pub(super) run: Range<u32>,
    pub(super) places: Range<u32>,
}

impl Stretch {
    /// How many seats.
    pub(super) fn size(&self) -> u32 {
        self.places.end - self.places.start
    }
}

impl<'a> Offer<'a> {
    pub(super) fn new(hall: &'a Hall, free: &'a FreeSeats, wish: &Wish, kinds: Kinds) -> Self {
        let tiers = hall.prices().iter().enumerate().map(|(tier, price)| {
            (wish.tiers.is_empty() || wish.tiers.contains(&tier))
                && wish.price_max.is_none_or(|max| *price <= max)
        });
        Self {
            hall,
            vacancy: Vacancy { hall, free },
            tiers: tiers.collect(),
            section: wish.section,
            kinds,
        }
    }

    /// The stretches of seats on offer in a run.
    pub(super) fn stretches_of<'b>(&'b self, run: &'b Run) -> impl Iterator<Item = Stretch> + 'b {
        let is_wished = self.section.is_none_or(|section| section == run.section);
        let Range { start, end } = run.places;
        let mut at = if is_wished { start } else { end };
        std::iter::from_fn(move || {
            let from = (at..end).find(|place| self.has(*place))?;
            at = (from..end).find(|place| !self.has(*place)).unwrap_or(end);
            Some(Stretch {
                section: run.section,
                run: run.places.clone(),
                places: from..at,
            })
        })
    }

    /// All that is on offer, in the order of places.
    pub(super) fn stretches(&self) -> impl Iterator<Item = Stretch> {
        self.hall
            .runs()
            .iter()
            .flat_map(|run| self.stretches_of(run))
    }

    /// Every way to seat this many people next to each other within a stretch.
    pub(super) fn blocks<'b>(
        &'b self,
        stretch: &'b Stretch,
        size: u32,
    ) -> impl Iterator<Item = Block> + 'b {
        let Range { start, end } = stretch.places;
        let firsts = start..(end + 1).saturating_sub(size).max(start);
        firsts.map(move |from| {
            let places = from..from + size;
            Block {
                cost: Cost {
                    without_company: 0,
                    alone: u32::from(size == 1),
                    groups: 1,
                    orphans: if self.hall.minds_orphans() {
                        self.vacancy.orphans_beside(&stretch.run, &places)
                    } else {
                        0
                    },
                    distance: self.hall.distance(&places),
                },
                ordinal: self.hall.ordinal(from),
                from,
                size,
                accessible: self.hall.accessible(&places),
            }
        })
    }

    /// The first places on offer for a party, in the order of the layout.
    pub(super) fn first(&self, party: Party) -> Option<Vec<u32>> {
        let places = self.stretches().flat_map(|stretch| stretch.places);
        self.seat_each(party, places)
    }

    /// The nearest places on offer for a party, wherever they are.
    pub(super) fn nearest(&self, party: Party) -> Option<Vec<u32>> {
        let places = self.stretches().flat_map(|stretch| stretch.places);
        let mut places: Vec<_> = places.collect();
        places.sort_by_key(|place| self.hall.distance(&(*place..place + 1)));
        self.seat_each(party, places)
    }

    /// The first of these places that each of a party can have.
    fn seat_each(&self, party: Party, places: impl IntoIterator<Item = u32>) -> Option<Vec<u32>> {
        let mut accessible = party.accessible;
        let mut others = party.count.checked_sub(accessible)?;
        let mut chosen = Vec::with_capacity(party.count as usize);
        for place in places {
            let wanted = match self.hall.kind(place) {
                Kind::Accessible => &mut accessible,
                _ => &mut others,
            };
            if *wanted > 0 {
                *wanted -= 1;
                chosen.push(place);
            }
            if chosen.len() == party.count as usize {
                return Some(chosen);
            }
        }
        None
    }

    fn has(&self, place: u32) -> bool {
        let is_wished = match self.hall.kind(place) {
            Kind::Ordinary => true,
            Kind::Companion => self.kinds != Kinds::Ordinary,
            Kind::Accessible => self.kinds == Kinds::All,
            Kind::Blocked => false,
        };
        let tier = self.tiers.get(self.hall.tier(place));
        is_wished && tier.is_some_and(|tier| *tier) && self.vacancy.has(place)
    }
}
