//! DeleteShow.

use model::ShowId;
use proto::catalog::v1 as pb;
use test_harness::errors::{assert_refused, fields, metadata, subjects};
use tonic::{Code, Response, Status};

use crate::support::{
    Client, Service, answer, cancel, contents, create, hamlet, new_request_id, proposed, try_get,
};

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

fn draft() -> pb::CreateShowRequest {
    pb::CreateShowRequest {
        draft: true,
        ..hamlet()
    }
}

#[tokio::test]
async fn a_draft_is_deleted_at_once_and_leaves_a_tombstone() {
    let (service, database) = Service::start().await;
    let show = create(&service.client, draft()).await;
    let deleted = try_delete(&service.client, &show.show_id, &show.etag, "").await;
    assert!(deleted.is_ok());
    assert!(try_get(&service.client, &show.show_id).await.is_err());
    assert_eq!(contents(&database).await, (1, 0, 2));

    let refused = try_delete(&service.client, &show.show_id, "", "").await;
    assert_refused(refused, Code::NotFound, "SHOW_NOT_FOUND");
}

#[tokio::test]
async fn a_show_that_was_on_sale_is_deleted_if_it_has_no_bookings() {
    let (service, database) = Service::start().await;
    let id = create(&service.client, hamlet()).await.show_id;
    let answering = async {
        let proposal = proposed(&service.client, &id).await;
        assert_eq!(
            proposal.change,
            Some(pb::proposal::Change::Deletion(pb::Deletion {}))
        );
        answer(&service.feed, &id, proposal.revision, Ok(())).await;
        // The answer may be sent twice.
        answer(&service.feed, &id, proposal.revision, Ok(())).await;
    };
    let deleting = try_delete(&service.client, &id, "", "");
    let (deleted, ()) = futures_util::join!(deleting, answering);
    assert!(deleted.is_ok());
    assert!(try_get(&service.client, &id).await.is_err());
    assert_eq!(contents(&database).await, (1, 0, 3));
}

#[tokio::test]
async fn a_show_with_bookings_is_not_deleted() {
    let (service, database) = Service::start().await;
    let id = create(&service.client, hamlet()).await.show_id;
    let request_id = new_request_id();
    let answering = async {
        let proposal = proposed(&service.client, &id).await;
        answer(&service.feed, &id, proposal.revision, Err(&[])).await;
    };
    let deleting = try_delete(&service.client, &id, "", &request_id);
    let (refused, ()) = futures_util::join!(deleting, answering);
    let status = assert_refused(refused, Code::FailedPrecondition, "SHOW_HAS_BOOKINGS");
    assert_eq!(subjects(&status), [&*id]);
    let show = try_get(&service.client, &id).await.expect("the show");
    assert_eq!(show.state(), pb::ShowState::OnSale);
    let proposal = show.proposal.expect("the refused proposal");
    assert_eq!(proposal.state(), pb::ProposalState::Refused);
    // A replay gets the same reply.
    let refused = try_delete(&service.client, &id, "", &request_id).await;
    assert_refused(refused, Code::FailedPrecondition, "SHOW_HAS_BOOKINGS");
    assert_eq!(contents(&database).await, (1, 1, 3));
}

#[tokio::test]
async fn a_cancelled_draft_needs_no_answer_either() {
    let (service, _database) = Service::start().await;
    let id = create(&service.client, draft()).await.show_id;
    cancel(&service.client, &id).await;
    assert!(try_delete(&service.client, &id, "", "").await.is_ok());
    assert!(try_get(&service.client, &id).await.is_err());
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
    let of_draft = create(&service.client, draft()).await.show_id;
    let on_sale = create(&service.client, hamlet()).await.show_id;
    let answering = async {
        let proposal = proposed(&service.client, &on_sale).await;
        answer(&service.feed, &on_sale, proposal.revision, Ok(())).await;
    };
    let (one, other) = (new_request_id(), new_request_id());
    let first = try_delete(&service.client, &on_sale, "", &other);
    let (first, ()) = futures_util::join!(first, answering);
    assert!(first.is_ok());
    for _ in 0..3 {
        assert!(
            try_delete(&service.client, &of_draft, "", &one)
                .await
                .is_ok()
        );
        assert!(
            try_delete(&service.client, &on_sale, "", &other)
                .await
                .is_ok()
        );
    }
    assert_eq!(contents(&database).await, (2, 2, 5));
}
