//! Metrics: that each is exported and written down, that whatever Prometheus asks for is there, and
//! that nobody can make them grow or hurt by them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use http::{HeaderValue, Method, Request};
use service_kit::health;
use test_harness::metered::Metered;
use test_harness::process::{Process, free_address};
use test_harness::promql::names_in;
use test_harness::raw::{self, Raw, framed};
use test_harness::scrape::{self, Family, families, family_of};
use test_harness::system::{booking_client_of, reserve};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// The most samples of a binary, whatever is called, and however.
const SAMPLES_MAX: usize = 3_000;
/// By how many a flood of calls may make them grow: one method with a code or two, of 18 samples each.
const GROWTH_MAX: usize = 100;
const HEALTH_TIMEOUT: Duration = Duration::from_secs(2);

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: &str) -> String {
    let text = fs::read_to_string(repository().join(path));
    text.unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Dashboards, rules and the runbook: whatever names a metric.
fn monitoring_files() -> Vec<String> {
    let mut files = vec!["docs/runbook.md".to_owned(), "docs/metrics.md".to_owned()];
    for folder in ["deploy/monitoring/dashboards", "deploy/monitoring/rules"] {
        for file in fs::read_dir(repository().join(folder)).expect("the folder") {
            let name = file.expect("a file").file_name();
            files.push(format!("{folder}/{}", name.to_str().expect("a name")));
        }
    }
    assert!(files.len() >= 7, "{files:?}");
    files
}

/// All families of the four binaries, each with the labels that it has in any of them.
async fn exported(system: &Metered) -> BTreeMap<String, Family> {
    let mut all: BTreeMap<String, Family> = BTreeMap::new();
    for (binary, _) in system.metrics {
        for (name, family) in families(&system.scrape(binary).await) {
            let known = all.entry(name).or_insert_with(|| family.clone());
            known.labels.extend(family.labels);
        }
    }
    all
}

/// A row of the table in docs/metrics.md: the type, and the labels.
fn documented() -> BTreeMap<String, (String, BTreeSet<String>)> {
    let text = read("docs/metrics.md");
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `"));
    let rows = rows.map(|row| row.split('|').map(str::trim).collect::<Vec<_>>());
    // Another table has fewer columns.
    rows.filter_map(|cells| match cells[..] {
        [name, kind, labels, _, ""] => {
            let labels = labels
                .split(',')
                .map(|label| label.trim().trim_matches('`'));
            let labels = labels.filter(|label| *label != "–").map(str::to_owned);
            let name = name.trim_end_matches('`').to_owned();
            Some((name, (kind.to_owned(), labels.collect())))
        }
        _ => None,
    })
    .collect()
}

#[tokio::test]
async fn what_is_exported_is_written_down_and_what_is_asked_for_is_exported() {
    let system = Metered::start().await;
    system.sale().await;
    let exported = exported(&system).await;

    let documented = documented();
    let as_documented: BTreeMap<_, _> = exported
        .iter()
        .map(|(name, family)| (name.clone(), (family.kind.clone(), family.labels.clone())))
        .collect();
    for (name, family) in &as_documented {
        assert_eq!(
            documented.get(name),
            Some(family),
            "{name} in docs/metrics.md"
        );
    }
    for name in documented.keys() {
        assert!(
            exported.contains_key(name),
            "docs/metrics.md has {name}, which nothing exports"
        );
    }

    let rules = monitoring_files()
        .into_iter()
        .filter(|file| file.contains("/rules/"));
    let rules: String = rules.map(|file| read(&file)).collect();
    for file in monitoring_files() {
        for name in names_in(&read(&file)) {
            let is_there = if name.contains(':') {
                rules.contains(&format!("record: {name}\n"))
            } else {
                exported.contains_key(family_of(&name)) || exported.contains_key(&name)
            };
            assert!(is_there, "{file} names {name}, which nothing exports");
        }
    }
    // An entry for each alert.
    let runbook = read("docs/runbook.md");
    let alerts = rules
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- alert: "));
    let mut count = 0;
    for alert in alerts {
        assert!(
            runbook.contains(&format!("## {alert}\n")),
            "{alert} is not in docs/runbook.md"
        );
        count += 1;
    }
    assert!(count > 20, "{count}");
}

#[tokio::test]
async fn a_sale_is_counted() {
    let system = Metered::start().await;
    system.sale().await;
    let (booking, worker) = (
        system.scrape("booking-svc").await,
        system.scrape("expiry-worker").await,
    );
    let sum = |series: &str| scrape::sum(&booking, series);
    // Three without payment, and one with.
    assert_eq!(sum("ticketing_seats_sold_total"), 4.0);
    assert_eq!(
        sum("ticketing_booking_changes_total{verb=\"RESERVE\"}"),
        7.0
    );
    assert_eq!(sum("ticketing_payments_total{outcome=\"taken\"}"), 1.0);
    assert_eq!(sum("ticketing_payments_total{outcome=\"declined\"}"), 1.0);
    assert_eq!(sum("ticketing_refunds_total{outcome=\"refunded\"}"), 1.0);
    assert_eq!(
        sum("ticketing_errors_total{reason=\"SEATS_UNAVAILABLE\"}"),
        1.0
    );
    let reserves = "rpc_server_call_duration_seconds_count{rpc_method=\"ticketing.booking.v1.BookingService/ReserveSeats\"";
    assert_eq!(
        sum(&format!("{reserves},rpc_response_status_code=\"OK\"")),
        7.0
    );
    assert_eq!(
        sum(&format!(
            "{reserves},rpc_response_status_code=\"FAILED_PRECONDITION\""
        )),
        1.0
    );
    // Every order that was decided, the declined payment's two among them.
    let orders = sum("ticketing_commit_batch_orders_sum");
    assert!(
        orders >= 15.0 && orders == sum("ticketing_order_commit_seconds_count"),
        "{orders}"
    );
    let batches = sum("ticketing_commit_batches_total");
    assert_eq!(batches, sum("ticketing_commit_batch_orders_count"));
    assert!(
        sum("ticketing_commit_batches_total{path=\"optimistic\"}") > 0.0,
        "{booking}"
    );
    assert_eq!(sum("ticketing_database_writable"), 1.0);
    assert!(sum("ticketing_catalog_age_seconds") < 10.0);
    assert_eq!(
        sum("ticketing_feed_applied_revision"),
        sum("ticketing_feed_newest_revision")
    );
    assert_eq!(
        scrape::sum(&worker, "ticketing_expired_bookings_total"),
        1.0
    );
    assert_eq!(
        scrape::sum(&worker, "ticketing_expiry_lateness_seconds_count"),
        1.0
    );
}

/// Sends a call without a message, and reads whatever comes.
async fn send(raw: &Raw, head: Request<()>) {
    if let Ok((answer, mut body)) = raw.begin(head).await {
        let _ = body.send_data(framed(b""), true);
        let _ = raw::read(answer).await;
    }
}

#[tokio::test]
async fn whatever_strangers_call_makes_no_series() {
    let system = Metered::start().await;
    let catalog = system.catalog.address();
    let samples = async || {
        let page = system.scrape("catalog-svc").await;
        families(&page)
            .values()
            .map(|family| family.samples)
            .sum::<usize>()
    };
    let hostile = async |flood: usize| {
        let raw = Raw::connect(catalog).await.expect("a connection");
        for n in 0..flood {
            for path in [
                format!("/ticketing.catalog.v1.CatalogService/Method{n}"),
                format!("/ticketing.x{n}.Service/Method"),
                format!("/x{n}/y"),
                format!("/ticketing.catalog.v1.CatalogService/GetShow/{n}"),
            ] {
                let mut head = raw.head(&path);
                let id = HeaderValue::from_str(&format!("id-{n}")).expect("a header");
                head.headers_mut().insert("x-request-id", id);
                send(&raw, head).await;
            }
            let mut head = raw.head(&format!("/{n}"));
            *head.method_mut() = Method::from_bytes(format!("M{n}").as_bytes()).expect("a method");
            send(&raw, head).await;
        }
    };
    hostile(1).await;
    let before = samples().await;
    hostile(100).await;
    let after = samples().await;
    assert!(
        after - before <= GROWTH_MAX,
        "{before} samples, then {after}"
    );
    assert!(after < SAMPLES_MAX, "{after}");
    let page = system.scrape("catalog-svc").await;
    assert!(scrape::sum(&page, "ticketing_errors_total{reason=\"UNKNOWN_METHOD\"}") >= 300.0);
    assert!(page.contains("rpc_method=\"_OTHER\""), "{page}");
    for word in ["Method7", "x7", "id-7"] {
        assert!(!page.contains(word), "{word}: {page}");
    }
}

#[tokio::test]
async fn a_slow_scraper_hurts_nobody() {
    let system = Metered::start().await;
    let address = system.address("booking-svc");
    let mut slow = Vec::new();
    for _ in 0..50 {
        let mut stream = TcpStream::connect(address).await.expect("it listens");
        // Half a request, and an answer that nobody reads.
        let half = if slow.len() % 2 == 0 {
            "GET /metrics HT"
        } else {
            "GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n"
        };
        let _ = stream.write_all(half.as_bytes()).await;
        slow.push(stream);
    }
    // The calls do not notice.
    let asked = health::ask(system.booking.address(), "", HEALTH_TIMEOUT).await;
    asked.expect("it serves");
    let created = test_harness::system::catalog_client_of(&system.catalog)
        .create_show(test_harness::system::show(1))
        .await;
    let show = created
        .expect("a show")
        .into_inner()
        .show
        .expect("set")
        .show_id;
    let mut client = booking_client_of(&system.booking);
    reserve(&mut client, &show, &["A-1"], "ann")
        .await
        .expect("a free seat");
    // All of them are cut off in time, and then there is room again.
    for stream in &mut slow {
        let mut rest = Vec::new();
        let read = timeout(Duration::from_secs(30), stream.read_to_end(&mut rest)).await;
        read.expect("the connection ends").ok();
    }
    let page = system.scrape("booking-svc").await;
    assert!(page.ends_with("# EOF\n"));
}

#[tokio::test]
async fn without_the_flag_there_is_no_port_and_with_a_taken_one_no_start() {
    let taken = free_address();
    let _holder = std::net::TcpListener::bind(taken).expect("a free port");
    let listen = free_address().to_string();
    let arguments = ["--listen", &listen, "--metrics-listen", &taken.to_string()];
    let output = test_harness::process::run("payment-sim", &arguments).await;
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(
        error.contains("--metrics-listen") && error.contains(&taken.to_string()),
        "{error}"
    );

    let provider = Process::start("payment-sim", &[]).await;
    assert!(!provider.log().contains("serving metrics"));
}
