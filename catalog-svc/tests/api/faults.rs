//! Connections that are lost in the worst moment.

use futures_util::future::join_all;
use proto::catalog::v1 as pb;
use test_harness::errors::{assert_refused, has_retry_info};
use test_harness::{eventually, postgres};
use tonic::Code;

use crate::proxy::Proxy;
use crate::support::{
    SOON, Service, contents, create, execute, get, hamlet, new_request_id, try_create,
};

#[tokio::test]
async fn a_lost_answer_to_a_commit_is_found_by_the_request_id() {
    let database = postgres::database().await;
    let url = database.url("catalog_svc");
    let proxy = Proxy::start(&url).await;
    let service = Service::on(&proxy.url(&url), |_| {}).await;
    create(&service.client, hamlet()).await;

    proxy.lose_next_commit();
    let request = pb::CreateShowRequest {
        request_id: new_request_id(),
        ..hamlet()
    };
    let show = create(&service.client, request.clone()).await;
    assert_eq!(get(&service.client, &show.show_id).await, show);
    assert_eq!(create(&service.client, request).await, show);
    assert_eq!(contents(&database).await, (2, 1, 2));
}

#[tokio::test]
async fn without_a_request_id_the_error_says_that_the_outcome_is_unknown() {
    let database = postgres::database().await;
    let url = database.url("catalog_svc");
    let proxy = Proxy::start(&url).await;
    let service = Service::on(&proxy.url(&url), |_| {}).await;

    proxy.lose_next_commit();
    let refused = try_create(&service.client, hamlet()).await;
    let status = assert_refused(refused, Code::Unavailable, "DATABASE_UNAVAILABLE");
    assert!(has_retry_info(&status));
    // This one was done. It is whole, and so are later ones.
    eventually(SOON, "the show is there", async || {
        contents(&database).await == (1, 0, 1)
    })
    .await;
    assert_eq!(create(&service.client, hamlet()).await.revision, 2);
}

#[tokio::test]
async fn a_commit_that_failed_with_its_connection_is_done_again() {
    let (service, database) = Service::start().await;
    execute(
        &database,
        "CREATE SEQUENCE public.commits;
         GRANT USAGE ON public.commits TO catalog_svc;
         CREATE FUNCTION public.cut_off() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
         BEGIN
             IF nextval('public.commits') = 1 THEN
                 PERFORM pg_terminate_backend(pg_backend_pid());
             END IF;
             RETURN NEW;
         END $$;
         CREATE CONSTRAINT TRIGGER cut_off AFTER INSERT ON catalog.shows
         DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION public.cut_off()",
    )
    .await;
    let request = pb::CreateShowRequest {
        request_id: new_request_id(),
        ..hamlet()
    };
    let show = create(&service.client, request).await;
    assert_eq!(get(&service.client, &show.show_id).await, show);
    assert_eq!(contents(&database).await, (1, 1, 1));
}

#[tokio::test]
async fn sessions_that_the_database_ends_are_replaced() {
    let (service, database) = Service::start().await;
    let show = create(&service.client, hamlet()).await;
    let gets = || join_all((0..8).map(|_| get(&service.client, &show.show_id)));
    gets().await;
    execute(
        &database,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
         WHERE datname = current_database() AND usename = 'catalog_svc'",
    )
    .await;
    // They were idle, so no call needs to fail.
    assert_eq!(gets().await, vec![show.clone(); 8]);
    assert_eq!(create(&service.client, hamlet()).await.revision, 2);
}

#[tokio::test]
async fn a_caller_that_leaves_while_a_transaction_begins_leaves_none_open() {
    let database = postgres::database().await;
    let url = database.url("catalog_svc");
    let proxy = Proxy::start(&url).await;
    let service = Service::on(&proxy.url(&url), |config| {
        config.database.database_connections_max = 1;
        config.database.database_wait_max = SOON;
        config.server.call_timeout = SOON;
    })
    .await;
    let first = create(&service.client, hamlet()).await;

    proxy.hold_from_next_begin();
    let client = service.client.clone();
    let leaving = tokio::spawn(async move { try_create(&client, hamlet()).await });
    eventually(SOON, "its transaction begins", async || proxy.holds()).await;
    leaving.abort();
    assert!(leaving.await.expect_err("no answer").is_cancelled());
    proxy.release();
    // The begun work is finished before another call gets the connection.
    assert_eq!(get(&service.client, &first.show_id).await, first);
    assert_eq!(contents(&database).await, (2, 0, 2));
}
