//! Lists shows, without their layouts.

use sqlx::PgConnection;

use super::error::StoreError;
use super::pool::Store;
use super::rows::InfoRow;
use crate::domain::{After, ShowFilter, ShowInfo};

/// A page of a list.
#[derive(Debug, Clone)]
pub struct ListShows {
    /// Which shows.
    pub filter: ShowFilter,
    /// Where the page begins; none for the first one.
    pub after: Option<After>,
    /// The most shows to return.
    pub rows_max: u16,
    /// The revision that the shows must be as new as at least; 0 if the caller names none.
    pub min_revision: i64,
}

impl Store {
    /// A page of the shows, by start and then by id.
    ///
    /// # Errors
    ///
    /// If the revision lies ahead of the newest, or the database fails.
    pub async fn list_shows(&self, list: ListShows) -> Result<Vec<ShowInfo>, StoreError> {
        let min_revision = list.min_revision;
        let reading = self.read("list_shows", min_revision, move |connection| {
            Box::pin(read(connection, list))
        });
        Ok(reading.await?.found)
    }
}

async fn read(connection: &mut PgConnection, list: ListShows) -> Result<Vec<ShowInfo>, StoreError> {
    let ListShows { filter, after, .. } = list;
    let rows = sqlx::query_file_as!(
        InfoRow,
        "src/store/sql/list_shows.sql",
        filter.start_from,
        filter.start_before,
        after.map(|after| after.start_at),
        after.map(|after| after.id.uuid()),
        filter.show_type.map(|kind| kind.as_str()),
        filter.state.map(|state| state.as_str()),
        filter.venue,
        filter.name_contains.map(|text| containing(&text)),
        i64::from(list.rows_max),
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter().map(ShowInfo::try_from).collect()
}

/// The pattern of texts that have `text` in them, with nothing in it that has a meaning.
fn containing(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len() + 2);
    pattern.push('%');
    for char in text.chars() {
        if matches!(char, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(char);
    }
    pattern.push('%');
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_taken_literally() {
        assert_eq!(containing(r"a%b_c\d"), r"%a\%b\_c\\d%");
    }
}
