//! Shows are copied from the catalog's feed, or fetched on demand before the feed has brought them.

use std::time::{Duration, Instant};

use booking_svc::config::Cli;
use booking_svc::domain::{Sale, SaleState, Snapshot};
use booking_svc::store::{Applied, FeedPlace, Store};
use clap::Parser as _;
use model::ShowId;
use proto::booking::v1::SeatStatus;
use proto::catalog::v1::{CreateShowRequest, DeleteShowRequest};
use test_harness::errors::{assert_error, describe, has_retry_info, reason};
use test_harness::system::{self, System, confirm, reserve, start_booking, start_catalog};
use test_harness::{eventually, machine, postgres};
use tonic::Code;

use crate::cancelled_show::mark_fully_cancelled;
use crate::stage::{SELLS_STALE, Stage};

/// How soon a change in the catalog must hold here.
const SOON: Duration = Duration::from_secs(1);

/// Does not move the cursor.
pub(crate) const START: FeedPlace = FeedPlace {
    epoch: 0,
    revision: 0,
    timeline: None,
};

async fn delete_show(stage: &Stage, show: &str) {
    let delete = DeleteShowRequest {
        show_id: show.to_owned(),
        ..Default::default()
    };
    let deleted = stage.system.catalog_client().delete_show(delete).await;
    deleted.expect("it never had a booking");
}

/// The catalog's snapshot of it.
fn snapshot(sale: &Sale) -> Snapshot {
    Snapshot {
        show_id: sale.show_id,
        revision: sale.revision,
        terms: sale.terms.clone(),
        layout: sale.seats.layout().clone(),
        prices: sale.prices.clone(),
        proposal: None,
    }
}

/// The store itself, with its own pool.
pub(crate) fn store_of(stage: &Stage) -> Store {
    let url = stage.system.database.url("booking_svc");
    let cli = Cli::try_parse_from(["booking-svc", "--database-url", &url]).expect("a command line");
    let database = cli.config.database.database("test").expect("a URL");
    Store::new(database.pool(&cli.config.database))
}

#[tokio::test]
async fn shows_that_were_there_before_the_service_are_on_sale() {
    let database = postgres::database().await;
    let catalog = start_catalog(&database).await;
    let endpoint = tonic::transport::Endpoint::from_shared(catalog.url()).expect("a URL");
    let channel = endpoint.connect_lazy();
    let mut client = proto::catalog::v1::catalog_service_client::CatalogServiceClient::new(channel);
    let mut shows = Vec::new();
    for seats in [1, 3, 300] {
        let created = client.create_show(system::show(seats)).await;
        let show = created.expect("a show").into_inner().show.expect("set");
        shows.push((show.show_id, seats));
    }
    let booking = start_booking(&database, &catalog).await;
    let system = System {
        catalog,
        booking,
        workers: Vec::new(),
        database,
    };
    let mut client = system.booking_client();
    for (show, seats) in &shows {
        let found = system.seats(show).await;
        assert_eq!(i32::try_from(found.len()).expect("few"), *seats);
        let held = reserve(&mut client, show, &["A-1"], "ann").await;
        assert!(held.is_ok(), "{held:?}");
    }
}

#[tokio::test]
async fn a_show_is_on_sale_as_soon_as_it_is_created() {
    let mut stage = Stage::start().await;
    for _ in 0..20 {
        // Not waiting for the feed.
        let show = stage.system.a_show(3).await;
        stage.reserve(&show, &["A-2"]).await;
    }
    stage.follow_feed().await;
    stage.assert_sound().await;
}

#[tokio::test]
async fn a_cancelled_show_sells_nothing_within_a_second() {
    let mut stage = Stage::start().await;
    let show = stage.a_show(1_000).await;
    let mut held = Vec::new();
    for n in 1..=30 {
        held.push(stage.reserve(&show, &[&format!("A-{n}")]).await);
    }
    let mut client = stage.client();
    let watched = machine::watch();
    stage.cancel_show(&show).await;
    let cancelled = Instant::now();
    let mut seats = 31..;
    eventually(10 * SOON, "reserves are refused", async || {
        let label = format!("A-{}", seats.next().expect("endless"));
        let outcome = reserve(&mut client, &show, &[&label], "bob").await;
        match outcome {
            Ok(_) => false,
            Err(status) => {
                assert_error(&status, Code::FailedPrecondition, "SHOW_NOT_ON_SALE");
                true
            }
        }
    })
    .await;
    let took = cancelled.elapsed();
    assert!(took < SOON + machine::stalled(watched), "{took:?}");
    for booking in held {
        let status = confirm(&mut client, &booking.booking_id).await;
        let status = status.expect_err("the show is cancelled");
        // Either may come: the worker may have ended it or not.
        let reasons = ["SHOW_NOT_ON_SALE", "BOOKING_STATE"];
        assert!(
            reasons.contains(&&*reason(&status)),
            "{}",
            describe(&status)
        );
    }
    let took = cancelled.elapsed();
    assert!(took < 2 * SOON + machine::stalled(watched), "{took:?}");
    stage.assert_sound().await;
}

#[tokio::test]
async fn a_deleted_show_sells_nothing_whether_or_not_it_was_known() {
    let mut stage = Stage::start().await;
    let known = stage.a_show(3).await;
    delete_show(&stage, &known).await;
    stage.settle().await;
    let mut client = stage.client();
    let call = reserve(&mut client, &known, &["A-2"], "bob");
    let code = Code::FailedPrecondition;
    stage.refused(call, code, "SHOW_NOT_ON_SALE").await;

    // While nobody listens, the feed reports only the end state. Drafts, of which nobody needs
    // to be asked.
    let draft = || CreateShowRequest {
        draft: true,
        ..system::show(3)
    };
    let missed = stage.create(draft()).await;
    stage.system.booking.kill9().await;
    delete_show(&stage, &missed).await;
    let mut catalog = stage.system.catalog_client();
    let unknown = catalog.create_show(draft()).await.expect("a show");
    let unknown = unknown.into_inner().show.expect("set").show_id;
    delete_show(&stage, &unknown).await;
    stage.system.booking.start_again().await;
    stage.settle().await;
    let call = reserve(&mut client, &missed, &["A-1"], "bob");
    stage.refused(call, code, "SHOW_NOT_ON_SALE").await;
    let call = reserve(&mut client, &unknown, &["A-1"], "bob");
    stage.refused(call, Code::NotFound, "SHOW_NOT_FOUND").await;
    stage.assert_sound().await;
}

#[tokio::test]
async fn an_order_that_has_found_a_show_on_sale_ends_before_the_show_does() {
    let mut stage = Stage::start().await;
    let show = stage.a_show(3).await;
    let id: ShowId = show.parse().expect("a show's id");
    let store = store_of(&stage);
    let found = store.sale(id).await.expect("a database");
    let mut cancelled = snapshot(&found.expect("a sale"));
    cancelled.revision += 1;
    cancelled.terms.state = SaleState::Cancelled;
    // As a batch locks it.
    let lock = "BEGIN; SELECT FROM booking.sales FOR KEY SHARE";
    let waits = async || {
        let waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'
            AND datname = current_database() AND application_name = 'test'";
        eventually(5 * SOON, "the end waits", async || {
            stage.count(waiting).await == 1
        })
        .await;
        stage.run("ROLLBACK").await;
    };
    stage.run(lock).await;
    let (applied, ()) = futures_util::join!(store.apply(&cancelled, None, None), waits());
    applied.expect("it had its turn");
    stage.run(lock).await;
    let (applied, ()) = futures_util::join!(
        store.apply_deleted(id, cancelled.revision + 1, START, None),
        waits()
    );
    applied.expect("it had its turn");
    stage
        .run("DELETE FROM booking.show_seats; DELETE FROM booking.sales")
        .await;
    stage.assert_sound().await;
}

#[tokio::test]
async fn what_happens_while_the_service_is_down_is_caught_up_with() {
    let mut stage = Stage::start().await;
    let before = stage.a_show(3).await;
    stage.system.booking.kill9().await;
    let meanwhile = stage.system.a_show(3).await;
    stage.cancel_show(&before).await;
    stage.system.booking.start_again().await;
    stage.follow_feed().await;
    let free = stage.labels(&meanwhile, SeatStatus::Available).await;
    assert_eq!(free.len(), 3);
    stage.reserve(&meanwhile, &["A-1"]).await;
    let mut client = stage.client();
    let call = reserve(&mut client, &before, &["A-1"], "ann");
    stage
        .refused(call, Code::FailedPrecondition, "SHOW_NOT_ON_SALE")
        .await;
    stage.assert_sound().await;
}

#[tokio::test]
async fn a_late_or_repeated_revision_changes_nothing() {
    let mut stage = Stage::start().await;
    let show = stage.a_show(5).await;
    stage.reserve(&show, &["A-1"]).await;
    let id: ShowId = show.parse().expect("a show's id");
    let store = store_of(&stage);
    let first = store.sale(id).await.expect("a database").expect("a sale");
    stage.cancel_show(&show).await;
    mark_fully_cancelled(&stage).await;
    let second = store.sale(id).await.expect("a database").expect("a sale");
    assert_eq!(
        (first.terms.state, second.terms.state),
        (SaleState::OnSale, SaleState::Cancelled)
    );
    let cursor = store.cursor().await.expect("a cursor");
    assert_eq!(
        (first.revision < second.revision, cursor.place.revision),
        (true, second.revision)
    );

    let at = |revision| FeedPlace {
        revision,
        ..cursor.place
    };
    let unchanged = stage.digest().await;
    for sale in [&first, &second, &first] {
        for cursor in [None, Some(at(first.revision))] {
            let applied = store.apply(&snapshot(sale), cursor, None).await;
            assert_eq!(applied.expect("no harm"), Applied::Nothing);
            assert_eq!(stage.digest().await, unchanged);
        }
    }
    // A deletion that arrives late, or twice.
    for revision in [first.revision, second.revision] {
        let late = store.apply_deleted(id, revision, at(revision), None);
        late.await.expect("no harm");
        assert_eq!(stage.digest().await, unchanged);
    }
    let nobody = ShowId::generate();
    let unknown = store.apply_deleted(nobody, 1, at(1), None);
    unknown.await.expect("no harm");
    assert_eq!(stage.digest().await, unchanged);
    assert_eq!(store.cursor().await.expect("a cursor"), cursor);
    stage.assert_sound().await;
}

#[tokio::test]
async fn a_show_fetched_before_its_deletion_never_goes_on_sale() {
    let stage = Stage::start().await;
    let known: ShowId = stage.a_show(20).await.parse().expect("a show's id");
    let store = store_of(&stage);
    stage.follow_feed().await;
    let template = snapshot(
        &store
            .sale(known)
            .await
            .expect("a database")
            .expect("a sale"),
    );

    let (mut came_first, mut came_second) = (0, 0);
    for round in 0..60 {
        let asked = Snapshot {
            show_id: ShowId::generate(),
            ..template.clone()
        };
        let deleted_in = asked.revision + 1;
        // One of the two a little later than the other, so that each is first sometimes.
        let late = Duration::from_micros(50 * (round % 40));
        let bring = async {
            if round % 2 == 0 {
                tokio::time::sleep(late).await;
            }
            store.apply(&asked, None, None).await
        };
        let delete = async {
            if round % 2 == 1 {
                tokio::time::sleep(late).await;
            }
            store
                .apply_deleted(asked.show_id, deleted_in, START, None)
                .await
        };
        let (brought, deleted) = futures_util::join!(bring, delete);
        deleted.expect("a database");
        match brought.expect("a database") {
            Applied::Nothing | Applied::Locked => came_second += 1,
            Applied::Sale | Applied::SaleAndAnswer => came_first += 1,
        }
        let again = store.apply(&asked, None, None).await.expect("a database");
        assert_eq!(again, Applied::Nothing);
        let sale = store.sale(asked.show_id).await.expect("a database");
        let state = sale.map(|sale| sale.terms.state);
        assert!(
            matches!(state, None | Some(SaleState::Cancelled)),
            "{state:?}"
        );
    }
    assert!(
        came_first > 0 && came_second > 0,
        "{came_first} {came_second}"
    );
    stage
        .run("DELETE FROM booking.show_seats; DELETE FROM booking.sales")
        .await;
}

#[tokio::test]
async fn replicas_that_apply_the_same_show_at_once_make_it_once() {
    let mut stage = Stage::start().await;
    let known: ShowId = stage.a_show(50).await.parse().expect("a show's id");
    let stores = [store_of(&stage), store_of(&stage)];
    let found = stores[0].sale(known).await.expect("a database");
    let template = snapshot(&found.expect("a sale"));
    for revision in 100..120 {
        let older = Snapshot {
            show_id: ShowId::generate(),
            revision,
            ..template.clone()
        };
        let mut newer = older.clone();
        newer.revision += 100;
        newer.terms.state = SaleState::Cancelled;
        let (one, two, three) = futures_util::join!(
            stores[0].apply(&older, None, None),
            stores[1].apply(&newer, None, None),
            stores[1].apply(&older, None, None),
        );
        assert!(
            one.is_ok() && two.is_ok() && three.is_ok(),
            "{one:?} {two:?} {three:?}"
        );
        let kept = stores[0].sale(older.show_id).await.expect("a database");
        let kept = kept.expect("a sale");
        assert_eq!(
            (kept.revision, kept.terms),
            (newer.revision, newer.terms),
            "the newest, in whatever order"
        );
    }
    let odd = "SELECT count(*) FROM (SELECT show_id FROM booking.show_seats GROUP BY show_id
         HAVING count(*) <> 50) AS odd";
    assert_eq!(stage.count(odd).await, 0);
    stage
        .run("DELETE FROM booking.show_seats; DELETE FROM booking.sales")
        .await;
    stage.assert_sound().await;
}

#[tokio::test]
async fn without_the_catalog_known_shows_sell_with_stale_catalog_sell() {
    let mut stage = Stage::that_sells_stale().await;
    let show = stage.a_show(5).await;
    stage.system.catalog.kill9().await;
    let bought = stage.buy(&show, &["A-1", "A-2"]).await;
    let over = system::cancel(&mut stage.client(), &bought.booking_id).await;
    assert!(over.is_ok(), "{over:?}");
    assert_eq!(stage.labels(&show, SeatStatus::Available).await.len(), 5);

    let mut client = stage.client();
    let unknown = ShowId::generate().to_string();
    for _ in 0..3 {
        let call = reserve(&mut client, &unknown, &["A-1"], "ann");
        let status = stage
            .refused(call, Code::Unavailable, "CATALOG_UNAVAILABLE")
            .await;
        assert!(has_retry_info(&status));
    }
    // A booking needs no catalog to be unknown.
    let nobody = model::BookingId::generate(unknown.parse().expect("an id")).to_string();
    let call = confirm(&mut client, &nobody);
    stage
        .refused(call, Code::NotFound, "BOOKING_NOT_FOUND")
        .await;

    // A service that starts without the catalog sells the shows that it has copied.
    let (mut process, mut other) = stage.another_with(&SELLS_STALE).await;
    let held = reserve(&mut other, &show, &["A-3"], "bob").await;
    assert!(held.is_ok(), "{held:?}");
    crate::stage::assert_quiet(&mut process);

    stage.system.catalog.start_again().await;
    let new = stage.system.a_show(3).await;
    eventually(
        Duration::from_secs(5),
        "the new show sells",
        async || match reserve(&mut client, &new, &["A-1"], "ann").await {
            Ok(_) => true,
            Err(status) => {
                assert_eq!(
                    reason(&status),
                    "CATALOG_UNAVAILABLE",
                    "{}",
                    describe(&status)
                );
                false
            }
        },
    )
    .await;
    stage.follow_feed().await;
    stage.assert_sound().await;
}
