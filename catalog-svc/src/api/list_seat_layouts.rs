//! ListSeatLayouts.

use proto::catalog::v1 as pb;
use service_kit::fingerprint::fingerprint_of_body;
use service_kit::{ApiError, FieldViolations, paging};

use super::{CatalogApi, layout};
use crate::domain::{LayoutId, LayoutList};

pub(super) async fn handle(
    api: &CatalogApi,
    mut request: pb::ListSeatLayoutsRequest,
) -> Result<pb::ListSeatLayoutsResponse, ApiError> {
    let size = paging::page_size(std::mem::take(&mut request.page_size))?;
    let token = std::mem::take(&mut request.page_token);
    let query = fingerprint_of_body("list_seat_layouts", &request);
    let after = paging::cursor(query, &token, parse_cursor)?;
    let mut violations = FieldViolations::default();
    let origin = request.derived_from;
    let origin = (!origin.is_empty()).then(|| violations.take("derived_from", origin.parse()));
    violations.check()?;

    let list = LayoutList {
        derived_from: origin.flatten(),
        after,
        size,
    };
    let page = api.store.list_seat_layouts(list).await?;
    let token = |(name, id)| paging::page_token(query, &format!("{id}_{name}"));
    let next_page_token = page.next.map(token).unwrap_or_default();
    Ok(pb::ListSeatLayoutsResponse {
        layouts: page.items.iter().map(layout::write_info).collect(),
        next_page_token,
    })
}

/// The position after a layout, as in a page token: the id and the name.
fn parse_cursor(text: &str) -> Option<(String, LayoutId)> {
    let (id, name) = text
        .split_once('_')
        .filter(|(_, name)| !name.contains('\0'))?;
    Some((name.to_owned(), id.parse().ok()?))
}
