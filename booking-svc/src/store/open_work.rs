//! What is open in the database, for the metrics: holds, payments, refunds.
//!
//! No process knows that by itself, so each asks now and then, and only if its metrics are on.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use service_kit::metrics::{self, Gauge, Page};
use service_kit::{background, postgres};
use tokio_util::sync::CancellationToken;

use super::{Store, StoreError};

/// How often it is asked.
const INTERVAL: Duration = Duration::from_secs(15);
/// The most rows of each kind that are read. With so many holds an answer takes some 10 ms of the
/// database; what is beyond is not counted, so a gauge that stands at it says "or more".
const ROWS_MAX: i64 = 20_000;

static HOLDS: Gauge = Gauge::unknown();
static PAYMENTS: Gauge = Gauge::unknown();
static DOUBTFUL_PAYMENTS: Gauge = Gauge::unknown();
static REFUNDS: Gauge = Gauge::unknown();
static OLDEST_REFUND: Gauge = Gauge::unknown();
static READ_AT: Gauge = Gauge::unknown();

impl Store {
    /// Keeps the metrics of what is open, until the stop.
    pub async fn count_open_work(self, stop: CancellationToken) {
        background::run("open work", &stop, async || {
            self.open_work().await?;
            Ok::<_, StoreError>(INTERVAL)
        })
        .await;
    }

    async fn open_work(&self) -> Result<(), StoreError> {
        let client = postgres::get(&self.pool).await?;
        let statement = client.prepare_cached(include_str!("sql/open_work.sql"));
        let row = client.query_one(&statement.await?, &[&ROWS_MAX]).await?;
        for (column, gauge) in [&HOLDS, &PAYMENTS, &DOUBTFUL_PAYMENTS, &REFUNDS]
            .into_iter()
            .enumerate()
        {
            #[expect(clippy::cast_precision_loss, reason = "at most ROWS_MAX")]
            gauge.set(row.get::<_, i64>(column) as f64);
        }
        OLDEST_REFUND.set(row.get(4));
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        READ_AT.set(now.unwrap_or_default().as_secs_f64());
        Ok(())
    }
}

/// Has the metrics show what is open.
pub fn register_open_work() {
    metrics::register(collect);
}

fn collect(page: &mut Page) {
    page.known(
        "ticketing_holds_open",
        "Holds that have not ended, in the whole database; 20000 means that or more",
        &HOLDS,
    );
    page.known(
        "ticketing_payments_under_way",
        "Attempts to pay whose outcome is not known yet, in the whole database",
        &PAYMENTS,
    );
    page.known(
        "ticketing_payments_in_doubt",
        "Attempts to pay whose deadline has passed: nobody knows whether the money was taken",
        &DOUBTFUL_PAYMENTS,
    );
    page.known(
        "ticketing_refunds_due",
        "Refunds that are owed and not made yet, in the whole database",
        &REFUNDS,
    );
    page.known(
        "ticketing_refund_oldest_seconds",
        "For how long the oldest refund has been owed; 0 if none is",
        &OLDEST_REFUND,
    );
    page.known(
        "ticketing_open_work_read_timestamp_seconds",
        "When the holds, payments and refunds that are open were counted last",
        &READ_AT,
    );
}
