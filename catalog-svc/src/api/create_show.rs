//! CreateShow.

use proto::catalog::v1 as pb;
use service_kit::{ApiError, FieldViolations};
use time::OffsetDateTime;

use super::{CatalogApi, convert, error, layout, parse};
use crate::domain::{NewShow, Schedule};
use crate::store::{CreateShow, RequestKey};

pub(super) async fn handle(
    api: &CatalogApi,
    request: pb::CreateShowRequest,
) -> Result<pb::CreateShowResponse, ApiError> {
    let (create, key) = parse(request)?;
    let show = api.store.mutate(create, key).await?;
    Ok(pb::CreateShowResponse {
        show: Some(convert::show(&show)),
    })
}

fn parse(mut request: pb::CreateShowRequest) -> Result<(CreateShow, Option<RequestKey>), ApiError> {
    let mut violations = FieldViolations::default();
    let id = parse::request_id(&mut violations, &std::mem::take(&mut request.request_id));
    let key = parse::request_key::<CreateShow>(id, &request);

    let name = violations.take("name", request.name.try_into());
    let show_type = parse::required_show_type(&mut violations, "show_type", request.show_type);
    let start = parse::required_time(&mut violations, "start_time", request.start_time.as_ref());
    let end = parse::time(&mut violations, "end_time", request.end_time.as_ref());
    let schedule = start.and_then(|start| match Schedule::new(start, end) {
        Ok(schedule) => Some(schedule),
        Err(problem) => {
            error::note_schedule(&mut violations, "", problem);
            Schedule::new(start, None).ok()
        }
    });
    let venue = violations.take("venue", request.venue.try_into());
    let layout = layout::parse(
        &mut violations,
        request.sections,
        request.total_seats,
        request.seat_price.as_ref(),
    );
    if !violations.is_empty() {
        // Whether the start lies ahead is decided by the database's clock, after it has looked
        // for the request id: a copy that arrives late still gets the first result. But who
        // must correct the request anyway shall learn of all that is wrong with it.
        let ahead = schedule.map(|schedule| schedule.check_ahead(OffsetDateTime::now_utc()));
        if let Some(Err(problem)) = ahead {
            error::note_schedule(&mut violations, "", problem);
        }
    }
    match (name, show_type, schedule, venue, layout) {
        (Some(name), Some(show_type), Some(schedule), Some(venue), Some(layout))
            if violations.is_empty() =>
        {
            Ok((
                CreateShow(NewShow {
                    name,
                    show_type,
                    schedule,
                    venue,
                    layout,
                }),
                key,
            ))
        }
        _ => Err(violations.into_error()),
    }
}
