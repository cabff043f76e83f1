//! What is written to the catalog, and who follows that, in numbers.

use service_kit::metrics::{self, CounterBy};

use super::followers::Followers;
use super::revision_tracker::RevisionTracker;

static MUTATIONS: CounterBy<2> = CounterBy::new();

/// Notes that a change was made, or was not.
pub(super) fn mutated(verb: &'static str, is_made: bool) {
    let outcome = if is_made { "ok" } else { "failed" };
    MUTATIONS.add([verb, outcome], 1);
}

/// Has the metrics show changes, revisions and followers.
pub(super) fn register(newest: &RevisionTracker, followers: &Followers) {
    let (newest, followers) = (newest.clone(), followers.clone());
    metrics::register(move |page| {
        page.counter_by(
            "ticketing_catalog_mutations_total",
            "Changes of the catalog, by verb and whether they were made",
            ["verb", "outcome"],
            &MUTATIONS,
        );
        #[expect(clippy::cast_precision_loss, reason = "exact up to 2^53")]
        page.gauge(
            "ticketing_catalog_newest_revision",
            "The newest revision of the feed that the process knows",
            &[],
            newest.known() as f64,
        );
        page.amount(
            "ticketing_catalog_followers",
            "Processes that follow the feed and were heard lately",
            &[],
            followers.count(),
        );
    });
}
