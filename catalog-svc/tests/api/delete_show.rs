//! DeleteShow.

use model::ShowId;
use proto::catalog::v1 as pb;
use system_tests::errors::{assert_refused, fields, metadata, subjects};
use tonic::{Code, Response, Status};

use crate::support::{Client, Service, cancel, contents, create, hamlet, new_request_id, try_get};

async fn try_delete(
    client: &Client,
    show_id: &str,
    etag: &str,
    request_id: &str,
) -> Result<Response<pb::DeleteShowResponse>, Status> {
    let request = pb::DeleteShowRequest {
        show_id: show_id.to_owned(),
        etag: etag.to_owned(),
        request_id: request_id.to_owned(),
    };
    client.clone().delete_show(request).await
}

#[tokio::test]
async fn a_cancelled_show_is_deleted_and_leaves_a_tombstone() {
    let (service, database) = Service::start().await;
    let id = create(&service.client, hamlet()).await.show_id;
    let cancelled = cancel(&service.client, &id).await;
    assert!(
        try_delete(&service.client, &id, &cancelled.etag, "")
            .await
            .is_ok()
    );
    assert!(try_get(&service.client, &id).await.is_err());
    assert_eq!(contents(&database).await, (1, 0, 3));

    let refused = try_delete(&service.client, &id, "", "").await;
    assert_refused(refused, Code::NotFound, "SHOW_NOT_FOUND");
}

#[tokio::test]
async fn a_show_on_sale_is_not_deleted() {
    let (service, database) = Service::start().await;
    let id = create(&service.client, hamlet()).await.show_id;
    let refused = try_delete(&service.client, &id, "", "").await;
    let status = assert_refused(refused, Code::FailedPrecondition, "SHOW_STATE");
    assert_eq!(subjects(&status), [&*id]);
    assert_eq!(
        metadata(&status).get("state").map(String::as_str),
        Some("ON_SALE")
    );
    assert_eq!(contents(&database).await, (1, 0, 1));
}

#[tokio::test]
async fn bad_calls_change_nothing() {
    let (service, database) = Service::start().await;
    let show = create(&service.client, hamlet()).await;
    let cancelled = cancel(&service.client, &show.show_id).await;
    let refused = try_delete(&service.client, &show.show_id, &show.etag, "").await;
    let status = assert_refused(refused, Code::Aborted, "ETAG_MISMATCH");
    assert_eq!(metadata(&status).get("etag"), Some(&cancelled.etag));

    let refused = try_delete(&service.client, "7", "", "8").await;
    let status = assert_refused(refused, Code::InvalidArgument, "INVALID_FIELD");
    assert_eq!(fields(&status), ["request_id", "show_id"]);

    let unknown = ShowId::generate().to_string();
    let refused = try_delete(&service.client, &unknown, "", "").await;
    assert_refused(refused, Code::NotFound, "SHOW_NOT_FOUND");
    assert_eq!(contents(&database).await, (1, 0, 2));
}

#[tokio::test]
async fn a_repeated_call_succeeds_again() {
    let (service, database) = Service::start().await;
    let id = create(&service.client, hamlet()).await.show_id;
    cancel(&service.client, &id).await;
    let request_id = new_request_id();
    for _ in 0..3 {
        assert!(
            try_delete(&service.client, &id, "", &request_id)
                .await
                .is_ok()
        );
    }
    assert_eq!(contents(&database).await, (1, 1, 3));
}
