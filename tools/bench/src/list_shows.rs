//! ListShows by each of its filters, in a catalog of ten thousand shows.

use anyhow::Result;
use proto::catalog::v1::catalog_service_client::CatalogServiceClient;
use proto::catalog::v1::{CancelShowRequest, ListShowsRequest, ShowState, ShowType};

use crate::read::measure;
use crate::report::Report;
use crate::stand::{Stand, show_starts_at, venue};

/// Existing ones included.
const SHOWS: u32 = 10_000;
/// One alone, and enough to keep two cores busy.
const CLIENTS: [usize; 2] = [1, 4];
/// One show in this many is cancelled.
const CANCEL_EACH: usize = 10;

/// Measures, once there are enough shows besides `shows`.
pub(crate) async fn run(stand: &Stand, shows: u32, report: &mut Report) -> Result<()> {
    let more = stand.create_shows(SHOWS - shows, 1).await?;
    let catalog = stand.catalog_endpoint()?.connect().await?;
    let mut client = CatalogServiceClient::new(catalog.clone());
    for show_id in more.into_iter().step_by(CANCEL_EACH) {
        let request = CancelShowRequest {
            show_id,
            ..Default::default()
        };
        client.cancel_show(request).await?;
    }
    stand.quiesce().await?;
    let cases = CLIENTS.map(|clients| filters().map(|filter| (clients, filter)));
    for (clients, (name, request)) in cases.into_iter().flatten() {
        let name = format!("ListShows of {SHOWS} shows, {name}");
        measure(&name, clients, report, |_| {
            let mut client = CatalogServiceClient::new(catalog.clone());
            let request = request.clone();
            async move { client.list_shows(request).await.map(drop) }
        })
        .await?;
    }
    Ok(())
}

fn filters() -> [(&'static str, ListShowsRequest); 9] {
    let all = ListShowsRequest {
        show_type: ShowType::Bus.into(),
        state: ShowState::OnSale.into(),
        start_time_from: Some(show_starts_at(SHOWS / 4).into()),
        start_time_before: Some(show_starts_at(SHOWS / 2).into()),
        venue: venue(7),
        name_contains: "show 4".to_owned(),
        ..Default::default()
    };
    let none = ListShowsRequest::default;
    let of_type = ListShowsRequest {
        show_type: all.show_type,
        ..none()
    };
    let of_state = ListShowsRequest {
        state: ShowState::Cancelled.into(),
        ..none()
    };
    let of_time = ListShowsRequest {
        start_time_from: all.start_time_from,
        start_time_before: all.start_time_before,
        ..none()
    };
    let of_venue = ListShowsRequest {
        venue: all.venue.clone(),
        ..none()
    };
    let of_name = |text: &str| ListShowsRequest {
        name_contains: text.to_owned(),
        ..none()
    };
    [
        ("no filter", none()),
        ("by type", of_type),
        ("by state", of_state),
        ("by time", of_time),
        ("by venue", of_venue),
        ("by a text that 12 names have", of_name("how 777")),
        ("by a text that 122 names have", of_name("how 77")),
        ("by a text that all names have", of_name("show ")),
        ("by all of them", all),
    ]
}
