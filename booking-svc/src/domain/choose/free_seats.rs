//! A set of seats by ordinal: a bit each.

/// The available seats of a show, by ordinal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FreeSeats(Box<[u64]>);

impl FreeSeats {
    /// An empty set for ordinals below `ordinal_count`.
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

    /// Adds a seat. An ordinal above the set's capacity is ignored.
    pub fn insert(&mut self, ordinal: u32) {
        if let Some(word) = self.0.get_mut(ordinal as usize / 64) {
            *word |= 1 << (ordinal % 64);
        }
    }

    /// Removes a seat, if it is in the set.
    pub fn remove(&mut self, ordinal: u32) {
        if let Some(word) = self.0.get_mut(ordinal as usize / 64) {
            *word &= !(1 << (ordinal % 64));
        }
    }

    /// Takes out all seats of another.
    pub fn remove_all(&mut self, others: &Self) {
        for (word, others) in self.0.iter_mut().zip(&others.0) {
            *word &= !others;
        }
    }

    /// Adds all seats of another set, except those above this one's capacity.
    pub fn insert_all(&mut self, others: &Self) {
        for (word, others) in self.0.iter_mut().zip(&others.0) {
            *word |= others;
        }
    }

    /// Whether a seat is in it.
    #[must_use]
    pub fn contains(&self, ordinal: u32) -> bool {
        let word = self.0.get(ordinal as usize / 64);
        word.is_some_and(|word| word >> (ordinal % 64) & 1 == 1)
    }

    /// Takes all seats out.
    pub fn clear(&mut self) {
        self.0.fill(0);
    }

    /// Roughly the bytes that it takes in memory, for caches.
    #[must_use]
    pub fn weight(&self) -> u64 {
        (size_of::<Self>() + size_of_val(&*self.0)) as u64
    }

    /// Whether it is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|word| *word == 0)
    }

    /// How many are in it.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.0.iter().map(|word| word.count_ones()).sum()
    }
}
