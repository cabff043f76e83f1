//! Payments and refunds, in numbers.

use std::time::Instant;

use service_kit::metrics::{self, Counter, Histogram, LATENCY, Page};

use crate::domain::{AttemptEnd, DeclineReason, RefundState};

static TAKEN: Counter = Counter::new();
static DECLINED: Counter = Counter::new();
static NOT_COMPLETED: Counter = Counter::new();
static UNSETTLED: Counter = Counter::new();
static REFUNDED: Counter = Counter::new();
static REFUND_DECLINED: Counter = Counter::new();
static REFUND_FAILED: Counter = Counter::new();
/// How long a call's attempt took, until its end was certain or it was left to the reconciler.
static TIME: Histogram = Histogram::new(LATENCY);

/// Notes an attempt's end, once it is written down.
pub(super) fn settled(ending: AttemptEnd) {
    match ending {
        AttemptEnd::Taken => TAKEN.increment(),
        AttemptEnd::NotTaken(DeclineReason::NotCompleted) => NOT_COMPLETED.increment(),
        AttemptEnd::NotTaken(_) => DECLINED.increment(),
    }
}

/// Notes how the provider has answered an attempt that was begun at `began`: whether its end is
/// certain.
pub(super) fn asked(began: Option<Instant>, is_certain: bool) {
    if let Some(began) = began {
        TIME.observe_time(began.elapsed());
    }
    if !is_certain {
        UNSETTLED.increment();
    }
}

/// Notes what came of a refund; none: it is tried again.
pub(super) fn refunded(state: Option<RefundState>) {
    match state {
        Some(RefundState::Refunded) => REFUNDED.increment(),
        Some(RefundState::Declined) => REFUND_DECLINED.increment(),
        _ => REFUND_FAILED.increment(),
    }
}

/// Has the metrics show payments and refunds.
pub(super) fn register() {
    metrics::register(collect);
}

fn collect(page: &mut Page) {
    for (outcome, count) in [
        ("taken", &TAKEN),
        ("declined", &DECLINED),
        ("not_completed", &NOT_COMPLETED),
        ("unsettled", &UNSETTLED),
    ] {
        page.counter(
            "ticketing_payments_total",
            "Attempts to pay by what came of them; unsettled ones are counted again at their end",
            &[("outcome", outcome)],
            count,
        );
    }
    for (outcome, count) in [
        ("refunded", &REFUNDED),
        ("declined", &REFUND_DECLINED),
        ("failed", &REFUND_FAILED),
    ] {
        page.counter(
            "ticketing_refunds_total",
            "Refunds by what came of them; failed ones are tried again",
            &[("outcome", outcome)],
            count,
        );
    }
    page.histogram(
        "ticketing_payment_provider_seconds",
        "How long the payment provider took over an attempt, all questions together",
        &[],
        &TIME,
    );
}
