//! The schema's version, and whether the database answers.

use sqlx::Connection as _;

use super::error::StoreError;
use super::pool::Store;
use super::sqlstate;

impl Store {
    /// The version of the database's schema; 0 before the first migration.
    ///
    /// # Errors
    ///
    /// If the database cannot be reached.
    pub async fn schema_version(&self) -> Result<i64, StoreError> {
        self.lend_background("schema_version", |connection| {
            Box::pin(async move {
                let version = sqlx::query_scalar!(
                    r#"SELECT coalesce(max(version), 0) AS "version!"
                       FROM public._sqlx_migrations WHERE success"#
                );
                match version.fetch_one(connection).await {
                    Err(error) if sqlstate::is_missing_table(&error) => Ok(0),
                    version => Ok(version?),
                }
            })
        })
        .await
    }

    /// Whether the database answers; none if that could not be asked.
    pub async fn answers(&self) -> Option<bool> {
        let ping = self.lend_background("ping", |connection| {
            Box::pin(async move { Ok(connection.ping().await?) })
        });
        Some(ping.await.is_ok())
    }
}
