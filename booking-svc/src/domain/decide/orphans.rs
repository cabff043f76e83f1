//! The orphan rule: which orphans a choice of seats by label leaves.

use model::ShowId;

use super::{Batch, NotGranted, refused};
use crate::domain::booking::HeldSeat;
use crate::domain::choice::Surroundings;
use crate::domain::choose::{FreeSeats, avoidable_orphans, orphans_left};
use crate::domain::rejection::Rejection;
use crate::domain::sale::{OrphanRule, Sale};

/// The seats of an order, as the rule sees them.
pub(super) struct Taking<'a> {
    /// All that it takes, by ordinal, ascending.
    pub(super) ordinals: &'a [u32],
    /// The seats that were picked, not named.
    pub(super) picked: &'a [u32],
    /// The seats that it returns in exchange.
    pub(super) given: &'a [HeldSeat],
}

impl Batch {
    /// The ordinals of the orphans that an order leaves, ascending. Nothing, if the
    /// show's rule does not ask.
    pub(super) fn orphans_left(
        &self,
        sale: &Sale,
        around: Option<&Surroundings>,
        taking: &Taking<'_>,
    ) -> Result<Vec<u32>, NotGranted> {
        let Some(around) = around else {
            return Ok(Vec::new());
        };
        let Taking {
            ordinals,
            picked,
            given,
        } = taking;
        let mut free = FreeSeats::none(sale.seats.ordinal_count());
        let seen = around.ordinals().iter().copied();
        seen.filter(|ordinal| self.is_vacant(sale.show_id, *ordinal))
            .for_each(|ordinal| free.insert(ordinal));
        given.iter().for_each(|seat| free.insert(seat.ordinal));
        picked.iter().for_each(|ordinal| free.remove(*ordinal));
        let is_named = |ordinal: &u32| picked.binary_search(ordinal).is_err();
        let named: Vec<u32> = ordinals.iter().copied().filter(is_named).collect();
        if sale.terms.orphan_rule == OrphanRule::Strict {
            let avoidable = avoidable_orphans(around.hall(), &free, &named);
            if !avoidable.is_empty() {
                let names = avoidable
                    .into_iter()
                    .filter_map(|ordinal| sale.named(ordinal));
                let labels = names.map(|seat| seat.label.into_owned()).collect();
                return Err(refused(Rejection::OrphanSeats(sale.show_id, labels)));
            }
        }
        Ok(orphans_left(around.hall(), &free, &named))
    }

    /// Whether a seat has no owner, or only an expired hold.
    fn is_vacant(&self, show_id: ShowId, ordinal: u32) -> bool {
        match self.locked.seats.get(&(show_id, ordinal)) {
            None => false,
            Some(None) => true,
            Some(Some(owner)) => self
                .owner(*owner)
                .is_some_and(|owner| owner.has_lapsed(self.now)),
        }
    }
}
