//! The index from labels to positions: some nine bytes a seat, and no label in memory.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::LazyLock;

/// Keyed at random, so that nobody can choose labels that collide.
static HASHER: LazyLock<RandomState> = LazyLock::new(RandomState::new);

/// How many seats a bucket has on average: they fit a line of the processor's cache.
const SEATS_PER_BUCKET: usize = 8;

/// Looks seats up by label.
#[derive(Debug)]
pub(super) struct LabelIndex {
    /// A label's hash in the upper half, its seat's position in the lower; ascending.
    entries: Box<[u64]>,
    /// Where each bucket ends; hashes fall into buckets of the same width.
    ends: Box<[u32]>,
}

impl LabelIndex {
    /// Of these entries, made by [`entry`].
    pub(super) fn new(mut entries: Vec<u64>) -> Self {
        entries.sort_unstable();
        let mut ends = vec![0; entries.len().div_ceil(SEATS_PER_BUCKET)];
        let buckets = ends.len();
        for (end, entry) in (1..).zip(&entries) {
            ends[bucket(*entry, buckets)] = end;
        }
        let mut end = 0;
        for of_bucket in &mut ends {
            end = end.max(*of_bucket);
            *of_bucket = end;
        }
        Self {
            entries: entries.into(),
            ends: ends.into(),
        }
    }

    /// The positions of seats that may have this label; others cannot.
    pub(super) fn candidates(&self, label: &str) -> impl Iterator<Item = u32> {
        let wanted = entry(label, 0);
        let bucket = bucket(wanted, self.ends.len());
        let end_of = |bucket: usize| self.ends.get(bucket).map_or(0, |end| *end as usize);
        let found = self
            .entries
            .get(bucket.checked_sub(1).map_or(0, end_of)..end_of(bucket));
        let found = found.unwrap_or_default().iter();
        found
            .filter(move |entry| *entry >> 32 == wanted >> 32)
            .map(|entry| position(*entry))
    }

    /// The positions of seats whose labels may be the same, group by group.
    pub(super) fn suspects(&self) -> impl Iterator<Item = Vec<u32>> {
        let groups = self.entries.chunk_by(|a, b| a >> 32 == b >> 32);
        groups
            .filter(|group| group.len() > 1)
            .map(|group| group.iter().map(|entry| position(*entry)).collect())
    }

    /// Bytes on the heap.
    pub(super) fn weight(&self) -> usize {
        size_of_val(&*self.entries) + size_of_val(&*self.ends)
    }
}

/// The entry of a seat in a [`LabelIndex`].
pub(super) fn entry(label: &str, position: u32) -> u64 {
    HASHER.hash_one(label) >> 32 << 32 | u64::from(position)
}

fn bucket(entry: u64, buckets: usize) -> usize {
    usize::try_from(((entry >> 32) * buckets as u64) >> 32).unwrap_or_default()
}

fn position(entry: u64) -> u32 {
    u32::try_from(entry & u64::from(u32::MAX)).unwrap_or_default()
}
