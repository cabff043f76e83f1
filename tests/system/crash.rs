//! Services and PostgreSQL are stopped or killed in the middle of a sale: acknowledged data is there
//! afterwards, and no seat has two owners.

use std::net::SocketAddr;
use std::time::Duration;

use service_kit::health;
use test_harness::invariants::assert_hold;
use test_harness::load::Load;
use test_harness::postgres::OwnServer;
use test_harness::system::System;
use test_harness::{eventually, postgres};
use tokio::time::timeout;

/// Few enough that customers meet, many enough that the sale does not end first.
const SEATS: usize = 4_000;
const CUSTOMERS: usize = 16;
/// Bookings between one disturbance and the next.
const STRETCH: usize = 40;
/// The services' own grace, and a little.
const STOP_MAX: Duration = Duration::from_secs(25);

async fn a_sale(system: &System) -> Load {
    let show = system.a_show(i32::try_from(SEATS).expect("a few")).await;
    Load::start(system, &show, SEATS, CUSTOMERS)
}

async fn settle(system: &System, load: Load) {
    load.stop().await.assert_kept(system).await;
    assert_hold(&system.database).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_in_mid_sale_loses_nothing() {
    let mut system = System::start(1).await;
    let mut load = a_sale(&system).await;
    load.progress(STRETCH).await;
    for round in 0..2 {
        system.booking.terminate();
        let status = system.booking.wait(STOP_MAX).await;
        assert_eq!(status.code(), Some(0), "round {round}: {status}");
        system.booking.start_again().await;
        load.progress(STRETCH).await;
    }
    settle(&system, load).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killing_each_service_in_turn_loses_nothing() {
    let mut system = System::start(2).await;
    let mut load = a_sale(&system).await;
    load.progress(STRETCH).await;
    for _ in 0..2 {
        system.booking.kill9().await;
        system.booking.start_again().await;
        load.progress(STRETCH).await;
        system.catalog.kill9().await;
        // Shows on sale keep selling without the catalog.
        load.progress(STRETCH).await;
        system.catalog.start_again().await;
        system.workers[0].kill9().await;
        load.progress(STRETCH).await;
        system.workers[0].start_again().await;
    }
    settle(&system, load).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killing_postgresql_loses_nothing_and_no_service_ends() {
    let mut server = OwnServer::start().await;
    let mut system = System::start_on(server.database().await, 1).await;
    let ids = [
        system.catalog.id(),
        system.booking.id(),
        system.workers[0].id(),
    ];
    let mut load = a_sale(&system).await;
    for _ in 0..2 {
        load.progress(STRETCH).await;
        server.crash().await;
        for service in addresses(&system) {
            serving(service, "", false).await;
            serving(service, "liveness", true).await;
        }
        server.restart().await;
        for service in addresses(&system) {
            serving(service, "", true).await;
        }
    }
    load.progress(STRETCH).await;
    for service in [
        &mut system.catalog,
        &mut system.booking,
        &mut system.workers[0],
    ] {
        assert_eq!(service.ended(), None);
    }
    assert_eq!(
        ids,
        [
            system.catalog.id(),
            system.booking.id(),
            system.workers[0].id()
        ]
    );
    settle(&system, load).await;
}

fn addresses(system: &System) -> [SocketAddr; 3] {
    [
        system.catalog.address(),
        system.booking.address(),
        system.workers[0].address(),
    ]
}

async fn serving(service: SocketAddr, name: &str, expected: bool) {
    let what = format!("{service} {name:?} serves: {expected}");
    eventually(Duration::from_secs(15), &what, async || {
        health::ask(service, name, Duration::from_secs(1))
            .await
            .is_ok()
            == expected
    })
    .await;
}

#[tokio::test]
async fn a_service_refuses_an_older_schema() {
    let database = postgres::empty_database().await;
    let url = database.url(postgres::OWNER);
    for name in ["catalog-svc", "booking-svc", "expiry-worker"] {
        assert_refuses(name, &url, "run `migrate up`").await;
    }
}

#[tokio::test]
async fn a_service_refuses_the_role_of_another() {
    let database = postgres::database().await;
    for (name, role) in [
        ("catalog-svc", "booking_svc"),
        ("booking-svc", "expiry_worker"),
        ("expiry-worker", "catalog_svc"),
    ] {
        let own = format!("is not {}, nor a member of it", name.replace('-', "_"));
        assert_refuses(name, &database.url(role), &own).await;
    }
}

/// How long a service takes to find out that it cannot run.
const REFUSES_MAX: Duration = Duration::from_secs(20);

/// Asserts that a service does not start with this URL, and says why.
async fn assert_refuses(name: &str, url: &str, why: &str) {
    let mut arguments = vec!["--database-url", url, "--listen", "127.0.0.1:0"];
    if name == "catalog-svc" {
        arguments.extend(["--internal-listen", "127.0.0.1:0"]);
    }
    let ended = timeout(REFUSES_MAX, test_harness::process::run(name, &arguments)).await;
    let output = ended.expect("it does not serve");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{name}: {errors}");
    assert!(errors.contains(why), "{name}: {errors}");
}
