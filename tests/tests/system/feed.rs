//! From the catalog to booking: what is created can be booked.

use std::time::{Duration, Instant};

use system_tests::errors::assert_error;
use system_tests::eventually;
use system_tests::system::{System, confirm, reserve, show};
use tokio_postgres::Client;
use tonic::Code;
use uuid::Uuid;

const FOLLOWED_MAX: Duration = Duration::from_secs(15);

/// Waits for a sale that nobody has asked for: only the feed can have brought it.
async fn followed(owner: &Client, show: &str) {
    let id: Uuid = show.parse().expect("an id is a UUID");
    let query = "SELECT count(*) FROM booking.sales WHERE show_id = $1";
    eventually(
        FOLLOWED_MAX,
        &format!("the feed has brought {show}"),
        async || {
            let row = owner.query_one(query, &[&id]).await.expect("a count");
            row.get::<_, i64>(0) == 1
        },
    )
    .await;
}

#[tokio::test]
async fn the_feed_is_resumed_after_either_end_was_away() {
    let mut system = System::start(0).await;
    let owner = system.database.owner().await;
    followed(&owner, &system.a_show(5).await).await;

    system.catalog.kill9().await;
    system.catalog.start_again().await;
    followed(&owner, &system.a_show(5).await).await;

    system.booking.kill9().await;
    let while_away = [system.a_show(5).await, system.a_show(5).await];
    system.booking.start_again().await;
    for show in &while_away {
        followed(&owner, show).await;
    }

    system.catalog.terminate();
    let status = system.catalog.wait(Duration::from_secs(25)).await;
    assert_eq!(status.code(), Some(0), "{status}");
    system.catalog.start_again().await;
    followed(&owner, &system.a_show(5).await).await;
    let cursors = "SELECT c.revision, f.revision FROM booking.feed_cursor AS c, catalog.feed AS f";
    eventually(
        FOLLOWED_MAX,
        "the cursor is at the newest revision",
        async || {
            let row = owner.query_one(cursors, &[]).await.expect("a row");
            row.get::<_, i64>(0) == row.get::<_, i64>(1)
        },
    )
    .await;
}

#[tokio::test]
async fn without_the_catalog_known_shows_go_on_selling() {
    let mut system = System::start(0).await;
    let known = system.a_show(5).await;
    followed(&system.database.owner().await, &known).await;
    system.catalog.kill9().await;
    let mut client = system.booking_client();
    let held = reserve(&mut client, &known, &["A-1"], "ada")
        .await
        .expect("a known show");
    confirm(&mut client, &held.booking_id)
        .await
        .expect("a hold");
    let unknown = "01020304-0506-8000-8000-000000000000";
    let status = reserve(&mut client, unknown, &["A-1"], "ada").await;
    let status = status.expect_err("a show that nobody can tell of");
    assert_error(&status, Code::Unavailable, "CATALOG_UNAVAILABLE");
    system.catalog.start_again().await;
    let status = reserve(&mut client, unknown, &["A-1"], "ada").await;
    let status = status.expect_err("a show that there is not");
    assert_error(&status, Code::NotFound, "SHOW_NOT_FOUND");
}

/// Three seconds are meant, of a release build on a quiet machine.
const BOOKABLE_MAX: Duration = Duration::from_secs(10);

#[tokio::test]
async fn a_hundred_thousand_seats_can_be_booked_at_once() {
    let system = System::start(0).await;
    let created = system.catalog_client().create_show(show(100_000)).await;
    let created = created.expect("a show").into_inner().show;
    let show = created.expect("the answer has the show").show_id;
    let start = Instant::now();
    let mut client = system.booking_client();
    let held = reserve(&mut client, &show, &["A-1", "A-100000"], "ada").await;
    let held = held.expect("the show can be booked at once");
    let took = start.elapsed();
    assert!(took < BOOKABLE_MAX, "{took:?}");
    confirm(&mut client, &held.booking_id)
        .await
        .expect("a hold");
}
