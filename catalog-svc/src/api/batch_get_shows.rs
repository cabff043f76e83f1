//! BatchGetShows.

use std::collections::HashSet;

use model::ShowId;
use proto::catalog::v1 as pb;
use service_kit::{ApiError, FieldViolations};

use super::{CatalogApi, convert, parse};

/// The most shows of a call.
const SHOWS_MAX: usize = 100;

pub(super) async fn handle(
    api: &CatalogApi,
    request: pb::BatchGetShowsRequest,
) -> Result<pb::BatchGetShowsResponse, ApiError> {
    let shows = api.store.batch_get_shows(parse(&request.show_ids)?).await?;
    Ok(pb::BatchGetShowsResponse {
        shows: shows.iter().map(convert::info).collect(),
    })
}

fn parse(texts: &[String]) -> Result<Vec<ShowId>, ApiError> {
    let mut violations = FieldViolations::default();
    if texts.is_empty() || texts.len() > SHOWS_MAX {
        violations.add("show_ids", format!("must be 1 to {SHOWS_MAX}"));
        return Err(violations.into_error());
    }
    let mut seen = HashSet::new();
    let mut ids = Vec::with_capacity(texts.len());
    for (i, text) in texts.iter().enumerate() {
        let path = format!("show_ids[{i}]");
        let id = parse::show_id(&mut violations, &path, text);
        if id.is_some_and(|id| !seen.insert(id)) {
            violations.add(path, "is listed twice");
        }
        ids.extend(id);
    }
    violations.check().map(|()| ids)
}
