//! PublishShow, PauseShow, ResumeShow, CloseShow and CancelShow: every pair of state and verb.

use futures_util::future::join_all;
use model::ShowId;
use proto::catalog::v1 as pb;
use proto::catalog::v1::ShowState::{Cancelled, Closed, Draft, OnSale, Paused};
use test_harness::errors::{assert_refused, fields, metadata, subjects};
use tonic::{Code, Status};

use crate::support::{
    Client, Service, cancel, contents, create, get, hamlet, hours_ahead, new_request_id,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verb {
    Publish,
    Pause,
    Resume,
    Close,
    Cancel,
}

const VERBS: [Verb; 5] = [
    Verb::Publish,
    Verb::Pause,
    Verb::Resume,
    Verb::Close,
    Verb::Cancel,
];

async fn call(
    client: &Client,
    verb: Verb,
    show_id: &str,
    etag: &str,
    request_id: &str,
) -> Result<pb::Show, Status> {
    let mut client = client.clone();
    let (show_id, etag, request_id) = (show_id.to_owned(), etag.to_owned(), request_id.to_owned());
    macro_rules! send {
        ($rpc:ident, $request:ident) => {{
            let request = pb::$request {
                show_id,
                etag,
                request_id,
            };
            client.$rpc(request).await?.into_inner().show
        }};
    }
    let show = match verb {
        Verb::Publish => send!(publish_show, PublishShowRequest),
        Verb::Pause => send!(pause_show, PauseShowRequest),
        Verb::Resume => send!(resume_show, ResumeShowRequest),
        Verb::Close => send!(close_show, CloseShowRequest),
        Verb::Cancel => send!(cancel_show, CancelShowRequest),
    };
    Ok(show.expect("the show"))
}

async fn change(client: &Client, verb: Verb, show_id: &str) -> pb::Show {
    call(client, verb, show_id, "", "")
        .await
        .expect("a changed show")
}

/// A show in this state.
async fn show_in(client: &Client, state: pb::ShowState) -> pb::Show {
    let draft = pb::CreateShowRequest {
        draft: true,
        ..hamlet()
    };
    let show = create(client, draft).await;
    let way: &[Verb] = match state {
        OnSale => &[Verb::Publish],
        Paused => &[Verb::Publish, Verb::Pause],
        Closed => &[Verb::Publish, Verb::Close],
        Cancelled => &[Verb::Cancel],
        _ => &[],
    };
    for verb in way {
        change(client, *verb, &show.show_id).await;
    }
    let show = get(client, &show.show_id).await;
    assert_eq!(show.state(), state);
    show
}

#[tokio::test]
async fn every_state_allows_its_commands_and_no_others() {
    let (service, _database) = Service::start().await;
    // The results of Publish, Pause, Resume, Close and Cancel in each state; and the allowed next states.
    let table = [
        (
            Draft,
            [Some(OnSale), None, None, None, Some(Cancelled)],
            "ON_SALE,CANCELLED",
        ),
        (
            OnSale,
            [None, Some(Paused), None, Some(Closed), Some(Cancelled)],
            "PAUSED,CLOSED,CANCELLED",
        ),
        (
            Paused,
            [None, None, Some(OnSale), Some(Closed), Some(Cancelled)],
            "ON_SALE,CLOSED,CANCELLED",
        ),
        (
            Closed,
            [None, None, None, None, Some(Cancelled)],
            "CANCELLED",
        ),
        (Cancelled, [None; 5], ""),
    ];
    for (state, next, allowed) in table {
        for (verb, next) in VERBS.into_iter().zip(next) {
            let before = show_in(&service.client, state).await;
            let id = &before.show_id;
            let called = call(&service.client, verb, id, &before.etag, "").await;
            let Some(next) = next else {
                let status = assert_refused(called, Code::FailedPrecondition, "SHOW_STATE");
                let metadata = metadata(&status);
                let name = state.as_str_name().replace("SHOW_STATE_", "");
                assert_eq!(metadata.get("state"), Some(&name), "{verb:?}");
                assert_eq!(
                    metadata.get("allowed_states").map(String::as_str),
                    Some(allowed)
                );
                assert_eq!(subjects(&status), [&**id]);
                assert!(status.message().contains(&name), "{}", status.message());
                assert_eq!(get(&service.client, id).await, before);
                continue;
            };
            let after = called.expect("an allowed verb");
            let expected = pb::Show {
                state: next.into(),
                revision: before.revision + 1,
                etag: after.etag.clone(),
                update_time: after.update_time,
                cancel_time: after.cancel_time,
                ..before.clone()
            };
            assert_eq!(after, expected, "{verb:?} of {state:?}");
            assert_eq!(after.cancel_time.is_some(), next == Cancelled);
            assert_eq!(get(&service.client, id).await, after);
        }
    }
}

#[tokio::test]
async fn who_publishes_early_clears_the_time_at_which_the_sale_would_open() {
    let (service, _database) = Service::start().await;
    let scheduled = pb::CreateShowRequest {
        sales_open_time: Some(hours_ahead(1)),
        ..hamlet()
    };
    let show = create(&service.client, scheduled).await;
    assert_eq!(
        (show.state(), show.sales_open_time.is_some()),
        (Draft, true)
    );
    let published = change(&service.client, Verb::Publish, &show.show_id).await;
    assert_eq!(
        (published.state(), published.sales_open_time),
        (OnSale, None)
    );
}

#[tokio::test]
async fn bad_calls_change_nothing() {
    let (service, database) = Service::start().await;
    let show = create(&service.client, hamlet()).await;
    let unknown = ShowId::generate().to_string();
    for verb in VERBS {
        let refused = call(&service.client, verb, &show.show_id, "0", "").await;
        let status = assert_refused(refused, Code::Aborted, "ETAG_MISMATCH");
        assert_eq!(metadata(&status).get("etag"), Some(&show.etag));
        let refused = call(&service.client, verb, "7", "", "8").await;
        let status = assert_refused(refused, Code::InvalidArgument, "INVALID_FIELD");
        assert_eq!(fields(&status), ["request_id", "show_id"]);
        // A valid id without a show, and an invalid one.
        for unknown in [&unknown, &new_request_id()] {
            let refused = call(&service.client, verb, unknown, "", &new_request_id()).await;
            assert_refused(refused, Code::NotFound, "SHOW_NOT_FOUND");
        }
    }
    assert_eq!(contents(&database).await, (1, 0, 1));
}

#[tokio::test]
async fn a_repeated_call_returns_the_first_result() {
    let (service, database) = Service::start().await;
    let show = create(&service.client, hamlet()).await;
    let pause = new_request_id();
    let copies = (0..8).map(|_| call(&service.client, Verb::Pause, &show.show_id, "", &pause));
    let paused: Vec<_> = join_all(copies)
        .await
        .into_iter()
        .map(|it| it.expect("paused"))
        .collect();
    assert!(paused.windows(2).all(|pair| pair[0] == pair[1]));
    change(&service.client, Verb::Resume, &show.show_id).await;
    cancel(&service.client, &show.show_id).await;
    let again = call(&service.client, Verb::Pause, &show.show_id, "", &pause).await;
    assert_eq!(again.expect("the first result"), paused[0]);
    // The same request id is refused for another command, though the body is the same.
    let refused = call(&service.client, Verb::Close, &show.show_id, "", &pause).await;
    assert_refused(refused, Code::InvalidArgument, "REQUEST_ID_REUSED");
    assert_eq!(contents(&database).await, (1, 1, 4));
}

#[tokio::test]
async fn a_rejected_call_is_decided_again() {
    let (service, _database) = Service::start().await;
    let show = show_in(&service.client, OnSale).await;
    let resume = new_request_id();
    let try_resume = async || call(&service.client, Verb::Resume, &show.show_id, "", &resume).await;
    assert_refused(try_resume().await, Code::FailedPrecondition, "SHOW_STATE");
    change(&service.client, Verb::Pause, &show.show_id).await;
    let resumed = try_resume().await.expect("a show that is on sale again");
    // From now on there is a first result.
    change(&service.client, Verb::Pause, &show.show_id).await;
    assert_eq!(try_resume().await.expect("the first result"), resumed);
}

#[tokio::test]
async fn of_many_that_pause_at_once_one_does() {
    let (service, database) = Service::start().await;
    let id = create(&service.client, hamlet()).await.show_id;
    let calls = (0..8).map(|_| call(&service.client, Verb::Pause, &id, "", ""));
    let (won, lost): (Vec<_>, Vec<_>) = join_all(calls).await.into_iter().partition(Result::is_ok);
    assert_eq!(won.len(), 1);
    for refused in lost {
        assert_refused(refused, Code::FailedPrecondition, "SHOW_STATE");
    }
    assert_eq!(contents(&database).await, (1, 0, 2));
}
