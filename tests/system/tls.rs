//! TLS of the real binaries: everywhere, with certificates of both sides, while they are replaced,
//! and against peers that mean no good.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use proto::booking::v1::{BookingState, ConfirmBookingRequest};
use proto::payment::v1::ListPaymentsRequest;
use proto::payment::v1::payment_provider_client::PaymentProviderClient;
use service_kit::health;
use service_kit::tls::ClientTls;
use test_harness::certificates::{Authority, Identity};
use test_harness::postgres::{self, TestDatabase};
use test_harness::process::{Process, run};
use test_harness::system::{booking_client_of, catalog_client_of, get, reserve, show};
use test_harness::{eventually, eventually_some};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use uuid::Uuid;

/// What takes a moment, on a busy machine.
const SOON: Duration = Duration::from_secs(10);
/// The longest of the services' own time limits here is 5 s.
const LATER: Duration = Duration::from_secs(30);
const CALL_MAX: Duration = Duration::from_secs(20);
/// A certificate that is valid now.
const VALID: [i32; 2] = [1975, 4096];
/// The head of a record of TLS that announces a ClientHello of 512 bytes, and its first two.
const HALF_A_HELLO: &[u8] = &[0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00];

/// catalog-svc and booking-svc, which know each other by certificates.
struct Installation {
    authority: Authority,
    catalog_identity: Identity,
    booking_identity: Identity,
    catalog: Process,
    booking: Process,
    database: TestDatabase,
}

impl Installation {
    /// booking-svc with further arguments.
    async fn start(arguments: &[&str]) -> Self {
        let database = postgres::database().await;
        let authority = Authority::new("Installation");
        let catalog_identity = authority.issue("catalog-svc");
        let booking_identity = authority.issue("booking-svc");
        let catalog = {
            let url = database.url("catalog_svc");
            let ca = authority.ca();
            let own = ["--database-url", &url, "--internal-tls-client-ca", &ca];
            let all = [&own, &catalog_identity.server()[..]].concat();
            Process::start_by_tls("catalog-svc", &all, authority.client(None)).await
        };
        let booking = {
            let (url, catalog) = (database.url("booking_svc"), catalog.internal_url());
            let ca = authority.ca();
            let own = ["--database-url", &url, "--catalog-url", &catalog];
            let Identity { cert, key } = &booking_identity;
            let client = ["--catalog-tls-ca", &ca, "--catalog-tls-cert", cert];
            let client = [&client[..], &["--catalog-tls-key", key]].concat();
            let server = booking_identity.server();
            let all = [&own, &client[..], &server, arguments].concat();
            Process::start_by_tls("booking-svc", &all, authority.client(None)).await
        };
        Self {
            authority,
            catalog_identity,
            booking_identity,
            catalog,
            booking,
            database,
        }
    }

    async fn a_show(&self, seats: i32) -> String {
        let mut client = catalog_client_of(&self.catalog);
        let created = client.create_show(show(seats)).await;
        let created = created.expect("a show").into_inner().show;
        created.expect("the answer has the show").show_id
    }
}

async fn sim(arguments: &[&str], authority: &Authority, identity: &Identity) -> Process {
    let all = [arguments, &identity.server()].concat();
    Process::start_by_tls("payment-sim", &all, authority.client(None)).await
}

#[tokio::test]
async fn a_seat_is_sold_and_paid_by_tls_everywhere() {
    let money = Authority::new("Provider");
    let provider = money.issue("payment-sim");
    let ours = money.issue("shop");
    let ca = money.ca();
    let provider = {
        let all = [&["--tls-client-ca", &ca][..], &provider.server()].concat();
        Process::start_by_tls("payment-sim", &all, money.client(Some(&ours))).await
    };
    let url = provider.url();
    let installation = Installation::start(&[
        "--payment-provider",
        &url,
        "--payment-provider-tls-ca",
        &ca,
        "--payment-provider-tls-cert",
        &ours.cert,
        "--payment-provider-tls-key",
        &ours.key,
        "--payment-provider-tls-server-name",
        "localhost",
    ])
    .await;
    let authority = &installation.authority;
    let worker_url = installation.database.url("expiry_worker");
    let identity = authority.issue("expiry-worker");
    let all = [&["--database-url", &worker_url], &identity.server()[..]].concat();
    let _worker = Process::start_by_tls("expiry-worker", &all, authority.client(None)).await;

    let show = installation.a_show(2).await;
    let mut client = booking_client_of(&installation.booking);
    let held = reserve(&mut client, &show, &["A-1"], "ann").await;
    let booking_id = held.expect("a free seat").booking_id;
    let confirm = ConfirmBookingRequest {
        booking_id: booking_id.clone(),
        payment_token: "approve".to_owned(),
        request_id: Uuid::new_v4().to_string(),
        ..Default::default()
    };
    client.confirm_booking(confirm).await.expect("it is paid");
    let found = get(&mut client, &booking_id).await.expect("a booking");
    assert_eq!(found.state(), BookingState::Confirmed);
    let mut books = PaymentProviderClient::new(provider.channel(CALL_MAX));
    let payments = books.list_payments(ListPaymentsRequest::default()).await;
    assert_eq!(payments.expect("the books").into_inner().payments.len(), 1);
}

#[tokio::test]
async fn certificates_are_replaced_under_load_and_no_call_fails() {
    const CALLERS: usize = 8;
    /// Eight callers with this pause make about 200 calls a second.
    const PAUSE: Duration = Duration::from_millis(40);
    let mut installation = Installation::start(&[]).await;
    let show = installation.a_show(4).await;
    let mut client = booking_client_of(&installation.booking);
    let held = reserve(&mut client, &show, &["A-1"], "ann").await;
    let booking_id = held.expect("a free seat").booking_id;

    let stop = Arc::new(AtomicBool::new(false));
    let calls = Arc::new(AtomicUsize::new(0));
    let mut callers = JoinSet::new();
    for number in 0..CALLERS {
        // Half of them stay on a connection, the others begin one with each tenth call.
        let stays = number % 2 == 0;
        let client = installation.authority.client(None);
        let address = installation.booking.address();
        let mut channel = booking_client_of(&installation.booking);
        let (stop, calls, booking_id) = (stop.clone(), calls.clone(), booking_id.clone());
        callers.spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                let made = calls.fetch_add(1, Ordering::Relaxed);
                if stays || made % 10 != 0 {
                    get(&mut channel, &booking_id).await.expect("an answer");
                } else {
                    let asked = health::ask_by(Some(&client), address, "", SOON).await;
                    asked.expect("an answer on a new connection");
                }
                sleep(PAUSE).await;
            }
        });
    }
    for round in 0..5 {
        let Installation {
            authority,
            catalog_identity,
            booking_identity,
            catalog,
            booking,
            ..
        } = &installation;
        let before = calls.load(Ordering::Relaxed);
        authority.renew("catalog-svc", catalog_identity, VALID);
        authority.renew("booking-svc", booking_identity, VALID);
        catalog.read_again();
        booking.read_again();
        for (process, identity) in [(catalog, catalog_identity), (booking, booking_identity)] {
            let what = format!("new connections see certificate {round}");
            eventually(SOON, &what, async || {
                let shown = authority.shown_by(process.address()).await;
                shown.expect("it is always one of the CA's") == identity.der()
            })
            .await;
        }
        eventually(LATER, "calls are made with it", async || {
            assert!(callers.try_join_next().is_none(), "a caller has failed");
            calls.load(Ordering::Relaxed) >= before + 100
        })
        .await;
    }
    stop.store(true, Ordering::Relaxed);
    callers.join_all().await;

    // The feed was followed anew with each certificate, and no more often.
    let follows = || {
        let log = installation.booking.log();
        log.matches("following the catalog's feed").count()
    };
    eventually(SOON, "the feed is followed anew", async || follows() >= 6).await;
    assert_eq!(follows(), 6);
    let log = installation.booking.log();
    assert!(!log.contains(" WARN ") && !log.contains(" ERROR "), "{log}");
    installation.catalog.kill9().await;
    installation.catalog.start_again().await;
    let show = installation.a_show(1).await;
    eventually(LATER, "a new show is sold", async || {
        reserve(&mut client, &show, &["A-1"], "ann").await.is_ok()
    })
    .await;
}

#[tokio::test]
async fn a_key_that_does_not_match_changes_nothing_and_is_warned_of_once() {
    const WARNING: &str = "certificates cannot be read again";
    let authority = Authority::new("A CA");
    let identity = authority.issue("payment-sim");
    let sim = sim(&[], &authority, &identity).await;
    let before = identity.der();
    // Half of a rotation: the certificate is another one, the key is not.
    let key = std::fs::read(&identity.key).expect("the key");
    authority.renew("payment-sim", &identity, VALID);
    let next_key = std::fs::read(&identity.key).expect("the key");
    std::fs::write(&identity.key, key).expect("the key");
    let shown = async || {
        authority
            .shown_by(sim.address())
            .await
            .expect("a certificate")
    };
    for _ in 0..3 {
        sim.read_again();
        eventually(SOON, "it is warned of", async || {
            sim.log().contains(WARNING)
        })
        .await;
        assert_eq!(shown().await, before);
    }
    let log = sim.log();
    assert_eq!(log.matches(WARNING).count(), 1, "{log}");
    assert!(
        log.contains("--tls-key") && log.contains("does not match"),
        "{log}"
    );
    std::fs::write(&identity.key, next_key).expect("the key");
    sim.read_again();
    eventually(SOON, "the new pair is in force", async || {
        shown().await == identity.der()
    })
    .await;
}

#[tokio::test]
async fn who_has_no_certificate_is_refused_where_one_is_asked_for() {
    let authority = Authority::new("A CA");
    let stranger = Authority::new("Another CA");
    let (identity, client) = (authority.issue("payment-sim"), authority.issue("client"));
    let ca = authority.ca();
    let all = [&["--tls-client-ca", &ca], &identity.server()[..]].concat();
    let known = authority.client(Some(&client));
    let sim = Process::start_by_tls("payment-sim", &all, known).await;
    let ask =
        async |tls: Option<ClientTls>| health::ask_by(tls.as_ref(), sim.address(), "", SOON).await;

    // It trusts the server, and is not trusted.
    let foreign = stranger.issue("client");
    for tls in [authority.client(None), authority.client(Some(&foreign))] {
        assert!(ask(Some(tls)).await.is_err());
    }
    // It does not trust the server.
    let refused = ask(Some(stranger.client(Some(&client)))).await;
    let why = refused.expect_err("an unknown CA");
    assert!(why.contains("UnknownIssuer"), "{why}");
    assert!(ask(None).await.is_err(), "plain text");

    // The subcommand shows the server's own certificate, and asks for its first name.
    let address = sim.address().to_string();
    let asked = async |more: &[&str]| {
        let listen = ["--listen", &address];
        let all = [&listen, &all[..], &["health"], more].concat();
        let output = run("payment-sim", &all).await;
        (
            output.status.code(),
            String::from_utf8_lossy(&output.stderr).into_owned(),
        )
    };
    assert_eq!(asked(&["--tls-ca", &ca]).await, (Some(0), String::new()));
    let (code, why) = asked(&["--tls-ca", &stranger.ca()]).await;
    assert!(code == Some(1) && why.contains("UnknownIssuer"), "{why}");
    let (code, why) = asked(&["--tls-ca", &ca, "--tls-server-name", "elsewhere"]).await;
    assert!(
        code == Some(1) && why.contains("not valid for name"),
        "{why}"
    );
    assert!(!sim.log().contains(" WARN "), "{}", sim.log());
}

#[tokio::test]
async fn a_catalog_refuses_who_is_not_of_its_installation() {
    let installation = Installation::start(&[]).await;
    let Installation {
        authority, catalog, ..
    } = &installation;
    let internal = catalog.internal_url();
    let internal: SocketAddr = internal
        .trim_start_matches("https://")
        .parse()
        .expect("an address");
    // Anybody may call the public listener, and nobody the internal one without a certificate.
    let anybody = authority.client(None);
    let asked = health::ask_by(Some(&anybody), catalog.address(), "", SOON).await;
    assert_eq!(asked, Ok(()));
    assert!(
        health::ask_by(Some(&anybody), internal, "", SOON)
            .await
            .is_err()
    );
    let own = authority.client(Some(&installation.booking_identity));
    assert_eq!(health::ask_by(Some(&own), internal, "", SOON).await, Ok(()));
}

#[tokio::test]
async fn handshakes_that_do_not_end_keep_nobody_from_connecting() {
    const SILENT: usize = 1_000;
    const HALF: usize = 2_000;
    let authority = Authority::new("A CA");
    let identity = authority.issue("payment-sim");
    let sim = sim(
        &["--connections-per-peer-max", "10000"],
        &authority,
        &identity,
    )
    .await;
    let began = Instant::now();
    let mut held = Vec::new();
    for number in 0..SILENT + HALF {
        let mut stream = TcpStream::connect(sim.address())
            .await
            .expect("a connection");
        if number >= SILENT {
            stream
                .write_all(HALF_A_HELLO)
                .await
                .expect("half a handshake");
        }
        held.push(stream);
    }
    // Within what a handshake may take, those that wait included.
    let client = authority.client(None);
    let asked = health::ask_by(Some(&client), sim.address(), "", Duration::from_secs(5)).await;
    assert_eq!(asked, Ok(()), "after {:?}", began.elapsed());
    for mut stream in held {
        let closed = timeout(LATER, stream.read(&mut [0; 64])).await;
        assert!(matches!(closed, Ok(Ok(0) | Err(_))), "{closed:?}");
    }
    assert!(began.elapsed() < LATER, "{:?}", began.elapsed());
}

#[tokio::test]
async fn plain_text_and_tls_do_not_mix_and_nothing_is_logged_of_it() {
    let authority = Authority::new("A CA");
    let identity = authority.issue("payment-sim");
    let sim = sim(&["--log", "info,service_kit=debug"], &authority, &identity).await;
    let mut stream = TcpStream::connect(sim.address())
        .await
        .expect("a connection");
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    stream.write_all(preface).await.expect("a preface");
    let mut answer = Vec::new();
    // It ends; whether with an alert or a reset is of no matter.
    let read = timeout(SOON, stream.read_to_end(&mut answer)).await;
    assert!(read.is_ok(), "it is closed at once");
    let line = eventually_some(SOON, "a line of debug", async || {
        let log = sim.log();
        log.lines()
            .find(|line| line.contains("plain text"))
            .map(str::to_owned)
    })
    .await;
    assert!(line.contains("DEBUG"), "{line}");

    let plain = Process::start("payment-sim", &[]).await;
    let asked = authority.shown_by(plain.address());
    let shown = timeout(SOON, asked).await.expect("it is closed at once");
    assert!(shown.is_err());
    assert!(!plain.log().contains(" WARN ") && !plain.log().contains(" ERROR "));
}

#[tokio::test]
async fn a_start_with_certificates_that_cannot_be_used_ends_with_one_line() {
    let authority = Authority::new("A CA");
    let good = authority.issue("good");
    let none = authority.file("none");
    let other = authority.issue("other").key;
    const URL: &str = "postgres://postgres@127.0.0.1:1/none";
    let cert = ["--tls-cert", &good.cert];
    for (name, arguments, code, why) in [
        (
            "payment-sim",
            [&cert[..], &["--tls-key", &none]].concat(),
            1,
            "--tls-key",
        ),
        (
            "payment-sim",
            [&cert[..], &["--tls-key", &other]].concat(),
            1,
            "does not match",
        ),
        ("payment-sim", cert.to_vec(), 2, "--tls-key"),
        (
            "payment-sim",
            vec!["--listen", "0.0.0.0:0"],
            1,
            "--insecure",
        ),
        (
            "booking-svc",
            vec!["--database-url", URL, "--catalog-tls-ca", &none],
            1,
            "--catalog-url is not https://",
        ),
        (
            "booking-svc",
            vec![
                "--database-url",
                URL,
                "--catalog-url",
                "https://localhost:1",
                "--catalog-tls-ca",
                &none,
            ],
            1,
            "--catalog-tls-ca",
        ),
        (
            "catalog-svc",
            vec!["--database-url", URL, "--internal-listen", "0.0.0.0:0"],
            1,
            "cannot listen on 0.0.0.0:0",
        ),
    ] {
        let listen = ["--listen", "127.0.0.1:0"];
        let all = if arguments.contains(&"--listen") {
            arguments
        } else {
            [&listen, &arguments[..]].concat()
        };
        let output = run(name, &all).await;
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{all:?}: {errors}");
        assert_eq!(errors.lines().count(), 1, "{all:?}: {errors}");
        assert!(errors.contains(why), "{all:?}: {errors}");
    }
}
