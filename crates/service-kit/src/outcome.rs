//! How a call ended: errors that tonic makes get the contract's details, and what is a fault of
//! ours is logged, under the log id in the caller's error.
//!
//! What callers do wrong is no line of its own above level debug, else a stranger could fill the
//! log; it is counted ([`crate::tally`]).

use std::convert::Infallible;
use std::error::Error as _;
use std::future::Future;
use std::panic::AssertUnwindSafe;

use futures_util::FutureExt as _;
use http::Response;
use proto::errors::v1::ErrorReason;
use tonic::body::Body;
use tonic::{Code, Status};

use crate::api_error::{ApiError, Origin};
use crate::{log_id, metrics, tally};

/// What gRPC's specification of compression has a server say with UNIMPLEMENTED.
const ACCEPT_ENCODING: &str = "grpc-accept-encoding";
/// The only encoding that is served: a small body of another could be a large one.
const IDENTITY: &str = "identity";

/// The answer of a handler, and INTERNAL if it panics: that ends its own call and nothing else.
pub(crate) fn caught<F>(handler: F) -> impl Future<Output = Result<Response<Body>, Infallible>>
where
    F: Future<Output = Result<Response<Body>, Infallible>>,
{
    // What a handler shares with others is behind locks, which are taken over when they are
    // poisoned, and it is dropped here.
    let handled = AssertUnwindSafe(handler).catch_unwind();
    handled.map(|handled| {
        handled.unwrap_or_else(|_| Ok(Status::from(ApiError::panicked()).into_http()))
    })
}

/// The answer to a call of `method`, with the contract's details if it is an error, and logged.
/// `has_own_deadline` says whether the caller's deadline was earlier than the server's.
pub(crate) fn finish(
    response: Response<Body>,
    method: &str,
    has_own_deadline: bool,
) -> Response<Body> {
    let made = response.extensions().get::<Status>();
    if let Some(status) = made.filter(|status| origin(status).is_some()) {
        count(status);
        log(method, status, has_own_deadline);
        return response;
    }
    // What generated code refuses, it writes into the headers.
    let Some(status) = Status::from_header_map(response.headers()) else {
        // OK, or a stream that has begun.
        tracing::debug!("answered");
        return response;
    };
    let is_encoded = response.headers().contains_key(ACCEPT_ENCODING);
    let (why, status) = (
        status.message().to_owned(),
        Status::from(of_tonic(&status, is_encoded)),
    );
    let reason = origin(&status).map_or("", |origin| origin.reason);
    count(&status);
    tally::count(reason);
    tracing::debug!(code = ?status.code(), reason, why, "a call that cannot be read");
    let mut response = status.into_http();
    if is_encoded {
        let only = http::HeaderValue::from_static(IDENTITY);
        response.headers_mut().insert(ACCEPT_ENCODING, only);
    }
    response
}

/// Logs the error that ends a stream; the call itself was answered when it began.
pub fn log_end_of_stream(method: &str, status: &Status) {
    count(status);
    log(method, status, false);
}

fn count(status: &Status) {
    metrics::rpc::refused(origin(status).map_or("", |origin| origin.reason));
}

fn origin(status: &Status) -> Option<&Origin> {
    status.source()?.downcast_ref()
}

/// What tonic answers by itself is all about what came: nothing reached a handler.
fn of_tonic(status: &Status, is_encoded: bool) -> ApiError {
    match status.code() {
        Code::OutOfRange => ApiError::new(
            Code::InvalidArgument,
            ErrorReason::MessageTooLarge,
            status.message().to_owned(),
        ),
        Code::Unimplemented if is_encoded => ApiError::new(
            Code::Unimplemented,
            ErrorReason::UnsupportedEncoding,
            "compressed messages are not read; send them as they are (grpc-encoding: identity)",
        ),
        Code::Unimplemented => ApiError::new(
            Code::Unimplemented,
            ErrorReason::UnknownMethod,
            "no such method",
        ),
        Code::Internal => ApiError::new(
            Code::InvalidArgument,
            ErrorReason::MalformedMessage,
            "the message is no valid encoding of the request's type",
        ),
        // The stream was reset, or its connection ended.
        _ => ApiError::new(
            Code::Cancelled,
            ErrorReason::CallCancelled,
            "the request was broken off",
        ),
    }
}

/// One line for an error: a warning, or an error of the log too, if it is for somebody here to
/// look into. Each has a line of its own in the code, so that no kind hides another when their
/// number is limited.
fn log(method: &str, status: &Status, has_own_deadline: bool) {
    let Some(origin) = origin(status) else { return };
    let (code, reason, id) = (status.code(), origin.reason, log_id::current());
    let cause = origin.cause.as_deref().unwrap_or_default();
    match code {
        _ if origin.is_quiet => {}
        Code::Internal | Code::Unknown | Code::DataLoss => {
            tracing::error!(log_id = id, method, ?code, reason, cause, "a call failed");
            return;
        }
        Code::DeadlineExceeded if !has_own_deadline => {
            tracing::warn!(
                log_id = id,
                method,
                ?code,
                reason,
                cause,
                "a call took too long"
            );
            return;
        }
        Code::Unavailable if reason == "OVERLOADED" => {
            let message = status.message();
            tracing::warn!(
                log_id = id,
                method,
                ?code,
                reason,
                message,
                "a call was shed"
            );
            return;
        }
        Code::Unavailable if reason != "SHUTTING_DOWN" => {
            tracing::warn!(
                log_id = id,
                method,
                ?code,
                reason,
                cause,
                "a call was in vain"
            );
            return;
        }
        _ => {}
    }
    // The message may quote what the caller sent.
    tracing::debug!(log_id = id, method, ?code, reason, cause, "refused");
}
