//! A process that loses one of its tasks.
//!
//! Debug builds make a task panic at a signal; release builds do not have that.
#![cfg(debug_assertions)]

use std::time::Duration;

use proto::money::v1::Money;
use proto::payment::v1::payment_provider_client::PaymentProviderClient;
use proto::payment::v1::{AuthorizeRequest, GetPaymentRequest};
use service_kit::health;
use test_harness::errors::{assert_error, has_retry_info};
use test_harness::invariants::assert_hold;
use test_harness::process::Process;
use test_harness::system::{System, booking_client_of, reservation, reserve, start_catalog};
use test_harness::{eventually, postgres};
use tonic::Code;
use uuid::Uuid;

const SOON: Duration = Duration::from_secs(20);
/// Far more than a process takes that has lost a task; its grace is 5 s.
const END_MAX: Duration = Duration::from_secs(20);
const HEALTH_TIMEOUT: Duration = Duration::from_secs(2);

async fn is_serving(process: &Process) -> bool {
    let asked = health::ask(process.address(), "", HEALTH_TIMEOUT).await;
    asked.is_ok()
}

/// Makes a process lose its task, and waits until it is restarted.
async fn lose(process: &Process, task: &str) {
    let lost = || {
        let log = process.log();
        let lines = log.lines().filter(|line| line.contains("lost a task"));
        lines.filter(|line| line.contains(task)).count()
    };
    let before = lost();
    eventually(SOON, &format!("{task} is lost and restarted"), async || {
        // It gets the signal only once it runs again.
        process.lose_task();
        lost() > before
    })
    .await;
}

#[tokio::test]
async fn a_task_whose_state_is_the_databases_is_begun_again() {
    let database = postgres::database().await;
    let catalog = start_catalog(&database).await;
    let provider = Process::start("payment-sim", &[]).await;
    let of_booking = [
        "--database-url",
        &database.url("booking_svc"),
        "--catalog-url",
        &catalog.internal_url(),
        "--payment-provider",
        &provider.url(),
    ];
    let of_catalog = ["--database-url", &database.url("catalog_svc")];
    let of_worker = ["--database-url", &database.url("expiry_worker")];
    for (name, arguments, tasks) in [
        (
            "booking-svc",
            &of_booking[..],
            &[
                "readiness",
                "feed",
                "staleness",
                "answers",
                "sweep",
                "cancelled shows",
                "payments",
            ][..],
        ),
        (
            "catalog-svc",
            &of_catalog,
            &["readiness", "revisions", "sweep", "schedules"],
        ),
        ("expiry-worker", &of_worker, &["readiness", "sweep"]),
    ] {
        for task in tasks {
            let mut process = Process::start_to_lose(task, name, arguments).await;
            lose(&process, task).await;
            lose(&process, task).await;
            assert_eq!(process.ended(), None, "{name} without {task}");
            // The catalog's state is read again, and nothing is sold until then.
            eventually(SOON, &format!("{name} serves after {task}"), async || {
                is_serving(&process).await
            })
            .await;
            let log = process.log();
            assert!(log.contains(" ERROR "), "{log}");
            process.terminate();
            let status = process.wait(END_MAX).await;
            assert_eq!(status.code(), Some(0), "{name} without {task}");
        }
    }
}

#[tokio::test]
async fn the_work_of_a_lost_task_continues_after_its_restart() {
    let mut system = System::start(0).await;
    let database = &system.database;
    let show = system.a_show(4).await;
    let mut client = system.booking_client();
    reserve(&mut client, &show, &["A-1"], "ann")
        .await
        .expect("a free seat");

    let worker = ["--database-url", &database.url("expiry_worker")];
    let worker = Process::start_to_lose("sweep", "expiry-worker", &worker).await;
    lose(&worker, "sweep").await;
    let owner = database.owner().await;
    let lapse = "UPDATE booking.bookings SET created_at = created_at - interval '1 h',
         expires_at = expires_at - interval '1 h'";
    owner.batch_execute(lapse).await.expect("a hold");
    let failed = "SELECT FROM booking.bookings WHERE state = 'FAILED'";
    eventually(SOON, "the hold is failed", async || {
        owner.query(failed, &[]).await.expect("a look").len() == 1
    })
    .await;

    let (url, catalog) = (database.url("booking_svc"), system.catalog.internal_url());
    let follower = ["--database-url", &url, "--catalog-url", &catalog];
    system.booking = Process::start_to_lose("feed", "booking-svc", &follower).await;
    let mut client = system.booking_client();
    reserve(&mut client, &show, &["A-2"], "ann")
        .await
        .expect("a free seat");
    lose(&system.booking, "feed").await;
    system.cancel_show(&show).await;
    eventually(SOON, "the show is not sold any more", async || {
        let tried = reserve(&mut client, &show, &["A-3"], "ann").await;
        tried.is_err_and(|status| status.code() == Code::FailedPrecondition)
    })
    .await;
}

#[tokio::test]
async fn without_its_commit_workers_booking_svc_ends_and_no_order_is_lost_or_done_twice() {
    let mut system = System::start(0).await;
    let (url, catalog) = (
        system.database.url("booking_svc"),
        system.catalog.internal_url(),
    );
    let arguments = ["--database-url", &url, "--catalog-url", &catalog];
    system.booking = Process::start_to_lose("commit worker", "booking-svc", &arguments).await;
    let show = system.a_show(2).await;
    let mut client = system.booking_client();
    let other = reserve(&mut client, &show, &["A-2"], "bob").await;
    other.expect("a free seat, and a sale that is known");

    // The order waits in its transaction.
    let (owner, locker) = (system.database.owner().await, system.database.owner().await);
    locker
        .batch_execute("BEGIN; LOCK TABLE booking.show_seats")
        .await
        .expect("a lock");
    let request = reservation(&show, &["A-1"], "ann");
    let waiting = tokio::spawn({
        let (mut client, request) = (system.booking_client(), request.clone());
        async move { client.reserve_seats(request).await }
    });
    let blocked = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'
        AND datname = current_database() AND usename = 'booking_svc'";
    eventually(SOON, "an order waits", async || {
        let row = owner.query_one(blocked, &[]).await;
        row.expect("a count").get::<_, i64>(0) > 0
    })
    .await;
    system.booking.lose_task();
    let status = waiting
        .await
        .expect("no panic")
        .expect_err("its task is lost");
    assert_error(&status, Code::Unavailable, "OUTCOME_UNKNOWN");
    assert!(has_retry_info(&status));
    eventually(SOON, "it does not say SERVING", async || {
        !is_serving(&system.booking).await
    })
    .await;
    let status = system.booking.wait(END_MAX).await;
    assert_eq!(status.code(), Some(70));
    let log = system.booking.log();
    let last = log.lines().last().unwrap_or_default();
    assert!(
        last.starts_with("booking-svc: the task \"commit worker\" was lost: it panicked: "),
        "{log}"
    );

    locker.batch_execute("ROLLBACK").await.expect("no lock");
    system.booking.start_again().await;
    let mut client = booking_client_of(&system.booking);
    let first = client
        .reserve_seats(request.clone())
        .await
        .expect("it is done now");
    let copy = client.reserve_seats(request).await.expect("a copy");
    assert_eq!(first.into_inner(), copy.into_inner());
    assert_hold(&system.database).await;
}

#[tokio::test]
async fn a_payment_provider_that_cannot_write_its_state_ends() {
    // It can be opened and written, but fsync fails.
    let mut process = Process::start("payment-sim", &["--state", "/dev/null"]).await;
    let url = process.url();
    let mut client = PaymentProviderClient::connect(url)
        .await
        .expect("it serves");
    let payment_key = Uuid::new_v4().to_string();
    let request = AuthorizeRequest {
        payment_key: payment_key.clone(),
        amount: Some(Money {
            minor_units: 100,
            currency_code: "EUR".to_owned(),
        }),
        payment_token: "approve".to_owned(),
    };
    let status = client
        .authorize(request)
        .await
        .expect_err("it is not written");
    assert_error(&status, Code::Internal, "INTERNAL");
    let status = process.wait(END_MAX).await;
    assert_eq!(status.code(), Some(70));
    let log = process.log();
    let last = log.lines().last().unwrap_or_default();
    let said = "payment-sim: the task \"ledger\" was lost: cannot write the state file: ";
    assert!(last.starts_with(said), "{log}");
    let gone = client.get_payment(GetPaymentRequest { payment_key }).await;
    assert!(gone.is_err());
}
