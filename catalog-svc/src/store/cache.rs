//! The cache of whole shows, for GetShow.
//!
//! What must always hold: every cached show is as new as revision `current_to` of the catalog, or
//! newer. So a changed show is removed before `current_to` passes its change, and a show
//! that was read before the newest removed change is not put in.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use model::ShowId;
use quick_cache::Weighter;
use quick_cache::sync::Cache;

use crate::domain::Show;

/// The most weight of all shows; a seat weighs 1, which is at most 100 bytes.
const WEIGHT_MAX: u64 = 1_000_000;
/// The weight of a show besides its seats.
const SHOW_WEIGHT: u64 = 10;
const SHOWS_EXPECTED: usize = 1_000;

/// Shows, each as new as a revision at least.
#[derive(Debug)]
pub(super) struct ShowCache {
    shows: Cache<ShowId, Arc<Show>, BySeats>,
    current_to: Mutex<i64>,
}

/// The shows that were written after a revision.
#[derive(Debug)]
pub(super) struct Changes {
    /// Their ids; `None` if there are too many to list.
    pub(super) shows: Option<Vec<ShowId>>,
    /// The newest revision: there is no other change up to it.
    pub(super) newest: i64,
}

#[derive(Debug, Clone)]
struct BySeats;

impl Weighter<ShowId, Arc<Show>> for BySeats {
    fn weight(&self, _: &ShowId, show: &Arc<Show>) -> u64 {
        SHOW_WEIGHT + u64::from(show.info.seat_count)
    }
}

impl ShowCache {
    pub(super) fn new() -> Self {
        Self {
            shows: Cache::with_weighter(SHOWS_EXPECTED, WEIGHT_MAX, BySeats),
            current_to: Mutex::new(0),
        }
    }

    /// The revision that everything in here is as new as at least.
    pub(super) fn current_to(&self) -> i64 {
        *self.lock()
    }

    /// The show, if it is here and as new as `floor`.
    pub(super) fn get(&self, id: ShowId, floor: i64) -> Option<Arc<Show>> {
        // A cached show is as new as `current_to` at this moment, or newer.
        (self.current_to() >= floor).then(|| self.shows.get(&id))?
    }

    /// Caches a show that is as new as `revision` of the catalog, or newer.
    pub(super) fn keep(&self, show: &Arc<Show>, revision: i64) {
        let current_to = self.lock();
        if revision >= *current_to {
            self.shows.insert(show.info.id, Arc::clone(show));
        }
    }

    /// Takes out a show that was written, in the revision given.
    pub(super) fn wrote(&self, id: ShowId, revision: i64) {
        let mut current_to = self.lock();
        self.shows.remove(&id);
        // The revisions between may have written shows that are still here.
        if revision == *current_to + 1 {
            *current_to = revision;
        }
    }

    /// Takes out all that changed after [`Self::current_to`].
    pub(super) fn catch_up(&self, changes: &Changes) {
        let mut current_to = self.lock();
        match &changes.shows {
            Some(shows) => shows.iter().for_each(|id| {
                self.shows.remove(id);
            }),
            None => self.shows.clear(),
        }
        *current_to = changes.newest.max(*current_to);
    }

    /// Empties it, for a database that has lost revisions.
    pub(super) fn begin_again(&self) {
        let mut current_to = self.lock();
        self.shows.clear();
        *current_to = 0;
    }

    fn lock(&self) -> MutexGuard<'_, i64> {
        // A panic cannot leave a number half written.
        self.current_to
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use model::{LayoutDescription, PriceDescription};

    use super::*;
    use crate::domain::{Layout, LayoutInfo, ShowInfo, show_on_sale};

    fn show(id: ShowId) -> Arc<Show> {
        let info = ShowInfo {
            id,
            seat_count: 40,
            ..show_on_sale()
        };
        let layout = Layout {
            info: LayoutInfo {
                id: info.layout_id,
                name: String::new(),
                derived_from: None,
                seat_count: 40,
                place_count: 0,
                created_at: info.created_at,
            },
            description: LayoutDescription::of_total(40),
        };
        let currency = "EUR".parse().expect("a currency");
        Arc::new(Show {
            info,
            layout: Arc::new(layout),
            prices: PriceDescription::single(currency, 0),
            proposal: None,
        })
    }

    fn changes(shows: Option<Vec<ShowId>>, newest: i64) -> Changes {
        Changes { shows, newest }
    }

    fn at_5() -> (ShowCache, ShowId) {
        let cache = ShowCache::new();
        cache.catch_up(&changes(None, 5));
        let id = ShowId::generate();
        cache.keep(&show(id), 5);
        (cache, id)
    }

    #[test]
    fn a_cached_show_is_as_new_as_the_caught_up_revision() {
        let (cache, id) = at_5();
        assert!(cache.get(id, 5).is_some());
        assert!(cache.get(id, 6).is_none());
        cache.catch_up(&changes(Some(vec![ShowId::generate()]), 6));
        assert!(cache.get(id, 6).is_some());
        cache.catch_up(&changes(Some(vec![id]), 7));
        assert!(cache.get(id, 0).is_none());
    }

    #[test]
    fn too_many_changes_take_out_everything() {
        let (cache, id) = at_5();
        cache.catch_up(&changes(None, 5_000));
        assert!(cache.get(id, 0).is_none());
        assert_eq!(cache.current_to(), 5_000);
    }

    #[test]
    fn what_was_read_before_a_change_is_not_kept() {
        let (cache, id) = at_5();
        cache.catch_up(&changes(Some(vec![id]), 7));
        cache.keep(&show(id), 6);
        assert!(cache.get(id, 0).is_none());
        cache.keep(&show(id), 7);
        assert!(cache.get(id, 7).is_some());
    }

    #[test]
    fn an_own_write_is_caught_up_with_unless_others_came_between() {
        let (cache, id) = at_5();
        let other = ShowId::generate();
        cache.keep(&show(other), 5);
        cache.wrote(id, 6);
        assert!(cache.get(id, 0).is_none());
        assert!(cache.get(other, 6).is_some());
        cache.wrote(id, 8);
        assert_eq!(cache.current_to(), 6);
        // The write was seen by a poll that began before another one.
        cache.catch_up(&changes(Some(vec![]), 5));
        assert_eq!(cache.current_to(), 6);
    }

    #[test]
    fn what_the_shows_weigh_is_bounded() {
        let (cache, _) = at_5();
        for _ in 0..30_000 {
            cache.keep(&show(ShowId::generate()), 5);
        }
        assert!(cache.shows.weight() <= WEIGHT_MAX);
        assert!(cache.shows.len() > 1_000);
    }
}
