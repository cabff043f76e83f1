//! The database's clock.

use sqlx::PgConnection;
use time::OffsetDateTime;

use super::error::StoreError;

/// The database's time now, not that of the transaction's start: asked for after a lock was
/// had, it is the time at which the lock holds.
pub(super) async fn clock(transaction: &mut PgConnection) -> Result<OffsetDateTime, StoreError> {
    let now = sqlx::query_scalar!(r#"SELECT clock_timestamp() AS "now!""#);
    Ok(now.fetch_one(transaction).await?)
}
