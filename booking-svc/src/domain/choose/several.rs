//! Several wishes at once, in one hall: all of them or none.

use serde::{Deserialize, Serialize};

use super::{FreeSeats, Hall, Seating, Wish, choose};

/// The first wish that cannot be met beside those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unmet {
    /// Its place among the wishes.
    pub wish: usize,
    /// For how many people it could be met: 0 to [`super::PARTY_MAX`].
    pub largest_party: u8,
}

/// The best of the free seats for wishes, one after another: the ordinals of all of them,
/// ascending. Those go first that ask for more than a number, since others can make do with
/// what these leave; then the larger parties.
///
/// # Errors
///
/// [`Unmet`], if one cannot be met so.
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

/// How much a wish asks for beside a number.
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
