//! Where each request of a connection goes.

use std::convert::Infallible;
use std::future::ready;
use std::sync::Arc;

use futures_util::future::Either;
use http::{Request, Response};
use hyper::body::Incoming;
use tonic::body::Body;
use tonic::server::NamedService;
use tonic::service::Routes;
use tower::Service;

use super::answer::{Answer, Answering};
use super::beside::Beside;
use super::http::refusal;
use crate::api_error::ApiError;
use crate::call::{self, Calls};
use crate::connection::Connection;
use crate::tally;

/// What the headers of a call may take without being counted: those of most calls take half.
const HEAD_FREE_BYTES: usize = 4 * 1024;
/// What a header takes in memory beside its name and value.
const HEADER_BYTES: usize = 192;

/// What the path and the headers take in memory.
fn head_bytes<T>(request: &Request<T>) -> usize {
    let path = request.uri().path_and_query();
    let path = path.map_or(0, |path| path.as_str().len());
    let each = request.headers().iter();
    each.map(|(name, value)| HEADER_BYTES + name.as_str().len() + value.len())
        .sum::<usize>()
        + path
}

/// What answers calls: what tonic generates for a service.
pub trait GrpcService:
    Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send + 'static>
    + Clone
    + Send
    + Sync
    + 'static
{
}

impl<S> GrpcService for S where
    S: Service<
            Request<Body>,
            Response = Response<Body>,
            Error = Infallible,
            Future: Send + 'static,
        > + Clone
        + Send
        + Sync
        + 'static
{
}

/// The requests of one connection.
#[derive(Debug)]
pub(super) struct Dispatch<S> {
    connection: Arc<Connection>,
    /// Whether it may ask for health alone.
    health_alone: bool,
    services: Arc<Services<S>>,
}

/// What all connections share.
#[derive(Debug)]
pub(super) struct Services<S> {
    pub(super) calls: Arc<Calls<DirectRoute<S>>>,
    pub(super) beside: Beside,
}

impl<S> Dispatch<S> {
    pub(super) fn new(
        connection: Arc<Connection>,
        health_alone: bool,
        services: Arc<Services<S>>,
    ) -> Self {
        Self {
            connection,
            health_alone,
            services,
        }
    }

    fn answer(&self, response: Response<Body>) -> Answering {
        Box::pin(ready(Ok(Answer::new(response, &self.connection))))
    }
}

impl<S: GrpcService + NamedService> hyper::service::Service<Request<Incoming>> for Dispatch<S> {
    type Response = Response<Answer>;
    type Error = Infallible;
    type Future = Answering;

    fn call(&self, mut request: Request<Incoming>) -> Answering {
        if let Some(refusal) = refusal(&request) {
            return self.answer(refusal);
        }
        let head = head_bytes(&request);
        if head > HEAD_FREE_BYTES {
            let Some(charge) = self.connection.requests().charge(head) else {
                let full = ApiError::overloaded("there are too many bytes of headers");
                tally::count("HEADER_BYTES");
                return self.answer(call::refused(&request, full.as_callers_doing()));
            };
            // It goes when they do.
            request.extensions_mut().insert(Arc::new(charge));
        }
        if self.health_alone && !Beside::is_health_check(&request) {
            let full = ApiError::overloaded("the server has too many connections");
            return self.answer(call::refused(&request, full));
        }
        if call::is_ours(&request) {
            self.services.calls.call(request, &self.connection)
        } else {
            self.services.beside.call(request, &self.connection)
        }
    }
}

/// Leads the service's own calls straight to it. The router is a general one for web servers,
/// which clones and boxes the service for every call; it is for the others.
#[derive(Debug, Clone)]
pub(super) struct DirectRoute<S> {
    service: S,
    others: Routes,
}

impl<S> DirectRoute<S> {
    pub(super) fn new(service: S, others: Routes) -> Self {
        Self { service, others }
    }
}

impl<S: GrpcService + NamedService> call::Inner for DirectRoute<S> {
    type Future = Either<S::Future, <Routes as Service<Request<Body>>>::Future>;

    fn call(&self, request: Request<Body>) -> Self::Future {
        // Both are always ready, and cloning what tonic generates is counting a reference.
        let path = request.uri().path().strip_prefix('/');
        let own = path.and_then(|path| path.strip_prefix(S::NAME));
        if own.is_some_and(|method| method.starts_with('/')) {
            Either::Left(self.service.clone().call(request))
        } else {
            Either::Right(self.others.clone().call(request))
        }
    }
}
