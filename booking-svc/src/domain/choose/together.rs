//! Seats next to each other.

use std::ops::Range;

use super::offer::Offer;
use super::{Block, Party};

/// The best seats next to each other: leaving as few orphans as can be, then the nearest.
pub(super) fn nearest(offer: &Offer<'_>, party: Party) -> Option<Range<u32>> {
    let mut best: Option<Block> = None;
    for run in offer.hall.nearest_runs() {
        let at_least = u64::from(party.count) * run.nearest;
        let is_settled = |best: &Block| best.cost.orphans == 0 && best.cost.distance < at_least;
        if best.as_ref().is_some_and(is_settled) {
            break;
        }
        for stretch in offer.stretches_of(run) {
            let blocks = offer.blocks(&stretch, party.count);
            let fitting = blocks.filter(|block| block.accessible == party.accessible);
            best = best.into_iter().chain(fitting).min();
        }
    }
    best.map(|best| best.places())
}
