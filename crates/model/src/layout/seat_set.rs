//! A set of seats by position: a bit each, and nothing at all where it is empty.

#[derive(Debug, Default)]
pub(super) struct SeatSet(Box<[u64]>);

impl SeatSet {
    pub(super) fn contains(&self, position: u32) -> bool {
        let word = self.0.get(position as usize / 64);
        word.is_some_and(|word| word >> (position % 64) & 1 == 1)
    }

    /// Adds a seat of a layout with `seat_count` seats; returns whether it was new.
    pub(super) fn insert(&mut self, position: u32, seat_count: u32) -> bool {
        if self.0.is_empty() {
            self.0 = vec![0; (seat_count as usize).div_ceil(64)].into();
        }
        let Some(word) = self.0.get_mut(position as usize / 64) else {
            return false;
        };
        let bit = 1 << (position % 64);
        let is_new = *word & bit == 0;
        *word |= bit;
        is_new
    }

    /// Ascending.
    pub(super) fn iter(&self) -> impl Iterator<Item = u32> {
        (0..).zip(&self.0).flat_map(|(index, word)| {
            (0..64)
                .filter(move |bit| word >> bit & 1 == 1)
                .map(move |bit| index * 64 + bit)
        })
    }

    /// Bytes on the heap.
    pub(super) fn weight(&self) -> usize {
        size_of_val(&*self.0)
    }
}
