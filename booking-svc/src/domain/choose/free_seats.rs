//! A set of seats by ordinal: a bit each.

/// The seats of a show that can be had, by ordinal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FreeSeats(Box<[u64]>);

impl FreeSeats {
    /// None of the seats with an ordinal below `ordinal_count`.
    #[must_use]
    pub fn none(ordinal_count: u32) -> Self {
        Self(vec![0; (ordinal_count as usize).div_ceil(64)].into())
    }

    /// All seats with an ordinal below `ordinal_count`.
    #[must_use]
    pub fn all(ordinal_count: u32) -> Self {
        let mut all = Self::none(ordinal_count);
        (0..ordinal_count).for_each(|ordinal| all.insert(ordinal));
        all
    }

    /// Adds a seat. One above those that it was made for is left out.
    pub fn insert(&mut self, ordinal: u32) {
        if let Some(word) = self.0.get_mut(ordinal as usize / 64) {
            *word |= 1 << (ordinal % 64);
        }
    }

    /// Takes a seat out, if it is there.
    pub fn remove(&mut self, ordinal: u32) {
        if let Some(word) = self.0.get_mut(ordinal as usize / 64) {
            *word &= !(1 << (ordinal % 64));
        }
    }

    /// Whether a seat is in it.
    #[must_use]
    pub fn contains(&self, ordinal: u32) -> bool {
        let word = self.0.get(ordinal as usize / 64);
        word.is_some_and(|word| word >> (ordinal % 64) & 1 == 1)
    }

    /// How many are in it.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.0.iter().map(|word| word.count_ones()).sum()
    }
}
