//! The body of an answer: counted while it is unread, cut into pieces, so that HTTP/2 has little
//! of it in its hands, and given up with its stream if its reader does not take it.
//!
//! What always holds: an answer of more than [`LARGE_BYTES`] has a [`Room`], or is a stream's,
//! whose service has one for what the stream holds. Answers of at most [`SURE_BYTES`] always go
//! out: what they tell may have been done. So they count before the next call is begun.

use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use http::{HeaderMap, Response};
use http_body::{Body as _, Frame, SizeHint};
use tokio::time::{Instant, Sleep};
use tonic::Status;
use tonic::body::Body;

use super::budget::{Charge, Part};
use super::room::Room;
use crate::api_error::ApiError;
use crate::connection::Connection;
use crate::tally;

/// What HTTP/2 gets at once: a frame.
const PIECE_BYTES: usize = 16 * 1024;
/// An answer of at most this always goes out.
const SURE_BYTES: usize = 4 * 1024;
/// An answer of more than this needs a [`Room`].
pub(super) const LARGE_BYTES: usize = 64 * 1024;
/// What an unread answer costs beside its bytes: its stream, task and headers.
const UNREAD_BYTES: usize = 2 * 1024;
/// How long a reader may take nothing.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);
/// What a reader takes within that time at least, if there is so much.
const PACE_BYTES: usize = 256 * 1024;

/// What a connection may have unread whatever others have: an answer of one piece.
pub(super) const UNREAD_MIN: usize = PIECE_BYTES + UNREAD_BYTES;

/// An answer that is being made.
pub(crate) type Answering =
    Pin<Box<dyn Future<Output = Result<Response<Answer>, std::convert::Infallible>> + Send>>;

/// Says that a stream's service bounds what the stream holds of large messages. It goes into the
/// extensions of the response.
#[derive(Debug, Clone, Copy)]
pub struct BoundsItself;

/// The body of an answer.
#[derive(Debug)]
pub(crate) struct Answer {
    body: Body,
    connection: Arc<Connection>,
    bounds_itself: bool,
    room: Option<Arc<Room>>,
    /// What its room lacked.
    more_room: Option<Room>,
    /// What of the message that was encoded last is not cut off yet, and its charge.
    rest: Bytes,
    charge: Option<Charge>,
    pace: Option<Arc<Pace>>,
    /// What comes behind it, if that was there at once.
    next: Option<Result<Frame<Bytes>, Status>>,
}

impl Answer {
    pub(crate) fn new(response: Response<Body>, connection: &Arc<Connection>) -> Response<Self> {
        let (mut head, body) = response.into_parts();
        let answer = Self {
            body,
            connection: Arc::clone(connection),
            bounds_itself: head.extensions.get::<BoundsItself>().is_some(),
            room: head.extensions.remove::<Arc<Room>>(),
            more_room: None,
            rest: Bytes::new(),
            charge: None,
            pace: None,
            next: None,
        };
        Response::from_parts(head, answer)
    }

    /// Begins to send a message, if there is room for it.
    fn begin(&mut self, message: Bytes) -> bool {
        let part = self.connection.answers();
        let bytes = message.len();
        self.charge = if bytes <= SURE_BYTES {
            Some(part.charge_anyway(bytes + UNREAD_BYTES))
        } else if bytes <= LARGE_BYTES {
            let Some(charge) = part.charge(bytes + UNREAD_BYTES) else {
                return false;
            };
            Some(charge)
        } else {
            if !self.bounds_itself && !self.find_room(bytes) {
                return false;
            }
            None
        };
        if bytes > PIECE_BYTES {
            self.pace.get_or_insert_with(Pace::begin);
        }
        if let Some(pace) = &self.pace {
            pace.unread.fetch_add(bytes, Ordering::Relaxed);
        }
        self.rest = message;
        true
    }

    /// Finds what room is missing for so many bytes.
    fn find_room(&mut self, bytes: usize) -> bool {
        let missing = bytes.saturating_sub(self.room.as_ref().map_or(0, |room| room.bytes()));
        if missing > 0 {
            self.more_room = self.connection.rooms().try_take(missing);
        }
        missing == 0 || self.more_room.is_some()
    }

    /// The next piece. It is a copy: a slice would keep all of the message until it is sent.
    fn piece(&mut self) -> Option<Piece> {
        if self.rest.is_empty() {
            return None;
        }
        let bytes = self.rest.len().min(PIECE_BYTES);
        let piece = Bytes::copy_from_slice(&self.rest[..bytes]);
        self.rest.advance(bytes);
        let charge = if self.rest.is_empty() {
            self.rest = Bytes::new();
            self.charge.take()
        } else {
            self.charge.as_mut().map(|charge| charge.split(bytes))
        };
        Some(Piece {
            bytes: piece,
            length: bytes,
            pace: self.pace.clone(),
            _charge: charge,
        })
    }

    fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let polled = ready!(Pin::new(&mut self.body).poll_frame(cx));
        if !matches!(&polled, Some(Ok(frame)) if frame.is_data()) {
            // With it goes the buffer that it was encoded into.
            self.body = Body::empty();
        }
        Poll::Ready(polled)
    }

    /// Gives the answer up, and says so instead.
    fn refuse(&mut self) -> Result<Frame<Piece>, Status> {
        self.body = Body::empty();
        self.next = None;
        tally::count("ANSWER_BYTES");
        let full = ApiError::overloaded("there are too many bytes of answers that were not read");
        let mut trailers = HeaderMap::new();
        Status::from(full.as_callers_doing()).add_header(&mut trailers)?;
        Ok(Frame::trailers(trailers))
    }
}

impl http_body::Body for Answer {
    type Data = Piece;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Piece>, Status>>> {
        loop {
            if let Some(piece) = self.piece() {
                return Poll::Ready(Some(Ok(Frame::data(piece))));
            }
            let next = match self.next.take() {
                Some(next) => next,
                None => match ready!(self.poll_body(cx)) {
                    Some(next) => next,
                    None => return Poll::Ready(None),
                },
            };
            let message = match next.map(Frame::into_data) {
                Err(error) => return Poll::Ready(Some(Err(error))),
                Ok(Err(frame)) => {
                    let trailers = frame.into_trailers();
                    let trailers = trailers.unwrap_or_else(|_| HeaderMap::new());
                    return Poll::Ready(Some(Ok(Frame::trailers(trailers))));
                }
                Ok(Ok(message)) => message,
            };
            let is_small = message.len() <= PIECE_BYTES;
            if !self.begin(message) {
                return Poll::Ready(Some(self.refuse()));
            }
            // What ends with a small message ends now: its encoder has a buffer of 8 KiB. Behind
            // a large one nothing is asked for: there may be another one.
            if is_small && let Poll::Ready(Some(next)) = self.poll_body(cx) {
                self.next = Some(next);
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.next.is_none() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A piece of an answer. It counts until HTTP/2 has written it, or given it up.
#[derive(Debug)]
pub(crate) struct Piece {
    bytes: Bytes,
    length: usize,
    pace: Option<Arc<Pace>>,
    _charge: Option<Charge>,
}

impl Buf for Piece {
    fn remaining(&self) -> usize {
        self.bytes.remaining()
    }

    fn chunk(&self) -> &[u8] {
        self.bytes.chunk()
    }

    fn advance(&mut self, count: usize) {
        self.bytes.advance(count);
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        if let Some(pace) = &self.pace {
            pace.taken.fetch_add(self.length, Ordering::Relaxed);
        }
    }
}

/// How an answer of several pieces is taken: bytes that were ever there, and that were taken.
#[derive(Debug, Default)]
pub(super) struct Pace {
    unread: AtomicUsize,
    taken: AtomicUsize,
}

thread_local! {
    /// The pace that the stream which is being polled has begun.
    static BEGUN: Cell<Option<Arc<Pace>>> = const { Cell::new(None) };
}

impl Pace {
    fn begin() -> Arc<Self> {
        let pace = Arc::new(Self::default());
        BEGUN.set(Some(Arc::clone(&pace)));
        pace
    }

    /// The pace that was begun since this was last called on this thread.
    pub(super) fn begun() -> Option<Arc<Self>> {
        BEGUN.take()
    }

    /// What is unread, and what was ever taken.
    fn now(&self) -> (usize, usize) {
        let taken = self.taken.load(Ordering::Relaxed);
        (self.unread.load(Ordering::Relaxed) - taken, taken)
    }
}

/// Waits until a reader has twice not taken what it should have: once may be a process, ours or
/// its, that stood still.
#[derive(Debug)]
pub(super) struct Patience {
    pace: Arc<Pace>,
    sleep: Pin<Box<Sleep>>,
    unread: usize,
    taken: usize,
    is_slow: bool,
}

impl Patience {
    pub(super) fn new(pace: Arc<Pace>) -> Self {
        let (unread, taken) = pace.now();
        Self {
            pace,
            sleep: Box::pin(tokio::time::sleep(PATIENCE / 2)),
            unread,
            taken,
            is_slow: false,
        }
    }

    pub(super) fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            ready!(self.sleep.as_mut().poll(cx));
            let (unread, taken) = self.pace.now();
            let was_slow = self.is_slow;
            self.is_slow = taken - self.taken < self.unread.min(PACE_BYTES / 2);
            if was_slow && self.is_slow {
                tally::count("ANSWER_UNREAD");
                return Poll::Ready(());
            }
            (self.unread, self.taken) = (unread, taken);
            self.sleep.as_mut().reset(Instant::now() + PATIENCE / 2);
        }
    }
}

/// How a connection takes what it has to read.
#[derive(Debug, Default)]
pub(super) struct Reading {
    returns: usize,
    looks: u32,
}

impl Reading {
    /// Whether it has taken nothing while it was looked at so many times.
    pub(super) fn has_stopped(&mut self, answers: &Part, looks_max: u32) -> bool {
        let returns = answers.returns();
        if answers.held() == 0 || returns != self.returns {
            self.returns = returns;
            self.looks = 0;
        } else {
            self.looks += 1;
        }
        self.looks >= looks_max
    }
}

#[cfg(test)]
mod tests {
    use super::super::budget::Budget;
    use super::*;

    fn connection() -> Arc<Connection> {
        let part = || Part::new(&Budget::new(1_000_000), 0..=usize::MAX, Arc::default());
        let bytes = super::super::ConnectionBytes {
            kept: part(),
            streams: part(),
            requests: part(),
            questions: part(),
            answers: part(),
            rooms: super::super::Rooms::new(1_000_000),
        };
        let peer = std::net::SocketAddr::from(([127, 0, 0, 1], 1));
        Arc::new(Connection::new(peer, bytes))
    }

    /// An answer with these messages, and trailers.
    fn answer<const N: usize>(
        connection: &Arc<Connection>,
        messages: [usize; N],
    ) -> Response<Answer> {
        let data = messages.map(|bytes| Ok::<_, Status>(Frame::data(Bytes::from(vec![7; bytes]))));
        let trailers = Ok(Frame::trailers(HeaderMap::new()));
        let frames = data.into_iter().chain([trailers]);
        let body = http_body_util::StreamBody::new(futures_util::stream::iter(frames));
        Answer::new(Response::new(Body::new(body)), connection)
    }

    async fn next(answer: &mut Answer) -> Option<Frame<Piece>> {
        let next = std::future::poll_fn(|cx| Pin::new(&mut *answer).poll_frame(cx)).await;
        next.map(|frame| frame.expect("a frame"))
    }

    #[tokio::test]
    async fn an_answer_counts_until_its_pieces_are_written() {
        let connection = connection();
        let mut answer = answer(&connection, [40_000, 10]).into_body();
        let mut pieces = Vec::new();
        let mut bytes = 0;
        while let Some(Ok(piece)) = next(&mut answer).await.map(Frame::into_data) {
            assert!(piece.remaining() <= PIECE_BYTES);
            bytes += piece.remaining();
            pieces.push(piece);
        }
        assert_eq!((bytes, pieces.len()), (40_010, 4));
        let pace = Arc::clone(answer.pace.as_ref().expect("it has several pieces"));
        assert_eq!(pace.now(), (40_010, 0));
        assert_eq!(connection.answers().held(), 40_010 + 2 * UNREAD_BYTES);
        drop(pieces);
        assert_eq!(pace.now(), (0, 40_010));
        assert_eq!(connection.answers().held(), 0);
    }

    #[tokio::test]
    async fn an_answer_that_there_is_no_room_for_is_an_error_instead() {
        let connection = connection();
        let mut large = answer(&connection, [700_000]).into_body();
        assert!(next(&mut large).await.expect("a frame").is_data());
        let mut other = answer(&connection, [700_000]).into_body();
        let told = next(&mut other).await.expect("a frame");
        let trailers = told.into_trailers().expect("trailers");
        let status = Status::from_header_map(&trailers).expect("a status");
        assert_eq!(status.code(), tonic::Code::Unavailable);
        assert!(next(&mut other).await.is_none());
        drop(large);
        let mut other = answer(&connection, [700_000]).into_body();
        assert!(next(&mut other).await.expect("a frame").is_data());
        // What is small always goes out.
        let _full = connection.answers().charge_anyway(2_000_000);
        let mut small = answer(&connection, [1_000]).into_body();
        assert!(next(&mut small).await.expect("a frame").is_data());
    }

    async fn ends(patience: &mut Patience) {
        std::future::poll_fn(|cx| patience.poll_end(cx)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_is_given_up_when_it_falls_behind_and_not_before() {
        let pace = Arc::new(Pace::default());
        pace.unread.store(4 << 20, Ordering::Relaxed);
        let mut patience = Patience::new(Arc::clone(&pace));
        let began = Instant::now();
        for _ in 0..20 {
            let waited = tokio::time::timeout(PATIENCE / 2, ends(&mut patience)).await;
            assert!(waited.is_err(), "it reads");
            pace.taken.fetch_add(PACE_BYTES / 2, Ordering::Relaxed);
        }
        ends(&mut patience).await;
        assert!(began.elapsed() >= 11 * PATIENCE, "{:?}", began.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_that_has_nothing_to_read_is_not_slow() {
        let pace = Arc::new(Pace::default());
        let mut patience = Patience::new(Arc::clone(&pace));
        let waited = tokio::time::timeout(PATIENCE * 10, ends(&mut patience)).await;
        assert!(waited.is_err());
        pace.unread.store(1, Ordering::Relaxed);
        ends(&mut patience).await;
    }

    #[test]
    fn a_connection_has_stopped_if_it_has_something_to_read_and_takes_nothing() {
        let part = Part::new(&Budget::new(1_000), 0..=usize::MAX, Arc::default());
        let mut reading = Reading::default();
        let mut looks = |count: u32| (0..count).any(|_| reading.has_stopped(&part, 5));
        assert!(!looks(10), "there is nothing to read");
        let _unread = part.charge_anyway(10);
        assert!(!looks(4));
        drop(part.charge_anyway(10));
        assert!(!looks(5), "it has taken something");
        assert!(looks(1));
    }
}
