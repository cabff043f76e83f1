//! GetShow.

use model::{BookingId, ShowId};
use proto::catalog::v1 as pb;
use test_harness::errors::{assert_error, fields, metadata};
use tonic::Code;
use uuid::Uuid;

use crate::support::{
    Service, cancel, create, delete, get, get_since, hamlet, try_get, try_get_since,
};

#[tokio::test]
async fn an_unknown_show_is_not_found() {
    let (service, _database) = Service::start().await;
    create(&service.client, hamlet()).await;
    let id = ShowId::generate();
    let booking = BookingId::generate(id).uuid();
    for id in [id.uuid(), booking, Uuid::new_v4(), Uuid::nil()] {
        let id = id.to_string();
        let status = try_get(&service.client, &id)
            .await
            .expect_err("no such show");
        assert_error(&status, Code::NotFound, "SHOW_NOT_FOUND");
        assert_eq!(metadata(&status).get("show_id"), Some(&id));
    }
}

#[tokio::test]
async fn an_id_that_is_no_uuid_is_refused() {
    let (service, _database) = Service::start().await;
    for id in ["", "7", "0b5c1f6e-8a2d-8000-8000-00000000000"] {
        let status = try_get(&service.client, id)
            .await
            .expect_err("no id of a show");
        assert_error(&status, Code::InvalidArgument, "INVALID_FIELD");
        assert_eq!(fields(&status), ["show_id"], "{id:?}");
    }
}

#[tokio::test]
async fn a_cancelled_show_is_there_and_a_deleted_one_is_not() {
    let (service, _database) = Service::start().await;
    let id = create(&service.client, hamlet()).await.show_id;
    cancel(&service.client, &id).await;
    assert_eq!(
        get(&service.client, &id).await.state(),
        pb::ShowState::Cancelled
    );
    delete(&service, &id).await;
    let status = try_get(&service.client, &id)
        .await
        .expect_err("a deleted show");
    assert_error(&status, Code::NotFound, "SHOW_NOT_FOUND");
}

#[tokio::test]
async fn a_revision_that_does_not_exist_is_refused() {
    let (service, _database) = Service::start().await;
    let show = create(&service.client, hamlet()).await;
    let newest = show.revision;
    // Read from the database or the cache, it is the same.
    for _ in 0..3 {
        assert_eq!(
            get_since(&service.client, &show.show_id, newest).await,
            show
        );
        let ahead = try_get_since(&service.client, &show.show_id, newest + 1).await;
        let status = ahead.expect_err("a revision of the future");
        assert_error(&status, Code::OutOfRange, "CURSOR_OUT_OF_RANGE");
        let newest_revision = metadata(&status).get("newest_revision").cloned();
        assert_eq!(newest_revision, Some(newest.to_string()));
        let negative = try_get_since(&service.client, &show.show_id, -1).await;
        let status = negative.expect_err("no revision");
        assert_error(&status, Code::InvalidArgument, "INVALID_FIELD");
        assert_eq!(fields(&status), ["min_revision"]);
    }
    let list = |min_revision| pb::ListShowsRequest {
        min_revision,
        ..Default::default()
    };
    let page = service.client.clone().list_shows(list(newest)).await;
    assert_eq!(page.expect("a page").into_inner().shows.len(), 1);
    let ahead = service.client.clone().list_shows(list(newest + 1)).await;
    let status = ahead.expect_err("a revision of the future");
    assert_error(&status, Code::OutOfRange, "CURSOR_OUT_OF_RANGE");
}
