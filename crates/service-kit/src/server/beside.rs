//! Health and reflection, which are served beside the calls: without a place, and with limits of
//! their own. Their streams would last as long as the client wants; they end when the server
//! stops, and reflection's when nobody has asked anything for a while.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request};
use http_body::Frame;
use hyper::body::Incoming;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep, timeout_at};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::Status;
use tonic::body::Body;
use tonic::service::Routes;
use tower::Service as _;

use super::answer::{Answer, Answering};
use super::{QUESTION_BYTES_MAX, request as body_of};
use crate::api_error::ApiError;
use crate::auth::Auth;
use crate::connection::Connection;
use crate::{call, log_id, outcome};

const HEALTH: &str = "/grpc.health.v1.Health/";
const HEALTH_WATCH: &str = "/grpc.health.v1.Health/Watch";
const REFLECTION: &str = "/grpc.reflection.";

/// The most streams of one connection.
const STREAMS_PER_CONNECTION_MAX: u32 = 4;
/// The most streams of health in all, beside the first one of each connection: no stranger can
/// keep another client from watching health.
const HEALTH_STREAMS_MAX: usize = 256;
/// The most streams of reflection in all.
const REFLECTION_STREAMS_MAX: usize = 64;
/// How long a stream of reflection waits for a question.
const QUESTION_WAIT_MAX: Duration = Duration::from_secs(10);
/// The longest call of health, and the longest until a stream of either has begun.
const ANSWER_MAX: Duration = Duration::from_secs(10);

/// Answers what is asked beside the calls.
#[derive(Debug)]
pub(super) struct Beside {
    routes: Routes,
    stop: CancellationToken,
    health: Arc<Semaphore>,
    reflection: Arc<Semaphore>,
    /// Asks who wants reflection for a token.
    auth: Option<Auth>,
}

impl Beside {
    pub(super) fn new(routes: Routes, stop: CancellationToken, auth: Option<Auth>) -> Self {
        Self {
            routes,
            stop,
            health: Arc::new(Semaphore::new(HEALTH_STREAMS_MAX)),
            reflection: Arc::new(Semaphore::new(REFLECTION_STREAMS_MAX)),
            auth,
        }
    }

    pub(super) fn is_health_check<T>(request: &Request<T>) -> bool {
        let path = request.uri().path();
        path.starts_with(HEALTH) && path != HEALTH_WATCH
    }

    pub(super) fn call(
        &self,
        request: Request<Incoming>,
        connection: &Arc<Connection>,
    ) -> Answering {
        let path = request.uri().path();
        let watches = path == HEALTH_WATCH;
        let reflects = path.starts_with(REFLECTION);
        let place = match (watches, reflects) {
            (true, _) => StreamPlace::take(connection, &self.health, true),
            (_, true) => StreamPlace::take(connection, &self.reflection, false),
            _ => Some(StreamPlace::none()),
        };
        let Some(place) = place else {
            let full = ApiError::overloaded("there are too many streams of this kind");
            let refusal = Answer::new(call::refused(&request, full), connection);
            return Box::pin(std::future::ready(Ok(refusal)));
        };
        let mut place = Some(place);
        let (mut routes, stop) = (self.routes.clone(), self.stop.clone());
        let connection = Arc::clone(connection);
        let auth = self.auth.clone().filter(|_| reflects);
        let id = log_id::of_caller(request.headers());
        let streams_id = id.clone();
        let answering = async move {
            let deadline = Instant::now() + ANSWER_MAX;
            let (head, body) = request.into_parts();
            if let Some(auth) = auth
                && let Err(refused) = auth.identify(&head.headers, deadline).await
            {
                return Ok(Answer::new(call::refusal(refused), &connection));
            }
            let body = if reflects {
                Ok(Body::new(Questions::new(body, place.take(), stop.clone())))
            } else {
                let questions = connection.questions();
                let whole = body_of::whole(body, QUESTION_BYTES_MAX, questions, deadline).await;
                whole.map(Body::new)
            };
            let answer = match body {
                Ok(body) => {
                    let answering = routes.call(Request::from_parts(head, body));
                    timeout_at(deadline, outcome::caught(answering)).await
                }
                Err(refused) => Ok(Ok(call::refusal(refused.into()))),
            };
            let answer = match answer {
                Ok(Ok(answer)) => answer,
                Err(_) => call::refusal(ApiError::deadline_exceeded()),
            };
            let answer = if watches {
                answer.map(|body| Body::new(UntilStop::new(body, place, stop, streams_id)))
            } else {
                answer
            };
            Ok(Answer::new(answer, &connection))
        };
        Box::pin(log_id::scope(id, answering))
    }
}

/// A stream's place among those of its kind; dropped, it is free again.
#[derive(Debug, Default)]
struct StreamPlace {
    connection: Option<Arc<Connection>>,
    shared: Option<OwnedSemaphorePermit>,
}

impl StreamPlace {
    fn none() -> Self {
        Self::default()
    }

    /// The first stream of a connection needs none of the shared places if `first_free`.
    fn take(
        connection: &Arc<Connection>,
        shared: &Arc<Semaphore>,
        first_free: bool,
    ) -> Option<Self> {
        let before = connection.begin_beside();
        // From here on it is given back, whatever comes.
        let mut place = Self {
            connection: Some(Arc::clone(connection)),
            shared: None,
        };
        if before >= STREAMS_PER_CONNECTION_MAX {
            return None;
        }
        if before > 0 || !first_free {
            place.shared = Some(Arc::clone(shared).try_acquire_owned().ok()?);
        }
        Some(place)
    }
}

impl Drop for StreamPlace {
    fn drop(&mut self) {
        if let Some(connection) = &self.connection {
            connection.end_beside();
        }
    }
}

/// The questions of a stream of reflection: they end when none comes for a while, or at the stop,
/// and the answers with them.
struct Questions {
    body: Incoming,
    wait: Pin<Box<Sleep>>,
    stop: Pin<Box<WaitForCancellationFutureOwned>>,
    _place: Option<StreamPlace>,
}

impl Questions {
    fn new(body: Incoming, place: Option<StreamPlace>, stop: CancellationToken) -> Self {
        Self {
            body,
            wait: Box::pin(tokio::time::sleep(QUESTION_WAIT_MAX)),
            stop: Box::pin(stop.cancelled_owned()),
            _place: place,
        }
    }
}

impl http_body::Body for Questions {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) {
            self.wait.as_mut().reset(Instant::now() + QUESTION_WAIT_MAX);
            return Poll::Ready(frame);
        }
        if self.stop.as_mut().poll(cx).is_pending() {
            ready!(self.wait.as_mut().poll(cx));
        }
        Poll::Ready(None)
    }
}

/// The answers of a stream that ends at the stop at the latest.
struct UntilStop {
    body: Body,
    stop: Pin<Box<WaitForCancellationFutureOwned>>,
    ended: bool,
    log_id: Option<String>,
    _place: Option<StreamPlace>,
}

impl UntilStop {
    fn new(
        body: Body,
        place: Option<StreamPlace>,
        stop: CancellationToken,
        log_id: Option<String>,
    ) -> Self {
        Self {
            body,
            stop: Box::pin(stop.cancelled_owned()),
            ended: false,
            log_id,
            _place: place,
        }
    }
}

impl http_body::Body for UntilStop {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) {
            return Poll::Ready(frame);
        }
        ready!(self.stop.as_mut().poll(cx));
        self.ended = true;
        let mut trailers = HeaderMap::new();
        let stopping = || Status::from(ApiError::shutting_down());
        let status = log_id::scope_of(self.log_id.take(), stopping);
        let written = status.add_header(&mut trailers);
        Poll::Ready(Some(written.map(|()| Frame::trailers(trailers))))
    }

    fn is_end_stream(&self) -> bool {
        self.ended || self.body.is_end_stream()
    }
}
