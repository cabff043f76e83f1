//! Each binary as a program: its command line, its start, its stop.

use std::time::Duration;

use migrations::SERVICE_ROLES;
use service_kit::health;
use test_harness::postgres;
use test_harness::process::{Process, run};
use test_harness::system::System;
use tonic::transport::{Channel, Endpoint};
use tonic_reflection::pb::{v1, v1alpha};

const SERVICES: [&str; 3] = ["catalog-svc", "booking-svc", "expiry-worker"];
const URL: &str = "postgres://postgres@127.0.0.1/none";
const STOP_MAX: Duration = Duration::from_secs(25);

#[tokio::test]
async fn a_bad_value_is_one_line_and_exit_code_2() {
    for name in SERVICES {
        for (arguments, named) in [
            (vec![], "--database-url"),
            (vec!["--database-url", "nonsense"], "postgres://"),
            (
                vec!["--database-url", URL, "--listen", "nowhere"],
                "--listen",
            ),
            (
                vec!["--database-url", URL, "--call-timeout", "0s"],
                "1 to 3600 seconds",
            ),
            (
                vec!["--database-url", URL, "--no-such-flag"],
                "--no-such-flag",
            ),
            (vec!["--database-url", URL, "--log", "a=b=c"], "--log"),
            (vec!["no-such-command"], "no such command"),
            (vec!["health", "--address", "nowhere"], "--address"),
        ] {
            let output = run(name, &arguments).await;
            let errors = String::from_utf8_lossy(&output.stderr);
            assert_eq!(
                output.status.code(),
                Some(2),
                "{name} {arguments:?}: {errors}"
            );
            assert_eq!(errors.lines().count(), 1, "{name} {arguments:?}: {errors}");
            assert!(errors.contains(named), "{name} {arguments:?}: {errors}");
            assert!(output.stdout.is_empty(), "{name} {arguments:?}");
        }
    }
}

#[tokio::test]
async fn a_services_url_is_obeyed_or_refused() {
    for flag in ["--catalog-url", "--payment-provider"] {
        for (url, why) in [
            ("secret:50056", "http://host:port"),
            ("http://user:secret@host:50056", "no password"),
            ("http://host:50056/secret", "no path"),
        ] {
            let output = run("booking-svc", &["--database-url", URL, flag, url]).await;
            let errors = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(2), "{url}: {errors}");
            assert_eq!(errors.lines().count(), 1, "{url}: {errors}");
            assert!(errors.contains(flag) && errors.contains(why), "{errors}");
            assert!(!errors.contains("secret"), "{errors}");
        }
    }
}

#[tokio::test]
async fn help_names_each_environment_variable() {
    for name in SERVICES {
        let output = run(name, &["--help"]).await;
        let help = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(0), "{name}");
        for variable in ["DATABASE_URL", "TICKETING_LISTEN", "TICKETING_LOG_FORMAT"] {
            assert!(help.contains(variable), "{name}: {help}");
        }
    }
}

#[tokio::test]
async fn each_serves_health_and_reflection_and_stops_on_sigterm() {
    let mut system = System::start(1).await;
    let worker = system.workers.pop().expect("there is one");
    let (catalog, booking) = (&mut system.catalog, &mut system.booking);
    for (name, process, service) in [
        (
            "expiry-worker",
            &mut { worker },
            "ticketing.expiry.v1.ExpiryService",
        ),
        (
            "booking-svc",
            booking,
            "ticketing.booking.v1.BookingService",
        ),
        (
            "catalog-svc",
            catalog,
            "ticketing.catalog.v1.CatalogService",
        ),
    ] {
        serves_health(name, process, service).await;
        serves_reflection(process, service).await;
        if name == "booking-svc" {
            let customers = "ticketing.booking.v1.CustomerService";
            serves_health(name, process, customers).await;
            serves_reflection(process, customers).await;
        }
        process.terminate();
        let status = process.wait(STOP_MAX).await;
        assert_eq!(status.code(), Some(0), "{name}: {status}");
        let address = process.address().to_string();
        let output = run(name, &["health", "--address", &address]).await;
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{name}: {errors}");
        assert_eq!(errors.lines().count(), 1, "{name}: {errors}");
    }
}

/// A log collector that died, or a terminal that was closed, must not keep a service from
/// stopping, nor from serving.
#[tokio::test]
async fn a_service_serves_and_stops_without_a_reader_of_its_log() {
    let database = postgres::database().await;
    for (name, role) in SERVICES.into_iter().zip(SERVICE_ROLES) {
        let url = database.url(role);
        let mut arguments = vec!["--database-url", &url];
        if name == "booking-svc" {
            // There is no catalog to follow.
            arguments.extend(["--stale-catalog", "sell"]);
        }
        let mut process = Process::start_unread(name, &arguments).await;
        process.terminate();
        let status = process.wait(STOP_MAX).await;
        assert_eq!(status.code(), Some(0), "{name}: {status}");
    }
}

async fn serves_health(name: &str, process: &Process, service: &str) {
    let address = process.address().to_string();
    for (asked, code) in [
        ("", 0),
        (service, 0),
        ("liveness", 0),
        ("no.such.Service", 1),
    ] {
        let by_address = ["health", "--address", &address, "--service", asked];
        let by_own_settings = ["--listen", &address, "health", "--service", asked];
        for arguments in [by_address, by_own_settings] {
            let output = run(name, &arguments).await;
            let errors = String::from_utf8_lossy(&output.stderr);
            assert_eq!(
                output.status.code(),
                Some(code),
                "{name} {arguments:?}: {errors}"
            );
        }
    }
    let asked = health::ask(process.address(), service, Duration::from_secs(2)).await;
    assert_eq!(asked, Ok(()));
}

async fn serves_reflection(process: &Process, service: &str) {
    let endpoint = Endpoint::from_shared(process.url()).expect("a URL");
    let channel = endpoint.connect().await.expect("a connection");
    for listed in [
        listed_v1(channel.clone()).await,
        listed_v1alpha(channel).await,
    ] {
        for name in [service, "grpc.health.v1.Health"] {
            assert!(
                listed.iter().any(|listed| listed == name),
                "{name} in {listed:?}"
            );
        }
    }
}

async fn listed_v1(channel: Channel) -> Vec<String> {
    use v1::server_reflection_request::MessageRequest;
    use v1::server_reflection_response::MessageResponse;
    let request = v1::ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let mut client = v1::server_reflection_client::ServerReflectionClient::new(channel);
    let answers = client
        .server_reflection_info(tokio_stream::once(request))
        .await;
    let answer = answers
        .expect("answers")
        .into_inner()
        .message()
        .await
        .expect("an answer");
    match answer.expect("an answer").message_response {
        Some(MessageResponse::ListServicesResponse(list)) => list
            .service
            .into_iter()
            .map(|service| service.name)
            .collect(),
        other => panic!("not a list: {other:?}"),
    }
}

async fn listed_v1alpha(channel: Channel) -> Vec<String> {
    use v1alpha::server_reflection_request::MessageRequest;
    use v1alpha::server_reflection_response::MessageResponse;
    let request = v1alpha::ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let mut client = v1alpha::server_reflection_client::ServerReflectionClient::new(channel);
    let answers = client
        .server_reflection_info(tokio_stream::once(request))
        .await;
    let answer = answers
        .expect("answers")
        .into_inner()
        .message()
        .await
        .expect("an answer");
    match answer.expect("an answer").message_response {
        Some(MessageResponse::ListServicesResponse(list)) => list
            .service
            .into_iter()
            .map(|service| service.name)
            .collect(),
        other => panic!("not a list: {other:?}"),
    }
}
