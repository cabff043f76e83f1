//! How many rejections are stored. A stampede is rejected a hundred thousand times within seconds, and
//! each of these calls may have a request id: stored without a bound, the rows would cost most just
//! when there is least time, and fill the disk.
//!
//! A rejection beyond the bound is still answered. A replay of its call is decided again.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::domain::{Command, Order, StoredRejection};

const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(86_400);

/// How many rejections a process stores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RejectionLimits {
    /// The most at once, after a pause.
    pub burst_max: u32,
    /// In a second, on the whole.
    pub per_second: u32,
    /// The most in a day. They are kept for a day, so at most twice as many exist at a time.
    pub per_day: u32,
}

impl Default for RejectionLimits {
    /// A burst costs the database a second or two; a day's rows have some hundred megabytes.
    fn default() -> Self {
        Self {
            burst_max: 10_000,
            per_second: 1_000,
            per_day: 1_000_000,
        }
    }
}

/// The tokens that are left.
#[derive(Debug)]
pub(super) struct RejectionBudget(Mutex<[Bucket; 2]>);

/// A token bucket.
#[derive(Debug, Clone, Copy)]
struct Bucket {
    /// How long one takes.
    interval: Duration,
    /// How long all of them do.
    full: Duration,
    /// The tokens that there are, as the time that they took.
    credit: Duration,
    at: Instant,
}

impl Bucket {
    /// A full one.
    fn new(tokens: u32, interval: Duration) -> Self {
        let full = interval * tokens;
        Self {
            interval,
            full,
            credit: full,
            at: Instant::now(),
        }
    }

    /// How many tokens there are now.
    fn tokens(&mut self, now: Instant) -> u128 {
        let passed = now.saturating_duration_since(self.at);
        self.credit = (self.credit + passed).min(self.full);
        self.at = now;
        self.credit.as_nanos() / self.interval.as_nanos().max(1)
    }

    fn spend(&mut self, tokens: u32) {
        self.credit = self.credit.saturating_sub(self.interval * tokens);
    }
}

impl RejectionBudget {
    pub(super) fn new(limits: RejectionLimits) -> Self {
        let RejectionLimits {
            burst_max,
            per_second,
            per_day,
        } = limits;
        Self(Mutex::new([
            Bucket::new(burst_max, SECOND / per_second.max(1)),
            Bucket::new(per_day, DAY / per_day.max(1)),
        ]))
    }

    /// Removes from the rejections to be stored for `orders` those beyond the limits. The end of an
    /// attempt to pay is always stored.
    pub(super) fn apply(&self, orders: &[Order], rejections: &mut Vec<StoredRejection>) {
        if rejections.is_empty() {
            return;
        }
        let wanted = rejections.len();
        let mut left = self.take(wanted);
        if left == wanted {
            return;
        }
        let is_settled = |order: &&Order| matches!(order.command, Command::Settle(_));
        let settled: HashSet<_> = orders.iter().filter(is_settled).map(Order::key).collect();
        rejections.retain(|rejection| {
            let must = settled.contains(&(rejection.show_id, rejection.request_id));
            let may = left > 0;
            if !must {
                left = left.saturating_sub(1);
            }
            must || may
        });
        let left_out = wanted - rejections.len();
        tracing::warn!(left_out, "there are more rejections than are stored");
    }

    /// Takes up to `wanted` tokens; returns how many it took.
    fn take(&self, wanted: usize) -> usize {
        let now = Instant::now();
        // A panic cannot leave it half changed.
        let mut buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let there = buckets.iter_mut().map(|bucket| bucket.tokens(now)).min();
        let there = usize::try_from(there.unwrap_or(0)).unwrap_or(usize::MAX);
        let taken = wanted.min(there);
        let tokens = u32::try_from(taken).unwrap_or(u32::MAX);
        buckets.iter_mut().for_each(|bucket| bucket.spend(tokens));
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: RejectionLimits = RejectionLimits {
        burst_max: 100,
        per_second: 10,
        per_day: 1_000,
    };

    #[tokio::test(start_paused = true)]
    async fn a_burst_is_stored_and_then_a_fixed_rate() {
        let budget = RejectionBudget::new(LIMITS);
        assert_eq!(budget.take(60), 60);
        assert_eq!(budget.take(60), 40);
        assert_eq!(budget.take(1), 0);
        tokio::time::advance(Duration::from_millis(250)).await;
        assert_eq!(budget.take(10), 2);
        tokio::time::advance(SECOND * 60).await;
        assert_eq!(budget.take(1_000), 100, "no more than a burst is saved up");
    }

    #[tokio::test(start_paused = true)]
    async fn a_day_has_its_own_limit() {
        let budget = RejectionBudget::new(LIMITS);
        let mut stored = 0;
        for _ in 0..1_000 {
            stored += budget.take(100);
            tokio::time::advance(SECOND * 10).await;
        }
        // The tokens that came back meanwhile, besides the first thousand.
        let back = 1_000 * 10_000 / 86_400;
        assert!(
            (1_000 + back - 2..=1_000 + back).contains(&stored),
            "{stored}"
        );
        tokio::time::advance(DAY).await;
        assert_eq!(budget.take(1_000), 100);
    }

    #[test]
    fn limits_of_nothing_store_nothing() {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        let _guard = runtime.as_ref().expect("a runtime").enter();
        let budget = RejectionBudget::new(RejectionLimits {
            burst_max: 0,
            per_second: 0,
            per_day: 0,
        });
        assert_eq!(budget.take(5), 0);
    }
}
