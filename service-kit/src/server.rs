//! Serving gRPC until told to stop.

use std::convert::Infallible;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::Either;
use http::{Request, Response};
use tokio::net::TcpListener;
use tonic::body::Body;
use tonic::server::NamedService;
use tonic::service::{Routes, RoutesBuilder};
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic_health::pb::health_server::HealthServer;
use tonic_health::server::HealthService;
use tower::Service;

use crate::args::ServerArgs;
use crate::call::CallLayer;
use crate::health::Health;
use crate::shutdown::Shutdown;

/// The largest request that is decoded, in bytes.
pub const MESSAGE_BYTES_MAX: usize = 4 * 1024 * 1024;

const STREAMS_PER_CONNECTION_MAX: u32 = 1_000;
const HEADER_BYTES_MAX: u32 = 16 * 1024;
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(30);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);

/// Serves `service`, with health and reflection beside it, until the shutdown.
///
/// After the soft token no call is taken; calls under way are finished until the hard token.
/// Streams must end themselves at the soft token.
///
/// # Errors
///
/// If the descriptor set cannot be served, or the listener fails.
pub async fn serve<S>(
    args: &ServerArgs,
    listener: TcpListener,
    service: S,
    health: &Health,
    shutdown: &Shutdown,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>
        + NamedService
        + Clone
        + Send
        + Sync
        + 'static,
    S::Future: Send + 'static,
{
    serve_with(args, listener, service, Routes::builder(), health, shutdown).await
}

/// [`serve`] with further services in `routes`. Their calls take the general way, which costs
/// each a little more: `service` is the one whose calls must be fast.
///
/// # Errors
///
/// As [`serve`].
pub async fn serve_with<S>(
    args: &ServerArgs,
    listener: TcpListener,
    service: S,
    mut routes: RoutesBuilder,
    health: &Health,
    shutdown: &Shutdown,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>
        + NamedService
        + Clone
        + Send
        + Sync
        + 'static,
    S::Future: Send + 'static,
{
    routes.add_service(HealthServer::new(HealthService::from_health_reporter(
        health.reporter(),
    )));
    if args.reflection {
        // The whole contract can be looked up; listed is what is served here.
        let builder = || {
            let listed = ["grpc.health.v1.Health"]
                .into_iter()
                .chain(health.services().iter().copied());
            listed.fold(
                tonic_reflection::server::Builder::configure()
                    .register_encoded_file_descriptor_set(proto::DESCRIPTOR_SET)
                    .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET),
                tonic_reflection::server::Builder::with_service_name,
            )
        };
        routes.add_service(builder().build_v1()?);
        routes.add_service(builder().build_v1alpha()?);
    }
    tracing::info!(address = %listener.local_addr()?, "serving");
    let serving = Server::builder()
        .layer(CallLayer::new(args.calls_max, args.call_timeout))
        .max_concurrent_streams(STREAMS_PER_CONNECTION_MAX)
        .http2_max_header_list_size(HEADER_BYTES_MAX)
        .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
        .serve_with_incoming_shutdown(
            Front {
                service,
                others: routes.routes().prepare(),
            },
            // Set here: the server's own settings hold only for listeners that it binds.
            TcpIncoming::from(listener).with_nodelay(Some(true)),
            soft_stop(health.clone(), shutdown.clone()),
        );
    tokio::select! {
        served = serving => served?,
        () = shutdown.hard.cancelled() => tracing::warn!("the grace is over; calls are cut off"),
    }
    Ok(())
}

async fn soft_stop(health: Health, shutdown: Shutdown) {
    shutdown.soft.cancelled().await;
    health.set_ready(false).await;
}

/// Leads the service's own calls straight to it. The router is a general one for web servers,
/// which clones and boxes the service for every call; it is for the others.
#[derive(Debug, Clone)]
struct Front<S> {
    service: S,
    others: Routes,
}

impl<S> Service<Request<Body>> for Front<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + NamedService,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Either<S::Future, <Routes as Service<Request<Body>>>::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        // The routes are always ready.
        self.service.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let path = request.uri().path().strip_prefix('/');
        let own = path.and_then(|path| path.strip_prefix(S::NAME));
        if own.is_some_and(|method| method.starts_with('/')) {
            Either::Left(self.service.call(request))
        } else {
            Either::Right(self.others.call(request))
        }
    }
}
