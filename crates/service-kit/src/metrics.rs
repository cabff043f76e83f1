//! Metrics of the process, for Prometheus.
//!
//! What is counted lives next to what it counts, in a static or in the part that it is about. At
//! each scrape the collectors that were [registered](register) write what they know on a [`Page`].
//!
//! What always holds: the calls take no lock, allocate nothing and look no label up by a string that
//! a stranger has made; while metrics are off, nothing reads a clock for them.

mod buckets;
mod page;
mod process;
pub(crate) mod rpc;
pub mod server;
mod value;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

pub use self::buckets::{LATENCY, LATENESS, SIZES};
pub use self::page::Page;
pub use self::value::{Counter, CounterBy, Gauge, Histogram};

static IS_ON: AtomicBool = AtomicBool::new(false);

type Collector = Box<dyn Fn(&mut Page) + Send + Sync>;

/// As many as there are calls of [`register`] in the program; never more while it runs.
static COLLECTORS: Mutex<Vec<Collector>> = Mutex::new(Vec::new());

/// Whether anybody can read the metrics. What costs something to measure is left out if not.
#[must_use]
pub fn is_on() -> bool {
    IS_ON.load(Ordering::Relaxed)
}

/// The time, if it is wanted for a metric.
#[must_use]
pub fn now() -> Option<Instant> {
    is_on().then(Instant::now)
}

/// Has `collect` write on every page from now on. It is kept until the process ends, so it must hold
/// nothing whose drop somebody waits for. While metrics are off it is dropped at once.
///
/// It runs on a thread of its own kind, at most a few times a second, and must not wait.
pub fn register(collect: impl Fn(&mut Page) + Send + Sync + 'static) {
    if is_on() {
        let mut collectors = COLLECTORS.lock().unwrap_or_else(PoisonError::into_inner);
        collectors.push(Box::new(collect));
    }
}

/// Turns the metrics on, for the process of this name. What registers before that is not seen.
pub(crate) fn turn_on(process: &'static str) {
    if !IS_ON.swap(true, Ordering::Relaxed) {
        let process = process::Process::begin(process);
        register(move |page| process.collect(page));
        register(rpc::collect);
        register(crate::tally::collect);
        register(crate::rates::collect);
        register(crate::supervise::collect);
        register(crate::postgres::collect);
    }
}

/// All metrics as they are now, as OpenMetrics text.
fn render() -> String {
    let mut page = Page::default();
    let collectors = COLLECTORS.lock().unwrap_or_else(PoisonError::into_inner);
    for collect in &*collectors {
        collect(&mut page);
    }
    page.into_text()
}
