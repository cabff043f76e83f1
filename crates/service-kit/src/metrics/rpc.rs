//! Calls, by OpenTelemetry's semantic conventions as Prometheus names them; and their errors, by the
//! contract's reasons.
//!
//! Every label is one of the contract's: methods of its descriptors, codes of gRPC, reasons of its
//! enum. Whatever a stranger calls beside what is served here is `_OTHER`.

use std::borrow::Cow;
use std::collections::HashMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{LazyLock, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::Instant;

use bytes::Bytes;
use http::Response;
use http_body::{Frame, SizeHint};
use prost::Message as _;
use prost_types::FileDescriptorSet;
use tonic::body::Body;
use tonic::{Code, Status};

use super::page::Page;
use super::value::{Counter, Histogram};
use super::{LATENCY, now};

/// A method that is not the contract's, or not served here.
const OTHER: &str = "_OTHER";
/// The codes of gRPC, as it numbers them.
const CODES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];
const REASONS: &str = "ErrorReason";
const REASON_PREFIX: &str = "ERROR_REASON_";

static CONTRACT: LazyLock<Contract> = LazyLock::new(Contract::read);

/// The methods and reasons of the contract.
#[derive(Debug)]
struct Contract {
    /// By their paths.
    methods: HashMap<String, Method>,
    other: Method,
    reasons: HashMap<String, Counter>,
}

/// A method, and its calls by their code. A code has no series before the first call.
#[derive(Debug)]
struct Method {
    name: String,
    is_streaming: bool,
    is_served: AtomicBool,
    by_code: [OnceLock<Box<Histogram>>; CODES.len()],
}

impl Contract {
    fn read() -> Self {
        // It was made with this code.
        let files = FileDescriptorSet::decode(proto::DESCRIPTOR_SET).unwrap_or_default();
        let mut methods = HashMap::new();
        let mut reasons = HashMap::new();
        for file in &files.file {
            for service in &file.service {
                for method in &service.method {
                    let name = format!("{}.{}/{}", file.package(), service.name(), method.name());
                    let path = format!("/{name}");
                    methods.insert(path, Method::new(name, method.server_streaming()));
                }
            }
            let enums = file.enum_type.iter();
            for reason in enums
                .filter(|it| it.name() == REASONS)
                .flat_map(|it| &it.value)
            {
                let name = reason.name();
                let name = name.strip_prefix(REASON_PREFIX).unwrap_or(name);
                reasons.insert(name.to_owned(), Counter::new());
            }
        }
        Self {
            methods,
            other: Method::new(OTHER.to_owned(), false),
            reasons,
        }
    }
}

impl Method {
    fn new(name: String, is_streaming: bool) -> Self {
        Self {
            name,
            is_streaming,
            is_served: AtomicBool::new(false),
            by_code: [const { OnceLock::new() }; CODES.len()],
        }
    }

    fn of(path: &str) -> &'static Self {
        let contract = &*CONTRACT;
        let served = contract.methods.get(path);
        let served = served.filter(|method| method.is_served.load(Ordering::Relaxed));
        served.unwrap_or(&contract.other)
    }
}

/// A call that is being answered. Dropped without an end it counts as CANCELLED: its caller has gone.
#[derive(Debug)]
pub(crate) struct Call {
    method: &'static Method,
    began: Instant,
}

impl Call {
    /// A call of the method at `path` begins; none while metrics are off.
    pub(crate) fn begin(path: &str) -> Option<Self> {
        Some(Self {
            began: now()?,
            method: Method::of(path),
        })
    }

    /// A call is answered, one that is measured perhaps. A stream has not ended with that: it is
    /// measured until it does.
    pub(crate) fn answered(call: Option<Self>, response: Response<Body>) -> Response<Body> {
        match call {
            Some(call) => call.follow(response),
            None => response,
        }
    }

    fn follow(self, response: Response<Body>) -> Response<Body> {
        let status = response.extensions().get::<Status>().map(Status::code);
        let status = status.or_else(|| code_of(response.headers()));
        if let Some(code) = status {
            self.end(code);
            return response;
        }
        if !self.method.is_streaming {
            self.end(Code::Ok);
            return response;
        }
        response.map(|body| {
            Body::new(Measured {
                body,
                call: Some(self),
            })
        })
    }

    fn end(self, code: Code) {
        self.count(code);
        std::mem::forget(self);
    }

    fn count(&self, code: Code) {
        let Some(by_code) = self.method.by_code.get(code as usize) else {
            return;
        };
        let calls = by_code.get_or_init(|| Box::new(Histogram::new(LATENCY)));
        calls.observe_time(self.began.elapsed());
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.count(Code::Cancelled);
    }
}

fn code_of(headers: &http::HeaderMap) -> Option<Code> {
    let code = headers.get(Status::GRPC_STATUS)?;
    Some(Code::from_bytes(code.as_bytes()))
}

/// The messages of a stream, which end with its code.
#[derive(Debug)]
struct Measured {
    body: Body,
    call: Option<Call>,
}

impl http_body::Body for Measured {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        let code = match &frame {
            Some(Ok(frame)) => frame
                .trailers_ref()
                .map(|it| code_of(it).unwrap_or(Code::Ok)),
            Some(Err(status)) => Some(status.code()),
            None => Some(Code::Ok),
        };
        if let Some(code) = code
            && let Some(call) = self.call.take()
        {
            call.end(code);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Has the methods of these services measured by their names.
pub(crate) fn serve(services: &[&str]) {
    for method in CONTRACT.methods.values() {
        let service = method.name.split('/').next().unwrap_or_default();
        if services.contains(&service) {
            method.is_served.store(true, Ordering::Relaxed);
        }
    }
}

/// Counts an error of the contract.
pub(crate) fn refused(reason: &str) {
    if super::is_on()
        && let Some(count) = CONTRACT.reasons.get(reason)
    {
        count.increment();
    }
}

/// Writes calls and errors.
pub(super) fn collect(page: &mut Page) {
    let contract = &*CONTRACT;
    for method in contract.methods.values().chain([&contract.other]) {
        for (code, calls) in CODES.into_iter().zip(&method.by_code) {
            if let Some(calls) = calls.get() {
                collect_calls(page, &method.name, code, calls);
            }
        }
    }
    for (reason, count) in &contract.reasons {
        let labels = vec![("reason", Cow::Owned(reason.clone()))];
        page.count(
            "ticketing_errors_total",
            "Errors that calls were answered, by the contract's reason",
            labels,
            count.get(),
        );
    }
}

fn collect_calls(page: &mut Page, method: &str, code: &'static str, calls: &Histogram) {
    let mut labels = vec![
        ("rpc_method", Cow::Owned(method.to_owned())),
        ("rpc_response_status_code", Cow::Borrowed(code)),
        ("rpc_system_name", Cow::Borrowed("grpc")),
    ];
    if is_fault(code) {
        labels.push(("error_type", Cow::Borrowed(code)));
    }
    page.histogram_of(
        "rpc_server_call_duration_seconds",
        "How long calls took, streams until their end",
        labels,
        calls,
    );
}

/// Whether a code says that the server has failed, by the conventions; the others are about the call.
fn is_fault(code: &str) -> bool {
    matches!(
        code,
        "UNKNOWN"
            | "DEADLINE_EXCEEDED"
            | "UNIMPLEMENTED"
            | "INTERNAL"
            | "UNAVAILABLE"
            | "DATA_LOSS"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const RESERVE: &str = "/ticketing.booking.v1.BookingService/ReserveSeats";
    const WATCH: &str = "/ticketing.catalog.v1.CatalogService/WatchShows";

    #[test]
    fn codes_are_named_by_their_numbers() {
        for (number, name) in CODES.into_iter().enumerate() {
            let number = i32::try_from(number).expect("small");
            let camel = format!("{:?}", Code::from(number)).to_lowercase();
            assert_eq!(name.replace('_', "").to_lowercase(), camel);
        }
    }

    #[test]
    fn only_the_contracts_methods_and_reasons_have_series() {
        serve_all();
        assert_eq!(Method::of(RESERVE).name, RESERVE[1..]);
        assert!(Method::of(WATCH).is_streaming && !Method::of(RESERVE).is_streaming);
        let known = CONTRACT.methods.len();
        for path in [
            "",
            "/",
            "/ticketing.x/Y",
            "/ticketing.booking.v1.BookingService/Reserve",
        ] {
            assert_eq!(Method::of(path).name, OTHER, "{path}");
        }
        assert_eq!(CONTRACT.methods.len(), known);
        let elsewhere = "/ticketing.expiry.v1.ExpiryService/RunOnce";
        assert!(CONTRACT.methods.contains_key(elsewhere));
        assert_eq!(Method::of(elsewhere).name, OTHER, "it is not served here");
        assert!(
            CONTRACT.reasons.contains_key("SEATS_UNAVAILABLE"),
            "{:?}",
            CONTRACT.reasons
        );
        assert!(!CONTRACT.reasons.contains_key(""));
    }

    fn serve_all() {
        serve(&[
            "ticketing.booking.v1.BookingService",
            "ticketing.catalog.v1.CatalogService",
        ]);
    }

    fn call(path: &str) -> Call {
        let (method, began) = (Method::of(path), Instant::now());
        Call { method, began }
    }

    fn count(path: &str, code: Code) -> u64 {
        let calls = Method::of(path).by_code[code as usize].get();
        calls.map_or(0, |calls| calls.count())
    }

    #[tokio::test]
    async fn a_call_counts_once_under_how_it_ended_and_a_stream_at_its_end() {
        use http_body_util::BodyExt as _;

        serve_all();
        let counts =
            || [Code::Ok, Code::Cancelled, Code::NotFound].map(|code| count(RESERVE, code));
        drop(call(RESERVE).follow(Response::new(Body::empty())));
        assert_eq!(counts(), [1, 0, 0]);
        drop(call(RESERVE));
        assert_eq!(counts(), [1, 1, 0]);
        drop(call(RESERVE).follow(Status::not_found("").into_http()));
        assert_eq!(counts(), [1, 1, 1]);

        let mut trailers = http::HeaderMap::new();
        trailers.insert(Status::GRPC_STATUS, http::HeaderValue::from_static("14"));
        let stream = |trailers| {
            let frames = futures_util::stream::iter([Ok::<_, Status>(Frame::trailers(trailers))]);
            let body = http_body_util::StreamBody::new(frames);
            call(WATCH).follow(Response::new(Body::new(body)))
        };
        let ended = stream(trailers.clone());
        assert_eq!(count(WATCH, Code::Unavailable), 0, "it has only begun");
        let _ = ended.into_body().collect().await;
        assert_eq!(count(WATCH, Code::Unavailable), 1);
        drop(stream(trailers));
        assert_eq!(
            [
                count(WATCH, Code::Cancelled),
                count(WATCH, Code::Unavailable)
            ],
            [1, 1]
        );
    }
}
