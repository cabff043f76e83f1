//! The index from labels to positions: eight bytes a seat, and no label in memory.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::LazyLock;

/// Keyed by chance, so that nobody can write labels that collide.
static HASHER: LazyLock<RandomState> = LazyLock::new(RandomState::new);

/// A label's hash in the upper half, its seat's position in the lower; ascending.
#[derive(Debug)]
pub(super) struct LabelIndex(Box<[u64]>);

impl LabelIndex {
    /// Of these entries, made by [`entry`].
    pub(super) fn new(mut entries: Vec<u64>) -> Self {
        entries.sort_unstable();
        Self(entries.into())
    }

    /// The positions of seats that may have this label; others cannot.
    pub(super) fn candidates(&self, label: &str) -> impl Iterator<Item = u32> {
        let hash = entry(label, 0) >> 32;
        let from = self.0.partition_point(|entry| entry >> 32 < hash);
        let found = self.0.get(from..).unwrap_or_default().iter();
        found
            .take_while(move |entry| *entry >> 32 == hash)
            .map(|entry| position(*entry))
    }

    /// The positions of seats whose labels may be the same, group by group.
    pub(super) fn suspects(&self) -> impl Iterator<Item = Vec<u32>> {
        let groups = self.0.chunk_by(|a, b| a >> 32 == b >> 32);
        groups
            .filter(|group| group.len() > 1)
            .map(|group| group.iter().map(|entry| position(*entry)).collect())
    }

    /// Bytes on the heap.
    pub(super) fn weight(&self) -> usize {
        size_of_val(&*self.0)
    }
}

/// What a [`LabelIndex`] has of a seat.
pub(super) fn entry(label: &str, position: u32) -> u64 {
    HASHER.hash_one(label) >> 32 << 32 | u64::from(position)
}

fn position(entry: u64) -> u32 {
    u32::try_from(entry & u64::from(u32::MAX)).unwrap_or_default()
}
