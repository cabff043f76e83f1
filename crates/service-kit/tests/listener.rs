//! The behaviour of a server whose listener has failed for good.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use clap::Parser;
use rustix::net::{AddressFamily, SocketType, bind, socket};
use service_kit::args::ServerArgs;
use service_kit::health::Health;
use service_kit::{Shutdown, server};
use tokio::net::TcpListener;
use tonic_health::pb::health_server::HealthServer;
use tonic_health::server::{HealthReporter, HealthService};

#[derive(Debug, Parser)]
struct Cli {
    #[command(flatten)]
    server: ServerArgs,
}

#[tokio::test]
async fn a_listener_that_fails_ends_the_serving_and_the_process_with_it() {
    let args = Cli::parse_from(["server"]).server;
    // A socket that does not listen: each accept fails, and always will.
    let socket = socket(AddressFamily::INET, SocketType::STREAM, None).expect("a socket");
    bind(&socket, &SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).expect("a port");
    let listener = std::net::TcpListener::from(socket);
    listener.set_nonblocking(true).expect("our own socket");
    let listener = TcpListener::from_std(listener).expect("a socket");

    let health = Health::new(&[]);
    let shutdown = Shutdown::default();
    let service = HealthServer::new(HealthService::from_health_reporter(HealthReporter::new()));
    let serving = server::serve(&args, listener, service, &[], &health, &shutdown);
    let served = tokio::time::timeout(Duration::from_secs(10), serving).await;
    let error = served.expect("it ends").expect_err("it has failed");
    let text = error.to_string();
    assert!(text.starts_with("the listener on 127.0.0.1:"), "{text}");
    assert!(shutdown.soft.is_cancelled(), "everything else must end");
}
