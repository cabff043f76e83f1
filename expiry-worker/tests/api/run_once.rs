//! ExpiryService.RunOnce.

use std::time::Duration;

use futures_util::future::join_all;
use proto::expiry::v1::RunOnceRequest;
use proto::expiry::v1::expiry_service_client::ExpiryServiceClient;
use test_harness::errors::{assert_error, has_retry_info};
use test_harness::eventually;
use test_harness::process::Process;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};

use crate::hall::{Hall, Standing};

const SOON: Duration = Duration::from_secs(10);

/// The `nth` worker, which has finished its first scan and will not start another by itself.
async fn sleeping_worker(hall: &Hall, nth: i64) -> Process {
    let worker = hall
        .worker(&["--poll-interval", "60s", "--batch-max", "7"])
        .await;
    let looked = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
         AND usename = 'expiry_worker' AND state = 'idle' AND query = 'ROLLBACK'";
    eventually(SOON, "the worker sleeps", async || {
        hall.count(looked).await == nth
    })
    .await;
    worker
}

fn client(worker: &Process) -> ExpiryServiceClient<Channel> {
    let endpoint = Endpoint::from_shared(worker.url()).expect("an address makes a URL");
    ExpiryServiceClient::new(endpoint.timeout(SOON).connect_lazy())
}

async fn run_once(client: &ExpiryServiceClient<Channel>) -> Result<i64, Status> {
    let response = client.clone().run_once(RunOnceRequest {}).await?;
    Ok(response.into_inner().failed_count)
}

#[tokio::test]
async fn it_fails_stale_bookings_and_counts_them() {
    let hall = Hall::new(60).await;
    let worker = sleeping_worker(&hall, 1).await;
    let client = client(&worker);
    let ids = hall.stale(0, 50).await;
    hall.hold(&[50], 600.0).await;
    assert_eq!(run_once(&client).await.expect("a sweep"), 50);
    for id in ids {
        assert_eq!(hall.standing(id).await, Standing::expired());
    }
    assert_eq!(run_once(&client).await.expect("a sweep"), 0);
    hall.assert_sound().await;
}

#[tokio::test]
async fn calls_at_once_count_each_booking_once() {
    let hall = Hall::new(60).await;
    let workers = [
        sleeping_worker(&hall, 1).await,
        sleeping_worker(&hall, 2).await,
    ];
    let clients = workers.each_ref().map(client);
    hall.stale(0, 60).await;
    let calls = (0..8).map(|n| run_once(&clients[n % 2]));
    let mut failed = 0;
    for count in join_all(calls).await {
        failed += count.expect("a sweep");
    }
    failed += run_once(&clients[0]).await.expect("a sweep");
    assert_eq!(failed, 60);
    let expired = "SELECT count(*) FROM booking.transitions WHERE verb = 'EXPIRE'";
    assert_eq!(hall.count(expired).await, 60);
    hall.assert_sound().await;
}

#[tokio::test]
async fn an_outage_is_unavailable_logged_once_and_passes() {
    let hall = Hall::new(5).await;
    let mut worker = hall.worker(&["--poll-interval", "20ms"]).await;
    let client = client(&worker);
    let row = hall
        .owner
        .query_one("SELECT current_database()::text", &[])
        .await;
    let name: String = row.expect("its name").get(0);
    // Superusers can still connect.
    hall.run(&format!("ALTER DATABASE {name} CONNECTION LIMIT 0"))
        .await;
    let cut = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
         WHERE datname = current_database() AND usename = 'expiry_worker'";
    // A terminated connection ends a moment later, and a new one may just have opened.
    eventually(SOON, "the worker has no connection", async || {
        hall.count(cut).await == 0
    })
    .await;
    hall.stale(0, 5).await;
    let mut refused_count = 0;
    eventually(SOON, "the worker has looked in vain", async || {
        let status = run_once(&client).await.expect_err("no connection");
        assert_error(&status, Code::Unavailable, "DATABASE_UNAVAILABLE");
        assert!(has_retry_info(&status));
        refused_count += 1;
        refused_count > 20 && worker.log().contains("interrupted; trying again")
    })
    .await;
    hall.run(&format!("ALTER DATABASE {name} CONNECTION LIMIT -1"))
        .await;
    let open = "SELECT count(*) FROM booking.bookings WHERE state = 'PENDING'";
    eventually(SOON, "it works again", async || {
        hall.count(open).await == 0 && worker.log().contains("working again")
    })
    .await;
    assert_eq!(worker.ended(), None);
    let log = worker.log();
    assert_eq!(log.matches("interrupted; trying again").count(), 1, "{log}");
    // Besides one line for each failed call, so that its log id is found.
    let of_calls = |line: &&str| line.contains("service_kit::outcome");
    let lines = log.lines().filter(|line| !of_calls(line)).count();
    assert!(!log.contains(" ERROR ") && lines < 20, "{log}");
    assert!(run_once(&client).await.is_ok());
    hall.assert_sound().await;
}
