//! CatalogFeedService: the feed for other services of the installation.

use std::time::Duration;

use proto::catalog::internal::v1 as pb;
use proto::catalog::internal::v1::follow_shows_response::Change;
use test_harness::errors::{assert_error, assert_refused, fields};
use test_harness::eventually;
use test_harness::postgres::{self, OwnServer};
use tokio::time::timeout;
use tonic::{Code, Status, Streaming};

use crate::proxy::Proxy;
use crate::support::{
    FeedClient, SOON, Service, create, delete, execute, feed_client, hamlet, rename_silently,
};
use crate::watch_shows::Feed;

async fn get_feed(
    client: &FeedClient,
    position: Option<pb::FeedPosition>,
) -> Result<pb::GetFeedResponse, Status> {
    let request = pb::GetFeedRequest {
        position,
        ..Default::default()
    };
    Ok(client.clone().get_feed(request).await?.into_inner())
}

async fn newest(client: &FeedClient) -> pb::FeedPosition {
    let feed = get_feed(client, None).await.expect("the feed");
    feed.newest.expect("its end")
}

/// Whether the feed has a position in its history.
async fn has(client: &FeedClient, position: &pb::FeedPosition) -> bool {
    let feed = get_feed(client, Some(position.clone())).await;
    feed.expect("the feed").has_position
}

async fn follow(
    client: &FeedClient,
    after: Option<pb::FeedPosition>,
) -> Result<Streaming<pb::FollowShowsResponse>, Status> {
    let request = pb::FollowShowsRequest { after };
    Ok(client.clone().follow_shows(request).await?.into_inner())
}

async fn next(
    stream: &mut Streaming<pb::FollowShowsResponse>,
) -> Result<(pb::FeedPosition, Option<Change>), Status> {
    let entry = timeout(SOON, stream.message())
        .await
        .expect("an entry soon")?;
    let entry = entry.expect("a stream ends with a status");
    Ok((entry.position.expect("each has a place"), entry.change))
}

/// An invalid position would look like a lost one, and the follower would stop.
#[tokio::test]
async fn a_place_has_the_timeline_of_its_revision_though_it_begins_while_a_page_is_read() {
    let (service, database) = Service::start().await;
    create(&service.client, hamlet()).await;
    let owner = database.owner().await;
    // A page reads where the feed ends, and then waits for this to read the shows.
    let locked = "BEGIN; LOCK TABLE catalog.shows IN ACCESS EXCLUSIVE MODE";
    owner.batch_execute(locked).await.expect("ours");
    let mut stream = follow(&service.feed, None).await.expect("a stream");
    let waits = "SELECT FROM pg_locks WHERE NOT granted AND relation = 'catalog.shows'::regclass";
    eventually(SOON, "a page waits", async || {
        let waiting = owner.query(waits, &[]).await.expect("locks");
        !waiting.is_empty()
    })
    .await;
    let written = "UPDATE catalog.feed SET revision = revision + 1, server_run = 'another';
        UPDATE catalog.shows SET revision = (SELECT revision FROM catalog.feed);
        COMMIT";
    owner.batch_execute(written).await.expect("ours");
    loop {
        let (place, change) = next(&mut stream).await.expect("an entry");
        assert!(has(&service.feed, &place).await, "{place:?}");
        if change.is_some() && place.revision == 2 {
            break;
        }
    }
}

#[tokio::test]
async fn a_follower_gets_every_show_with_its_place() {
    let (service, _database) = Service::start().await;
    let show = create(&service.client, hamlet()).await;
    let gone = create(&service.client, hamlet()).await;
    let mut stream = follow(&service.feed, None).await.expect("a stream");
    let (first, change) = next(&mut stream).await.expect("a show");
    assert_eq!(change, Some(Change::Show(show.clone())));
    assert_eq!(next(&mut stream).await.expect("a show").0.revision, 2);
    let end = newest(&service.feed).await;
    assert_eq!((end.revision, &end.timeline_id), (2, &first.timeline_id));
    let bookmark = next(&mut stream).await.expect("a bookmark");
    assert_eq!(bookmark, (end.clone(), None));

    delete(&service, &gone.show_id).await;
    let deleted = loop {
        match next(&mut stream).await.expect("an entry") {
            (_, Some(Change::DeletedShowId(id))) => break id,
            (_, other) => assert!(matches!(other, Some(Change::Show(_))), "{other:?}"),
        }
    };
    assert_eq!(deleted, gone.show_id);

    let mut resumed = follow(&service.feed, Some(end)).await.expect("a stream");
    assert_eq!(next(&mut resumed).await.expect("an entry").0.revision, 4);

    let request = pb::GetShowRequest {
        show_id: show.show_id.clone(),
    };
    let copied = service.feed.clone().get_show(request).await;
    let copied = copied.expect("a show").into_inner();
    assert_eq!(copied.show, Some(show));
    let feed = get_feed(&service.feed, None).await.expect("the feed");
    assert_eq!(copied.installation_id, feed.installation_id);
    let request = pb::GetShowRequest {
        show_id: gone.show_id,
    };
    let refused = service.feed.clone().get_show(request).await;
    assert_refused(refused, Code::NotFound, "SHOW_NOT_FOUND");
}

#[tokio::test]
async fn writes_of_others_are_known_even_without_notifications() {
    let (service, database) = Service::start().await;
    let show = create(&service.client, hamlet()).await;
    for n in 0..20 {
        let revision = rename_silently(&database, &show.show_id, &format!("Hamlet {n}")).await;
        assert_eq!(newest(&service.feed).await.revision, revision);
        let request = pb::GetShowRequest {
            show_id: show.show_id.clone(),
        };
        let copied = service.feed.clone().get_show(request).await;
        let copied = copied.expect("a show").into_inner().show;
        assert_eq!(copied.expect("set").revision, revision);
    }
}

#[tokio::test]
async fn positions_that_cannot_be_are_refused() {
    let (service, _database) = Service::start().await;
    create(&service.client, hamlet()).await;
    let bad = pb::FeedPosition {
        revision: -1,
        timeline_id: "x".to_owned(),
    };
    let refused = get_feed(&service.feed, Some(bad.clone())).await;
    let status = assert_refused(refused, Code::InvalidArgument, "INVALID_FIELD");
    assert_eq!(
        fields(&status),
        ["position.revision", "position.timeline_id"]
    );
    let refused = follow(&service.feed, Some(bad)).await;
    let status = assert_refused(refused, Code::InvalidArgument, "INVALID_FIELD");
    assert_eq!(fields(&status), ["after.revision", "after.timeline_id"]);

    let end = newest(&service.feed).await;
    for (revision, timeline_id, has_it) in [
        (0, String::new(), true),
        (1, String::new(), true),
        (2, String::new(), false),
        (1, end.timeline_id.clone(), true),
        (2, end.timeline_id.clone(), false),
        (0, uuid::Uuid::new_v4().to_string(), false),
    ] {
        let position = pb::FeedPosition {
            revision,
            timeline_id,
        };
        assert_eq!(has(&service.feed, &position).await, has_it, "{position:?}");
        let stream = follow(&service.feed, Some(position)).await;
        match stream {
            Ok(_) => assert!(has_it),
            Err(status) => {
                assert!(!has_it);
                assert_error(&status, Code::OutOfRange, "CURSOR_OUT_OF_RANGE");
            }
        }
    }
}

#[tokio::test]
async fn a_restart_keeps_the_history_and_a_restore_does_not() {
    let mut server = OwnServer::start().await;
    let database = server.database().await;
    let service = Service::on(&database.url("catalog_svc"), |_| {}).await;
    let installation = get_feed(&service.feed, None).await.expect("a feed");
    let installation = installation.installation_id;
    create(&service.client, hamlet()).await;
    let one = newest(&service.feed).await;
    service.stop().await.expect("an orderly end");

    let backup = database.copy().await;
    let service = Service::on(&database.url("catalog_svc"), |_| {}).await;
    create(&service.client, hamlet()).await;
    create(&service.client, hamlet()).await;
    let three = newest(&service.feed).await;
    assert_eq!(three.timeline_id, one.timeline_id);
    service.stop().await.expect("an orderly end");

    server.crash().await;
    server.restart().await;
    let service = Service::on(&database.url("catalog_svc"), |_| {}).await;
    assert!(has(&service.feed, &one).await && has(&service.feed, &three).await);
    create(&service.client, hamlet()).await;
    let four = newest(&service.feed).await;
    assert_ne!(four.timeline_id, three.timeline_id);
    for position in [&one, &three, &four] {
        assert!(has(&service.feed, position).await, "{position:?}");
    }

    // The backup has the second and third revision not yet, and then others under their numbers.
    let restored = Service::on(&backup.url("catalog_svc"), |_| {}).await;
    let feed = get_feed(&restored.feed, None).await.expect("a feed");
    assert_eq!(feed.installation_id, installation);
    assert!(has(&restored.feed, &one).await && !has(&restored.feed, &three).await);
    for _ in 0..5 {
        create(&restored.client, hamlet()).await;
    }
    for (position, has_it) in [(&one, true), (&three, false), (&four, false)] {
        assert_eq!(has(&restored.feed, position).await, has_it, "{position:?}");
    }
}

#[tokio::test]
async fn a_stream_continues_on_another_timeline_of_the_same_history() {
    let (service, database) = Service::start().await;
    let show = create(&service.client, hamlet()).await;
    let mut stream = follow(&service.feed, None).await.expect("a stream");
    let (first, _) = next(&mut stream).await.expect("a show");
    assert_eq!(next(&mut stream).await.expect("a bookmark").1, None);
    // As after a restart of the server.
    execute(&database, "UPDATE catalog.feed SET server_run = 'x'").await;
    rename_silently(&database, &show.show_id, "Macbeth").await;
    let (second, _) = next(&mut stream).await.expect("a show");
    assert_eq!(second, newest(&service.feed).await);
    assert_ne!(second.timeline_id, first.timeline_id);
    assert!(has(&service.feed, &first).await);

    // The same, but the second revision was lost: this timeline does not continue it.
    let lose = "UPDATE catalog.feed SET revision = 1, server_run = 'y';
                DELETE FROM catalog.timelines WHERE begins_after = 1;
                UPDATE catalog.shows SET revision = 1";
    execute(&database, lose).await;
    rename_silently(&database, &show.show_id, "Lear").await;
    rename_silently(&database, &show.show_id, "Cymbeline").await;
    let status = next(&mut stream).await.expect_err("its end");
    assert_error(&status, Code::OutOfRange, "CURSOR_OUT_OF_RANGE");
}

#[tokio::test]
async fn revisions_that_were_lost_end_the_streams() {
    let (service, database) = Service::start().await;
    let show = create(&service.client, hamlet()).await;
    create(&service.client, hamlet()).await;
    let mut public = Feed::open(&service.client, 0).await;
    assert_eq!(public.bookmark().await, 2);
    let mut stream = follow(&service.feed, None).await.expect("a stream");
    while next(&mut stream).await.expect("an entry").1.is_some() {}
    let lost = "DELETE FROM catalog.shows WHERE revision = 2; UPDATE catalog.feed SET revision = 0";
    execute(&database, lost).await;
    rename_silently(&database, &show.show_id, "Macbeth").await;
    let status = next(&mut stream).await.expect_err("its end");
    assert_error(&status, Code::OutOfRange, "CURSOR_OUT_OF_RANGE");
    let status = public.next_change().await.expect_err("its end");
    assert_error(&status, Code::OutOfRange, "CURSOR_OUT_OF_RANGE");
}

#[tokio::test]
async fn strangers_streams_take_nothing_from_it() {
    let (service, _database) = Service::start_with(|config| config.watch_streams_max = 100).await;
    let show = create(&service.client, hamlet()).await;
    let mut strangers = Vec::new();
    for _ in 0..100 {
        strangers.push(Feed::open(&service.client, 0).await);
    }
    let refused = Feed::try_open(&service.client, 0).await.map(drop);
    assert_refused(refused, Code::Unavailable, "OVERLOADED");
    let mut stream = follow(&service.feed, None).await.expect("a stream");
    let (_, change) = next(&mut stream).await.expect("a show");
    assert_eq!(change, Some(Change::Show(show)));
}

#[tokio::test]
async fn it_is_not_served_to_the_public() {
    let (service, _database) = Service::start().await;
    let outside = feed_client(service.address);
    let refused = get_feed(&outside, None).await;
    assert_refused(refused, Code::Unimplemented, "UNKNOWN_METHOD");
}

#[tokio::test]
async fn an_instance_without_its_database_vouches_for_nothing() {
    let database = postgres::database().await;
    let url = database.url("catalog_svc");
    let proxy = Proxy::start(&url).await;
    let service = Service::on(&proxy.url(&url), |config| {
        config.watch_bookmark_interval = Duration::from_millis(100);
    })
    .await;
    create(&service.client, hamlet()).await;
    let mut public = Feed::open(&service.client, 0).await;
    public.bookmark().await;
    newest(&service.feed).await;
    proxy.hold();
    // A poll in progress may still be answered; after that comes only the end.
    let asked = tokio::spawn({
        let feed = service.feed.clone();
        async move { get_feed(&feed, None).await }
    });
    let end = loop {
        if let Err(status) = public.next().await {
            break status;
        }
        assert!(!asked.is_finished(), "it was answered without a database");
    };
    assert_error(&end, Code::Unavailable, "DATABASE_UNAVAILABLE");
    let refused = asked.await.expect("no panic");
    assert_refused(refused, Code::Unavailable, "DATABASE_UNAVAILABLE");
    proxy.release();
}
