//! WatchShows: how streams are refused, and how they end.

use std::time::Duration;

use proto::catalog::v1 as pb;
use test_harness::errors::{assert_error, fields, has_retry_info, metadata};
use test_harness::eventually_some;
use test_harness::postgres::OwnServer;
use tonic::Code;

use crate::support::{SOON, Service, arena, client, create, hamlet, try_create, with_sections};
use crate::watch_shows::Feed;

#[tokio::test]
async fn cursors_that_cannot_be_are_refused() {
    let (service, _database) = Service::start().await;
    create(&service.client, hamlet()).await;
    let refused = Feed::try_open(&service.client, -1).await;
    let status = refused.err().expect("a rejection");
    assert_error(&status, Code::InvalidArgument, "INVALID_FIELD");
    assert_eq!(fields(&status), ["after_revision"]);

    for ahead in [2, i64::MAX] {
        let refused = Feed::try_open(&service.client, ahead).await;
        let status = refused.err().expect("a rejection");
        assert_error(&status, Code::OutOfRange, "CURSOR_OUT_OF_RANGE");
        assert_eq!(
            metadata(&status).get("newest_revision").map(String::as_str),
            Some("1")
        );
    }
}

#[tokio::test]
async fn streams_are_bounded_and_their_places_are_given_back() {
    let (service, _database) = Service::start_with(|config| {
        config.watch_streams_max = 2;
        // Nothing is sent that would reveal that a reader has left.
        config.watch_bookmark_interval = Duration::from_secs(3_600);
    })
    .await;
    let mut first = Feed::open(&service.client, 0).await;
    first.bookmark().await;
    let _second = Feed::open(&service.client, 0).await;
    let refused = Feed::try_open(&service.client, 0).await;
    let status = refused.err().expect("a rejection");
    assert_error(&status, Code::Unavailable, "OVERLOADED");
    assert!(has_retry_info(&status));

    drop(first);
    eventually_some(SOON, "a place is given back", async || {
        Feed::try_open(&service.client, 0).await.ok()
    })
    .await;
}

#[tokio::test]
async fn a_reader_that_takes_nothing_is_dropped() {
    let (service, _database) = Service::start_with(|config| {
        config.watch_streams_max = 1;
        config.watch_reader_patience = Duration::from_millis(200);
    })
    .await;
    // More than all the buffers on the way can hold.
    for _ in 0..8 {
        create(&service.client, with_sections(arena())).await;
    }
    let slow = client(service.address);
    let mut feed = Feed::open(&slow, 0).await;
    assert_eq!(feed.next_show().await.revision, 1);
    eventually_some(SOON, "its place is given back", async || {
        Feed::try_open(&service.client, 8).await.ok()
    })
    .await;

    // Entries on their way still arrive, in order; then comes the status.
    let mut last = 1;
    let status = loop {
        match feed.next().await {
            Ok(entry) => {
                assert_eq!(entry.revision, last + 1);
                last = entry.revision;
            }
            Err(status) => break status,
        }
    };
    assert!(last < 8, "nothing was held back");
    assert_error(&status, Code::Unavailable, "OVERLOADED");
}

#[tokio::test]
async fn streams_end_when_the_server_stops() {
    let (service, _database) = Service::start().await;
    let mut feed = Feed::open(&service.client, 0).await;
    assert_eq!(feed.bookmark().await, 0);
    service.terminate();
    let status = feed.next_change().await.expect_err("the end");
    assert_error(&status, Code::Unavailable, "SHUTTING_DOWN");
    assert!(has_retry_info(&status));
    service.stop().await.expect("an orderly end");
}

#[tokio::test]
async fn a_reader_that_resumes_after_an_outage_misses_nothing() {
    let mut server = OwnServer::start().await;
    let database = server.database().await;
    let service = Service::on(&database.url("catalog_svc"), |_| {}).await;
    let first = create(&service.client, hamlet()).await;
    let mut feed = Feed::open(&service.client, 0).await;
    assert_eq!(feed.next_show().await, first);

    server.crash().await;
    let refused = try_create(&service.client, hamlet()).await;
    assert_error(
        &refused.expect_err("no database"),
        Code::Unavailable,
        "DATABASE_UNAVAILABLE",
    );
    let refused = Feed::try_open(&service.client, 1).await;
    let status = refused.err().expect("no database");
    assert_error(&status, Code::Unavailable, "DATABASE_UNAVAILABLE");

    server.restart().await;
    let created = eventually_some(SOON, "shows can be created again", async || {
        let created = try_create(&service.client, hamlet()).await.ok()?;
        created.into_inner().show
    })
    .await;
    // The open stream continues, or has ended with a status; a resumed one has it all.
    let seen = match feed.next_change().await {
        Ok((revision, _)) => revision,
        Err(status) => {
            assert_error(&status, Code::Unavailable, "DATABASE_UNAVAILABLE");
            resumed(&service, first.revision).await.revision
        }
    };
    assert_eq!(seen, created.revision);
    assert_eq!(resumed(&service, first.revision).await, created);
}

async fn resumed(service: &Service, after: i64) -> pb::Show {
    Feed::open(&service.client, after).await.next_show().await
}
