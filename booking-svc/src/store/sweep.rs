//! Deletes old request ids: the results of mutations of customers, and stored rejections. Those of
//! bookings are in the log, which is kept.

use std::time::Duration;

use service_kit::{background, postgres};
use tokio_util::sync::CancellationToken;

use super::{Store, StoreError};

/// For how many hours an outcome is kept.
const KEEP_HOURS: i32 = 24;
/// The most rows that one statement sweeps.
const SWEEP_ROWS_MAX: i64 = 500;
/// The pause between sweeps.
const SWEEP_INTERVAL: Duration = Duration::from_secs(60);

const SWEEPS: [&str; 2] = [
    include_str!("sql/sweep_customer_requests.sql"),
    include_str!("sql/sweep_rejections.sql"),
];

impl Store {
    /// Forgets old request ids, a bounded batch at a time, until the stop.
    pub async fn sweep_requests(self, stop: CancellationToken) {
        background::run("sweep", &stop, async || {
            for sweep in SWEEPS {
                let swept = self.sweep(sweep).await?;
                if swept > 0 {
                    tracing::info!(swept, "forgot old request ids");
                }
            }
            Ok::<_, StoreError>(SWEEP_INTERVAL)
        })
        .await;
    }

    /// Forgets all that are old now, and returns how many.
    async fn sweep(&self, sweep: &str) -> Result<u64, StoreError> {
        let mut swept = 0;
        loop {
            // A connection for each batch: callers may have it in between.
            let client = postgres::get(&self.pool).await?;
            let statement = client.prepare_cached(sweep).await?;
            let batch = client
                .execute(&statement, &[&KEEP_HOURS, &SWEEP_ROWS_MAX])
                .await?;
            swept += batch;
            if batch < SWEEP_ROWS_MAX.unsigned_abs() {
                return Ok(swept);
            }
        }
    }
}
