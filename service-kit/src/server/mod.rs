//! Serving gRPC until shutdown.
//!
//! `accept` takes connections as far as `places` allows; `life` serves each, and decides when it
//! has to close; `dispatch` leads its requests: what is no gRPC to `http`, health and reflection to
//! `beside`, calls to [`crate::call`].

mod accept;
mod beside;
mod dispatch;
mod http;
mod life;
mod places;

use std::sync::Arc;

use tokio::net::TcpListener;
use tonic::server::NamedService;
use tonic::service::{Routes, RoutesBuilder};
use tonic_health::pb::health_server::HealthServer;

use self::beside::Beside;
pub use self::dispatch::GrpcService;
use self::dispatch::{Dispatch, Front, Services};
use self::life::{Life, Terms};
use self::places::Places;
use crate::args::ServerArgs;
use crate::call::Calls;
use crate::connection::Connection;
use crate::health::Health;
use crate::shutdown::Shutdown;

/// The largest request that is decoded, in bytes.
pub const MESSAGE_BYTES_MAX: usize = 4 * 1024 * 1024;
/// The largest question to health or reflection, in bytes: names and nothing else.
const QUESTION_BYTES_MAX: usize = 4 * 1024;

/// Why serving ended before the shutdown, or did not begin.
pub type ServeError = Box<dyn std::error::Error + Send + Sync>;

/// Serves `service`, with health and reflection beside it, until the shutdown.
///
/// After the soft token no call is taken; calls under way are finished until the hard token.
/// Streams must end themselves at the soft token.
///
/// # Errors
///
/// If the descriptor set cannot be served, or the listener fails. The soft token is cancelled
/// then, so that whatever else the process does ends too.
pub async fn serve<S>(
    args: &ServerArgs,
    listener: TcpListener,
    service: S,
    health: &Health,
    shutdown: &Shutdown,
) -> Result<(), ServeError>
where
    S: GrpcService + NamedService,
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
    routes: RoutesBuilder,
    health: &Health,
    shutdown: &Shutdown,
) -> Result<(), ServeError>
where
    S: GrpcService + NamedService,
{
    let serving = serve_all(args, listener, service, routes, health, shutdown);
    let served = tokio::select! {
        served = serving => served,
        () = shutdown.hard.cancelled() => {
            tracing::warn!("the grace is over; calls are cut off");
            Ok(())
        }
    };
    if served.is_err() {
        shutdown.soft.cancel();
    }
    served
}

async fn serve_all<S>(
    args: &ServerArgs,
    listener: TcpListener,
    service: S,
    routes: RoutesBuilder,
    health: &Health,
    shutdown: &Shutdown,
) -> Result<(), ServeError>
where
    S: GrpcService + NamedService,
{
    let address = listener.local_addr()?;
    let services = Arc::new(Services {
        calls: Calls::new(
            Front::new(service, routes.routes().prepare()),
            args.calls_max,
            args.call_timeout,
        ),
        beside: Beside::new(health_and_reflection(args, health)?, shutdown.soft.clone()),
    });
    let connections_max = places::connections_allowed(args.connections_max);
    let places = Places::new(connections_max, args.connections_per_peer_max as usize);
    let terms = Terms {
        idle_max: args.connection_idle_max,
        age_max: args.connection_age_max,
    };
    let serve = |stream: tokio::net::TcpStream, peer, place: places::Place| {
        // Answers are written whole: nothing is gained by waiting for more.
        let _ = stream.set_nodelay(true);
        let connection = Arc::new(Connection::new(peer));
        let life = Life::new(terms, &places, place.spare, chance());
        let dispatch = Dispatch::new(Arc::clone(&connection), place.spare, Arc::clone(&services));
        let stop = shutdown.soft.clone();
        life::serve(stream, place, connection, dispatch, life, stop)
    };
    tracing::info!(%address, "serving");
    let accepting = accept::run(listener, &places, &shutdown.soft, serve);
    let (accepted, ()) = futures_util::join!(accepting, leave(health, shutdown));
    accepted.map_err(|error| format!("the listener on {address} failed: {error}").into())
}

fn health_and_reflection(args: &ServerArgs, health: &Health) -> Result<Routes, ServeError> {
    let mut routes = Routes::builder();
    let service = HealthServer::new(health.clone());
    routes.add_service(service.max_decoding_message_size(QUESTION_BYTES_MAX));
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
        let (v1, v1alpha) = (builder().build_v1()?, builder().build_v1alpha()?);
        routes.add_service(v1.max_decoding_message_size(QUESTION_BYTES_MAX));
        routes.add_service(v1alpha.max_decoding_message_size(QUESTION_BYTES_MAX));
    }
    Ok(routes.routes().prepare())
}

/// Says NOT_SERVING once the process is about to stop.
async fn leave(health: &Health, shutdown: &Shutdown) {
    tokio::select! {
        () = shutdown.leaving.cancelled() => {}
        () = shutdown.soft.cancelled() => {}
    }
    health.leave();
}

/// 0 to 1, at random.
fn chance() -> f64 {
    let (bits, ..) = uuid::Uuid::new_v4().as_fields();
    f64::from(bits) / f64::from(u32::MAX)
}
