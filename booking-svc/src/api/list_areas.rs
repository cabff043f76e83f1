//! ListAreas.

use std::collections::HashMap;

use proto::booking::v1 as pb;
use proto::catalog::v1::Point;
use proto::money::v1::Money;
use service_kit::fingerprint::fingerprint;
use service_kit::{ApiError, FieldViolations, paging};

use super::{Bookings, parse};
use crate::domain::Sale;
use crate::store::AreaCount;

impl Bookings {
    pub(super) async fn handle_list_areas(
        &self,
        request: pb::ListAreasRequest,
    ) -> Result<pb::ListAreasResponse, ApiError> {
        let page_size = usize::from(paging::page_size(request.page_size)?);
        let mut violations = FieldViolations::default();
        let Some(show_id) = parse::show_id(&request.show_id, &mut violations) else {
            return Err(violations.into_error());
        };
        let query = fingerprint("list_areas", [show_id.uuid().as_bytes().as_slice()]);
        let from = paging::cursor(query, &request.page_token, |text| text.parse().ok())?;
        let from: usize = from.unwrap_or(0);

        let sale = self.sales.get(show_id).await?;
        let counts = self.store.areas(show_id).await?.into_iter();
        let counts: HashMap<_, _> = counts.map(|count| (count.area.clone(), count)).collect();

        let described = sale.seats.layout().areas();
        let page = described.iter().enumerate().skip(from).take(page_size);
        let areas = page.map(|(index, area)| as_message(&sale, index, counts.get(&area.name[..])));
        let next = from.saturating_add(page_size);
        let next_page_token =
            (next < described.len()).then(|| paging::page_token(query, &next.to_string()));
        Ok(pb::ListAreasResponse {
            areas: areas.collect(),
            next_page_token: next_page_token.unwrap_or_default(),
        })
    }
}

/// An area of the layout, by its index. One that was added after the sale was looked up has no
/// count yet, and offers nothing.
fn as_message(sale: &Sale, index: usize, count: Option<&AreaCount>) -> pb::Area {
    let number = |count: u32| i32::try_from(count).unwrap_or(i32::MAX);
    let layout = sale.seats.layout();
    let mut message = pb::Area {
        available: count.map_or(0, |count| number(count.available)),
        held: count.map_or(0, |count| number(count.held)),
        booked: count.map_or(0, |count| number(count.booked)),
        ..pb::Area::default()
    };
    if let Some(area) = layout.areas().get(index) {
        message.name = area.name.to_string();
        message.deck = area.deck.to_string();
        message.capacity = number(area.capacity);
    }
    if let Some(priced) = sale.prices.of_area(index) {
        message.price_tier = priced.tier.to_owned();
        message.price = Some(Money {
            minor_units: priced.price,
            currency_code: sale.prices.currency().as_str().to_owned(),
        });
    }
    let point = layout.area_point(index);
    message.position = point.map(|point| Point {
        x: point.x,
        y: point.y,
    });
    message
}
