//! Counts the calls of callers, of so many callers at once at most.
//!
//! When it is full it forgets those who have made no call for so long that they may make as many as
//! they ever may. If there are none it takes no new one: whoever can appear as many callers must not
//! have the others forgotten.

use std::fmt;
use std::hash::Hash;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use governor::clock::{Clock, Reference};
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::keyed::{HashMapStateStore, ShrinkableKeyedStateStore};
use governor::state::{InMemoryState, StateStore};
use governor::{Quota, RateLimiter};

/// How often it looks for callers to forget while it is full: it looks at all of them.
const FORGET_INTERVAL: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

/// Why a call is not allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NotAllowed {
    /// Its caller may make the next one after this time.
    Until(Duration),
    /// Its caller is new, and there is no room for one more.
    NoRoom,
}

/// What is counted, of which the limiter and its library have one each.
struct Counted<K>(Arc<HashMapStateStore<K>>);

pub(super) struct Limiter<K: Clone + Hash + Eq, C: Clock> {
    limiter: RateLimiter<K, Counted<K>, C, NoOpMiddleware<C::Instant>>,
    counted: Arc<HashMapStateStore<K>>,
    callers_max: usize,
    clock: C,
    /// When it last looked for callers to forget.
    forgot_at: Mutex<Option<C::Instant>>,
}

impl<K: Clone + Hash + Eq, C: Clock + Clone> Limiter<K, C> {
    /// So many calls a minute, and after a pause the calls of `burst` at once.
    pub(super) fn new(
        per_minute: NonZeroU32,
        burst: Duration,
        callers_max: usize,
        clock: C,
    ) -> Self {
        let counted = Arc::new(HashMapStateStore::default());
        let store = Counted(Arc::clone(&counted));
        Self {
            limiter: RateLimiter::new(quota(per_minute, burst), store, clock.clone()),
            counted,
            callers_max,
            clock,
            forgot_at: Mutex::new(None),
        }
    }

    /// Counts a call, if it is allowed.
    pub(super) fn check(&self, caller: &K) -> Result<(), NotAllowed> {
        if !(self.is_counted(caller) || self.forget() && self.is_counted(caller)) {
            return Err(NotAllowed::NoRoom);
        }
        let checked = self.limiter.check_key(caller);
        checked.map_err(|not_until| NotAllowed::Until(not_until.wait_time_from(self.clock.now())))
    }

    /// Whether the calls of a caller are counted, from now on if there is room. Two locks for a call
    /// rather than one: a caller that is forgotten in between goes over the most for a moment.
    fn is_counted(&self, caller: &K) -> bool {
        let mut counted = self.counted.lock();
        if counted.contains_key(caller) {
            return true;
        }
        let has_room = counted.len() < self.callers_max;
        if has_room {
            counted.insert(caller.clone(), InMemoryState::default());
        }
        has_room
    }

    /// Forgets those who have paused for long enough, unless it has done so lately.
    fn forget(&self) -> bool {
        let now = self.clock.now();
        let mut forgot_at = self
            .forgot_at
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let interval = Nanos::from(FORGET_INTERVAL);
        if forgot_at.is_some_and(|at| now.duration_since(at) < interval) {
            return false;
        }
        *forgot_at = Some(now);
        self.limiter.retain_recent();
        true
    }
}

/// The calls of a minute, spread evenly, and those of `burst` at once, one at least.
fn quota(per_minute: NonZeroU32, burst: Duration) -> Quota {
    let at_once = u64::from(per_minute.get()) * burst.as_secs() / MINUTE.as_secs();
    let at_once = u32::try_from(at_once).unwrap_or(u32::MAX);
    Quota::per_minute(per_minute).allow_burst(NonZeroU32::new(at_once).unwrap_or(NonZeroU32::MIN))
}

impl<K: Clone + Hash + Eq> StateStore for Counted<K> {
    type Key = K;

    fn measure_and_replace<T, F, E>(&self, key: &K, decide: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        self.0.measure_and_replace(key, decide)
    }
}

impl<K: Clone + Hash + Eq> ShrinkableKeyedStateStore<K> for Counted<K> {
    fn retain_recent(&self, drop_below: Nanos) {
        self.0.retain_recent(drop_below);
    }

    fn len(&self) -> usize {
        self.0.lock().len()
    }

    fn is_empty(&self) -> bool {
        self.0.lock().is_empty()
    }
}

impl<K: Clone + Hash + Eq, C: Clock> fmt::Debug for Limiter<K, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Limiter").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use governor::clock::FakeRelativeClock;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn limiter(
        per_minute: u32,
        burst: Duration,
        callers_max: usize,
    ) -> (Limiter<u32, FakeRelativeClock>, FakeRelativeClock) {
        let clock = FakeRelativeClock::default();
        // An instant of 0 is one that the library takes for none.
        clock.advance(SECOND);
        let per_minute = NonZeroU32::new(per_minute).expect("a limit");
        (
            Limiter::new(per_minute, burst, callers_max, clock.clone()),
            clock,
        )
    }

    #[test]
    fn a_caller_makes_a_minutes_calls_at_once_and_the_next_when_it_was_told() {
        let (limiter, clock) = limiter(6, MINUTE, 10);
        for _ in 0..6 {
            assert_eq!(limiter.check(&1), Ok(()));
        }
        let refused = Err(NotAllowed::Until(10 * SECOND));
        assert_eq!(limiter.check(&1), refused);
        assert_eq!(limiter.check(&2), Ok(()), "another caller");
        clock.advance(4 * SECOND);
        let refused = Err(NotAllowed::Until(6 * SECOND));
        assert_eq!(limiter.check(&1), refused, "a refusal costs nothing");
        clock.advance(6 * SECOND);
        assert_eq!(limiter.check(&1), Ok(()));
        assert!(limiter.check(&1).is_err());
    }

    #[test]
    fn a_burst_shorter_than_the_time_of_a_call_is_one_call() {
        let (limiter, _) = limiter(6, SECOND, 10);
        assert_eq!(limiter.check(&1), Ok(()));
        assert!(limiter.check(&1).is_err());
    }

    #[test]
    fn no_caller_is_forgotten_for_another_one_until_it_has_paused() {
        let (limiter, clock) = limiter(1, MINUTE, 2);
        for caller in [1, 2] {
            assert_eq!(limiter.check(&caller), Ok(()));
        }
        assert_eq!(limiter.check(&3), Err(NotAllowed::NoRoom));
        clock.advance(30 * SECOND);
        let refused = Err(NotAllowed::Until(30 * SECOND));
        assert_eq!(limiter.check(&1), refused, "it is not forgotten");
        assert_eq!(limiter.check(&3), Err(NotAllowed::NoRoom));
        assert_eq!(limiter.counted.lock().len(), 2);
        clock.advance(120 * SECOND);
        assert_eq!(limiter.check(&3), Ok(()));
        assert_eq!(limiter.counted.lock().len(), 1, "the others have paused");
    }

    #[test]
    fn it_does_not_look_at_all_callers_for_each_new_one() {
        let (limiter, clock) = limiter(60, SECOND, 1);
        assert_eq!(limiter.check(&1), Ok(()));
        clock.advance(Duration::from_millis(1_500));
        assert_eq!(limiter.check(&2), Err(NotAllowed::NoRoom));
        clock.advance(FORGET_INTERVAL - Duration::from_millis(1));
        let has_just_looked = Err(NotAllowed::NoRoom);
        assert_eq!(limiter.check(&2), has_just_looked, "1 could be forgotten");
        clock.advance(Duration::from_millis(1));
        assert_eq!(limiter.check(&2), Ok(()));
    }
}
