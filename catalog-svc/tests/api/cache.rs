//! GetShow from the cache: never older than the instance's own writes, and not for long older than
//! writes of others.

use proto::catalog::v1 as pb;
use test_harness::postgres::{self, TestDatabase};
use test_harness::{eventually, eventually_some};

use crate::proxy::Proxy;
use crate::support::{
    Client, SOON, Service, cancel, create, delete, execute, get, get_since, hamlet,
    rename_silently, renaming, try_get, update,
};

const ROUNDS: usize = 1_000;

/// Renames a show behind the service's back, outside of the feed: a read of the database sees the
/// new name, a read of the cache does not.
async fn rename_behind_the_cache(database: &TestDatabase, id: &str, name: &str) {
    let statement = format!("UPDATE catalog.shows SET name = '{name}' WHERE show_id = '{id}'");
    execute(database, &statement).await;
}

/// Waits until the service has the show in its cache, and returns it from there. It has
/// another name in the database then.
async fn eventually_kept(client: &Client, database: &TestDatabase, id: &str) -> pb::Show {
    let mut looks = 0;
    eventually_some(SOON, "the show is kept in memory", async || {
        let before = get(client, id).await;
        looks += 1;
        rename_behind_the_cache(database, id, &format!("look {looks}")).await;
        (get(client, id).await == before).then_some(before)
    })
    .await
}

#[tokio::test]
async fn an_own_write_is_seen_at_once_every_time() {
    let (service, database) = Service::start().await;
    let show = create(&service.client, hamlet()).await;
    eventually_kept(&service.client, &database, &show.show_id).await;
    for round in 0..ROUNDS {
        let name = format!("round {round}");
        let updated = update(&service.client, renaming(&show.show_id, &name)).await;
        assert_eq!(updated.name, name);
        assert_eq!(get(&service.client, &show.show_id).await, updated);
    }
    let cancelled = cancel(&service.client, &show.show_id).await;
    assert_eq!(get(&service.client, &show.show_id).await, cancelled);
    delete(&service, &show.show_id).await;
    assert!(try_get(&service.client, &show.show_id).await.is_err());
}

#[tokio::test]
async fn a_write_through_another_instance_is_seen_soon() {
    let (one, database) = Service::start().await;
    let other = Service::on(&database.url("catalog_svc"), |_| {}).await;
    let show = create(&one.client, hamlet()).await;
    eventually_kept(&one.client, &database, &show.show_id).await;
    let updated = update(&other.client, renaming(&show.show_id, "Macbeth")).await;
    eventually(SOON, "the other's write is seen", async || {
        get(&one.client, &show.show_id).await == updated
    })
    .await;
    eventually_kept(&one.client, &database, &show.show_id).await;
    cancel(&other.client, &show.show_id).await;
    delete(&other, &show.show_id).await;
    eventually(SOON, "the show is gone", async || {
        try_get(&one.client, &show.show_id).await.is_err()
    })
    .await;
}

#[tokio::test]
async fn a_write_without_notification_is_read_at_once_by_min_revision_and_soon_without() {
    let (service, database) = Service::start().await;
    let client = &service.client;
    let id = create(client, hamlet()).await.show_id;
    for round in 0..ROUNDS / 100 {
        eventually_kept(client, &database, &id).await;
        let name = format!("round {round}");
        let revision = rename_silently(&database, &id, &name).await;
        assert_eq!(get_since(client, &id, revision).await.name, name);
        let name = format!("after round {round}");
        rename_silently(&database, &id, &name).await;
        eventually(SOON, "the write is seen", async || {
            get(client, &id).await.name == name
        })
        .await;
    }
}

#[tokio::test]
async fn other_shows_stay_in_memory_while_one_is_written() {
    let (service, database) = Service::start().await;
    let kept = create(&service.client, hamlet()).await;
    let written = create(&service.client, hamlet()).await;
    let kept = eventually_kept(&service.client, &database, &kept.show_id).await;
    update(&service.client, renaming(&written.show_id, "Macbeth")).await;
    assert_eq!(get(&service.client, &kept.show_id).await, kept);
}

#[tokio::test]
async fn whoever_does_not_listen_does_not_read_from_memory() {
    let (service, database) = Service::start().await;
    let show = create(&service.client, hamlet()).await;
    let kept = eventually_kept(&service.client, &database, &show.show_id).await;
    let cut_off = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                   WHERE datname = current_database() AND query LIKE 'LISTEN %'";
    let owner = database.owner().await;
    let ended = owner.query(cut_off, &[]).await.expect("an owner");
    assert_eq!(ended.len(), 1);
    eventually(SOON, "the database is read", async || {
        get(&service.client, &show.show_id).await != kept
    })
    .await;
    eventually_kept(&service.client, &database, &show.show_id).await;
}

#[tokio::test]
async fn an_instance_that_is_cut_off_soon_stops_reading_its_cache() {
    let database = postgres::database().await;
    let url = database.url("catalog_svc");
    let proxy = Proxy::start(&url).await;
    let one = Service::on(&proxy.url(&url), |_| {}).await;
    let other = Service::on(&url, |_| {}).await;
    let show = create(&one.client, hamlet()).await;
    eventually_kept(&one.client, &database, &show.show_id).await;
    // Its connections stay open, without answers.
    proxy.hold();
    update(&other.client, renaming(&show.show_id, "Macbeth")).await;
    eventually(SOON, "it does not know for sure any more", async || {
        try_get(&one.client, &show.show_id).await.is_err()
    })
    .await;
    proxy.release();
    eventually(SOON, "it has caught up", async || {
        let got = try_get(&one.client, &show.show_id).await;
        got.is_ok_and(|show| show.name == "Macbeth")
    })
    .await;
}
