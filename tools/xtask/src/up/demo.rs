//! The show to try things on.

use anyhow::{Context as _, Result};
use proto::booking::v1::{ListSeatsRequest, SeatStatus};
use proto::catalog::v1::{ListShowsRequest, Section, ShowState};

use crate::clients::{booking, catalog, concert, in_days, numbered, section};
use crate::up::ports::Ports;

const NAME: &str = "Demo: an evening of chamber music";
const DAYS_AHEAD: u32 = 60;
/// The fewest free seats of a demo show.
const FREE_SEATS_MIN: usize = 2;
/// The most pages of shows that are searched for an earlier demo before a new one is made.
const PAGES_MAX: usize = 10;

/// The id of the show of an earlier run, if it still has seats to sell; else of a new one.
pub(crate) async fn find_or_create(ports: &Ports) -> Result<String> {
    for show_id in earlier(ports).await? {
        if has_free_seats(ports, &show_id).await? {
            return Ok(show_id);
        }
    }
    let request = concert(NAME, DAYS_AHEAD, hall());
    let created = catalog(&ports.catalog_url())
        .await?
        .create_show(request)
        .await;
    let show = created.context("create the demo show")?.into_inner().show;
    Ok(show.context("CreateShow answered without a show")?.show_id)
}

async fn earlier(ports: &Ports) -> Result<Vec<String>> {
    let mut client = catalog(&ports.catalog_url()).await?;
    let mut found = Vec::new();
    let mut request = ListShowsRequest {
        page_size: 1_000,
        state: ShowState::OnSale.into(),
        start_time_from: Some(in_days(1)),
        ..Default::default()
    };
    for _ in 0..PAGES_MAX {
        let page = client.list_shows(request.clone()).await;
        let page = page.context("look for the demo show")?.into_inner();
        let demos = page.shows.into_iter().filter(|show| show.name == NAME);
        found.extend(demos.map(|show| show.show_id));
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    Ok(found)
}

async fn has_free_seats(ports: &Ports, show_id: &str) -> Result<bool> {
    let request = ListSeatsRequest {
        show_id: show_id.to_owned(),
        page_size: i32::try_from(FREE_SEATS_MIN)?,
        status: SeatStatus::Available.into(),
        ..Default::default()
    };
    let page = booking(&ports.booking_url())
        .await?
        .list_seats(request)
        .await;
    let page = page
        .context("look for free seats of the demo show")?
        .into_inner();
    Ok(page.seats.len() == FREE_SEATS_MIN)
}

fn hall() -> Vec<(Section, i64)> {
    let stalls = section("Stalls", &["A", "B", "C", "D", "E"], numbered(20));
    let circle = section("Circle", &["F", "G", "H"], numbered(20));
    vec![(stalls, 4500), (circle, 3000)]
}
