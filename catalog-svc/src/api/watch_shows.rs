//! WatchShows, and the part that it shares with FollowShows: the stream that a reader reads, and
//! its admission.

use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::Stream;
use proto::catalog::v1 as pb;
use proto::catalog::v1::watch_shows_response::Change;
use service_kit::server::{BoundsItself, Room, Rooms};
use service_kit::{ApiError, log_id, outcome};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;
use tonic::{Response, Status};
use tracing::Instrument as _;

use super::watcher::{FeedMessage, Sent, WatchLimits, Watcher};
use super::{CatalogApi, convert};
use crate::domain::{Cursor, Entry, FeedPosition};
use crate::store::{Reader, Store, StoreError};

/// How many entries wait for a reader besides the one that it is reading. Their page is
/// bounded, and more of them would only be outdated.
const ENTRIES_WAITING_MAX: usize = 1;

/// The entries of one stream, and the status that ends it.
///
/// The final status is sent at once: entries that still wait for the reader are dropped, since it
/// will resume from the last one that it has.
#[derive(Debug)]
pub struct Entries<M> {
    entries: mpsc::Receiver<Sent>,
    /// None after the end.
    end: Option<oneshot::Receiver<Status>>,
    /// The room of the entry that the reader has not taken yet.
    in_hand: Option<Arc<Room>>,
    messages: PhantomData<fn() -> M>,
}

impl<M> Entries<M> {
    /// The answer that they are. It needs no room of the server: it has one for each page.
    pub(super) fn respond(self) -> Response<Self> {
        let mut response = Response::new(self);
        response.extensions_mut().insert(BoundsItself);
        response
    }
}

/// The parts of a stream.
pub(super) struct Opening {
    pub(super) store: Arc<Store>,
    pub(super) reader: Reader,
    /// Its share of the memory for large shows.
    pub(super) rooms: Rooms,
    pub(super) newest: watch::Receiver<i64>,
    pub(super) limits: WatchLimits,
    /// A place for each stream.
    pub(super) places: Arc<Semaphore>,
    pub(super) stop: CancellationToken,
}

pub(super) async fn handle(
    api: &CatalogApi,
    request: pb::WatchShowsRequest,
    rooms: Rooms,
) -> Result<Entries<pb::WatchShowsResponse>, ApiError> {
    let after = request.after_revision;
    if after < 0 {
        return Err(ApiError::invalid_field(
            "after_revision",
            "must not be negative",
        ));
    }
    let opening = Opening {
        store: Arc::clone(&api.store),
        reader: Reader::Public,
        rooms,
        newest: api.newest.subscribe(),
        limits: api.limits,
        places: Arc::clone(&api.streams),
        stop: api.stop.clone(),
    };
    let after = Cursor {
        revision: after,
        timeline: None,
    };
    opening.open(after).await
}

impl Opening {
    /// Begins a stream after a cursor that the feed has had.
    pub(super) async fn open<M: FeedMessage>(self, after: Cursor) -> Result<Entries<M>, ApiError> {
        if self.stop.is_cancelled() {
            return Err(ApiError::shutting_down());
        }
        let admitted = self.places.try_acquire_owned();
        let admitted = admitted
            .map_err(|_| ApiError::overloaded("the server has as many streams as it serves"))?;
        let feed = self.store.feed(self.reader, after).await?;
        if !feed.has_cursor {
            let newest = feed.newest.revision;
            return Err(StoreError::CursorAhead { newest }.into());
        }

        let (messages, entries) = mpsc::channel(ENTRIES_WAITING_MAX);
        let (end_sender, end) = oneshot::channel();
        let watcher = Watcher {
            store: self.store,
            reader: self.reader,
            rooms: self.rooms,
            newest: self.newest,
            limits: self.limits,
            stop: self.stop,
            timeline: feed.newest.timeline,
            messages,
        };
        let watching = async move {
            let end = Status::from(watcher.run(after.revision).await);
            drop(admitted);
            outcome::log_end_of_stream(M::METHOD, &end);
            // A reader that has left needs no status.
            let _ = end_sender.send(end);
        };
        tokio::spawn(log_id::carry(watching).in_current_span());
        Ok(Entries {
            entries,
            end: Some(end),
            in_hand: None,
            messages: PhantomData,
        })
    }
}

impl FeedMessage for pb::WatchShowsResponse {
    const METHOD: &'static str = "WatchShows";

    fn entry(entry: &Entry, at: FeedPosition) -> Self {
        let change = match entry {
            Entry::Show(show) => Some(Change::Show(convert::show(show))),
            Entry::Deleted { id, .. } => Some(Change::DeletedShowId(id.to_string())),
            // Passed over: the stream must not stand still for one.
            Entry::Unreadable { .. } => None,
        };
        Self {
            revision: at.revision,
            change,
        }
    }

    fn bookmark(at: FeedPosition) -> Self {
        Self {
            revision: at.revision,
            change: None,
        }
    }
}

impl<M: FeedMessage> Stream for Entries<M> {
    type Item = Result<M, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        // The next entry is requested once the last one was read, except for its last piece.
        self.in_hand = None;
        let Some(end) = &mut self.end else {
            return Poll::Ready(None);
        };
        if let Poll::Ready(status) = Pin::new(end).poll(cx) {
            self.end = None;
            // The task sends a status, unless it panicked.
            let status = status.unwrap_or_else(|error| ApiError::internal(&error).into());
            return Poll::Ready(Some(Err(status)));
        }
        match self.entries.poll_recv(cx) {
            Poll::Ready(Some(Sent { entry, at, room })) => {
                self.in_hand = room;
                Poll::Ready(Some(Ok(match entry {
                    Some(entry) => M::entry(&entry, at),
                    None => M::bookmark(at),
                })))
            }
            // The task is about to send the end, which wakes us.
            Poll::Ready(None) | Poll::Pending => Poll::Pending,
        }
    }
}
