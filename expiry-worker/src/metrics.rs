//! What the worker does, in numbers.

use std::time::{SystemTime, UNIX_EPOCH};

use service_kit::metrics::{self, Counter, Gauge, Histogram, LATENESS, Page, SIZES};

static EXPIRED: Counter = Counter::new();
static LATE: Histogram = Histogram::new(LATENESS);
static BATCHES: Histogram = Histogram::new(SIZES);
static FAILED_BATCHES: Counter = Counter::new();
static FAILED_BOOKINGS: Counter = Counter::new();
static LOOKED_AT: Gauge = Gauge::unknown();

/// Notes a batch that is durable, with the seconds by which each of its holds had ended before.
pub(crate) fn expired(late: &[f64]) {
    EXPIRED.add(late.len() as u64);
    if metrics::is_on() && !late.is_empty() {
        #[expect(clippy::cast_precision_loss, reason = "at most 5,000")]
        BATCHES.observe(late.len() as f64);
        for seconds in late {
            LATE.observe(*seconds);
        }
    }
}

/// Notes a batch that came to nothing for a reason that may pass; it is tried again.
pub(crate) fn batch_failed() {
    FAILED_BATCHES.increment();
}

/// Notes a booking that cannot be failed, and is left out for a while.
pub(crate) fn booking_failed() {
    FAILED_BOOKINGS.increment();
}

/// Notes that all that was stale was found.
pub(crate) fn looked() {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    LOOKED_AT.set(now.unwrap_or_default().as_secs_f64());
}

/// Has the metrics show what the worker does.
pub(crate) fn register() {
    metrics::register(collect);
}

fn collect(page: &mut Page) {
    page.counter(
        "ticketing_expired_bookings_total",
        "Bookings that were failed because their holds had ended",
        &[],
        &EXPIRED,
    );
    page.histogram(
        "ticketing_expiry_lateness_seconds",
        "How long after its hold had ended a booking was failed, by the database's clock",
        &[],
        &LATE,
    );
    page.histogram(
        "ticketing_expiry_batch_bookings",
        "Bookings that one transaction failed",
        &[],
        &BATCHES,
    );
    for (what, count) in [("batch", &FAILED_BATCHES), ("booking", &FAILED_BOOKINGS)] {
        page.counter(
            "ticketing_expiry_failures_total",
            "Batches that came to nothing and were tried again, and bookings that cannot be failed",
            &[("what", what)],
            count,
        );
    }
    page.known(
        "ticketing_expiry_last_look_timestamp_seconds",
        "When the worker had last looked for all holds that have ended, and failed them",
        &LOOKED_AT,
    );
}
