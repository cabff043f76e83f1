//! The life of one connection: it is served until its client leaves, or until it is time for
//! the connection to close.
//!
//! Closing is polite: the client hears that it should go elsewhere (GOAWAY), and calls under way
//! are finished. A connection without a call is then cut off after [`LINGER`], whatever the
//! client does, so that a silent one does not hold up a stop.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::rt::Executor;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use pin_project_lite::pin_project;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::server::NamedService;

use super::answer::{Pace, Patience, Reading};
use super::budget::Charge;
use super::dispatch::{Dispatch, GrpcService};
use super::places::{Place, Places};
use crate::connection::Connection;
use crate::tally;

/// What a client may send of one body, and of all bodies of a connection, before it is read. They
/// are read as they come, and counted then: this is there beside what is counted while the process
/// is busy. HTTP/2's implementation allows small frames in proportion to the second one, and ends a
/// connection with more: it must do for a frame of each stream.
const STREAM_WINDOW: u32 = 64 * 1024;
const CONNECTION_WINDOW: u32 = 256 * 1024;
/// The least that HTTP/2 allows: what is written to a connection takes turns by the frame.
const FRAME_BYTES_MAX: u32 = 16 * 1024;
/// Tokens and trace ids are in headers; most calls have well under 2 KiB of them.
const HEADER_BYTES_MAX: u32 = 8 * 1024;
/// What of one answer waits in the HTTP/2 stack for the client to read.
const SEND_BYTES_MAX: usize = 64 * 1024;
/// Streams that a client has reset before they were taken up.
const RESET_STREAMS_MAX: usize = 20;
/// Frames of streams that were refused, as the client had begun more than its connection allows,
/// or of none. HTTP/2 keeps a record for each, as if the stream was open. A client with more is
/// cut off; one that begins 64 calls before it has heard of the limit is not.
const STRAY_STREAMS_MAX: usize = 64;
/// How often a silent client is asked whether it is there, and how long it has to answer.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(30);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);

/// How often a connection is looked at: often enough for the times below, and seldom enough
/// that ten thousand of them cost nothing.
const LOOK_INTERVAL: Duration = Duration::from_secs(2);
/// How often a connection is seen with something to read, none of which it takes: for 10 s.
const UNREAD_LOOKS_MAX: u32 = 5;
/// How long a client may take to its first call, handshakes included.
const FIRST_CALL_MAX: Duration = Duration::from_secs(10);
/// How long a connection may be without a call where others need its place.
const IDLE_WHEN_CROWDED: Duration = Duration::from_secs(10);
/// How long a connection on a spare place may last.
const SPARE_MAX: Duration = Duration::from_secs(4);
/// How long a closing connection without a call is left to its client.
const LINGER: Duration = Duration::from_secs(1);

/// How long connections may last.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terms {
    /// Without a call.
    pub(super) idle_max: Duration,
    /// In all, give or take a tenth.
    pub(super) age_max: Duration,
}

/// Serves one connection until it ends, or until `stop` and then as long as calls are under way.
pub(super) async fn serve<I, S>(
    stream: I,
    place: Place,
    connection: Arc<Connection>,
    dispatch: Dispatch<S>,
    mut life: Life,
    stop: CancellationToken,
) where
    I: AsyncRead + AsyncWrite + Unpin + 'static,
    S: GrpcService + NamedService,
{
    let _place = place;
    let builder = builder(&connection);
    let mut http = pin!(builder.serve_connection(TokioIo::new(stream), dispatch));
    loop {
        let look_at = tokio::time::sleep_until(life.look_at);
        tokio::select! {
            biased;
            ended = http.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(peer = %connection.peer(), error, "a connection ended");
                }
                return;
            }
            () = stop.cancelled(), if !life.is_closing() => {
                life.close(Instant::now());
                http.as_mut().graceful_shutdown();
            }
            () = look_at => match life.look(Instant::now(), &connection) {
                Verdict::Goes => {}
                Verdict::Closes(why) => {
                    tracing::debug!(peer = %connection.peer(), why, "closing a connection");
                    http.as_mut().graceful_shutdown();
                }
                Verdict::Ends => return,
            },
        }
    }
}

fn builder(connection: &Arc<Connection>) -> auto::Builder<Streams> {
    let mut builder = auto::Builder::new(Streams(Arc::clone(connection)));
    builder
        .http2()
        .timer(TokioTimer::new())
        .auto_date_header(false)
        .max_concurrent_streams(connection.streams_max())
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_frame_size(FRAME_BYTES_MAX)
        .max_header_list_size(HEADER_BYTES_MAX)
        .max_send_buf_size(SEND_BYTES_MAX)
        .max_pending_accept_reset_streams(RESET_STREAMS_MAX)
        .max_local_error_reset_streams(STRAY_STREAMS_MAX)
        .keep_alive_interval(KEEPALIVE_INTERVAL)
        .keep_alive_timeout(KEEPALIVE_TIMEOUT);
    // It is answered, not served: see `http.rs`.
    builder
        .http1()
        .timer(TokioTimer::new())
        .keep_alive(false)
        .header_read_timeout(FIRST_CALL_MAX);
    builder
}

/// Runs the streams of a connection, and counts them. One that is over the limit is dropped, which
/// resets it: an answer would cost what the limit is there to save.
#[derive(Debug, Clone)]
pub(super) struct Streams(Arc<Connection>);

impl<F> Executor<F> for Streams
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, stream: F) {
        let Some(open) = self.0.begin_stream() else {
            tally::count("STREAM_REFUSED");
            return;
        };
        tokio::spawn(Running {
            stream,
            patience: None,
            _open: open,
        });
    }
}

pin_project! {
    /// A stream that runs until it ends, or its reader is given up.
    struct Running<F> {
        #[pin]
        stream: F,
        patience: Option<Patience>,
        _open: Charge,
    }
}

impl<F: Future<Output = ()>> Future for Running<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let running = self.project();
        let polled = running.stream.poll(cx);
        // Whatever comes of the stream: on this thread another one is polled next.
        if let Some(pace) = Pace::begun() {
            *running.patience = Some(Patience::new(pace));
        }
        match running.patience {
            // At its end the stream is dropped and reset, and what it holds is gone.
            Some(patience) if polled.is_pending() => patience.poll_end(cx),
            _ => polled,
        }
    }
}

/// When a connection is to close.
#[derive(Debug)]
pub(super) struct Life {
    terms: Terms,
    /// The places, if it has an ordinary one; one on a spare place never lasts.
    places: Option<Places>,
    since: Instant,
    age_max: Duration,
    /// When it was last seen with a call, or began to close.
    busy_at: Instant,
    begun: u32,
    reading: Reading,
    closing: bool,
    look_at: Instant,
}

/// What becomes of a connection.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Goes,
    Closes(&'static str),
    Ends,
}

impl Life {
    /// `chance` is 0 to 1: connections that began together should not end together.
    pub(super) fn new(terms: Terms, places: &Places, spare: bool, chance: f64) -> Self {
        let now = Instant::now();
        Self {
            terms,
            places: (!spare).then(|| places.clone()),
            since: now,
            age_max: terms.age_max.mul_f64(0.9 + 0.2 * chance),
            busy_at: now,
            begun: 0,
            reading: Reading::default(),
            closing: false,
            look_at: now + LOOK_INTERVAL,
        }
    }

    fn is_closing(&self) -> bool {
        self.closing
    }

    fn close(&mut self, now: Instant) {
        self.closing = true;
        self.busy_at = now;
        self.look_at = now + LINGER;
    }

    fn look(&mut self, now: Instant, connection: &Connection) -> Verdict {
        let begun = connection.begun();
        if begun != self.begun || connection.open() > 0 {
            self.begun = begun;
            self.busy_at = now;
        }
        if self
            .reading
            .has_stopped(connection.answers(), UNREAD_LOOKS_MAX)
        {
            tally::count("CONNECTION_UNREAD");
            return Verdict::Ends;
        }
        let idle = now.saturating_duration_since(self.busy_at);
        if self.closing {
            self.look_at = now + LINGER;
            return if idle >= LINGER {
                Verdict::Ends
            } else {
                Verdict::Goes
            };
        }
        self.look_at = now + LOOK_INTERVAL;
        match self.why_close(now.saturating_duration_since(self.since), idle) {
            None => Verdict::Goes,
            Some(why) => {
                self.close(now);
                Verdict::Closes(why)
            }
        }
    }

    fn why_close(&self, age: Duration, idle: Duration) -> Option<&'static str> {
        let Some(places) = &self.places else {
            return (age >= SPARE_MAX).then_some("it has a spare place");
        };
        if age >= self.age_max {
            return Some("it is old");
        }
        if self.begun == 0 {
            return (idle >= FIRST_CALL_MAX).then_some("its first call does not come");
        }
        if idle >= self.terms.idle_max {
            return Some("it is idle");
        }
        (idle >= IDLE_WHEN_CROWDED && places.are_crowded())
            .then_some("it is idle, and others need its place")
    }
}
