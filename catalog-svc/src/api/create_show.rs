//! CreateShow.

use model::{PriceDescription, PriceList, Problems, SeatLayout};
use proto::catalog::v1 as pb;
use proto::catalog::v1::create_show_request::Seats;
use service_kit::{ApiError, FieldViolations};
use time::OffsetDateTime;

use super::{CatalogApi, convert, error, layout, parse, prices};
use crate::domain::{
    LayoutId, NewLayout, NewSeats, NewShow, Rejection, SaleRules, Schedule, ShowName,
};
use crate::store::{CreateShow, RequestKey, StoreError};

pub(super) async fn handle(
    api: &CatalogApi,
    request: pb::CreateShowRequest,
) -> Result<pb::CreateShowResponse, ApiError> {
    let (create, key) = match parse(request) {
        Ok(parsed) => parsed,
        Err(wrong) => return Err(wrong.completed(api).await),
    };
    let show = api.store.mutate(create, key).await?;
    Ok(pb::CreateShowResponse {
        show: Some(convert::show(&show)),
    })
}

/// The violations of a request, and the parts that only the database can check.
#[derive(Default)]
struct Wrong {
    violations: FieldViolations,
    layout_id: Option<LayoutId>,
    prices: Option<PriceDescription>,
}

impl Wrong {
    /// A caller that must correct the request anyway gets all of its violations.
    async fn completed(mut self, api: &CatalogApi) -> ApiError {
        if let Some(id) = self.layout_id {
            match api.store.get_seat_layout(id).await {
                Ok(layout) => {
                    let layout = SeatLayout::new(layout.description.clone());
                    if let (Ok(layout), Some(prices)) = (layout, self.prices) {
                        let problems = PriceList::new(prices, &layout).err();
                        add(&mut self.violations, problems.unwrap_or_default());
                    }
                }
                Err(StoreError::Rejected(Rejection::LayoutNotFound(_))) => {
                    self.violations.add("layout_id", error::NO_LAYOUT);
                }
                // The violations already found are returned anyway.
                Err(_) => {}
            }
        }
        self.violations.into_error()
    }
}

fn parse(mut request: pb::CreateShowRequest) -> Result<(CreateShow, Option<RequestKey>), Wrong> {
    let mut wrong = Wrong::default();
    let violations = &mut wrong.violations;
    let id = parse::request_id(violations, &std::mem::take(&mut request.request_id));
    let key = parse::request_key::<CreateShow>(id, &request);

    let schedule = schedule(violations, &request);
    let rules = rules(violations, &request);
    let show_type = parse::show_type_or_default(violations, "show_type", request.show_type);
    let time_zone = parse::time_zone(violations, "time_zone", request.time_zone);
    let venue = violations.take("venue", request.venue.try_into());
    let organiser = violations.take("organiser", request.organiser.try_into());
    let name: Option<ShowName> = violations.take("name", request.name.try_into());
    let prices = prices::parse_either(violations, request.price_tiers, request.seat_price.as_ref());
    let is_draft = request.draft || request.sales_open_time.is_some();

    let seats = match request.seats {
        Some(Seats::LayoutId(id)) => {
            wrong.layout_id = violations.take("layout_id", id.parse());
            wrong.prices.clone_from(&prices);
            wrong
                .layout_id
                .zip(prices)
                .map(|(id, prices)| NewSeats::Of(id, prices))
        }
        Some(Seats::Layout(described)) => {
            let layout = layout::parse(violations, described, name.as_ref().map(ShowName::as_str));
            layout
                .zip(prices)
                .and_then(|(layout, prices)| own(violations, layout, prices))
        }
        Some(Seats::TotalSeats(count)) => {
            let layout = total(violations, count);
            let layout = layout.zip(name.clone()).map(|(layout, name)| NewLayout {
                name,
                derived_from: None,
                layout,
            });
            layout
                .zip(prices)
                .and_then(|(layout, prices)| own(violations, layout, prices))
        }
        None => {
            violations.add("total_seats", "must be set, or layout_id or layout");
            None
        }
    };
    if !violations.is_empty() {
        // The database's clock decides whether times are in the future, after the look-up of the
        // request id: a replay that arrives late still gets the first result. But a caller that must
        // correct the request anyway gets that violation too.
        let now = OffsetDateTime::now_utc();
        add(
            violations,
            schedule
                .map(|schedule| schedule.not_ahead(now))
                .unwrap_or_default()
                .into(),
        );
        return Err(wrong);
    }
    match (
        name, show_type, schedule, time_zone, venue, organiser, seats, rules,
    ) {
        (
            Some(name),
            Some(show_type),
            Some(schedule),
            Some(time_zone),
            Some(venue),
            Some(organiser),
            Some(seats),
            Some(rules),
        ) => {
            let new = NewShow {
                name,
                show_type,
                schedule,
                time_zone,
                venue,
                organiser,
                seats,
                rules,
                is_draft,
            };
            Ok((CreateShow(new), key))
        }
        // The missing values are among the violations.
        _ => Err(wrong),
    }
}

/// Its times. Times in the wrong order become violations, and are left out.
fn schedule(violations: &mut FieldViolations, request: &pb::CreateShowRequest) -> Option<Schedule> {
    let start = parse::required_time(violations, "start_time", request.start_time.as_ref());
    let end = parse::time(violations, "end_time", request.end_time.as_ref());
    let open = request.sales_open_time.as_ref();
    let open = parse::time(violations, "sales_open_time", open);
    let close = request.sales_close_time.as_ref();
    let close = parse::time(violations, "sales_close_time", close);
    match Schedule::new(start?, end, open, close) {
        Ok(schedule) => Some(schedule),
        Err(problems) => {
            add(violations, problems.into());
            Schedule::new(start?, None, None, None).ok()
        }
    }
}

fn rules(violations: &mut FieldViolations, request: &pb::CreateShowRequest) -> Option<SaleRules> {
    let hold = parse::hold(violations, "hold_duration", request.hold_duration.as_ref());
    let seats = request.seats_per_booking_max;
    let seats = parse::limit(violations, "seats_per_booking_max", seats);
    let places = request.places_per_customer_max;
    let places = parse::limit(violations, "places_per_customer_max", places);
    let orphans = parse::orphan_rule(violations, "orphan_rule", request.orphan_rule);
    Some(SaleRules {
        hold: hold?,
        seats_per_booking: seats?,
        places_per_customer: places?,
        orphan_rule: orphans?,
    })
}

fn total(violations: &mut FieldViolations, count: i32) -> Option<SeatLayout> {
    let layout = SeatLayout::of_total(u32::try_from(count).unwrap_or_default());
    layout.map_err(|problems| add(violations, problems)).ok()
}

/// The layout of this show alone, with its prices.
fn own(
    violations: &mut FieldViolations,
    layout: NewLayout,
    prices: PriceDescription,
) -> Option<NewSeats> {
    match PriceList::new(prices, &layout.layout) {
        Ok(prices) => Some(NewSeats::Own(layout, prices)),
        Err(problems) => {
            add(violations, problems);
            None
        }
    }
}

fn add(violations: &mut FieldViolations, problems: Problems) {
    violations.omit(problems.omitted());
    for problem in problems {
        violations.add(problem.path, problem.message);
    }
}
