//! What is known of the database and of the ways to it, for the metrics.

use std::future::Future;
use std::time::Instant;

use deadpool::Status;
use deadpool::managed::PoolError;

use crate::metrics::{self, Counter, Gauge, Histogram, LATENCY, Page};

/// Connections that were made, and that could not be.
static CONNECTED: Counter = Counter::new();
static NOT_CONNECTED: Counter = Counter::new();
/// Readiness's own question, from when it is asked.
static ANSWERS: Histogram = Histogram::new(LATENCY);
/// 1 or 0, once readiness has looked.
static WRITABLE: Gauge = Gauge::unknown();
static REACHABLE: Gauge = Gauge::unknown();

/// Counts an attempt to connect.
pub fn connected(is_connected: bool) {
    if is_connected {
        CONNECTED.increment();
    } else {
        NOT_CONNECTED.increment();
    }
}

/// Notes what readiness has found: whether the database answers, and whether it takes writes.
pub(super) fn found(is_reachable: bool, is_writable: bool) {
    REACHABLE.set(f64::from(u8::from(is_reachable)));
    WRITABLE.set(f64::from(u8::from(is_writable)));
}

/// Notes how long readiness's question took that was asked at `asked`.
pub(super) fn answered(asked: Option<Instant>) {
    if let Some(asked) = asked {
        ANSWERS.observe_time(asked.elapsed());
    }
}

/// Writes what is known of the database.
pub(crate) fn collect(page: &mut Page) {
    for (outcome, count) in [("ok", &CONNECTED), ("failed", &NOT_CONNECTED)] {
        page.counter(
            "ticketing_database_connects_total",
            "Attempts to connect to the database, on all of its hosts",
            &[("outcome", outcome)],
            count,
        );
    }
    page.known(
        "ticketing_database_up",
        "1 if the database answers, 0 if not",
        &REACHABLE,
    );
    page.known(
        "ticketing_database_writable",
        "1 if the database answers and takes writes, 0 if not",
        &WRITABLE,
    );
    page.histogram(
        "ticketing_database_answer_seconds",
        "How long the database took to answer the smallest question, which is asked twice a second",
        &[],
        &ANSWERS,
    );
}

/// Waits for connections of a pool.
#[derive(Debug)]
pub struct PoolMetrics {
    waits: Histogram,
    timeouts: Counter,
}

impl Default for PoolMetrics {
    fn default() -> Self {
        Self {
            waits: Histogram::new(LATENCY),
            timeouts: Counter::new(),
        }
    }
}

impl PoolMetrics {
    /// Measures how long it takes to get a connection.
    ///
    /// # Errors
    ///
    /// Those of `getting`.
    pub async fn wait<T, E>(
        &self,
        getting: impl Future<Output = Result<T, PoolError<E>>>,
    ) -> Result<T, PoolError<E>> {
        let began = metrics::now();
        let got = getting.await;
        if let Some(began) = began {
            self.waits.observe_time(began.elapsed());
        }
        if matches!(got, Err(PoolError::Timeout(_))) {
            self.timeouts.increment();
        }
        got
    }

    /// Writes them, and how the pool of this name stands.
    pub fn collect(&self, pool: &'static str, status: &Status, page: &mut Page) {
        let of = &[("pool", pool)];
        let help = "Connections to the database that the pool has";
        page.amount("ticketing_pool_connections_open", help, of, status.size);
        let help = "Connections of the pool that nobody uses";
        let idle = status.available.min(status.size);
        page.amount("ticketing_pool_connections_idle", help, of, idle);
        let help = "The most connections of the pool";
        page.amount("ticketing_pool_connections_max", help, of, status.max_size);
        let help = "Calls and tasks that wait for a connection of the pool";
        page.amount("ticketing_pool_waiting", help, of, status.waiting);
        let help =
            "How long it took to get a connection of the pool, or to learn that there is none";
        page.histogram("ticketing_pool_wait_seconds", help, of, &self.waits);
        let help = "Waits for a connection of the pool that were in vain";
        page.counter("ticketing_pool_timeouts_total", help, of, &self.timeouts);
    }
}
