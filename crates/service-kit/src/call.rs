//! The layer around every call: a log id, a span, a deadline, a limit on how many
//! run at once, and errors that carry the contract's details whoever made them.

use std::convert::Infallible;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt as _;
use http::request::Parts;
use http::{HeaderMap, Request, Response};
use hyper::body::Incoming;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::error::Elapsed;
use tokio::time::{Instant, timeout_at};
use tonic::Status;
use tonic::body::Body;
use tracing::Instrument as _;

use crate::api_error::ApiError;
use crate::auth::Auth;
use crate::connection::Connection;
use crate::rates::RateLimits;
use crate::server::shape::Shapes;
use crate::server::{Answer, Answering, MESSAGE_BYTES_MAX, request as body_of};
use crate::{log_id, metrics, outcome, tally};

/// What of a caller's deadline is kept for the answer's way back: nothing is begun that the
/// caller would not hear of.
const WAY_BACK: Duration = Duration::from_millis(2);
/// The calls of a connection at once while the answers that nobody reads are many.
const CALLS_WHEN_CROWDED: usize = 16;
/// The calls with a large request that go on at once. Decoded, a layout takes several times its
/// bytes; while they wait for their turn, calls hold no more than these.
const LARGE_CALLS_MAX: usize = 4;

/// What a handler can know of its call beside the request; in the extensions of each.
#[derive(Debug, Clone)]
pub(crate) struct Context {
    deadline: Instant,
    connection: Arc<Connection>,
}

/// When the caller stops waiting.
#[derive(Debug, Clone, Copy)]
pub struct Deadline;

impl Deadline {
    /// The deadline of a request that came through the layer.
    #[must_use]
    pub fn of<T>(request: &tonic::Request<T>) -> Instant {
        match request.extensions().get::<Context>() {
            Some(context) => context.deadline,
            // Only a handler that is called without the layer gets here, as in a test.
            None => Instant::now() + Duration::from_secs(30),
        }
    }
}

/// The turn of a call with a large request, of which few go on at once. It ends with the call, or
/// when its handler gives it back.
#[derive(Debug, Clone, Default)]
pub struct LargeTurn(Arc<Mutex<Option<OwnedSemaphorePermit>>>);

impl LargeTurn {
    /// The turn of a request that came through the layer; of a small one, one that is nothing.
    #[must_use]
    pub fn of<T>(request: &tonic::Request<T>) -> Self {
        let turn = request.extensions().get::<Self>();
        turn.cloned().unwrap_or_default()
    }

    /// Lets another call go on: this one has nothing large any more, and waits.
    pub fn give_back(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

impl Connection {
    /// The connection of a request that came through the layer.
    #[must_use]
    pub fn of<T>(request: &tonic::Request<T>) -> Option<&Arc<Self>> {
        let context = request.extensions().get::<Context>();
        context.map(|context| &context.connection)
    }
}

/// What answers calls within the layer.
pub(crate) trait Inner: Send + Sync + 'static {
    /// An answer that is being made.
    type Future: Future<Output = Result<Response<Body>, Infallible>> + Send + 'static;

    /// Begins to answer. What it returns does its work when it is polled.
    fn call(&self, request: Request<Body>) -> Self::Future;
}

/// The layer around [`Inner`].
#[derive(Debug)]
pub(crate) struct Calls<S> {
    inner: S,
    under_way: Semaphore,
    calls_max: u32,
    /// Turns of calls with large requests.
    large: Arc<Semaphore>,
    timeout: Duration,
    large_methods: &'static [&'static str],
    shapes: Shapes,
    /// None if callers are not asked for a token.
    auth: Option<Auth>,
    /// None if no class of calls has a limit.
    rates: Option<RateLimits>,
}

/// Whether a request is a call of the contract; what is not belongs to gRPC itself.
pub(crate) fn is_ours<T>(request: &Request<T>) -> bool {
    request.uri().path().starts_with("/ticketing.")
}

impl<S: Inner> Calls<S> {
    /// At most `calls_max` calls at once in the process, none longer than `timeout`. The methods
    /// whose requests may be large are named by their paths.
    pub(crate) fn new(
        inner: S,
        calls_max: u32,
        timeout: Duration,
        large_methods: &'static [&'static str],
        auth: Option<Auth>,
        rates: Option<RateLimits>,
    ) -> Self {
        Self {
            inner,
            under_way: Semaphore::new(calls_max as usize),
            calls_max,
            large: Arc::new(Semaphore::new(LARGE_CALLS_MAX)),
            timeout,
            large_methods,
            shapes: if large_methods.is_empty() {
                Shapes::default()
            } else {
                Shapes::of_contract()
            },
            auth,
            rates,
        }
    }

    /// How many calls are under way, and the most.
    pub(crate) fn under_way_of_max(&self) -> (usize, usize) {
        let most = self.calls_max as usize;
        (most - self.under_way.available_permits(), most)
    }

    pub(crate) fn call(
        self: &Arc<Self>,
        request: Request<Incoming>,
        connection: &Arc<Connection>,
    ) -> Answering {
        let path = request.uri().path();
        // Shares the request's own bytes.
        let method = request.uri().path_and_query().cloned();
        let id = log_id::of_caller(request.headers());
        let measured = metrics::rpc::Call::begin(path);
        let span = tracing::debug_span!("call", method = path, log_id = id.as_deref());
        let callers = caller_timeout(request.headers())
            .map(|timeout| timeout.saturating_sub(WAY_BACK))
            .filter(|timeout| *timeout < self.timeout);
        let deadline = Instant::now() + callers.unwrap_or(self.timeout);
        let connection = Arc::clone(connection);
        let (head, body) = request.into_parts();
        let answered = Arc::clone(self).answer(head, body, Arc::clone(&connection), deadline);
        let unanswered = Unanswered;
        let answering = answered.map(move |answered| {
            std::mem::forget(unanswered);
            let response = answered.unwrap_or_else(refusal);
            let method = method.as_ref().map_or("", |method| method.path());
            let response = outcome::finish(response, method, callers.is_some());
            let response = metrics::rpc::Call::answered(measured, response);
            Ok(Answer::new(response, &connection))
        });
        Box::pin(log_id::scope(id, answering).instrument(span))
    }

    /// Answers a call once its request is whole. Until then it has no place.
    #[expect(
        clippy::manual_async_fn,
        reason = "an async fn keeps its arguments twice, and each call under way is made of this"
    )]
    fn answer(
        self: Arc<Self>,
        mut head: Parts,
        body: Incoming,
        connection: Arc<Connection>,
        deadline: Instant,
    ) -> impl Future<Output = Result<Response<Body>, ApiError>> + Send {
        async move {
            if deadline <= Instant::now() {
                return Err(ApiError::deadline_exceeded());
            }
            if let Some(auth) = &self.auth {
                // Boxed: without authentication no call's future grows by it.
                Box::pin(auth.admit(&mut head, deadline)).await?;
            }
            if let Some(rates) = &self.rates {
                let caller = head.extensions.get();
                rates.check(head.uri.path(), caller, connection.peer().ip())?;
            }
            let answers = connection.answers();
            if answers.is_crowded()
                && (answers.holds_much() || connection.open() > CALLS_WHEN_CROWDED)
            {
                let full = ApiError::overloaded("there are too many answers that were not read");
                tally::count("ANSWERS_UNREAD");
                return Err(full.as_callers_doing());
            }
            let bytes_max = if self.large_methods.contains(&head.uri.path()) {
                MESSAGE_BYTES_MAX
            } else {
                body_of::BYTES_MAX
            };
            let body = body_of::whole(body, bytes_max, connection.requests(), deadline).await?;
            let turn = if body.is_large() {
                let turn = self.turn_of_large(deadline, &head, &body).await?;
                head.extensions.insert(turn.clone());
                Some(turn)
            } else {
                None
            };
            let Ok(_place) = self.under_way.try_acquire() else {
                let full = "the server has too many calls under way";
                return Err(ApiError::overloaded(full));
            };
            head.extensions.insert(Context {
                deadline,
                connection: Arc::clone(&connection),
            });
            let request = Request::from_parts(head, Body::new(body));
            let answering = outcome::caught(self.inner.call(request));
            let Ok(response) = timeout_at(deadline, answering).await.map_err(late)?;
            drop(turn);
            Ok(response)
        }
    }

    /// The turn of a call with a large request, which must not take too much memory when it is
    /// decoded.
    async fn turn_of_large(
        &self,
        deadline: Instant,
        head: &Parts,
        body: &body_of::Whole,
    ) -> Result<LargeTurn, ApiError> {
        // It is never closed. In a box, so that small calls do not carry it.
        let acquiring = Arc::clone(&self.large).acquire_owned();
        let turn = Box::pin(timeout_at(deadline, acquiring)).await;
        body.check(|message| self.shapes.allows(head.uri.path(), message))?;
        Ok(LargeTurn(Arc::new(Mutex::new(turn.map_err(late)?.ok()))))
    }
}

fn late(_: Elapsed) -> ApiError {
    ApiError::deadline_exceeded()
}

/// Counts the call when it is dropped: its caller has gone, or reset it.
struct Unanswered;

impl Drop for Unanswered {
    fn drop(&mut self) {
        tally::count("CALL_CANCELLED");
        tracing::debug!("the caller has not waited for the answer");
    }
}

/// An error as the whole answer to a call that does not begin.
pub(crate) fn refused<T>(request: &Request<T>, error: ApiError) -> Response<Body> {
    let id = log_id::of_caller(request.headers());
    let measured = metrics::rpc::Call::begin(request.uri().path());
    let response = log_id::scope_of(id, || {
        outcome::finish(refusal(error), request.uri().path(), false)
    });
    metrics::rpc::Call::answered(measured, response)
}

/// An error as the whole answer.
pub(crate) fn refusal(error: ApiError) -> Response<Body> {
    Status::from(error).into_http()
}

/// The caller's deadline as gRPC over HTTP/2 writes it: up to 8 digits and a unit.
fn caller_timeout(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get("grpc-timeout")?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let amount: u32 = digits.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(u64::from(amount) * 3_600),
        "M" => Duration::from_secs(u64::from(amount) * 60),
        "S" => Duration::from_secs(amount.into()),
        "m" => Duration::from_millis(amount.into()),
        "u" => Duration::from_micros(amount.into()),
        "n" => Duration::from_nanos(amount.into()),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn timeouts_are_read_as_grpc_writes_them() {
        let read = |text: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert("grpc-timeout", HeaderValue::from_static(text));
            caller_timeout(&headers)
        };
        assert_eq!(read("1m"), Some(Duration::from_millis(1)));
        assert_eq!(read("2S"), Some(Duration::from_secs(2)));
        assert_eq!(read("3M"), Some(Duration::from_secs(180)));
        assert_eq!(
            read("99999999H"),
            Some(Duration::from_secs(99_999_999 * 3_600))
        );
        assert_eq!(read("5"), None);
        assert_eq!(read("-5S"), None);
        assert_eq!(read("x"), None);
    }
}
