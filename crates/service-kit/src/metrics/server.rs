//! The port that Prometheus reads: `GET /metrics` over HTTP/1, and nothing else.
//!
//! What always holds: whoever reads it, however slowly or often, takes a bounded number of
//! connections, each for a bounded time, and has the page made a few times a second at most, on a
//! thread that serves no calls.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::{Mutex, Semaphore};
use tokio::task::spawn_blocking;
use tokio::time::{sleep, timeout};

use super::render;

/// Where the metrics are.
const PATH: &str = "/metrics";
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// The most connections at once: a few Prometheus servers, and somebody who looks.
const CONNECTIONS_MAX: usize = 8;
/// How long a connection may take, from its beginning until its answer has been read. It serves one
/// request.
const CONNECTION_TIME_MAX: Duration = Duration::from_secs(10);
/// How long the headers of a request may take.
const HEADER_TIME_MAX: Duration = Duration::from_secs(5);
/// The most bytes of a request's headers; also what hyper reads and writes at once.
const HEADER_BYTES_MAX: usize = 8 * 1024;
/// The most headers of a request.
const HEADERS_MAX: usize = 32;
/// How old a page may be: those who ask in quick succession get the same one.
const PAGE_AGE_MAX: Duration = Duration::from_millis(200);
/// How long nothing is accepted after an accept has failed.
const PAUSE: Duration = Duration::from_millis(100);

/// The page that was made last, and when.
type Last = Arc<Mutex<Option<(Instant, Bytes)>>>;

/// Serves the metrics until it is dropped.
pub(crate) async fn serve(listener: TcpListener) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let last = Last::default();
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            sleep(PAUSE).await;
            continue;
        };
        // Beyond the limit a connection is closed: a scrape that fails is seen by who made it.
        if let Ok(place) = Arc::clone(&places).try_acquire_owned() {
            let last = Arc::clone(&last);
            tokio::spawn(async move {
                let _place = place;
                let _ = timeout(CONNECTION_TIME_MAX, answer_one(stream, last)).await;
            });
        }
    }
}

/// Answers the one request of a connection.
async fn answer_one<I>(stream: I, last: Last)
where
    I: AsyncRead + AsyncWrite + Unpin,
{
    let service = service_fn(|request: Request<Incoming>| answer(request, Arc::clone(&last)));
    let served = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .keep_alive(false)
        .header_read_timeout(HEADER_TIME_MAX)
        .max_buf_size(HEADER_BYTES_MAX)
        .max_headers(HEADERS_MAX)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "a connection for metrics ended");
    }
}

async fn answer(
    request: Request<Incoming>,
    last: Last,
) -> Result<Response<Full<Bytes>>, Infallible> {
    if request.uri().path() != PATH {
        let why = "the metrics are at /metrics, and nothing else is here\n";
        return Ok(text(StatusCode::NOT_FOUND, why.into()));
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut answer = text(
            StatusCode::METHOD_NOT_ALLOWED,
            "metrics are read by GET\n".into(),
        );
        let headers = answer.headers_mut();
        headers.insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return Ok(answer);
    }
    let Some(page) = page(&last).await else {
        let why = "the metrics cannot be read; the log says why\n";
        return Ok(text(StatusCode::INTERNAL_SERVER_ERROR, why.into()));
    };
    let mut answer = text(StatusCode::OK, page);
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(OPEN_METRICS));
    Ok(answer)
}

/// The page; none if a collector panicked. One is made at a time, and others wait for it.
async fn page(last: &Last) -> Option<Bytes> {
    let mut last = last.lock().await;
    if let Some((made, page)) = &*last
        && made.elapsed() < PAGE_AGE_MAX
    {
        return Some(page.clone());
    }
    let page = Bytes::from(spawn_blocking(render).await.ok()?);
    *last = Some((Instant::now(), page.clone()));
    Some(page)
}

fn text(status: StatusCode, text: Bytes) -> Response<Full<Bytes>> {
    let mut answer = Response::new(Full::new(text));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    answer
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpStream;

    use super::*;

    async fn start() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        tokio::spawn(serve(listener));
        address
    }

    /// What is answered to bytes; nothing if the connection is closed without an answer.
    async fn ask(address: SocketAddr, bytes: &str) -> String {
        let mut stream = TcpStream::connect(address).await.expect("it listens");
        let _ = stream.write_all(bytes.as_bytes()).await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8(answer).expect("text")
    }

    #[tokio::test]
    async fn it_serves_the_metrics_and_nothing_else() {
        let address = start().await;
        let status = async |head: &str| {
            let answer = ask(address, &format!("{head} HTTP/1.1\r\nhost: x\r\n\r\n")).await;
            answer.split(' ').nth(1).unwrap_or_default().to_owned()
        };
        assert_eq!(status("GET /metrics").await, "200");
        assert_eq!(status("GET /metrics?name=x").await, "200");
        assert_eq!(status("HEAD /metrics").await, "200");
        for path in [
            "/",
            "/metrics/",
            "//metrics",
            "/healthz",
            "/debug/pprof",
            "*",
        ] {
            assert_eq!(status(&format!("GET {path}")).await, "404", "{path}");
        }
        for method in ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PURGE"] {
            assert_eq!(
                status(&format!("{method} /metrics")).await,
                "405",
                "{method}"
            );
        }
        let page = ask(address, "GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n").await;
        assert!(
            page.contains(OPEN_METRICS) && page.ends_with("# EOF\n"),
            "{page}"
        );
        assert!(page.contains("connection: close"), "{page}");
        let many = "a: b\r\n".repeat(HEADERS_MAX + 1);
        let large = format!("a: {}\r\n", "x".repeat(2 * HEADER_BYTES_MAX));
        for headers in [many, large] {
            let answer = ask(address, &format!("GET /metrics HTTP/1.1\r\n{headers}\r\n")).await;
            assert!(!answer.contains("200 OK"), "{answer}");
        }
        let h2 = ask(address, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
        assert!(!h2.contains("200 OK"), "{h2}");
    }

    #[tokio::test(start_paused = true)]
    async fn those_who_read_nothing_give_their_places_back() {
        let address = start().await;
        let mut silent = Vec::new();
        for _ in 0..CONNECTIONS_MAX {
            silent.push(TcpStream::connect(address).await.expect("it listens"));
        }
        // The clock goes on by itself while everything waits: their time passes at once.
        let mut bytes = [0; 64];
        for stream in &mut silent {
            let _ = stream.read(&mut bytes).await;
        }
        drop(silent);
        let page = ask(address, "GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n").await;
        assert!(page.contains("200 OK"), "{page}");
    }
}
