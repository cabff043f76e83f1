//! Repeatable random choices: the same seed gives the same ones.

/// SplitMix64.
#[derive(Debug, Clone)]
pub(super) struct Dice(u64);

impl Dice {
    /// The dice of one customer of a run.
    pub(super) fn new(seed: u64, customer: usize) -> Self {
        let mut of_run = Self(seed);
        let of_customer = of_run.throw() ^ customer as u64;
        Self(of_customer)
    }

    fn throw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// 0 to below `end`.
    pub(super) fn below(&mut self, end: usize) -> usize {
        let end = u64::try_from(end.max(1)).expect("64 bits hold it");
        usize::try_from(self.throw() % end).expect("it is below a usize")
    }

    /// True in `percent` of a hundred cases.
    pub(super) fn percent(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// One of these.
    pub(super) fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }

    /// One of the last few of these, as recent ones are contended most.
    pub(super) fn pick_recent<T: Clone>(&mut self, of: &[T], few: usize) -> Option<T> {
        let from = of.len().saturating_sub(few);
        let recent = &of[from..];
        (!recent.is_empty()).then(|| self.pick(recent).clone())
    }

    /// `count` different ones of these, or all.
    pub(super) fn some<T: Clone>(&mut self, of: &[T], count: usize) -> Vec<T> {
        let mut left = of.to_vec();
        let count = count.min(left.len());
        (0..count)
            .map(|_| left.swap_remove(self.below(left.len())))
            .collect()
    }

    /// A UUID, the same for the same seed.
    pub(super) fn uuid(&mut self) -> uuid::Uuid {
        uuid::Builder::from_random_bytes(
            (u128::from(self.throw()) << 64 | u128::from(self.throw())).to_be_bytes(),
        )
        .into_uuid()
    }
}
