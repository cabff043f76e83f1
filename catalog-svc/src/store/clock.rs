//! The database's clock.

use sqlx::PgConnection;
use time::OffsetDateTime;

use super::error::StoreError;

/// The database's current time, not that of the transaction's start: read after a lock was
/// granted, it is a time at which the lock is held.
pub(super) async fn clock(transaction: &mut PgConnection) -> Result<OffsetDateTime, StoreError> {
    let now = sqlx::query_scalar!(r#"SELECT clock_timestamp() AS "now!""#);
    Ok(now.fetch_one(transaction).await?)
}
