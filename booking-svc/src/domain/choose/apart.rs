//! A party in groups: the fewest people alone, then the fewest groups, then the fewest
//! orphans, then the nearest.
//!
//! Groups are picked as a knapsack is: each stretch of free seats gives one block or none. More
//! than one is never better for a party without accessible seats, since two blocks of a stretch
//! cost more than one of both sizes.

use std::ops::RangeInclusive;

use super::offer::{Offer, Stretch};
use super::{Block, Cost, Party};

/// The best seats for a party that cannot sit together.
pub(super) fn nearest(offer: &Offer<'_>, party: Party) -> Option<Vec<u32>> {
    let stretches: Vec<_> = offer.stretches().collect();
    let on_offer: u32 = stretches.iter().map(Stretch::size).sum();
    if on_offer < party.count {
        return None;
    }
    in_one_section(offer, &stretches, party)
        .or_else(|| cheapest(offer, &stretches, party, 1))
        .map(|groups| groups.places)
        .or_else(|| offer.nearest(party))
}

/// The best groups in which everybody in an accessible seat has a companion, if there are any.
pub(super) fn accompanied(offer: &Offer<'_>, party: Party) -> Option<Vec<u32>> {
    let stretches: Vec<_> = offer.stretches().collect();
    let is_so = |groups: &Groups| groups.cost.without_company == 0;
    in_one_section(offer, &stretches, party)
        .filter(is_so)
        .or_else(|| cheapest(offer, &stretches, party, 1).filter(is_so))
        .map(|groups| groups.places)
}

struct Groups {
    cost: Cost,
    places: Vec<u32>,
}

/// The best groups of two or more within one section.
fn in_one_section(offer: &Offer<'_>, stretches: &[Stretch], party: Party) -> Option<Groups> {
    let sections = || stretches.chunk_by(|a, b| a.section == b.section);
    // Fewer groups always win, so sections that need more need not be tried.
    let fewest = sections()
        .filter_map(|section| Fewest::of(section, party.count))
        .map(|fewest| fewest.groups)
        .min()?;
    let is_promising = |section: &&[Stretch]| {
        let accessible = |within: &Stretch| offer.hall.accessible(&within.places);
        if party.accessible > 0 {
            return section.iter().map(accessible).sum::<u32>() >= party.accessible;
        }
        Fewest::of(section, party.count).is_some_and(|needs| needs.groups == fewest)
    };
    let groups = sections()
        .filter(is_promising)
        .filter_map(|section| cheapest(offer, section, party, 2));
    groups.min_by_key(|groups| groups.cost)
}

/// The fewest groups of two or more that a party can be seated in. Accessible seats count as any
/// other.
struct Fewest {
    groups: u32,
    /// A smaller group would need more of them.
    smallest: u32,
}

impl Fewest {
    /// None if the party cannot be seated so.
    fn of(stretches: &[Stretch], count: u32) -> Option<Self> {
        let mut sizes: Vec<_> = stretches.iter().map(Stretch::size).collect();
        sizes.retain(|size| *size >= 2);
        sizes.sort_unstable_by(|a, b| b.cmp(a));
        // Pairs alone make no odd number; with one larger group, one seat can be left where it is
        // too many.
        if count % 2 == 1 && sizes.first().is_none_or(|largest| *largest == 2) {
            return None;
        }
        let mut unseated = count;
        for (groups, size) in (1..).zip(sizes) {
            if size >= unseated {
                let smallest = unseated.max(2);
                return Some(Self { groups, smallest });
            }
            unseated -= size;
        }
        None
    }
}

/// The cheapest groups of `smallest` people or more.
fn cheapest(
    offer: &Offer<'_>,
    stretches: &[Stretch],
    party: Party,
    smallest: u32,
) -> Option<Groups> {
    let (groups_max, smallest) = match Fewest::of(stretches, party.count) {
        Some(fewest) if party.accessible == 0 => (fewest.groups, fewest.smallest),
        // Accessible seats may split groups that could be one. How many is not known, but a
        // bound is needed.
        Some(fewest) => (fewest.groups + party.accessible, smallest),
        None => (party.count, smallest),
    };
    let mut candidates = candidates(offer, stretches, party, smallest..=party.count);
    keep_best(&mut candidates, groups_max);
    candidates.sort_unstable_by_key(|candidate| candidate.stretch);
    let mut picks = Picks::new(party);
    for of_one in candidates.chunk_by(|a, b| a.stretch == b.stretch) {
        picks.extend(of_one);
    }
    picks.all(party)
}

/// A block that may be picked, and the stretch that it is in.
struct Candidate {
    stretch: usize,
    block: Block,
}

/// Of each stretch, for each size and number of accessible seats, the cheapest block.
fn candidates(
    offer: &Offer<'_>,
    stretches: &[Stretch],
    party: Party,
    sizes: RangeInclusive<u32>,
) -> Vec<Candidate> {
    let mut candidates = Vec::new();
    let mut cheapest: Vec<Option<Block>> = vec![None; party.accessible as usize + 1];
    for (stretch, within) in stretches.iter().enumerate() {
        let fits = |size: &u32| *size <= within.size();
        for size in sizes.clone().take_while(fits) {
            for mut block in offer.blocks(within, size) {
                if block.accessible == size && party.count > party.accessible {
                    block.cost.without_company = size;
                }
                if let Some(known) = cheapest.get_mut(block.accessible as usize) {
                    *known = Some(known.map_or(block, |known| known.min(block)));
                }
            }
            let found = cheapest.iter_mut().filter_map(Option::take);
            candidates.extend(found.map(|block| Candidate { stretch, block }));
        }
    }
    candidates
}

/// Keeps `groups_max` of each size and number of accessible seats. With as many of a kind as there
/// are groups, one is in a stretch that no other group needs: a dearer one is never picked.
fn keep_best(candidates: &mut Vec<Candidate>, groups_max: u32) {
    candidates
        .sort_unstable_by_key(|Candidate { block, .. }| (block.size, block.accessible, *block));
    let mut kind = (0, 0);
    let mut kept = 0;
    candidates.retain(|Candidate { block, .. }| {
        kept = if kind == (block.size, block.accessible) {
            kept + 1
        } else {
            1
        };
        kind = (block.size, block.accessible);
        kept <= groups_max
    });
}

/// The cheapest picks so far for each part of a party.
struct Picks {
    accessible_max: u32,
    /// By how many people, and how many of them need an accessible seat, with the last pick.
    best: Vec<Option<(Cost, Option<usize>)>>,
    /// Every pick, and the one before it.
    picked: Vec<(Block, Option<usize>)>,
}

impl Picks {
    fn new(party: Party) -> Self {
        let parts = (party.count + 1) * (party.accessible + 1);
        let mut best = vec![None; parts as usize];
        best[0] = Some((Cost::default(), None));
        Self {
            accessible_max: party.accessible,
            best,
            picked: Vec::new(),
        }
    }

    /// Adds one of these candidates, or none, wherever that is cheaper.
    fn extend(&mut self, of_one_stretch: &[Candidate]) {
        // From the largest part down, so that no part has two blocks of this stretch.
        for part in (1..self.best.len()).rev() {
            for Candidate { block, .. } in of_one_stretch {
                let Some((before, last)) = self.without(part, block) else {
                    continue;
                };
                let cost = before.and(block.cost);
                if self.best[part].is_none_or(|(known, _)| cost < known) {
                    self.best[part] = Some((cost, Some(self.picked.len())));
                    self.picked.push((*block, last));
                }
            }
        }
    }

    /// The cheapest picks for a part of the party but those in the block.
    fn without(&self, part: usize, block: &Block) -> Option<(Cost, Option<usize>)> {
        let width = self.accessible_max as usize + 1;
        let count = (part / width).checked_sub(block.size as usize)?;
        let accessible = (part % width).checked_sub(block.accessible as usize)?;
        self.best[count * width + accessible]
    }

    /// The cheapest for the whole party.
    fn all(&self, party: Party) -> Option<Groups> {
        let width = party.accessible + 1;
        let whole = party.count * width + party.accessible;
        let (cost, mut last) = self.best[whole as usize]?;
        let mut places = Vec::with_capacity(party.count as usize);
        while let Some((block, before)) = last.and_then(|last| self.picked.get(last)) {
            places.extend(block.places());
            last = *before;
        }
        Some(Groups { cost, places })
    }
}
