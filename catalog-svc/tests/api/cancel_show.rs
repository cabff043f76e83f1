//! CancelShow.

use futures_util::future::join_all;
use model::ShowId;
use proto::catalog::v1 as pb;
use test_harness::errors::{assert_refused, fields, metadata, subjects};
use tonic::{Code, Response, Status};

use crate::support::{Client, Service, cancel, contents, create, get, hamlet, new_request_id};

async fn try_cancel(
    client: &Client,
    show_id: &str,
    etag: &str,
    request_id: &str,
) -> Result<Response<pb::CancelShowResponse>, Status> {
    let request = pb::CancelShowRequest {
        show_id: show_id.to_owned(),
        etag: etag.to_owned(),
        request_id: request_id.to_owned(),
    };
    client.clone().cancel_show(request).await
}

#[tokio::test]
async fn a_show_is_cancelled_and_keeps_its_fields() {
    let (service, _database) = Service::start().await;
    let before = create(&service.client, hamlet()).await;
    let cancelled = cancel(&service.client, &before.show_id).await;
    assert!(cancelled.cancel_time.is_some());
    assert_eq!(cancelled.cancel_time, cancelled.update_time);
    let expected = pb::Show {
        state: pb::ShowState::Cancelled.into(),
        revision: 2,
        etag: cancelled.etag.clone(),
        update_time: cancelled.update_time,
        cancel_time: cancelled.cancel_time,
        ..before.clone()
    };
    assert_eq!(cancelled, expected);
    assert_ne!(cancelled.etag, before.etag);
    assert_eq!(get(&service.client, &before.show_id).await, cancelled);
}

#[tokio::test]
async fn it_is_cancelled_once() {
    let (service, database) = Service::start().await;
    let id = create(&service.client, hamlet()).await.show_id;
    let calls = (0..8).map(|_| try_cancel(&service.client, &id, "", ""));
    let (won, lost): (Vec<_>, Vec<_>) = join_all(calls).await.into_iter().partition(Result::is_ok);
    assert_eq!(won.len(), 1);
    for refused in lost {
        let status = assert_refused(refused, Code::FailedPrecondition, "SHOW_STATE");
        assert_eq!(subjects(&status), [&*id]);
        assert_eq!(
            metadata(&status).get("state").map(String::as_str),
            Some("CANCELLED")
        );
    }
    assert_eq!(contents(&database).await, (1, 0, 2));
}

#[tokio::test]
async fn bad_calls_change_nothing() {
    let (service, database) = Service::start().await;
    let show = create(&service.client, hamlet()).await;
    let refused = try_cancel(&service.client, &show.show_id, "0", "").await;
    let status = assert_refused(refused, Code::Aborted, "ETAG_MISMATCH");
    assert_eq!(metadata(&status).get("etag"), Some(&show.etag));

    let refused = try_cancel(&service.client, "7", "", "8").await;
    let status = assert_refused(refused, Code::InvalidArgument, "INVALID_FIELD");
    assert_eq!(fields(&status), ["request_id", "show_id"]);

    let unknown = ShowId::generate().to_string();
    let refused = try_cancel(&service.client, &unknown, "", &new_request_id()).await;
    assert_refused(refused, Code::NotFound, "SHOW_NOT_FOUND");
    assert_eq!(contents(&database).await, (1, 0, 1));

    assert!(
        try_cancel(&service.client, &show.show_id, &show.etag, "")
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn a_repeated_call_returns_the_first_result() {
    let (service, database) = Service::start().await;
    let show = create(&service.client, hamlet()).await;
    let request_id = new_request_id();
    let copies = (0..8).map(|_| try_cancel(&service.client, &show.show_id, "", &request_id));
    let results: Vec<_> = join_all(copies).await;
    let shows: Vec<_> = results
        .into_iter()
        .map(|result| result.expect("a cancelled show").into_inner().show)
        .collect();
    assert!(shows.windows(2).all(|pair| pair[0] == pair[1]));
    assert_eq!(contents(&database).await, (1, 1, 2));
}
