//! A handler that panics: its caller gets INTERNAL, the log one line, and the process keeps running.

use std::process::Command;

use clap::Parser as _;
use proto::expiry::v1::expiry_service_client::ExpiryServiceClient;
use proto::expiry::v1::expiry_service_server::{ExpiryService, ExpiryServiceServer};
use proto::expiry::v1::{RunOnceRequest, RunOnceResponse};
use service_kit::args::{LogArgs, ServerArgs};
use service_kit::health::Health;
use service_kit::telemetry::{self, LogFormat};
use service_kit::{Shutdown, server};
use tokio::net::TcpListener;
use tonic::{Code, Request, Response, Status};
use tonic_types::StatusExt as _;

/// Set for a test that runs in its own process, whose standard error is the log alone.
const CHILD: &str = "PANICS_IN_A_CHILD";
const MINE: &str = "panics-4711";

#[derive(clap::Parser)]
struct Cli {
    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Debug)]
struct Panics;

#[tonic::async_trait]
impl ExpiryService for Panics {
    async fn run_once(
        &self,
        request: Request<RunOnceRequest>,
    ) -> Result<Response<RunOnceResponse>, Status> {
        tokio::task::yield_now().await;
        assert!(request.metadata().get("fine").is_some(), "nothing is fine");
        Ok(Response::new(RunOnceResponse { failed_count: 7 }))
    }
}

#[test]
fn a_panic_is_one_line_and_ends_one_call() {
    if std::env::var_os(CHILD).is_some() {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        runtime.block_on(call_what_panics());
        return;
    }
    let child = Command::new(std::env::current_exe().expect("this test"))
        .args([
            "a_panic_is_one_line_and_ends_one_call",
            "--exact",
            "--nocapture",
        ])
        .env(CHILD, "1")
        .env_remove("RUST_BACKTRACE")
        .output()
        .expect("this test runs again");
    let log = String::from_utf8_lossy(&child.stderr);
    assert!(child.status.success(), "{log}");
    let lines: Vec<_> = log.lines().filter(|line| !line.contains("INFO")).collect();
    assert_eq!(lines.len(), 1, "{log}");
    for part in ["ERROR", "nothing is fine", "panics.rs:", "log_id=", MINE] {
        assert!(lines[0].contains(part), "{part:?} in {log}");
    }
}

async fn call_what_panics() {
    let (log, log_format) = ("info".to_owned(), LogFormat::Text);
    telemetry::init(&LogArgs { log, log_format }).expect("no log before");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    let health = Health::new(&[]);
    let args = Cli::parse_from(["panics"]).server;
    tokio::spawn(async move {
        let service = ExpiryServiceServer::new(Panics);
        server::serve(&args, listener, service, &[], &health, &Shutdown::default()).await
    });
    let mut client = ExpiryServiceClient::connect(url).await.expect("it listens");

    let mut request = Request::new(RunOnceRequest {});
    request
        .metadata_mut()
        .insert("x-request-id", MINE.parse().expect("ASCII"));
    let status = client.run_once(request).await.expect_err("it panics");
    assert_eq!(status.code(), Code::Internal);
    assert!(!status.message().contains("fine"), "{status:?}");
    let info = status.get_details_error_info().expect("an ErrorInfo");
    assert_eq!(
        (&*info.reason, &*info.metadata["log_id"]),
        ("INTERNAL", MINE)
    );

    let mut request = Request::new(RunOnceRequest {});
    request
        .metadata_mut()
        .insert("fine", "1".parse().expect("ASCII"));
    let answer = client
        .run_once(request)
        .await
        .expect("the process keeps running");
    assert_eq!(answer.into_inner().failed_count, 7);
}
