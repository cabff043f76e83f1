//! BatchGetShows.

use model::ShowId;
use proto::catalog::v1 as pb;
use test_harness::errors::{assert_refused, fields, metadata};
use tonic::{Code, Response, Status};
use uuid::Uuid;

use crate::support::{Client, Service, create, delete, hamlet};

async fn try_batch(
    client: &Client,
    ids: &[String],
) -> Result<Response<pb::BatchGetShowsResponse>, Status> {
    let request = pb::BatchGetShowsRequest {
        show_ids: ids.to_vec(),
    };
    client.clone().batch_get_shows(request).await
}

#[tokio::test]
async fn shows_come_in_the_order_of_the_request_without_layouts() {
    let (service, _database) = Service::start().await;
    let mut shows = Vec::new();
    for _ in 0..3 {
        let show = create(&service.client, hamlet()).await;
        shows.push(pb::Show {
            layout: None,
            price_tiers: Vec::new(),
            ..show
        });
    }
    shows.swap(0, 2);
    let ids: Vec<_> = shows.iter().map(|show| show.show_id.clone()).collect();
    let got = try_batch(&service.client, &ids).await.expect("shows");
    assert_eq!(got.into_inner().shows, shows);
}

#[tokio::test]
async fn the_first_that_do_not_exist_are_named() {
    let (service, _database) = Service::start().await;
    let there = create(&service.client, hamlet()).await.show_id;
    let gone = create(&service.client, hamlet()).await.show_id;
    delete(&service, &gone).await;
    let mut ids: Vec<_> = (0..97).map(|_| ShowId::generate().to_string()).collect();
    // No show can have it, and it is no worse than the others for that.
    ids.insert(1, Uuid::new_v4().to_string());
    ids.extend([there.clone(), gone]);
    let refused = try_batch(&service.client, &ids).await;
    let status = assert_refused(refused, Code::NotFound, "SHOW_NOT_FOUND");
    ids.retain(|id| *id != there);
    let error = metadata(&status);
    let named: Vec<_> = error["show_id"].split(',').collect();
    assert!((10..ids.len()).contains(&named.len()), "{named:?}");
    assert_eq!(named, ids[..named.len()]);
    assert_eq!(
        error["omitted_count"],
        (ids.len() - named.len()).to_string()
    );
    assert_eq!(error["total_count"], "99");
    let few = try_batch(&service.client, &ids[..3]).await;
    let status = assert_refused(few, Code::NotFound, "SHOW_NOT_FOUND");
    assert_eq!(metadata(&status)["show_id"], ids[..3].join(","));
}

#[tokio::test]
async fn bad_ids_are_named_by_their_index() {
    let (service, _database) = Service::start().await;
    let id = ShowId::generate().to_string();
    let many: Vec<_> = (0..101).map(|_| ShowId::generate().to_string()).collect();
    let cases = [
        (vec![], vec!["show_ids"]),
        (many, vec!["show_ids"]),
        (
            vec![id.clone(), "x".to_owned(), id],
            vec!["show_ids[1]", "show_ids[2]"],
        ),
    ];
    for (ids, expected) in cases {
        let refused = try_batch(&service.client, &ids).await;
        let status = assert_refused(refused, Code::InvalidArgument, "INVALID_FIELD");
        assert_eq!(fields(&status), expected);
    }
}
