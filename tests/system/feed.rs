//! From the catalog to booking-svc: a created show can be booked.

use std::time::{Duration, Instant};

use proto::catalog::v1::{PauseShowRequest, PriceTier, ResumeShowRequest, SetPricesRequest};
use proto::money::v1::Money;
use test_harness::errors::assert_error;
use test_harness::system::{
    System, booking_client_of, catalog_client_of, confirm, reserve, show, start_booking,
    start_catalog,
};
use test_harness::{eventually, postgres};
use tokio_postgres::Client;
use tonic::Code;
use uuid::Uuid;

const FOLLOWED_MAX: Duration = Duration::from_secs(15);
/// How often booking-svc reports its revision to the catalog.
const ASK_INTERVAL: Duration = Duration::from_secs(1);

/// Waits for a sale that no reserve has fetched: only the feed can have brought it.
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
async fn the_feed_resumes_after_an_outage_of_either_end() {
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
async fn without_the_catalog_services_sell_known_shows_with_stale_catalog_sell() {
    let database = postgres::database().await;
    let mut system = System::start_with(database, 0, &["--stale-catalog", "sell"]).await;
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
    let status = status.expect_err("a show that no catalog can describe");
    assert_error(&status, Code::Unavailable, "CATALOG_UNAVAILABLE");
    system.catalog.start_again().await;
    eventually(FOLLOWED_MAX, "the catalog is asked again", async || {
        let status = reserve(&mut client, unknown, &["A-1"], "ada").await;
        status.expect_err("a show that there is not").code() == Code::NotFound
    })
    .await;
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

/// A change of the catalog holds for the next reserve, through any replica of
/// either service.
#[tokio::test]
async fn a_catalog_change_holds_for_the_next_reserve() {
    let system = System::start(0).await;
    let database = &system.database;
    let other_catalog = start_catalog(database).await;
    let other_booking = start_booking(database, &other_catalog).await;
    let catalogs = [system.catalog_client(), catalog_client_of(&other_catalog)];
    let clients = [system.booking_client(), booking_client_of(&other_booking)];
    let show = system.a_show(500).await;
    let mut seat = 0;
    let mut sell = async |round: usize| {
        seat += 1;
        let mut client = clients[round % 2].clone();
        reserve(&mut client, &show, &[&format!("A-{seat}")], "ann").await
    };
    for round in 0..2 {
        sell(round).await.expect("a show on sale");
    }
    // Until both catalogs have a report of both followers.
    tokio::time::sleep(2 * ASK_INTERVAL).await;
    let show_id = || show.clone();
    for round in 0..20 {
        let mut catalog = catalogs[round / 2 % 2].clone();
        let request = PauseShowRequest {
            show_id: show_id(),
            ..Default::default()
        };
        catalog.pause_show(request).await.expect("a show on sale");
        let status = sell(round).await.expect_err("it is paused");
        assert_error(&status, Code::FailedPrecondition, "SHOW_NOT_ON_SALE");
        let request = ResumeShowRequest {
            show_id: show_id(),
            ..Default::default()
        };
        let resumed = catalog.resume_show(request).await.expect("a paused show");
        let etag = resumed.into_inner().show.expect("the show").etag;
        let sold = sell(round + 1).await;
        assert!(sold.is_ok(), "round {round}: {sold:?}");
        let cents = 1_000 + i64::try_from(round).expect("few");
        let tier = PriceTier {
            name: "Any".to_owned(),
            price: Some(Money {
                minor_units: cents,
                currency_code: "EUR".to_owned(),
            }),
            ..Default::default()
        };
        let request = SetPricesRequest {
            show_id: show_id(),
            price_tiers: vec![tier],
            etag,
            ..Default::default()
        };
        catalog.set_prices(request).await.expect("prices");
        let sold = sell(round).await.expect("a free seat");
        assert_eq!(sold.total.map(|total| total.minor_units), Some(cents));
    }

    // One that hangs is waited for a little, and soon no longer.
    other_booking.freeze();
    let mut catalog = catalogs[0].clone();
    let mut pause = async |was_paused: bool| {
        let (show_id, began) = (show_id(), Instant::now());
        if was_paused {
            let request = ResumeShowRequest {
                show_id,
                ..Default::default()
            };
            catalog.resume_show(request).await.expect("a paused show");
        } else {
            let request = PauseShowRequest {
                show_id,
                ..Default::default()
            };
            catalog.pause_show(request).await.expect("a show on sale");
        }
        began.elapsed()
    };
    let first = pause(false).await;
    assert!(first < FOLLOWED_MAX, "{first:?}");
    let mut is_paused = true;
    eventually(FOLLOWED_MAX, "it is not waited for", async || {
        let took = pause(is_paused).await;
        is_paused = !is_paused;
        took < Duration::from_millis(400)
    })
    .await;
    other_booking.go_on();
}
