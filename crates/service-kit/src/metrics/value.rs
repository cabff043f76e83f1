//! What is counted: by relaxed atomics, as nobody decides anything by it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// The most bounds of a histogram.
const BOUNDS_MAX: usize = 16;
/// What a histogram's sum is kept in: millionths.
const MICRO: f64 = 1e6;

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Nothing was counted yet.
    #[must_use]
    pub const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// Counts one more.
    pub fn increment(&self) {
        self.add(1);
    }

    /// Counts so many more.
    pub fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    /// How many there were.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A number that goes up and down, and may not be known yet.
#[derive(Debug)]
pub struct Gauge(AtomicU64);

impl Gauge {
    /// Not known yet.
    #[must_use]
    pub const fn unknown() -> Self {
        Self(AtomicU64::new(f64::NAN.to_bits()))
    }

    /// What it is now.
    pub fn set(&self, value: f64) {
        self.0.store(value.to_bits(), Ordering::Relaxed);
    }

    /// What it was set to last, if it ever was.
    #[must_use]
    pub fn get(&self) -> Option<f64> {
        let value = f64::from_bits(self.0.load(Ordering::Relaxed));
        (!value.is_nan()).then_some(value)
    }
}

/// Counters by `N` labels, whose values are the program's own words and therefore few. Counting takes
/// a lock: this is for what happens seldom, not for what every call does.
#[derive(Debug)]
pub struct CounterBy<const N: usize>(Mutex<BTreeMap<[&'static str; N], u64>>);

impl<const N: usize> CounterBy<N> {
    /// Nothing was counted yet.
    #[must_use]
    pub const fn new() -> Self {
        Self(Mutex::new(BTreeMap::new()))
    }

    /// Counts so many more; with none the series is there from then on, so that its first increase is
    /// seen as one.
    pub fn add(&self, labels: [&'static str; N], count: u64) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.entry(labels).or_default() += count;
    }

    /// All counts.
    #[must_use]
    pub fn counts(&self) -> BTreeMap<[&'static str; N], u64> {
        let counts = self.0.lock();
        counts.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl<const N: usize> Default for CounterBy<N> {
    fn default() -> Self {
        Self::new()
    }
}

/// How many observations there were up to each of some bounds. The client library's own takes a lock
/// for each observation; this takes two atomic additions.
#[derive(Debug)]
pub struct Histogram {
    bounds: &'static [f64],
    /// By the first bound that is not below; the last one is for what is above all of them.
    buckets: [AtomicU64; BOUNDS_MAX + 1],
    sum_micros: AtomicU64,
}

/// A histogram at one time.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Snapshot {
    /// The upper bound of each bucket, and how many observations are in it and in no lower one.
    pub(super) buckets: Vec<(f64, u64)>,
    pub(super) sum: f64,
}

impl Histogram {
    /// A histogram with these bounds, ascending, at most 16 of them.
    ///
    /// # Panics
    ///
    /// If there are more; in a static that does not compile.
    #[must_use]
    pub const fn new(bounds: &'static [f64]) -> Self {
        assert!(bounds.len() <= BOUNDS_MAX, "too many bounds");
        Self {
            bounds,
            buckets: [const { AtomicU64::new(0) }; BOUNDS_MAX + 1],
            sum_micros: AtomicU64::new(0),
        }
    }

    /// Counts an observation; what is below 0 counts as 0.
    pub fn observe(&self, value: f64) {
        let value = value.max(0.0);
        // The bounds are few and most observations small: this is faster than halving.
        let bucket = self.bounds.iter().position(|bound| value <= *bound);
        let bucket = bucket.unwrap_or(self.bounds.len());
        self.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        // Above 2^64 it is as large as can be.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let micros = (value * MICRO).round() as u64;
        self.sum_micros.fetch_add(micros, Ordering::Relaxed);
    }

    /// Counts how long something took, in seconds.
    pub fn observe_time(&self, took: Duration) {
        self.observe(took.as_secs_f64());
    }

    /// How many observations there were.
    #[must_use]
    pub fn count(&self) -> u64 {
        let each = self.buckets.iter();
        each.map(|count| count.load(Ordering::Relaxed)).sum()
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        let bounds = self.bounds.iter().copied().chain([f64::INFINITY]);
        let counts = self.buckets.iter().map(|it| it.load(Ordering::Relaxed));
        // A sum of millionths has as many digits as anybody reads.
        #[expect(clippy::cast_precision_loss)]
        let sum = self.sum_micros.load(Ordering::Relaxed) as f64 / MICRO;
        Snapshot {
            buckets: bounds.zip(counts).collect(),
            sum,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_observation_is_in_the_first_bucket_that_it_fits_into() {
        let histogram = Histogram::new(&[0.1, 1.0]);
        for value in [-1.0, 0.1, 0.2, 1.0, 7.5] {
            histogram.observe(value);
        }
        histogram.observe_time(Duration::from_millis(50));
        let Snapshot { buckets, sum } = histogram.snapshot();
        assert_eq!(buckets, [(0.1, 3), (1.0, 2), (f64::INFINITY, 1)]);
        assert!((sum - 8.85).abs() < 1e-9, "{sum}");
        assert_eq!(histogram.count(), 6);
    }

    #[test]
    fn a_gauge_is_unknown_until_it_is_set() {
        let gauge = Gauge::unknown();
        assert_eq!(gauge.get(), None);
        gauge.set(-2.5);
        assert_eq!(gauge.get(), Some(-2.5));
    }

    #[test]
    fn what_was_counted_by_none_is_there() {
        let counts = CounterBy::new();
        counts.add(["a"], 0);
        counts.add(["b"], 2);
        counts.add(["b"], 1);
        assert_eq!(
            counts.counts().into_iter().collect::<Vec<_>>(),
            [(["a"], 0), (["b"], 3)]
        );
    }
}
