//! How well this process knows the catalog, in numbers.

use std::sync::atomic::{AtomicI64, Ordering};

use service_kit::metrics::{self, Page};

use super::Freshness;

static APPLIED: AtomicI64 = AtomicI64::new(0);
static NEWEST: AtomicI64 = AtomicI64::new(0);

/// Notes up to which revision the feed was applied.
pub(crate) fn applied_up_to(revision: i64) {
    APPLIED.store(revision, Ordering::Relaxed);
}

/// Notes the newest revision that the catalog has.
pub(crate) fn newest_is(revision: i64) {
    NEWEST.store(revision, Ordering::Relaxed);
}

/// Has the metrics show how well the catalog is known.
pub(super) fn register(freshness: &Freshness) {
    let freshness = freshness.clone();
    metrics::register(move |page| collect(page, &freshness));
}

#[expect(clippy::cast_precision_loss, reason = "exact up to 2^53")]
fn collect(page: &mut Page, freshness: &Freshness) {
    let revision = |of: &AtomicI64| of.load(Ordering::Relaxed) as f64;
    let age = freshness
        .age()
        .map_or(f64::INFINITY, |age| age.as_secs_f64());
    page.gauge(
        "ticketing_catalog_age_seconds",
        "How old what is known of the catalog is; +Inf if it was never heard",
        &[],
        age,
    );
    page.gauge(
        "ticketing_catalog_age_max_seconds",
        "The age beyond which nothing is sold, unless --stale-catalog is sell",
        &[],
        freshness.age_max().as_secs_f64(),
    );
    page.gauge(
        "ticketing_feed_applied_revision",
        "The revision up to which the catalog's feed was applied",
        &[],
        revision(&APPLIED),
    );
    page.gauge(
        "ticketing_feed_newest_revision",
        "The newest revision of the catalog, as it said last",
        &[],
        revision(&NEWEST),
    );
    page.amount(
        "ticketing_feed_shows_waiting",
        "Shows whose change could not be applied yet, and which are not sold meanwhile",
        &[],
        freshness.waiting_count(),
    );
}
