//! ListShows.

use proto::catalog::v1 as pb;
use service_kit::fingerprint::fingerprint_of_body;
use service_kit::{ApiError, FieldViolations, paging};
use time::OffsetDateTime;

use super::{CatalogApi, convert, parse};
use crate::domain::{After, ShowFilter, VENUE_CHARS_MAX, folded};
use crate::store::ListShows;

/// The most characters of a text that names are searched for.
const SOUGHT_CHARS_MAX: usize = 100;
/// The fewest, in the form in which it is compared: no index finds shorter ones.
const SOUGHT_CHARS_MIN: usize = 3;

pub(super) async fn handle(
    api: &CatalogApi,
    request: pb::ListShowsRequest,
) -> Result<pb::ListShowsResponse, ApiError> {
    let page = Page::parse(request)?;
    let shows = api.store.list_shows(page.list).await?;
    let token = |after| paging::page_token(page.query, &write_cursor(after));
    Ok(pb::ListShowsResponse {
        shows: shows.items.iter().map(convert::info).collect(),
        next_page_token: shows.next.map(token).unwrap_or_default(),
    })
}

struct Page {
    /// Hash of the arguments that a token is bound to.
    query: i64,
    list: ListShows,
}

impl Page {
    fn parse(mut request: pb::ListShowsRequest) -> Result<Self, ApiError> {
        let size = paging::page_size(std::mem::take(&mut request.page_size))?;
        let token = std::mem::take(&mut request.page_token);
        // A token is not bound to it: pages may be asked for as newer ones are written.
        let min_revision = std::mem::take(&mut request.min_revision);
        let query = fingerprint_of_body("list_shows", &request);
        let after = paging::cursor(query, &token, parse_cursor)?;

        let mut violations = FieldViolations::default();
        let from = request.start_time_from.as_ref();
        let before = request.start_time_before.as_ref();
        let filter = ShowFilter {
            show_type: parse::show_type(&mut violations, "show_type", request.show_type),
            state: parse::show_state(&mut violations, "state", request.state),
            start_from: parse::time(&mut violations, "start_time_from", from),
            start_before: parse::time(&mut violations, "start_time_before", before),
            venue: parse::sought(&mut violations, "venue", request.venue, 1..=VENUE_CHARS_MAX),
            name_contains: name_contains(&mut violations, request.name_contains),
        };
        let min_revision = parse::min_revision(&mut violations, min_revision);
        violations.check()?;
        Ok(Self {
            query,
            list: ListShows {
                filter,
                after,
                size,
                min_revision: min_revision.unwrap_or_default(),
            },
        })
    }
}

/// The text to search names for, folded like the names.
fn name_contains(violations: &mut FieldViolations, text: String) -> Option<String> {
    let path = "name_contains";
    let text = parse::sought(violations, path, text, 1..=SOUGHT_CHARS_MAX)?;
    let folded = folded(&text);
    if folded.chars().count() < SOUGHT_CHARS_MIN {
        let message = "must have at least 3 characters, or 2 of Chinese, Japanese or Korean";
        violations.add(path, message);
    }
    Some(folded)
}

/// The position after a show, as in a page token: microseconds since 1970 and the id.
fn write_cursor(after: After) -> String {
    format!(
        "{}_{}",
        after.start_at.unix_timestamp_nanos() / 1_000,
        after.id
    )
}

fn parse_cursor(text: &str) -> Option<After> {
    let (micros, id) = text.split_once('_')?;
    let nanos = i128::from(micros.parse::<i64>().ok()?) * 1_000;
    Some(After {
        start_at: OffsetDateTime::from_unix_timestamp_nanos(nanos).ok()?,
        id: id.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use model::ShowId;
    use time::macros::datetime;

    use super::*;

    #[test]
    fn a_cursor_survives_its_text() {
        for start_at in [
            datetime!(2030-01-01 20:00:00.000001 UTC),
            datetime!(1960-01-01 0:00 UTC),
        ] {
            let after = After {
                start_at,
                id: ShowId::generate(),
            };
            assert_eq!(parse_cursor(&write_cursor(after)), Some(after));
        }
        assert_eq!(parse_cursor("17"), None);
        assert_eq!(parse_cursor("9223372036854775807_x"), None);
    }
}
