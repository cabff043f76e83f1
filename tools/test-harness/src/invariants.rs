//! What must hold in the database whenever no call is in progress, and after every crash.

use tokio_postgres::Client;
use uuid::Uuid;

use crate::postgres::TestDatabase;

/// Asserts all of it.
///
/// # Panics
///
/// If something does not hold; the message names it.
pub async fn assert_hold(database: &TestDatabase) {
    let broken = broken(&database.owner().await, None).await;
    assert!(broken.is_empty(), "{broken:#?}");
}

/// The broken invariants of a show, or of all shows, with their counts; on a connection of the
/// database's owner.
///
/// # Panics
///
/// If they cannot be checked.
pub async fn broken(owner: &Client, show_id: Option<Uuid>) -> Vec<String> {
    let found = owner
        .query(include_str!("invariants.sql"), &[&show_id])
        .await;
    found
        .expect("the checks run")
        .iter()
        .map(|row| format!("{}: {}", row.get::<_, &str>(0), row.get::<_, i64>(1)))
        .collect()
}

#[cfg(test)]
mod tests;
