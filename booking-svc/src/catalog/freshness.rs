//! The age of this process's copy of the catalog, and its consequences for sales.
//!
//! Invariant: a sale never contradicts the known catalog, and its data is never older than
//! `staleness_max`. The age counts from before the catalog was asked for its newest revision, and
//! only once everything up to that revision has been applied.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use model::ShowId;
use service_kit::Shutdown;
use service_kit::health::{Health, Need};
use tokio::time::{Instant, sleep};

use super::metrics;
use crate::store::FeedPlace;

/// How often readiness and the log follow the age.
const LOOK_INTERVAL: Duration = Duration::from_millis(250);
/// How long an order may wait if its terms do not depend on the age.
const FOR_EVER: Duration = Duration::from_secs(86_400);
/// The most shows that wait to be applied at once. They are fetched one by one, so more would take
/// longer than the feed from its start.
const WAITING_MAX: usize = 1_000;

/// What to do with sales while the copy of the catalog is too old.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum StaleCatalog {
    /// Nothing is sold.
    Refuse,
    /// Sell from the last copy, cancelled or not.
    Sell,
}

/// The highest allowed age, and the reaction beyond it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StalenessTerms {
    /// The most.
    pub max: Duration,
    /// The reaction beyond it.
    pub beyond: StaleCatalog,
}

/// Why nothing can be sold now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Stale {
    /// No message from the catalog since this process started.
    #[error("no message from the catalog yet")]
    NoContact,
    /// The last message from the catalog is too old.
    #[error("the last message from the catalog is {} s old", .0.as_secs())]
    For(Duration),
    /// It has changed the show, which could not be copied yet.
    #[error("a change of the show waits to be applied")]
    Show,
}

/// A change of a show that could not be applied yet.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WaitingShow {
    /// The newest revision of it that waits.
    pub(crate) revision: i64,
    /// The place before the oldest one.
    pub(crate) before: FeedPlace,
}

/// The age of this process's copy of the catalog.
#[derive(Debug, Clone)]
pub struct Freshness(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    terms: StalenessTerms,
    /// The zero point of `known_at_ms`.
    began_at: Instant,
    /// When this process last knew everything that the catalog had written; 0 if never.
    known_at_ms: AtomicU64,
    /// How many shows wait.
    waiting_count: AtomicUsize,
    waiting: Mutex<BTreeMap<ShowId, WaitingShow>>,
}

impl Freshness {
    /// Nothing is known yet.
    #[must_use]
    pub fn new(terms: StalenessTerms) -> Self {
        let freshness = Self(Arc::new(Inner {
            terms,
            began_at: Instant::now(),
            known_at_ms: AtomicU64::new(0),
            waiting_count: AtomicUsize::new(0),
            waiting: Mutex::default(),
        }));
        metrics::register(&freshness);
        freshness
    }

    /// Until when a show can be sold with the present data.
    ///
    /// # Errors
    ///
    /// Why it cannot be sold now.
    pub fn sellable_until(&self, show_id: ShowId) -> Result<Instant, Stale> {
        let now = Instant::now();
        if self.0.terms.beyond == StaleCatalog::Sell {
            return Ok(now + FOR_EVER);
        }
        let until = self.fresh_until().ok_or(Stale::NoContact)?;
        if until <= now {
            return Err(Stale::For(now - until + self.0.terms.max));
        }
        if self.waits(show_id) {
            return Err(Stale::Show);
        }
        Ok(until)
    }

    /// Records that everything that the catalog had written at `at` is applied here.
    pub(crate) fn known_at(&self, at: Instant) {
        let since = at.duration_since(self.0.began_at).as_millis();
        // 0 is never; a process does not live for 2^64 ms.
        let ms = u64::try_from(since).unwrap_or(u64::MAX).max(1);
        self.0.known_at_ms.fetch_max(ms, Ordering::Release);
    }

    /// How old what is known is; none if the catalog was never heard.
    pub(super) fn age(&self) -> Option<Duration> {
        let until = self.fresh_until()?;
        Some((Instant::now() + self.0.terms.max).saturating_duration_since(until))
    }

    /// How old it may be.
    pub(super) fn age_max(&self) -> Duration {
        self.0.terms.max
    }

    /// Whether the catalog was ever heard.
    fn had_contact(&self) -> bool {
        self.fresh_until().is_some()
    }

    fn fresh_until(&self) -> Option<Instant> {
        match self.0.known_at_ms.load(Ordering::Acquire) {
            0 => None,
            ms => Some(self.0.began_at + Duration::from_millis(ms) + self.0.terms.max),
        }
    }

    fn waits(&self, show_id: ShowId) -> bool {
        self.waiting_count() > 0 && self.lock().contains_key(&show_id)
    }

    /// Sets a change of a show aside that came after `before`. False if too many wait.
    pub(crate) fn set_aside(&self, show_id: ShowId, revision: i64, before: FeedPlace) -> bool {
        let mut waiting = self.lock();
        let is_full = waiting.len() >= WAITING_MAX;
        match waiting.entry(show_id) {
            Entry::Occupied(mut show) => show.get_mut().revision = revision,
            Entry::Vacant(_) if is_full => return false,
            Entry::Vacant(place) => {
                place.insert(WaitingShow { revision, before });
            }
        }
        self.0.waiting_count.store(waiting.len(), Ordering::Release);
        true
    }

    /// Records that a show was applied up to `revision`; returns whether it had waited.
    pub(crate) fn applied(&self, show_id: ShowId, revision: i64) -> bool {
        if self.waiting_count() == 0 {
            return false;
        }
        let mut waiting = self.lock();
        let was_newest = waiting
            .get(&show_id)
            .is_some_and(|show| show.revision <= revision);
        if was_newest {
            waiting.remove(&show_id);
        }
        self.0.waiting_count.store(waiting.len(), Ordering::Release);
        was_newest
    }

    /// How far the feed was applied without a gap, if that is not as far as it was read.
    pub(crate) fn gap_after(&self) -> Option<FeedPlace> {
        if self.waiting_count() == 0 {
            return None;
        }
        let waiting = self.lock();
        let places = waiting.values().map(|show| show.before);
        places.min_by_key(|place| place.revision)
    }

    /// The next show after `after` that waits, else the first.
    pub(crate) fn next_waiting(&self, after: Option<ShowId>) -> Option<(ShowId, WaitingShow)> {
        let waiting = self.lock();
        let mut behind = waiting
            .iter()
            .filter(|(id, _)| after.is_none_or(|after| **id > after));
        let next = behind.next().or_else(|| waiting.iter().next());
        next.map(|(id, show)| (*id, *show))
    }

    /// How many shows wait.
    pub(crate) fn waiting_count(&self) -> usize {
        self.0.waiting_count.load(Ordering::Acquire)
    }

    /// Forgets the age: another catalog is followed from now on.
    pub(crate) fn begin_again(&self) {
        let mut waiting = self.lock();
        waiting.clear();
        self.0.waiting_count.store(0, Ordering::Release);
        self.0.known_at_ms.store(0, Ordering::Release);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<ShowId, WaitingShow>> {
        // An entry is there or not.
        let waiting = self.0.waiting.lock();
        waiting.unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps the health of the selling `service` in step with the age until the shutdown, and logs
/// when sales stop or rest on old data, and when that ends.
pub async fn watch_staleness(
    freshness: Freshness,
    health: Health,
    service: &'static str,
    shutdown: Shutdown,
) {
    let StalenessTerms { max, beyond } = freshness.0.terms;
    let refuses = beyond == StaleCatalog::Refuse;
    let watching = async {
        let mut was_fresh = None;
        loop {
            let until = freshness.fresh_until();
            let is_fresh = until.is_some_and(|until| until > Instant::now());
            if was_fresh != Some(is_fresh) {
                match (is_fresh, refuses) {
                    (true, _) => tracing::info!("the copy of the catalog is up to date"),
                    // The process has just started.
                    (false, _) if was_fresh.is_none() => {}
                    (false, true) => {
                        tracing::warn!(?max, "the catalog is silent: nothing is sold");
                    }
                    (false, false) => tracing::warn!(
                        ?max,
                        "the catalog is silent: the last copy is sold, cancelled or not"
                    ),
                }
                was_fresh = Some(is_fresh);
            }
            if refuses {
                let need = match (is_fresh, freshness.had_contact()) {
                    (true, _) => Need::Met,
                    (false, true) => Need::Lost,
                    (false, false) => Need::Awaited,
                };
                health.set_need(service, need);
            }
            sleep(LOOK_INTERVAL).await;
        }
    };
    shutdown.soft.run_until_cancelled(watching).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: Duration = Duration::from_secs(10);

    fn freshness(beyond: StaleCatalog) -> Freshness {
        Freshness::new(StalenessTerms { max: MAX, beyond })
    }

    fn place(revision: i64) -> FeedPlace {
        FeedPlace {
            epoch: 0,
            revision,
            timeline: None,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_sold_without_fresh_catalog_data() {
        let (fresh, show) = (freshness(StaleCatalog::Refuse), ShowId::generate());
        let sells = freshness(StaleCatalog::Sell);
        assert_eq!(fresh.sellable_until(show), Err(Stale::NoContact));
        assert!(sells.sellable_until(show).is_ok());
        let asked_at = Instant::now();
        tokio::time::advance(Duration::from_secs(1)).await;
        fresh.known_at(asked_at);
        // To the millisecond.
        let until = fresh.sellable_until(show).expect("there was contact");
        assert!(
            until - asked_at <= MAX + Duration::from_millis(1),
            "{until:?}"
        );
        tokio::time::advance(MAX - Duration::from_millis(999)).await;
        assert!(matches!(fresh.sellable_until(show), Err(Stale::For(_))));
        assert!(sells.sellable_until(show).is_ok());
        fresh.known_at(Instant::now());
        fresh.known_at(asked_at);
        assert!(fresh.sellable_until(show).is_ok(), "it never gets older");
    }

    #[tokio::test(start_paused = true)]
    async fn a_show_that_waits_is_not_sold_and_holds_the_cursor_back() {
        let fresh = freshness(StaleCatalog::Refuse);
        let (waits, other) = (ShowId::generate(), ShowId::generate());
        fresh.known_at(Instant::now());
        assert!(fresh.set_aside(waits, 7, place(6)));
        assert!(fresh.set_aside(waits, 9, place(8)));
        assert_eq!(fresh.sellable_until(waits), Err(Stale::Show));
        assert!(fresh.sellable_until(other).is_ok());
        assert_eq!(fresh.gap_after().map(|place| place.revision), Some(6));
        assert_eq!(fresh.next_waiting(None).map(|(id, _)| id), Some(waits));
        assert!(!fresh.applied(waits, 7), "a reload_if_changed change waits");
        assert!(fresh.applied(waits, 9));
        assert!(fresh.sellable_until(waits).is_ok());
        assert!(fresh.gap_after().is_none());
        for _ in 0..WAITING_MAX {
            assert!(fresh.set_aside(ShowId::generate(), 10, place(9)));
        }
        assert!(!fresh.set_aside(ShowId::generate(), 10, place(9)));
    }
}
