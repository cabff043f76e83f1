//! ListAreas.

use proto::booking::v1::ListAreasRequest;
use test_harness::errors::fields;
use tonic::Code;

use super::show_of;
use crate::stage::Stage;

fn request(show: &str, page_size: i32, page_token: &str) -> ListAreasRequest {
    ListAreasRequest {
        show_id: show.to_owned(),
        page_size,
        page_token: page_token.to_owned(),
    }
}

#[tokio::test]
async fn areas_are_listed_page_by_page_in_the_order_of_the_layout() {
    let mut stage = Stage::start().await;
    let areas = [("Pit", 4), ("Floor", 10), ("Balcony", 7)];
    let show = stage.create(show_of(2, &areas)).await;
    let other = stage.create(show_of(2, &areas)).await;
    let mut client = stage.client();
    let first = client.list_areas(request(&show, 2, "")).await;
    let first = first.expect("a page").into_inner();
    let token = first.next_page_token;
    let second = client.list_areas(request(&show, 2, &token)).await;
    let second = second.expect("a page").into_inner();
    assert_eq!(second.next_page_token, "");
    let listed: Vec<_> = first.areas.into_iter().chain(second.areas).collect();
    let counts = listed
        .iter()
        .map(|area| (&*area.name, area.capacity, area.available));
    let counts: Vec<_> = counts.collect();
    assert_eq!(
        counts,
        areas.map(|(name, capacity)| (name, capacity, capacity))
    );
    for area in &listed {
        assert_eq!(
            area.price.as_ref().map(|price| price.minor_units),
            Some(1_250)
        );
        assert_eq!(area.price_tier, "Standard");
        assert!(area.position.is_some());
    }
    let call = client.list_areas(request(&other, 2, &token));
    let reason = "INVALID_PAGE_TOKEN";
    let status = stage.refused(call, Code::InvalidArgument, reason).await;
    assert_eq!(fields(&status), ["page_token"]);
    stage.assert_sound().await;
}

#[tokio::test]
async fn a_show_without_areas_has_none_and_a_bad_request_is_refused() {
    let mut stage = Stage::start().await;
    let show = stage.a_show(1).await;
    assert_eq!(stage.areas(&show).await, []);
    let mut client = stage.client();
    for (request, path) in [
        (request(&show, -1, ""), "page_size"),
        (request("no id", 0, ""), "show_id"),
    ] {
        let call = client.list_areas(request);
        let status = stage
            .refused(call, Code::InvalidArgument, "INVALID_FIELD")
            .await;
        assert_eq!(fields(&status), [path]);
    }
    let nowhere = model::ShowId::generate().to_string();
    let call = client.list_areas(request(&nowhere, 0, ""));
    stage.refused(call, Code::NotFound, "SHOW_NOT_FOUND").await;
    stage.assert_sound().await;
}
