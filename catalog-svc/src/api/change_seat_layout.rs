//! ChangeSeatLayout.

use proto::catalog::v1 as pb;
use service_kit::call::LargeTurn;
use service_kit::{ApiError, FieldViolations};
use tokio::time::Instant;

use super::{CatalogApi, convert, parse, prices, proposal};
use crate::domain::{Decided, Show};
use crate::store::{ChangeSeatLayout, RequestKey};

pub(super) async fn handle(
    api: &CatalogApi,
    request: pb::ChangeSeatLayoutRequest,
    deadline: Instant,
    turn: &LargeTurn,
) -> Result<pb::ChangeSeatLayoutResponse, ApiError> {
    let (change, key) = parse(request)?;
    let show: Show = match api.store.mutate(change, key).await? {
        Decided::Now(show) => show,
        Decided::Later(proposed) => {
            turn.give_back();
            proposal::wait(api, proposed, deadline).await?;
            let show = api.store.show_as_written(proposed.id).await?;
            api.store.applied_by_all(show.info.revision).await;
            show
        }
    };
    Ok(pb::ChangeSeatLayoutResponse {
        show: Some(convert::show(&show)),
    })
}

fn parse(
    mut request: pb::ChangeSeatLayoutRequest,
) -> Result<(ChangeSeatLayout, Option<RequestKey>), ApiError> {
    let mut violations = FieldViolations::default();
    let request_id = parse::request_id(&mut violations, &std::mem::take(&mut request.request_id));
    let key = parse::request_key::<ChangeSeatLayout>(request_id, &request);
    let id = parse::show_id(&mut violations, "show_id", &request.show_id);
    let etag = parse::etag(&mut violations, "etag", request.etag);
    let layout_id = violations.take("layout_id", request.layout_id.parse());
    let prices = (!request.price_tiers.is_empty())
        .then(|| prices::parse(&mut violations, request.price_tiers))
        .flatten();
    match (id, layout_id) {
        (Some(id), Some(layout_id)) if violations.is_empty() => {
            let change = ChangeSeatLayout {
                id,
                etag,
                layout_id,
                prices,
                request_id,
            };
            Ok((change, key))
        }
        _ => Err(violations.into_error()),
    }
}
