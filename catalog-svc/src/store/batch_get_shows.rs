//! Reads several shows, without their layouts and prices.

use std::collections::HashMap;

use model::ShowId;
use sqlx::PgConnection;
use uuid::Uuid;

use super::Store;
use super::error::StoreError;
use super::rows::select_shows;
use crate::domain::{Rejection, ShowInfo};

impl Store {
    /// These shows, in this order.
    ///
    /// # Errors
    ///
    /// If there is none for some of the ids, or it was deleted; if some cannot be read; or the
    /// database fails.
    pub async fn batch_get_shows(&self, ids: Vec<ShowId>) -> Result<Vec<ShowInfo>, StoreError> {
        let reading = self.read("batch_get_shows", 0, move |connection| {
            Box::pin(read(connection, ids))
        });
        Ok(reading.await?.found)
    }
}

async fn read(
    connection: &mut PgConnection,
    ids: Vec<ShowId>,
) -> Result<Vec<ShowInfo>, StoreError> {
    let wanted: Vec<Uuid> = ids.iter().map(|id| id.uuid()).collect();
    let rows = select_shows!(
        "NULL::jsonb",
        "WHERE show_id = ANY ($1) AND deleted_at IS NULL",
        &wanted
    );
    let rows = rows.fetch_all(connection).await?.into_iter();
    let mut found: HashMap<_, _> = rows.map(|row| (row.show_id, row)).collect();
    let missing = ids.iter().filter(|id| !found.contains_key(&id.uuid()));
    let missing: Vec<_> = missing.copied().collect();
    if !missing.is_empty() {
        return Err(Rejection::NotFound(missing).into());
    }
    let rows = wanted.iter().filter_map(|id| found.remove(id));
    let (mut shows, mut unreadable) = (Vec::with_capacity(ids.len()), Vec::new());
    for (row, id) in rows.zip(ids) {
        match ShowInfo::try_from(row) {
            Ok(show) => shows.push(show),
            Err(error) => unreadable.push((id, error.to_string())),
        }
    }
    if unreadable.is_empty() {
        Ok(shows)
    } else {
        Err(StoreError::Unreadable(unreadable))
    }
}
