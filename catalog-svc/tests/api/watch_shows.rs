//! WatchShows: the entries of the feed, and that a reader that resumes misses nothing.

use std::collections::HashMap;
use std::time::Duration;

use proto::catalog::v1 as pb;
use proto::catalog::v1::create_show_request::Seats;
use proto::catalog::v1::watch_shows_response::Change;
use tokio::time::timeout;
use tonic::{Status, Streaming};

use crate::support::{
    Client, SOON, Service, arena, cancel, client, create, delete, execute, get, hamlet, renaming,
    sections, update, with_sections,
};

/// One reader's stream.
pub(crate) struct Feed(Streaming<pb::WatchShowsResponse>);

impl Feed {
    pub(crate) async fn try_open(client: &Client, after_revision: i64) -> Result<Self, Status> {
        let request = pb::WatchShowsRequest { after_revision };
        Ok(Self(
            client.clone().watch_shows(request).await?.into_inner(),
        ))
    }

    pub(crate) async fn open(client: &Client, after_revision: i64) -> Self {
        Self::try_open(client, after_revision)
            .await
            .expect("a stream")
    }

    /// The next entry, a bookmark included.
    pub(crate) async fn next(&mut self) -> Result<pb::WatchShowsResponse, Status> {
        let next = timeout(SOON, self.0.message())
            .await
            .expect("an entry soon")?;
        Ok(next.expect("a stream ends with a status"))
    }

    /// The next entry that is no bookmark.
    pub(crate) async fn next_change(&mut self) -> Result<(i64, Change), Status> {
        loop {
            let entry = self.next().await?;
            if let Some(change) = entry.change {
                return Ok((entry.revision, change));
            }
        }
    }

    pub(crate) async fn next_show(&mut self) -> pb::Show {
        match self.next_change().await {
            Ok((revision, Change::Show(show))) if revision == show.revision => show,
            other => panic!("no show with its revision: {other:?}"),
        }
    }

    /// The next deletion, and its revision. The show's pending deletion may be seen before.
    pub(crate) async fn next_deletion(&mut self) -> (i64, String) {
        loop {
            match self.next_change().await.expect("a change") {
                (revision, Change::DeletedShowId(id)) => return (revision, id),
                (_, Change::Show(show)) => assert!(show.proposal.is_some(), "{show:?}"),
            }
        }
    }

    /// Reads up to the first bookmark, and returns its revision.
    pub(crate) async fn bookmark(&mut self) -> i64 {
        loop {
            let entry = self.next().await.expect("an entry");
            if entry.change.is_none() {
                return entry.revision;
            }
        }
    }
}

#[tokio::test]
async fn the_stream_sends_every_show_whole_and_continues() {
    let (service, _database) = Service::start().await;
    let mut shows = Vec::new();
    for seats in 1..=20 {
        let request = pb::CreateShowRequest {
            seats: Some(Seats::TotalSeats(seats)),
            ..hamlet()
        };
        shows.push(create(&service.client, request).await);
    }
    let mut feed = Feed::open(&service.client, 0).await;
    for show in &shows {
        assert_eq!(feed.next_show().await, *show);
    }
    // The reader gets a bookmark, and then what is written.
    assert_eq!(feed.bookmark().await, 20);
    let created = create(&service.client, hamlet()).await;
    assert_eq!(feed.next_show().await, created);
    let cancelled = cancel(&service.client, &created.show_id).await;
    assert_eq!(feed.next_show().await, cancelled);
    delete(&service, &created.show_id).await;
    let deleted = feed.next_deletion().await;
    assert_eq!(deleted, (24, created.show_id));
}

#[tokio::test]
async fn an_empty_catalog_is_a_bookmark() {
    let (service, _database) = Service::start().await;
    let mut feed = Feed::open(&service.client, 0).await;
    let entry = feed.next().await.expect("an entry");
    assert_eq!((entry.revision, entry.change), (0, None));
}

#[tokio::test]
async fn of_a_show_only_the_newest_snapshot_is_sent() {
    let (service, _database) = Service::start().await;
    let first = create(&service.client, hamlet()).await;
    let second = create(&service.client, hamlet()).await;
    let gone = create(&service.client, hamlet()).await;
    let renamed = update(&service.client, renaming(&first.show_id, "Macbeth")).await;
    cancel(&service.client, &gone.show_id).await;
    delete(&service, &gone.show_id).await;

    let mut feed = Feed::open(&service.client, 0).await;
    assert_eq!(feed.next_show().await, second);
    assert_eq!(feed.next_show().await, renamed);
    let deleted = feed.next_change().await.expect("a change");
    assert_eq!(deleted, (7, Change::DeletedShowId(gone.show_id)));
    assert_eq!(feed.bookmark().await, 7);

    // Resumed in the middle, it sends the rest.
    let mut feed = Feed::open(&service.client, second.revision).await;
    assert_eq!(feed.next_show().await, renamed);
    let mut feed = Feed::open(&service.client, 7).await;
    assert_eq!(feed.next().await.expect("an entry").change, None);
}

#[tokio::test]
async fn a_revision_without_a_show_is_passed_over() {
    let (service, database) = Service::start().await;
    create(&service.client, hamlet()).await;
    execute(&database, "UPDATE catalog.feed SET revision = 7").await;
    let mut feed = Feed::open(&service.client, 1).await;
    assert_eq!(feed.bookmark().await, 7);
    assert_eq!(create(&service.client, hamlet()).await.revision, 8);
    assert_eq!(feed.next_show().await.revision, 8);
}

#[tokio::test]
async fn large_layouts_come_whole_one_after_the_other() {
    let (service, _database) = Service::start().await;
    for _ in 0..3 {
        create(&service.client, with_sections(arena())).await;
    }
    let small = create(&service.client, hamlet()).await;
    let mut feed = Feed::open(&service.client, 0).await;
    for revision in 1..=3 {
        let show = feed.next_show().await;
        assert_eq!(
            (show.revision, sections(&show) == arena()),
            (revision, true)
        );
    }
    assert_eq!(feed.next_show().await, small);
}

const WRITERS: usize = 8;
const SHOWS_PER_WRITER: usize = 12;

/// Creates shows, and renames each once, while others do the same.
async fn write(client: Client) -> Vec<pb::Show> {
    let mut shows = Vec::new();
    for _ in 0..SHOWS_PER_WRITER {
        let show = create(&client, hamlet()).await;
        shows.push(update(&client, renaming(&show.show_id, "Macbeth")).await);
    }
    shows
}

/// Follows the feed until it has seen these revisions, through streams that it leaves after a
/// few entries; returns the newest snapshot of each show that it has seen.
async fn follow(client: Client, until: usize) -> HashMap<String, pb::Show> {
    let mut shows: HashMap<String, pb::Show> = HashMap::new();
    let mut cursor = 0;
    loop {
        let mut feed = Feed::open(&client, cursor).await;
        for _ in 0..5 {
            let show = feed.next_show().await;
            assert!(show.revision > cursor, "{} after {cursor}", show.revision);
            cursor = show.revision;
            shows.insert(show.show_id.clone(), show);
            if shows.values().filter(|show| show.name == "Macbeth").count() == until {
                return shows;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_resumes_sees_every_show_of_concurrent_writers() {
    let (service, _database) = Service::start().await;
    let all = WRITERS * SHOWS_PER_WRITER;
    let followers: Vec<_> = (0..3)
        .map(|_| tokio::spawn(follow(client(service.address), all)))
        .collect();
    let writers: Vec<_> = (0..WRITERS)
        .map(|_| tokio::spawn(write(client(service.address))))
        .collect();
    let mut written = HashMap::new();
    for writer in writers {
        let shows = writer.await.expect("a writer");
        written.extend(shows.into_iter().map(|show| (show.show_id.clone(), show)));
    }
    for follower in followers {
        let seen = timeout(SOON, follower)
            .await
            .expect("it has seen all soon")
            .expect("a follower");
        assert_eq!(seen, written);
    }
}

#[tokio::test]
async fn idle_streams_send_bookmarks() {
    let (service, _database) = Service::start_with(|config| {
        config.watch_bookmark_interval = Duration::from_millis(20);
    })
    .await;
    create(&service.client, hamlet()).await;
    let mut feed = Feed::open(&service.client, 0).await;
    feed.next_show().await;
    for _ in 0..5 {
        let entry = feed.next().await.expect("an entry");
        assert_eq!((entry.revision, entry.change), (1, None));
    }
}

#[tokio::test]
async fn writers_notify_each_revision() {
    let (service, database) = Service::start().await;
    let listening = sqlx::postgres::PgListener::connect(&database.url("catalog_svc")).await;
    let mut listener = listening.expect("a listener");
    listener.listen("catalog_feed").await.expect("listening");
    let id = create(&service.client, hamlet()).await.show_id;
    update(&service.client, renaming(&id, "Macbeth")).await;
    cancel(&service.client, &id).await;
    delete(&service, &id).await;
    for revision in 1..=5 {
        let notification = timeout(SOON, listener.recv())
            .await
            .expect("a notification soon");
        assert_eq!(
            notification.expect("a notification").payload(),
            revision.to_string()
        );
    }
}

#[tokio::test]
async fn a_lost_listener_loses_nothing() {
    let (service, database) = Service::start().await;
    let mut feed = Feed::open(&service.client, 0).await;
    assert_eq!(feed.bookmark().await, 0);
    let owner = database.owner().await;
    let kill = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
                WHERE datname = current_database() AND usename = 'catalog_svc'
                  AND query LIKE 'LISTEN%'";
    test_harness::eventually(
        SOON,
        "the service listens, and its listener is killed",
        async || {
            let killed = owner.query_one(kill, &[]).await.expect("a count");
            killed.get::<_, i64>(0) > 0
        },
    )
    .await;
    let show = create(&service.client, hamlet()).await;
    assert_eq!(
        feed.next_show().await,
        get(&service.client, &show.show_id).await
    );
}
