//! UpdateShow.

use proto::catalog::v1 as pb;
use service_kit::{ApiError, FieldViolations};

use super::mask::{self, Field};
use super::{CatalogApi, convert, error, parse};
use crate::domain::ShowPatch;
use crate::store::{RequestKey, UpdateShow};

/// Where the show's fields stand in the request.
const PREFIX: &str = "show.";

pub(super) async fn handle(
    api: &CatalogApi,
    request: pb::UpdateShowRequest,
) -> Result<pb::UpdateShowResponse, ApiError> {
    let (update, key) = parse(request)?;
    let updated = api.store.mutate(update, key).await;
    let show = updated.map_err(|error| error::of(error, PREFIX))?;
    Ok(pb::UpdateShowResponse {
        show: Some(convert::show(&show)),
    })
}

fn parse(mut request: pb::UpdateShowRequest) -> Result<(UpdateShow, Option<RequestKey>), ApiError> {
    let mut violations = FieldViolations::default();
    let id = parse::request_id(&mut violations, &std::mem::take(&mut request.request_id));
    let key = parse::request_key::<UpdateShow>(id, &request);

    let paths = request.update_mask.unwrap_or_default().paths;
    let fields = mask::parse(&mut violations, &paths);
    let Some(show) = request.show else {
        violations.add("show", "must be set");
        return Err(violations.into_error());
    };
    let id = parse::show_id(&mut violations, "show.show_id", &show.show_id);
    let etag = parse::etag(&mut violations, "show.etag", show.etag.clone());
    let patch = patch(&mut violations, &fields, &show);
    match id {
        Some(id) if violations.is_empty() => Ok((UpdateShow { id, etag, patch }, key)),
        _ => Err(violations.into_error()),
    }
}

/// The new values of the fields that the mask names.
fn patch(violations: &mut FieldViolations, fields: &[Field], show: &pb::Show) -> ShowPatch {
    let mut patch = ShowPatch::default();
    for field in fields {
        match field {
            Field::Name => {
                patch.name = violations.take("show.name", show.name.clone().try_into());
            }
            Field::ShowType => {
                patch.show_type =
                    parse::show_type_or_default(violations, "show.show_type", show.show_type);
            }
            Field::StartTime => {
                let start = show.start_time.as_ref();
                patch.start_at = parse::required_time(violations, "show.start_time", start);
            }
            Field::EndTime => {
                let end = show.end_time.as_ref();
                patch.end_at = Some(parse::time(violations, "show.end_time", end));
            }
            Field::Venue => {
                patch.venue = violations.take("show.venue", show.venue.clone().try_into());
            }
            Field::TimeZone => {
                let zone = show.time_zone.clone();
                patch.time_zone = parse::time_zone(violations, "show.time_zone", zone);
            }
            Field::SalesOpenTime => {
                let open = show.sales_open_time.as_ref();
                let open = parse::time(violations, "show.sales_open_time", open);
                patch.sales_open_at = Some(open);
            }
            Field::SalesCloseTime => {
                let close = show.sales_close_time.as_ref();
                let close = parse::time(violations, "show.sales_close_time", close);
                patch.sales_close_at = Some(close);
            }
            Field::HoldDuration => {
                let hold = show.hold_duration.as_ref();
                patch.hold = parse::hold(violations, "show.hold_duration", hold);
            }
            Field::SeatsPerBookingMax => {
                let (path, max) = ("show.seats_per_booking_max", show.seats_per_booking_max);
                patch.seats_per_booking = parse::limit(violations, path, max);
            }
            Field::PlacesPerCustomerMax => {
                let (path, max) = ("show.places_per_customer_max", show.places_per_customer_max);
                patch.places_per_customer = parse::limit(violations, path, max);
            }
            Field::OrphanRule => {
                let rule = show.orphan_rule;
                patch.orphan_rule = parse::orphan_rule(violations, "show.orphan_rule", rule);
            }
        }
    }
    patch
}
