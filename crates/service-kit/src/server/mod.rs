//! Serving gRPC until shutdown.
//!
//! `accept` takes connections as far as `places` allows; `life` serves each, and decides when it
//! has to close; `dispatch` leads its requests: what is no gRPC to `http`, health and reflection to
//! `beside`, calls to [`crate::call`]. What clients may have the process hold is bounded by
//! `budget`: in `request` what they send, in `answer` and `room` what they do not read.

mod accept;
mod answer;
mod beside;
mod budget;
mod dispatch;
mod http;
mod life;
mod metrics;
mod places;
pub(crate) mod request;
mod room;
pub(crate) mod shape;

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use futures_util::future::Either;
use tokio::net::TcpListener;
use tonic::server::NamedService;
use tonic::service::{Routes, RoutesBuilder};
use tonic_health::pb::health_server::HealthServer;

pub use self::answer::BoundsItself;
use self::answer::UNREAD_MIN;
pub(crate) use self::answer::{Answer, Answering};
use self::beside::Beside;
pub(crate) use self::budget::{Budget, Charge, Part};
pub use self::dispatch::GrpcService;
use self::dispatch::{DirectRoute, Dispatch, Services};
use self::life::{Life, Terms};
use self::places::Places;
pub(crate) use self::places::peer_of;
pub use self::room::{Room, Rooms};
use crate::args::ServerArgs;
use crate::auth::Auth;
use crate::call::Calls;
use crate::connection::{Connection, STREAM_BYTES};
use crate::health::Health;
use crate::rates::RateLimits;
use crate::shutdown::Shutdown;
use crate::tls::{Handshakes, ServerTls};

/// The largest request that is decoded, in bytes: of a method that is named as one with large
/// requests. Others take 64 KiB.
pub const MESSAGE_BYTES_MAX: usize = 4 * 1024 * 1024;
/// What one connection may send of requests that are not whole, in bytes: one of the largest, and
/// many small ones beside it.
const CONNECTION_REQUESTS_MAX: usize = MESSAGE_BYTES_MAX + 1024 * 1024;
/// The same of questions to health: one whatever others do, so that no neighbour of a probe
/// silences it.
const CONNECTION_QUESTIONS_MIN: usize = 8 * 1024;
const CONNECTION_QUESTIONS_MAX: usize = 256 * 1024;
/// What all connections may send of those.
const QUESTIONS_MAX: usize = 2 * 1024 * 1024;
/// What connections and the streams that they may open can cost, if each is to have more than the
/// fewest streams at once. One peer gets two thirds: 2,700 streams.
const KEPT_MAX: usize = 32 * 1024 * 1024;
/// The open streams for two calls under way: those whose requests have not come whole, those whose
/// answers were not read, and those beside the calls.
const STREAMS_FOR_TWO_CALLS: usize = 3;
/// Which share of the bytes of unread answers is for those that need no room.
const SMALL_ANSWERS_SHARE: usize = 3;
/// The largest question to health or reflection, in bytes: names and nothing else.
const QUESTION_BYTES_MAX: usize = 4 * 1024;

/// Why serving ended before the shutdown, or did not begin.
pub type ServeError = Box<dyn std::error::Error + Send + Sync>;

/// What all connections may have the process hold. Clones share it.
#[derive(Debug, Clone)]
struct AllBytes {
    kept: Arc<Budget>,
    streams: Arc<Budget>,
    requests: Arc<Budget>,
    questions: Arc<Budget>,
    answers: Arc<Budget>,
    rooms: Rooms,
}

/// What one connection may have it hold.
#[derive(Debug)]
pub(crate) struct ConnectionBytes {
    pub(crate) kept: Arc<Part>,
    pub(crate) streams: Arc<Part>,
    pub(crate) requests: Arc<Part>,
    pub(crate) questions: Arc<Part>,
    pub(crate) answers: Arc<Part>,
    pub(crate) rooms: Rooms,
}

/// What the connections of one peer have it hold.
#[derive(Debug, Clone, Default)]
struct PeerBytes {
    kept: Arc<AtomicUsize>,
    streams: Arc<AtomicUsize>,
    requests: Arc<AtomicUsize>,
    questions: Arc<AtomicUsize>,
    answers: Arc<AtomicUsize>,
}

impl AllBytes {
    fn new(args: &ServerArgs) -> Self {
        let mib = |count: u16| usize::from(count) * 1024 * 1024;
        let answers = mib(args.answer_mib_max);
        let small = answers / SMALL_ANSWERS_SHARE;
        let streams = args.calls_max as usize * STREAMS_FOR_TWO_CALLS / 2;
        Self {
            kept: Budget::new(KEPT_MAX),
            streams: Budget::new(streams * STREAM_BYTES),
            requests: Budget::new(mib(args.request_mib_max)),
            questions: Budget::new(QUESTIONS_MAX),
            answers: Budget::new(small),
            rooms: Rooms::new(answers - small),
        }
    }

    fn of_connection(&self, peer: &PeerBytes) -> ConnectionBytes {
        let part =
            |budget, bytes, peer: &Arc<AtomicUsize>| Part::new(budget, bytes, Arc::clone(peer));
        // A connection always has one.
        let streams = STREAM_BYTES..=usize::MAX;
        let requests = 0..=CONNECTION_REQUESTS_MAX;
        let questions = CONNECTION_QUESTIONS_MIN..=CONNECTION_QUESTIONS_MAX;
        let answers = UNREAD_MIN..=usize::MAX;
        ConnectionBytes {
            kept: part(&self.kept, 0..=usize::MAX, &peer.kept),
            streams: part(&self.streams, streams, &peer.streams),
            requests: part(&self.requests, requests, &peer.requests),
            questions: part(&self.questions, questions, &peer.questions),
            answers: part(&self.answers, answers, &peer.answers),
            rooms: self.rooms.of_another(),
        }
    }
}

/// Where calls come in: in plain text, or by TLS.
#[derive(Debug)]
pub struct Listener {
    /// Where it listens.
    pub tcp: TcpListener,
    /// Its certificate; none: plain text.
    pub tls: Option<ServerTls>,
}

impl From<TcpListener> for Listener {
    fn from(tcp: TcpListener) -> Self {
        Self { tcp, tls: None }
    }
}

/// Serves `service`, with health and reflection beside it, until the shutdown. `large` are the
/// paths of its methods whose requests may have [`MESSAGE_BYTES_MAX`].
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
    listener: impl Into<Listener>,
    service: S,
    large: &'static [&'static str],
    health: &Health,
    shutdown: &Shutdown,
) -> Result<(), ServeError>
where
    S: GrpcService + NamedService,
{
    let served = Served {
        service,
        routes: Routes::builder(),
        large,
    };
    serve_all(args, listener.into(), served, health, shutdown).await
}

/// [`serve`] with further services in `routes`. Their calls take the general way, which costs
/// each a little more: `service` is the one whose calls must be fast.
///
/// # Errors
///
/// As [`serve`].
pub async fn serve_with<S>(
    args: &ServerArgs,
    listener: impl Into<Listener>,
    service: S,
    routes: RoutesBuilder,
    health: &Health,
    shutdown: &Shutdown,
) -> Result<(), ServeError>
where
    S: GrpcService + NamedService,
{
    let served = Served {
        service,
        routes,
        large: &[],
    };
    serve_all(args, listener.into(), served, health, shutdown).await
}

/// What calls are answered by.
struct Served<S> {
    service: S,
    routes: RoutesBuilder,
    large: &'static [&'static str],
}

async fn serve_all<S>(
    args: &ServerArgs,
    listener: Listener,
    served: Served<S>,
    health: &Health,
    shutdown: &Shutdown,
) -> Result<(), ServeError>
where
    S: GrpcService + NamedService,
{
    let serving = serve_until_soft(args, listener, served, health, shutdown);
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

async fn serve_until_soft<S>(
    args: &ServerArgs,
    listener: Listener,
    served: Served<S>,
    health: &Health,
    shutdown: &Shutdown,
) -> Result<(), ServeError>
where
    S: GrpcService + NamedService,
{
    let Listener { tcp, tls } = listener;
    let address = tcp.local_addr()?;
    let handshakes = tls.map(Handshakes::new);
    let auth = Auth::new(&args.auth)?;
    let services = Arc::new(Services {
        calls: Arc::new(Calls::new(
            DirectRoute::new(served.service, served.routes.routes().prepare()),
            args.calls_max,
            args.call_timeout,
            served.large,
            auth.clone(),
            RateLimits::new(&args.rates)?,
        )),
        beside: Beside::new(
            health_and_reflection(args, health)?,
            shutdown.soft.clone(),
            auth.clone(),
        ),
    });
    let connections_max = places::connections_allowed(args.connections_max);
    let places = Places::new(connections_max, args.connections_per_peer_max as usize);
    let bytes = AllBytes::new(args);
    metrics::register(health, &places, &services.calls, &bytes);
    let terms = Terms {
        idle_max: args.connection_idle_max,
        age_max: args.connection_age_max,
    };
    let serve = |stream: tokio::net::TcpStream, peer, place: places::Place| {
        // Answers are written whole: nothing is gained by waiting for more.
        let _ = stream.set_nodelay(true);
        let connection = Arc::new(Connection::new(
            peer,
            bytes.of_connection(&place.peer_bytes),
        ));
        let life = Life::new(terms, &places, place.spare, chance());
        let dispatch = Dispatch::new(Arc::clone(&connection), place.spare, Arc::clone(&services));
        let stop = shutdown.soft.clone();
        match handshakes.clone() {
            None => Either::Left(life::serve(stream, place, connection, dispatch, life, stop)),
            // In a box, as it is larger: plain text is not to pay for it.
            Some(handshakes) => Either::Right(Box::pin(async move {
                let accepting = stop.run_until_cancelled(handshakes.accept(stream, peer));
                if let Some(Some(stream)) = accepting.await {
                    life::serve(stream, place, connection, dispatch, life, stop).await;
                }
            })),
        }
    };
    let tls = handshakes.is_some();
    tracing::info!(%address, tls, "serving");
    let accepting = accept::run(tcp, &places, &shutdown.soft, serve);
    let keeping_keys = async {
        if let Some(auth) = &auth {
            auth.keep_keys(&shutdown.soft).await;
        }
    };
    let (accepted, (), ()) = futures_util::join!(accepting, leave(health, shutdown), keeping_keys);
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
