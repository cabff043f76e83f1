//! Several choices at once, in one hall: all of them or none.

use serde::{Deserialize, Serialize};

use super::{FreeSeats, Hall, Seating, Wish, choose};

/// The first choice that cannot be met together with those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unmet {
    /// Its place among the wishes.
    pub wish: usize,
    /// For how many people it could be met: 0 to [`super::PARTY_MAX`].
    pub largest_party: u8,
}

/// The best of the free seats for several choices, one after another: the ordinals of all of them,
/// ascending. Choices with more requirements than a number go first, since others can make do with
/// the rest; then the larger parties.
///
/// # Errors
///
/// [`Unmet`], if one cannot be met that way.
pub fn choose_all(hall: &Hall, mut free: FreeSeats, wishes: &[Wish]) -> Result<Vec<u32>, Unmet> {
    let mut in_turn: Vec<_> = wishes.iter().enumerate().collect();
    in_turn.sort_by_key(|(_, wish)| (u8::MAX - demands(wish), u8::MAX - wish.count.get()));
    let mut all = Vec::new();
    for (at, wish) in in_turn {
        let chosen = choose(hall, &free, wish).map_err(|no| Unmet {
            wish: at,
            largest_party: no.largest_party,
        })?;
        chosen.iter().for_each(|ordinal| free.remove(*ordinal));
        all.extend(chosen);
    }
    all.sort_unstable();
    Ok(all)
}

/// The number of a choice's requirements besides its size.
fn demands(wish: &Wish) -> u8 {
    let demands = [
        wish.accessible > 0,
        wish.section.is_some(),
        !wish.tiers.is_empty(),
        wish.price_max.is_some(),
        wish.seating == Seating::Together,
    ];
    demands.into_iter().map(u8::from).sum()
}
