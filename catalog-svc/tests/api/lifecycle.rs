//! The service from its start to its end.

use std::time::Duration;

use service_kit::health;
use test_harness::errors::assert_error;
use test_harness::eventually;
use test_harness::postgres::{self, OwnServer};
use tonic::Code;

use crate::support::{
    SOON, Service, client, create, eventually_blocked, execute, hamlet, try_create, try_get,
};

const CATALOG: &str = "ticketing.catalog.v1.CatalogService";
const ASK_MAX: Duration = Duration::from_secs(1);

async fn serves(service: &Service, name: &str) -> bool {
    health::ask(service.address, name, ASK_MAX).await.is_ok()
}

#[tokio::test]
async fn an_older_schema_is_refused_in_one_line() {
    let empty = postgres::empty_database().await;
    let service = Service::on(&empty.url("postgres"), |_| {}).await;
    let error = service.ended().await.expect_err("a rejection").to_string();
    assert!(
        error.contains("version 0") && error.contains("migrate up"),
        "{error}"
    );
    assert_eq!(error.lines().count(), 1);

    let database = postgres::database().await;
    execute(
        &database,
        "DELETE FROM public._sqlx_migrations WHERE version > 1",
    )
    .await;
    let service = Service::on(&database.url("catalog_svc"), |_| {}).await;
    let error = service.ended().await.expect_err("a rejection").to_string();
    assert!(error.contains("version 1"), "{error}");
}

#[tokio::test]
async fn a_database_that_is_not_there_yet_is_waited_for() {
    let mut server = OwnServer::start().await;
    let database = server.database().await;
    server.crash().await;
    let service = Service::on(&database.url("catalog_svc"), |_| {}).await;
    let waiting = Service::on(&database.url("catalog_svc"), |_| {}).await;
    // It stops while it waits for the database.
    assert!(waiting.stop().await.is_err());
    server.restart().await;
    eventually(SOON, "it serves", async || serves(&service, "").await).await;
    create(&service.client, hamlet()).await;
}

#[tokio::test]
async fn readiness_follows_the_database_and_liveness_does_not() {
    let mut server = OwnServer::start().await;
    let database = server.database().await;
    let service = Service::on(&database.url("catalog_svc"), |_| {}).await;
    for name in ["", CATALOG] {
        eventually(SOON, "it is ready", async || serves(&service, name).await).await;
    }
    server.crash().await;
    for name in ["", CATALOG] {
        eventually(SOON, "it is not ready", async || {
            !serves(&service, name).await
        })
        .await;
    }
    assert!(serves(&service, health::LIVENESS).await);
    server.restart().await;
    for name in ["", CATALOG] {
        eventually(SOON, "it is ready again", async || {
            serves(&service, name).await
        })
        .await;
    }
    create(&service.client, hamlet()).await;
}

#[tokio::test]
async fn a_stop_finishes_calls_in_progress_and_accepts_no_new_ones() {
    let (service, database) = Service::start().await;
    let show = create(&service.client, hamlet()).await;
    let mut owner = database.owner().await;
    let block = owner.transaction().await.expect("a transaction");
    block
        .execute("SELECT FROM catalog.feed FOR UPDATE", &[])
        .await
        .expect("the feed's lock");
    let under_way = tokio::spawn({
        let client = client(service.address);
        async move { try_create(&client, hamlet()).await }
    });
    eventually_blocked(&database, 1).await;
    service.terminate();
    eventually(SOON, "new connections are not taken", async || {
        let status = try_get(&client(service.address), &show.show_id).await.err();
        status.is_some_and(|status| status.code() == Code::Unavailable)
    })
    .await;
    block.rollback().await.expect("the lock is given back");
    under_way
        .await
        .expect("no panic")
        .expect("the call in progress succeeds");
    service.stop().await.expect("an orderly end");
}

#[tokio::test]
async fn a_call_that_takes_too_long_is_ended() {
    let (service, database) = Service::start_with(|config| {
        config.server.call_timeout = Duration::from_millis(300);
    })
    .await;
    let mut owner = database.owner().await;
    let block = owner.transaction().await.expect("a transaction");
    block
        .execute("SELECT FROM catalog.feed FOR UPDATE", &[])
        .await
        .expect("the feed's lock");
    let status = try_create(&service.client, hamlet())
        .await
        .expect_err("too long");
    assert_error(&status, Code::DeadlineExceeded, "DEADLINE_EXCEEDED");
}
