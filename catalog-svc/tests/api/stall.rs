//! The database stalls for seconds while calls wait for it.

use std::time::Duration;

use futures_util::future::join_all;
use proto::catalog::v1 as pb;
use service_kit::health;
use test_harness::errors::{describe, reason};
use test_harness::eventually;
use tonic::Code;

use crate::support::{
    SOON, Service, client, create, get, hamlet, new_request_id, try_create, try_get,
};

const CALLS: usize = 40;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_process_survives_and_later_calls_succeed() {
    let (service, database) = Service::start_with(|config| {
        config.database.database_connections_max = 2;
        config.database.database_wait_max = Duration::from_millis(500);
        config.server.call_timeout = Duration::from_secs(5);
    })
    .await;
    let show = create(&service.client, hamlet()).await;
    let mut owner = database.owner().await;
    let block = owner.transaction().await.expect("a transaction");
    block
        .execute("LOCK TABLE catalog.feed, catalog.shows", &[])
        .await
        .expect("the locks");

    // Half of them can be repeated. All of them are answered while the stall lasts.
    let requests: Vec<_> = (0..CALLS)
        .map(|n| {
            let request_id = if n % 2 == 0 {
                new_request_id()
            } else {
                String::new()
            };
            pb::CreateShowRequest {
                request_id,
                ..hamlet()
            }
        })
        .collect();
    let writer = client(service.address);
    let writes = join_all(
        requests
            .iter()
            .map(|request| try_create(&writer, request.clone())),
    );
    let reads = join_all((0..CALLS).map(|_| try_get(&service.client, &show.show_id)));
    let stalled = async { futures_util::join!(writes, reads) };
    let (writes, reads) = tokio::time::timeout(SOON, stalled)
        .await
        .expect("all are answered");
    let writes = writes.into_iter().map(|write| write.map(|_| ()));
    for refused in writes.chain(reads.into_iter().map(|read| read.map(|_| ()))) {
        let status = refused.expect_err("nothing succeeds in a stall");
        let known = matches!(
            (status.code(), &*reason(&status)),
            // Connections become free as statements release their locks.
            (Code::Unavailable, "DATABASE_UNAVAILABLE" | "OVERLOADED")
                | (Code::Aborted, "CONTENTION")
                | (Code::DeadlineExceeded, "DEADLINE_EXCEEDED")
        );
        assert!(known, "{}", describe(&status));
    }
    assert!(
        health::ask(service.address, health::LIVENESS, SOON)
            .await
            .is_ok()
    );

    block.rollback().await.expect("the end of the stall");
    eventually(SOON, "reads succeed again", async || {
        try_get(&service.client, &show.show_id).await.is_ok()
    })
    .await;
    for request in requests
        .into_iter()
        .filter(|request| !request.request_id.is_empty())
    {
        let created = create(&service.client, request.clone()).await;
        assert_eq!(create(&service.client, request).await, created);
        assert_eq!(get(&service.client, &created.show_id).await, created);
    }
}
