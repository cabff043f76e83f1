//! The connections that a service accepts, how long they last, and how it stops with them. The
//! simulated payment provider needs no database, and uses the same server as every service.

use std::time::Duration;

use http::{Method, StatusCode};
use proto::payment::v1::ListPaymentsRequest;
use proto::payment::v1::payment_provider_client::PaymentProviderClient;
use service_kit::health;
use test_harness::process::Process;
use test_harness::raw::{Raw, framed, prefix, read};
use test_harness::system::start_catalog;
use test_harness::{eventually, eventually_some, postgres};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tonic::transport::Endpoint;
use tonic::{Code, Status};

const LIST: &str = "/ticketing.payment.v1.PaymentProvider/ListPayments";
const CHECK: &str = "/grpc.health.v1.Health/Check";
const WATCH: &str = "/grpc.health.v1.Health/Watch";
const REFLECT: &str = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
const WATCH_SHOWS: &str = "/ticketing.catalog.v1.CatalogService/WatchShows";
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const HEALTH_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a short wait may take on a busy machine.
const SOON: Duration = Duration::from_secs(10);
/// The services' own time limits are at most 10 s here.
const LATER: Duration = Duration::from_secs(30);

#[tokio::test]
async fn what_is_no_grpc_is_answered_with_a_status_of_http() {
    let sim = Process::start("payment-sim", &[]).await;
    let client = Raw::connect(sim.address()).await.expect("a connection");
    let status = async |method: Method, content_type: &'static str| {
        let mut head = client.head(LIST);
        *head.method_mut() = method;
        head.headers_mut()
            .insert("content-type", content_type.parse().expect("a value"));
        let (answer, mut body) = client.begin(head).await.expect("a stream");
        body.send_data(framed(b""), true).expect("a body");
        read(answer).await.expect("an answer").http
    };
    assert_eq!(
        status(Method::POST, "application/grpc").await,
        StatusCode::OK
    );
    for method in [Method::GET, Method::PUT, Method::TRACE] {
        let answered = status(method.clone(), "application/grpc").await;
        assert_eq!(answered, StatusCode::METHOD_NOT_ALLOWED, "{method}");
    }
    for content_type in ["application/json", "text/plain", "application/grpc-web"] {
        let answered = status(Method::POST, content_type).await;
        assert_eq!(
            answered,
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "{content_type}"
        );
    }

    let mut http1 = TcpStream::connect(sim.address())
        .await
        .expect("a connection");
    http1
        .write_all(b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
        .await
        .expect("a request");
    let mut answer = String::new();
    http1.read_to_string(&mut answer).await.expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    assert!(answer.contains("HTTP/2"), "{answer}");
}

#[tokio::test]
async fn a_peer_has_a_limit_of_connections() {
    let sim = Process::start("payment-sim", &["--connections-per-peer-max", "2"]).await;
    let mut held = Vec::new();
    for _ in 0..2 {
        // The harness's own connections are closed; the service sees that a moment later.
        held.push(eventually_some(SOON, "a connection", async || served(&sim).await).await);
    }
    assert!(served(&sim).await.is_none());
    assert!(
        health::ask(sim.address(), "liveness", HEALTH_TIMEOUT)
            .await
            .is_err()
    );
    held.pop();
    eventually(SOON, "a place is free", async || {
        served(&sim).await.is_some()
    })
    .await;
    let refused = sim
        .log()
        .matches("an address has --connections-per-peer-max connections")
        .count();
    assert_eq!(refused, 1, "one line, however many were refused");
}

#[tokio::test]
async fn a_full_server_says_that_it_lives_and_serves_those_that_it_has() {
    let sim = Process::start("payment-sim", &["--connections-max", "2"]).await;
    let mut held = Vec::new();
    for _ in 0..2 {
        held.push(eventually_some(SOON, "a connection", async || served(&sim).await).await);
    }
    let other = Raw::connect(sim.address())
        .await
        .expect("a spare connection");
    let refused = other
        .call(LIST, b"")
        .await
        .expect("an answer")
        .grpc
        .expect("a status");
    assert_eq!(refused.code(), Code::Unavailable, "{refused:?}");
    assert_eq!(test_harness::errors::reason(&refused), "OVERLOADED");
    let log_id = &test_harness::errors::metadata(&refused)["log_id"];
    assert!(uuid::Uuid::try_parse(log_id).is_ok(), "{log_id:?}");
    assert!(sim.log().contains(log_id.as_str()), "it is logged");
    for service in ["", "liveness"] {
        let asked = health::ask(sim.address(), service, HEALTH_TIMEOUT).await;
        assert_eq!(asked, Ok(()), "{service:?}");
    }
    for client in &held {
        let answer = client.call(LIST, b"").await.expect("an answer");
        assert_eq!(answer.grpc.map(|status| status.code()), Some(Code::Ok));
    }
    eventually(SOON, "a spare connection does not last", async || {
        other.has_ended()
    })
    .await;
    // Connections without a call for a while make room.
    eventually(LATER, "a place is free", async || {
        served(&sim).await.is_some()
    })
    .await;
}

/// A connection that has made a call, if there is a place for it.
async fn served(process: &Process) -> Option<Raw> {
    let client = Raw::connect(process.address()).await.ok()?;
    let status = client.call(LIST, b"").await.ok()?.grpc?;
    (status.code() == Code::Ok).then_some(client)
}

#[tokio::test]
async fn a_connection_without_a_call_is_closed() {
    let sim = Process::start("payment-sim", &[]).await;
    let served = served(&sim).await.expect("a connection");
    let settings = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    let whole = [PREFACE, &settings].concat();
    let half = &PREFACE[..10];
    let mut silent = Vec::new();
    for sent in [&b""[..], half, &whole] {
        let mut stream = TcpStream::connect(sim.address())
            .await
            .expect("a connection");
        stream.write_all(sent).await.expect("what is sent");
        silent.push(tokio::spawn(async move {
            // The server's bytes meanwhile do not matter, and neither does the way it ends.
            let mut said = Vec::new();
            let _ = stream.read_to_end(&mut said).await;
        }));
    }
    eventually(LATER, "all of them are closed", async || {
        silent.iter().all(tokio::task::JoinHandle::is_finished)
    })
    .await;
    assert!(!served.has_ended());
}

#[tokio::test]
async fn an_idle_connection_is_closed_and_one_with_a_stream_is_not() {
    let sim = Process::start("payment-sim", &["--connection-idle-max", "1s"]).await;
    let busy = Raw::connect(sim.address()).await.expect("a connection");
    let watching = busy.ask(WATCH, b"").await.expect("a stream");
    let _watching = watching.await.expect("a stream that has begun");
    let idle = served(&sim).await.expect("a connection");
    eventually(SOON, "the idle one is closed", async || idle.has_ended()).await;
    assert!(!busy.has_ended());
}

#[tokio::test]
async fn an_old_connection_is_replaced_and_no_call_fails() {
    let sim = Process::start("payment-sim", &["--connection-age-max", "1s"]).await;
    let old = served(&sim).await.expect("a connection");
    let channel = Endpoint::from_shared(sim.url())
        .expect("a URL")
        .connect_lazy();
    let mut client = PaymentProviderClient::new(channel);
    eventually(SOON, "the old one is closed", async || {
        let listed = client.list_payments(ListPaymentsRequest::default()).await;
        // tonic's client does not repeat by itself a call that it had not sent when GOAWAY came.
        let was_not_sent = |status: &Status| status.code() == Code::Cancelled;
        if let Err(status) = listed {
            assert!(was_not_sent(&status), "a call failed: {status:?}");
        }
        // It is used until GOAWAY.
        let _ = old.call(LIST, b"").await;
        old.has_ended()
    })
    .await;
}

#[tokio::test]
async fn without_descriptors_nothing_spins_and_all_recover() {
    let sim = Process::start("payment-sim", &[]).await;
    let held = served(&sim).await.expect("a connection");
    let before = sim.limit_descriptors(5);
    let mut waiting = Vec::new();
    for _ in 0..5 {
        waiting.push(
            TcpStream::connect(sim.address())
                .await
                .expect("a connection"),
        );
    }
    let warned = "cannot accept connections";
    eventually(SOON, "a warning", async || sim.log().contains(warned)).await;
    let used = sim.processor_time();
    tokio::time::sleep(Duration::from_secs(2)).await;
    let used = sim.processor_time() - used;
    assert!(
        used < Duration::from_millis(400),
        "it spins: {used:?} in 2 s"
    );
    assert_eq!(
        sim.log().matches(warned).count(),
        1,
        "one line for all of it"
    );
    let answer = held.call(LIST, b"").await.expect("an answer");
    assert_eq!(answer.grpc.map(|status| status.code()), Some(Code::Ok));
    sim.limit_descriptors(before);
    eventually(SOON, "it accepts again", async || {
        served(&sim).await.is_some()
    })
    .await;
}

#[tokio::test]
async fn streams_and_silent_connections_do_not_hold_up_a_stop() {
    let database = postgres::database().await;
    let mut catalog = start_catalog(&database).await;
    let client = Raw::connect(catalog.address()).await.expect("a connection");
    let mut streams = Vec::new();
    for path in [WATCH_SHOWS, WATCH] {
        streams.push(client.ask(path, b"").await.expect("a stream"));
    }
    // A question of reflection, and no end of the questions.
    let (answers, mut questions) = client.begin(client.head(REFLECT)).await.expect("a stream");
    questions
        .send_data(framed(&[0x3a, 0]), false)
        .expect("a question");
    streams.push(answers);
    let mut begun = Vec::new();
    for stream in streams {
        begun.push(stream.await.expect("a stream that has begun").into_body());
    }
    let silent = TcpStream::connect(catalog.address())
        .await
        .expect("a connection");
    let mut deaf = TcpStream::connect(catalog.address())
        .await
        .expect("a connection");
    deaf.write_all(PREFACE).await.expect("a preface");
    let idle = Raw::connect(catalog.address()).await.expect("a connection");
    idle.call(CHECK, b"").await.expect("an answer");

    catalog.terminate();
    // Its grace is 20 s, and each of these took all of it.
    let status = catalog.wait(Duration::from_secs(8)).await;
    assert_eq!(status.code(), Some(0));
    drop((silent, deaf, questions));
}

#[tokio::test]
async fn calls_are_accepted_while_balancers_learn_of_the_stop() {
    let mut sim = Process::start("payment-sim", &["--shutdown-delay", "3s"]).await;
    let old = served(&sim).await.expect("a connection");
    sim.terminate();
    eventually(SOON, "it says that it leaves", async || {
        let asked = health::ask(sim.address(), "", HEALTH_TIMEOUT).await;
        asked.is_err_and(|why| why.contains("NOT_SERVING"))
    })
    .await;
    let lives = health::ask(sim.address(), "liveness", HEALTH_TIMEOUT).await;
    assert_eq!(lives, Ok(()));
    for client in [&old, &served(&sim).await.expect("a new connection")] {
        let answer = client.call(LIST, b"").await.expect("an answer");
        assert_eq!(answer.grpc.map(|status| status.code()), Some(Code::Ok));
    }
    let status = sim.wait(SOON).await;
    assert_eq!(status.code(), Some(0));
}

#[tokio::test]
async fn a_call_in_progress_is_finished_though_the_service_stops() {
    let mut sim = Process::start("payment-sim", &[]).await;
    let client = Raw::connect(sim.address()).await.expect("a connection");
    let (answer, mut body) = client.begin(client.head(LIST)).await.expect("a stream");
    body.send_data(prefix(0).to_vec().into(), false)
        .expect("a message without an end");
    // The service has the call once it has answered a later one of the same connection.
    client.call(CHECK, b"").await.expect("an answer");
    sim.terminate();
    eventually(SOON, "the listener is closed", async || {
        TcpStream::connect(sim.address()).await.is_err()
    })
    .await;
    body.send_data(bytes::Bytes::new(), true).expect("its end");
    let answer = read(answer).await.expect("an answer");
    assert_eq!(answer.grpc.map(|status| status.code()), Some(Code::Ok));
    assert_eq!(sim.wait(SOON).await.code(), Some(0));
}
