//! Transactions in each other's way, and connections in short supply.

use std::time::Duration;

use futures_util::future::join_all;
use proto::catalog::v1 as pb;
use test_harness::errors::{assert_refused, has_retry_info};
use test_harness::eventually;
use tokio::time::timeout;
use tonic::Code;

use crate::support::{
    SOON, Service, contents, create, eventually_blocked, execute, get, hamlet, renaming,
    try_create, try_get, update,
};
use crate::watch_shows::Feed;

/// Makes the first inserts of a show fail as if they conflicted with another transaction.
fn conflicts(times: u32) -> String {
    format!(
        "CREATE SEQUENCE public.tries;
         GRANT USAGE ON public.tries TO catalog_svc;
         CREATE FUNCTION public.conflict() RETURNS trigger LANGUAGE plpgsql AS $$
         BEGIN
             IF nextval('public.tries') <= {times} THEN
                 RAISE 'in the way' USING ERRCODE = '40001';
             END IF;
             RETURN NEW;
         END $$;
         CREATE TRIGGER conflict BEFORE INSERT ON catalog.shows
         FOR EACH ROW EXECUTE FUNCTION public.conflict()"
    )
}

#[tokio::test]
async fn a_transaction_that_met_another_is_tried_again() {
    let (service, database) = Service::start().await;
    execute(&database, &conflicts(3)).await;
    create(&service.client, hamlet()).await;
    assert_eq!(contents(&database).await, (1, 0, 1));
}

#[tokio::test]
async fn contention_ends_in_an_error_and_changes_nothing() {
    let (service, database) = Service::start().await;
    execute(&database, &conflicts(100)).await;
    let refused = try_create(&service.client, hamlet()).await;
    let status = assert_refused(refused, Code::Aborted, "CONTENTION");
    assert!(has_retry_info(&status));
    assert_eq!(contents(&database).await, (0, 0, 0));
}

#[tokio::test]
async fn one_connection_serves_any_number_of_calls() {
    let (service, database) = Service::start_with(|config| {
        config.database.database_connections_max = 1;
        config.database.database_wait_max = SOON;
    })
    .await;
    let show = create(&service.client, hamlet()).await;
    // Watchers hold no connection.
    let mut feeds = Vec::new();
    for _ in 0..10 {
        feeds.push(Feed::open(&service.client, 0).await);
    }
    for round in 0..6 {
        let name = format!("round {round}");
        let reads = join_all((0..20).map(|_| get(&service.client, &show.show_id)));
        let unknown = model::ShowId::generate().to_string();
        let misses = join_all((0..20).map(|_| try_get(&service.client, &unknown)));
        let writes = update(&service.client, renaming(&show.show_id, &name));
        let all = async { futures_util::join!(reads, misses, writes) };
        let (reads, misses, renamed) = timeout(SOON, all).await.expect("no call hangs");
        assert_eq!((reads.len(), misses.iter().all(Result::is_err)), (20, true));
        assert_eq!(renamed.name, name);
    }
    for mut feed in feeds {
        let newest = 7;
        while feed.next_show().await.revision < newest {}
    }
    assert_eq!(contents(&database).await, (1, 0, 7));
}

#[tokio::test]
async fn callers_that_leave_take_no_connection_with_them() {
    let (service, database) = Service::start_with(|config| {
        config.database.database_connections_max = 2;
    })
    .await;
    let mut owner = database.owner().await;
    for _ in 0..3 {
        let block = owner.transaction().await.expect("a transaction");
        let lock = "SELECT FROM catalog.feed FOR UPDATE";
        block.execute(lock, &[]).await.expect("the feed's lock");
        let calls: Vec<_> = (0..4)
            .map(|_| {
                let client = service.client.clone();
                tokio::spawn(async move { try_create(&client, hamlet()).await })
            })
            .collect();
        // Both connections wait for the lock in the middle of a transaction.
        eventually_blocked(&database, 2).await;
        for call in &calls {
            call.abort();
        }
        block.rollback().await.expect("the lock is given back");
    }
    let show = timeout(SOON, create(&service.client, hamlet()))
        .await
        .expect("a connection");
    assert_eq!(get(&service.client, &show.show_id).await, show);
    // No show is half created, and no transaction left open.
    eventually(SOON, "no statement runs", async || {
        let open = "SELECT count(*) FROM pg_stat_activity
                    WHERE datname = current_database() AND usename = 'catalog_svc'
                      AND state <> 'idle'";
        let row = owner.query_one(open, &[]).await.expect("a count");
        row.get::<_, i64>(0) == 0
    })
    .await;
    let (shows, _, revision) = contents(&database).await;
    assert_eq!(shows, revision);
}

#[tokio::test]
async fn waiting_in_vain_for_a_pool_connection_is_an_error() {
    let (service, database) = Service::start_with(|config| {
        config.database.database_connections_max = 1;
        config.database.database_wait_max = Duration::from_millis(100);
    })
    .await;
    let show = create(&service.client, hamlet()).await;
    let mut owner = database.owner().await;
    let block = owner.transaction().await.expect("a transaction");
    block
        .execute("SELECT FROM catalog.feed FOR UPDATE", &[])
        .await
        .expect("the feed's lock");
    let first = tokio::spawn({
        let client = service.client.clone();
        async move { try_create(&client, hamlet()).await }
    });
    eventually_blocked(&database, 1).await;
    // A show might be in memory; a list never is.
    eventually(SOON, "calls are refused", async || {
        let list = pb::ListShowsRequest::default();
        match service.client.clone().list_shows(list).await {
            Ok(_) => false,
            Err(status) => {
                test_harness::errors::assert_error(
                    &status,
                    Code::Unavailable,
                    "DATABASE_UNAVAILABLE",
                );
                assert!(has_retry_info(&status));
                true
            }
        }
    })
    .await;
    block.rollback().await.expect("the lock is given back");
    first
        .await
        .expect("no panic")
        .expect("the call that had the connection succeeds");
    assert_eq!(get(&service.client, &show.show_id).await, show);
}
