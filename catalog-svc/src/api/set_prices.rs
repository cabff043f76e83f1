//! SetPrices.

use proto::catalog::v1 as pb;
use service_kit::{ApiError, FieldViolations};

use super::{CatalogApi, convert, parse, prices};
use crate::store::{RequestKey, SetPrices};

pub(super) async fn handle(
    api: &CatalogApi,
    request: pb::SetPricesRequest,
) -> Result<pb::SetPricesResponse, ApiError> {
    let (set, key) = parse(request)?;
    let show = api.store.mutate(set, key).await?;
    Ok(pb::SetPricesResponse {
        show: Some(convert::show(&show)),
    })
}

fn parse(mut request: pb::SetPricesRequest) -> Result<(SetPrices, Option<RequestKey>), ApiError> {
    let mut violations = FieldViolations::default();
    let id = parse::request_id(&mut violations, &std::mem::take(&mut request.request_id));
    let key = parse::request_key::<SetPrices>(id, &request);
    let id = parse::show_id(&mut violations, "show_id", &request.show_id);
    let etag = parse::etag(&mut violations, "etag", request.etag);
    if etag.is_none() {
        violations.add("etag", "must be set");
    }
    let prices = prices::parse(&mut violations, request.price_tiers);
    match (id, etag, prices) {
        (Some(id), Some(etag), Some(prices)) if violations.is_empty() => {
            Ok((SetPrices { id, etag, prices }, key))
        }
        _ => Err(violations.into_error()),
    }
}
