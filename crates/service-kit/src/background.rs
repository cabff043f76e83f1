//! The loop for a process's periodic work: a step, a pause, and after a failure another
//! attempt.
//!
//! Invariant: a failure is logged when it begins, and again only if it turns out to be worse; its
//! end is logged once. So an outage does not fill the log, and a fault does not hide in it.

use std::collections::HashMap;
use std::error::Error;
use std::future::{Future, pending};
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::cause;

/// How long to wait after a first failure.
pub const RETRY_MIN: Duration = Duration::from_millis(100);
/// The longest to wait between two attempts.
pub const RETRY_MAX: Duration = Duration::from_secs(2);

/// How long [`Skipped`] leaves something alone.
const SKIPPED_FOR: Duration = Duration::from_secs(60);
/// The most that it remembers.
const SKIPPED_MAX: usize = 1_000;

/// Why a step failed.
pub trait StepError: Error + 'static {
    /// Whether it is transient, such as when a database or another service is down. Other errors
    /// are logged at level error.
    fn is_outage(&self) -> bool;
}

/// Runs `step` until `stop`. A step returns the pause before the next one.
///
/// A step that has begun is finished: one that can take long must check `stop` itself.
pub async fn run<F, E>(name: &'static str, stop: &CancellationToken, step: impl FnMut() -> F)
where
    F: Future<Output = Result<Duration, E>>,
    E: StepError,
{
    run_woken(name, stop, pending::<()>, step).await;
}

/// [`run`], where `wake` ends a pause early; but not the wait after a failure, which would disappear
/// if there is always news.
pub async fn run_woken<W, F, E>(
    name: &'static str,
    stop: &CancellationToken,
    wake: impl Fn() -> W,
    mut step: impl FnMut() -> F,
) where
    W: Future<Output = ()>,
    F: Future<Output = Result<Duration, E>>,
    E: StepError,
{
    let mut trouble = Trouble::new(name);
    while !stop.is_cancelled() {
        let (rest, failed) = match step().await {
            Ok(rest) => {
                trouble.recovered();
                (rest, false)
            }
            Err(error) => (trouble.failed(&error), true),
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = wake(), if !failed => {}
            () = sleep(rest) => {}
        }
    }
}

/// The failure state of a loop, for loops that cannot use [`run`].
#[derive(Debug)]
pub struct Trouble {
    name: &'static str,
    backoff: Backoff,
    logged: Option<Logged>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Logged {
    Outage,
    Fault,
}

impl Trouble {
    /// No failure so far.
    #[must_use]
    pub fn new(name: &'static str) -> Self {
        Self {
            name,
            backoff: Backoff::new(RETRY_MIN, RETRY_MAX),
            logged: None,
        }
    }

    /// Logs a failure, unless it was logged already, and returns how long to wait before the next attempt.
    pub fn failed(&mut self, error: &impl StepError) -> Duration {
        let (task, cause) = (self.name, cause::chain(error));
        let kind = if error.is_outage() {
            Logged::Outage
        } else {
            Logged::Fault
        };
        if self.logged >= Some(kind) {
            tracing::debug!(task, error = cause, "still failing");
        } else if kind == Logged::Outage {
            tracing::warn!(task, error = cause, "interrupted; trying again");
        } else {
            tracing::error!(task, error = cause, "failed; trying again");
        }
        self.logged = self.logged.max(Some(kind));
        self.backoff.next()
    }

    /// Logs the end of a failure, if there was one.
    pub fn recovered(&mut self) {
        self.backoff.reset();
        if self.logged.take().is_some() {
            let task = self.name;
            tracing::info!(task, "working again");
        }
    }
}

/// Items with faults of their own, skipped for a minute so that they hold up nothing else.
#[derive(Debug)]
pub struct Skipped<T>(Mutex<HashMap<T, Instant>>);

impl<T: Copy + Eq + Hash> Skipped<T> {
    /// Leaves it alone from now on, for a minute.
    pub fn add(&self, it: T) {
        let mut skipped = self.lock();
        if skipped.len() >= SKIPPED_MAX {
            // Then the other items are retried sooner.
            skipped.clear();
        }
        skipped.insert(it, Instant::now() + SKIPPED_FOR);
    }

    /// The items to skip now.
    pub fn now(&self) -> Vec<T> {
        let mut skipped = self.lock();
        skipped.retain(|_, until| *until > Instant::now());
        skipped.keys().copied().collect()
    }

    /// Whether to skip it now.
    pub fn contains(&self, it: T) -> bool {
        self.lock()
            .get(&it)
            .is_some_and(|until| *until > Instant::now())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<T, Instant>> {
        // An entry is there or not.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Default for Skipped<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

/// Waits that double, each with jitter of up to a half, so that clients that failed together do not
/// retry together.
#[derive(Debug, Clone)]
pub struct Backoff {
    min: Duration,
    max: Duration,
    next: Duration,
}

impl Backoff {
    /// Waits from `min` to `max`.
    #[must_use]
    pub fn new(min: Duration, max: Duration) -> Self {
        let next = min;
        Self { min, max, next }
    }

    /// How long to wait this time.
    #[allow(clippy::should_implement_trait, reason = "it never ends")]
    pub fn next(&mut self) -> Duration {
        let base = self.next;
        self.next = (base * 2).min(self.max);
        let random = Uuid::new_v4().as_u64_pair().0 >> 32;
        // The quotient is below 1.
        #[allow(clippy::cast_precision_loss)]
        let part = random as f64 / 2_f64.powi(32);
        base.mul_f64(1.0 - part / 2.0)
    }

    /// Begins again with the shortest.
    pub fn reset(&mut self) {
        self.next = self.min;
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("down")]
    struct Down;

    impl StepError for Down {
        fn is_outage(&self) -> bool {
            true
        }
    }

    #[test]
    fn backoff_doubles_to_its_end_with_jitter() {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_millis(500));
        for base in [100, 200, 400, 500, 500] {
            let wait = backoff.next().as_millis();
            assert!((base / 2..=base).contains(&wait), "{wait} of {base}");
        }
        backoff.reset();
        assert!(backoff.next() <= Duration::from_millis(100));
    }

    #[tokio::test(start_paused = true)]
    async fn a_step_rests_as_long_as_it_says_and_a_failed_one_for_less() {
        let (stop, steps) = (CancellationToken::new(), Cell::new(0));
        let began = Instant::now();
        run("test", &stop, async || {
            steps.set(steps.get() + 1);
            match steps.get() {
                1 => Ok(Duration::from_secs(60)),
                2 => Err(Down),
                _ => {
                    stop.cancel();
                    Ok(Duration::from_secs(60))
                }
            }
        })
        .await;
        let took = began.elapsed();
        assert_eq!(steps.get(), 3);
        assert!(
            took > Duration::from_secs(60) && took < Duration::from_secs(61),
            "{took:?}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_rest_ends_when_it_is_woken_or_stopped() {
        let (stop, steps) = (CancellationToken::new(), Cell::new(0));
        let began = Instant::now();
        let wake = || async {
            if steps.get() > 1 {
                stop.cancel();
                pending().await
            }
        };
        run_woken("test", &stop, wake, async || {
            steps.set(steps.get() + 1);
            Ok::<_, Down>(Duration::from_secs(60))
        })
        .await;
        assert_eq!((steps.get(), began.elapsed()), (2, Duration::ZERO));
    }

    #[tokio::test(start_paused = true)]
    async fn news_does_not_cut_the_wait_after_a_failure_short() {
        let (stop, steps) = (CancellationToken::new(), Cell::new(0));
        let began = Instant::now();
        run_woken(
            "test",
            &stop,
            async || {},
            async || {
                steps.set(steps.get() + 1);
                if steps.get() == 4 {
                    stop.cancel();
                }
                Err::<Duration, _>(Down)
            },
        )
        .await;
        // Three waits, each of half its length at least.
        let waits = RETRY_MIN + 2 * RETRY_MIN + 4 * RETRY_MIN;
        assert!(began.elapsed() >= waits / 2, "{:?}", began.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_skipped_comes_again_and_is_bounded() {
        let skipped = Skipped::default();
        skipped.add(1);
        sleep(SKIPPED_FOR / 2).await;
        skipped.add(2);
        assert!(skipped.contains(1) && skipped.now().len() == 2);
        sleep(SKIPPED_FOR / 2).await;
        assert!(!skipped.contains(1));
        assert_eq!(skipped.now(), [2]);
        for it in 0..2 * SKIPPED_MAX {
            skipped.add(it);
            assert!(skipped.contains(it) && skipped.now().len() <= SKIPPED_MAX);
        }
    }
}
