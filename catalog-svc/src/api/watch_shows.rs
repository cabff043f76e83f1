//! WatchShows, and what it shares with FollowShows: the stream that a reader reads, and its
//! admission.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::Stream;
use proto::catalog::v1 as pb;
use proto::catalog::v1::watch_shows_response::Change;
use service_kit::{ApiError, call, outcome};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;
use tonic::Status;
use tracing::Instrument as _;

use super::watcher::{FeedMessage, WatchLimits, Watcher};
use super::{CatalogApi, convert};
use crate::domain::{Cursor, Entry, FeedPosition};
use crate::store::{Reader, Store, StoreError};

/// How many entries wait for a reader beside the one in its hands. The page they come from is
/// bounded, and more of them would only be stale.
const ENTRIES_WAITING_MAX: usize = 1;

/// The entries of one stream, and the status that ends it.
///
/// The end is told at once: entries that still wait for the reader are dropped, since it will
/// resume from the last one that it has.
#[derive(Debug)]
pub struct Entries<M> {
    entries: mpsc::Receiver<M>,
    /// None after the end.
    end: Option<oneshot::Receiver<Status>>,
}

/// What a stream is made of.
pub(super) struct Opening {
    pub(super) store: Arc<Store>,
    pub(super) reader: Reader,
    pub(super) newest: watch::Receiver<i64>,
    pub(super) limits: WatchLimits,
    /// A place for each stream.
    pub(super) places: Arc<Semaphore>,
    pub(super) stop: CancellationToken,
}

pub(super) async fn handle(
    api: &CatalogApi,
    request: pb::WatchShowsRequest,
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
    /// Begins a stream behind a cursor that the feed has had.
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
            // A reader that has gone away needs no status.
            let _ = end_sender.send(end);
        };
        tokio::spawn(call::carry(watching).in_current_span());
        Ok(Entries {
            entries,
            end: Some(end),
        })
    }
}

impl FeedMessage for pb::WatchShowsResponse {
    const METHOD: &'static str = "WatchShows";

    fn entry(entry: &Entry, at: FeedPosition) -> Self {
        let change = match entry {
            Entry::Show(show) => Change::Show(convert::show(show)),
            Entry::Deleted { id, .. } => Change::DeletedShowId(id.to_string()),
        };
        Self {
            revision: at.revision,
            change: Some(change),
        }
    }

    fn bookmark(at: FeedPosition) -> Self {
        Self {
            revision: at.revision,
            change: None,
        }
    }
}

impl<M: Send + 'static> Stream for Entries<M> {
    type Item = Result<M, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
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
            Poll::Ready(Some(entry)) => Poll::Ready(Some(Ok(entry))),
            // The task is about to send the end, which wakes us.
            Poll::Ready(None) | Poll::Pending => Poll::Pending,
        }
    }
}
