//! CreateShow with a request id: done once, however often it is called.

use std::collections::HashSet;
use std::time::Duration;

use futures_util::future::join_all;
use proto::catalog::v1 as pb;
use proto::catalog::v1::create_show_request::Seats;
use test_harness::errors::{assert_refused, fields};
use test_harness::eventually;
use tonic::Code;

use crate::support::{
    SOON, Service, client, contents, create, execute, hamlet, new_request_id, now, renaming,
    try_create, update,
};

const COPIES: usize = 20;

fn hamlet_once() -> pb::CreateShowRequest {
    pb::CreateShowRequest {
        request_id: new_request_id(),
        ..hamlet()
    }
}

#[tokio::test]
async fn a_repeated_call_returns_the_first_result() {
    let (service, database) = Service::start().await;
    let request = hamlet_once();
    let first = create(&service.client, request.clone()).await;
    let renamed = update(&service.client, renaming(&first.show_id, "Macbeth")).await;
    // As it was then, not as it is now.
    assert_eq!(create(&service.client, request.clone()).await, first);
    assert_eq!(contents(&database).await, (1, 1, renamed.revision));

    // Another process knows it too.
    let other = Service::on(&database.url("catalog_svc"), |_| {}).await;
    assert_eq!(create(&other.client, request).await, first);
}

#[tokio::test]
async fn replays_at_the_same_time_create_one_show() {
    let (service, database) = Service::start().await;
    let request = hamlet_once();
    let clients: Vec<_> = (0..COPIES).map(|_| client(service.address)).collect();
    let calls = clients.iter().map(|client| create(client, request.clone()));
    let shows: HashSet<_> = join_all(calls)
        .await
        .into_iter()
        .map(|show| show.show_id)
        .collect();
    assert_eq!(shows.len(), 1, "{shows:?}");
    assert_eq!(contents(&database).await, (1, 1, 1));
}

#[tokio::test]
async fn a_replay_that_waited_for_a_failed_call_creates_the_show() {
    let (service, database) = Service::start().await;
    // The first of them is aborted after it has taken the request's row.
    execute(
        &database,
        "CREATE SEQUENCE public.shows;
         GRANT USAGE ON public.shows TO catalog_svc;
         CREATE FUNCTION public.fail_once() RETURNS trigger LANGUAGE plpgsql AS $$
         BEGIN
             IF nextval('public.shows') = 1 THEN
                 PERFORM pg_sleep(0.2);
                 RAISE 'the first one fails';
             END IF;
             RETURN NEW;
         END $$;
         CREATE TRIGGER fail_once BEFORE INSERT ON catalog.shows
         FOR EACH ROW EXECUTE FUNCTION public.fail_once()",
    )
    .await;
    let request = hamlet_once();
    let calls = (0..4).map(|_| try_create(&service.client, request.clone()));
    let (created, failed): (Vec<_>, Vec<_>) =
        join_all(calls).await.into_iter().partition(Result::is_ok);
    assert_eq!((created.len(), failed.len()), (3, 1));
    assert_eq!(contents(&database).await, (1, 1, 1));
}

#[tokio::test]
async fn another_body_is_refused() {
    let (service, database) = Service::start().await;
    let request = hamlet_once();
    let show = create(&service.client, request.clone()).await;
    let other = pb::CreateShowRequest {
        seats: Some(Seats::TotalSeats(41)),
        ..request.clone()
    };
    let refused = try_create(&service.client, other).await;
    let status = assert_refused(refused, Code::InvalidArgument, "REQUEST_ID_REUSED");
    assert_eq!(fields(&status), ["request_id"]);

    // And so is another verb.
    let cancel = pb::CancelShowRequest {
        show_id: show.show_id,
        request_id: request.request_id,
        ..Default::default()
    };
    let refused = service.client.clone().cancel_show(cancel).await;
    assert_refused(refused, Code::InvalidArgument, "REQUEST_ID_REUSED");
    assert_eq!(contents(&database).await, (1, 1, 1));
}

#[tokio::test]
async fn a_replay_after_the_start_returns_the_first_result() {
    let (service, _database) = Service::start().await;
    let start_time = Some((now() + Duration::from_secs(3)).into());
    let request = pb::CreateShowRequest {
        start_time,
        ..hamlet_once()
    };
    let first = create(&service.client, request.clone()).await;
    eventually(SOON, "the show has started", async || {
        let another = pb::CreateShowRequest {
            request_id: new_request_id(),
            ..request.clone()
        };
        try_create(&service.client, another).await.is_err()
    })
    .await;
    assert_eq!(create(&service.client, request).await, first);
}
