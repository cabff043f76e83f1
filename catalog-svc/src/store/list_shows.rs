//! Lists shows, without their layouts.

use sqlx::PgConnection;

use super::Store;
use super::error::StoreError;
use super::rows::{ShowRow, select_shows};
use super::unreadable::Unreadable;
use crate::domain::{After, ListPage, ShowFilter, ShowInfo};

/// How many shows a search for a text reads in the list's order, besides a page of them,
/// before it turns to the index. The more names have the text, the sooner the page is full, and
/// the fewer have it, the fewer rows the index collects: about the square root of the page size
/// times the number of shows serves both, here for ten thousand.
const LOOKED_AT_MAX: i64 = 700;
/// How many of those it reads to predict whether the page would be full by the last of them. Most
/// searched texts are in few names.
const BEGINNING: i64 = 100;
/// The most characters of each end of a text that the index is asked for: each costs as much as
/// there are names that have it.
const END_CHARS_MAX: usize = 8;

/// A page of a list.
#[derive(Debug, Clone)]
pub struct ListShows {
    /// Which shows.
    pub filter: ShowFilter,
    /// Where the page begins; none for the first one.
    pub after: Option<After>,
    /// The most shows of the page.
    pub size: u16,
    /// The revision that the shows must at least be as new as; 0 if the caller names none.
    pub min_revision: i64,
}

impl Store {
    /// A page of the shows, by start and then by id. Those that cannot be read are left out.
    ///
    /// # Errors
    ///
    /// If the revision is ahead of the newest, or the database fails.
    pub async fn list_shows(
        &self,
        list: ListShows,
    ) -> Result<ListPage<ShowInfo, After>, StoreError> {
        let min_revision = list.min_revision;
        let unreadable = self.unreadable.clone();
        let reading = self.read("list_shows", min_revision, move |connection| {
            Box::pin(read(connection, list, unreadable))
        });
        Ok(reading.await?.found)
    }
}

async fn read(
    connection: &mut PgConnection,
    list: ListShows,
    unreadable: Unreadable,
) -> Result<ListPage<ShowInfo, After>, StoreError> {
    // One more than the page holds, to see whether there is more.
    let (size, rows_max) = (usize::from(list.size), i64::from(list.size) + 1);
    let mut rows = match list.filter.name_contains.clone() {
        Some(text) => named(connection, list, &text, rows_max).await?,
        None => any_name(connection, list, rows_max).await?,
    };
    let goes_on = rows.len() > size;
    rows.truncate(size);
    let next = rows.iter().rev().find_map(ShowRow::place);
    let items = rows.into_iter().filter_map(|row| {
        let id = row.show_id;
        unreadable.leave_out(id, row.try_into())
    });
    Ok(ListPage {
        items: items.collect(),
        next: next.filter(|_| goes_on),
    })
}

/// Reads rows of shows with the filters of a list, except for the text in the name, between the
/// literals.
///
/// An unset filter disappears when the statement is planned: each call is planned for
/// its own filters (plan_cache_mode of our role), and uses the index that serves them best.
///
/// A limit should be a subquery, so that the planner does not see the number: then it plans for the
/// first rows, in the order of an index. Without statistics it would otherwise expect so few
/// shows that it sorts all of them.
macro_rules! select_listed {
    ($list:ident, $start:tt $(, $rest:tt)+; $($argument:expr),+) => {
        select_shows!(
            "NULL::jsonb",
            $start $(+ r"deleted_at IS NULL
                AND ($1::timestamptz IS NULL OR start_at >= $1)
                AND ($2::timestamptz IS NULL OR start_at < $2)
                AND ($3::timestamptz IS NULL OR (start_at, show_id) > ($3, $4::uuid))
                AND ($5::text IS NULL OR show_type = $5::text::catalog.show_type)
                AND ($6::text IS NULL OR state = $6::text::catalog.show_state)
                AND ($7::text IS NULL OR venue = $7)" + $rest)+,
            $list.filter.start_from,
            $list.filter.start_before,
            $list.after.map(|after| after.start_at),
            $list.after.map(|after| after.id.uuid()),
            $list.filter.show_type.map(|kind| kind.as_str()),
            $list.filter.state.map(|state| state.as_str()),
            $list.filter.venue,
            $($argument),+
        )
    };
}

async fn any_name(
    connection: &mut PgConnection,
    list: ListShows,
    rows_max: i64,
) -> Result<Vec<ShowRow>, sqlx::Error> {
    let rows = select_listed!(
        list,
        "WHERE ",
        " ORDER BY start_at, show_id LIMIT (SELECT $8::bigint)";
        rows_max
    );
    rows.fetch_all(connection).await
}

/// A page of the shows whose names have a text, in two steps: the first is bounded, and the second
/// only runs for texts that few names have, or only names late in the list; under any plan.
///
/// `looked_at` walks the list and stops when the page is full (`near`), or after its
/// beginning if too few there have the text (`guess`): rows of a materialized CTE are
/// fetched when they are needed, and in its order. If the page is not full then, and there is more
/// to list, the matches are collected by the index of names, the only one that can serve them: OFFSET 0
/// keeps the filters out. That finds those of `near` once more, and each is looked up once.
async fn named(
    connection: &mut PgConnection,
    list: ListShows,
    text: &str,
    rows_max: i64,
) -> Result<Vec<ShowRow>, sqlx::Error> {
    let looked_at_max = LOOKED_AT_MAX + rows_max;
    let beginning = beginning(&list.filter, looked_at_max);
    // More than half of what would fill the page: there may be few by chance.
    let promising_min = rows_max * beginning / (2 * looked_at_max) + 1;
    let rows = select_listed!(
        list,
        r"WHERE show_id = ANY (ARRAY(
            WITH looked_at AS MATERIALIZED (
                SELECT show_id, name_folded LIKE $8 AS has_text FROM catalog.shows
                WHERE ",
        r"
                ORDER BY start_at, show_id
                LIMIT (SELECT $11::bigint)
            ), guess AS MATERIALIZED (
                SELECT count(*) < $12 OR count(*) FILTER (WHERE has_text) >= $13 AS is_promising
                FROM (SELECT has_text FROM looked_at LIMIT $12) AS beginning
            ), near AS MATERIALIZED (
                SELECT show_id FROM looked_at
                WHERE (SELECT is_promising FROM guess) AND has_text LIMIT $10
            )
            SELECT show_id FROM near UNION ALL (
                SELECT show_id
                FROM (
                    SELECT show_id, start_at, show_type, state, venue, deleted_at, name_folded
                    FROM catalog.shows WHERE name_folded LIKE $9 OFFSET 0
                ) AS having_ends
                WHERE (SELECT count(*) FROM near) < $10
                  AND (NOT (SELECT is_promising FROM guess)
                       OR (SELECT count(*) FROM looked_at) = $11)
                  AND ($8::text = $9::text OR name_folded LIKE $8)
                  AND ",
        r"
                ORDER BY start_at, show_id
                LIMIT $10
            )
        ))
        ORDER BY start_at, show_id
        LIMIT $10";
        containing([text]),
        containing(ends(text)),
        rows_max,
        looked_at_max,
        beginning,
        promising_min
    );
    rows.fetch_all(connection).await
}

/// How many shows to read before it is decided whether to continue. Those of one place or before
/// some time are often few, and then all are read: many others may have the text.
fn beginning(filter: &ShowFilter, looked_at_max: i64) -> i64 {
    if filter.venue.is_some() || filter.start_before.is_some() {
        looked_at_max
    } else {
        BEGINNING
    }
}

/// The ends of a text, or the text itself if it is not longer: every match contains them.
fn ends(text: &str) -> impl Iterator<Item = &str> {
    let chars = text.chars().count();
    let (head, tail) = if chars <= 2 * END_CHARS_MAX {
        (text, None)
    } else {
        let at = |place| {
            text.char_indices()
                .nth(place)
                .map_or(text.len(), |(at, _)| at)
        };
        let (head_end, tail_start) = (at(END_CHARS_MAX), at(chars - END_CHARS_MAX));
        (&text[..head_end], Some(&text[tail_start..]))
    };
    std::iter::once(head).chain(tail)
}

/// The pattern of texts that contain `parts`, one after the other, with special characters
/// escaped.
fn containing<'a>(parts: impl IntoIterator<Item = &'a str>) -> String {
    let mut pattern = String::from("%");
    for part in parts {
        for char in part.chars() {
            if matches!(char, '%' | '_' | '\\') {
                pattern.push('\\');
            }
            pattern.push(char);
        }
        pattern.push('%');
    }
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_taken_literally() {
        assert_eq!(containing([r"a%b_c\d"]), r"%a\%b\_c\\d%");
        assert_eq!(containing(["a%", "b"]), r"%a\%%b%");
    }

    #[test]
    fn the_index_is_asked_for_the_ends_of_long_texts() {
        let sixteen = "äbcdefghijklmnöp";
        assert!(ends(sixteen).eq([sixteen]));
        assert!(ends("äbcdefghijklmnöpq").eq(["äbcdefgh", "jklmnöpq"]));
        assert!(ends(&"ß".repeat(100)).eq(["ßßßßßßßß"; 2]));
    }
}
