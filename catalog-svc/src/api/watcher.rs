//! The task behind a stream of the feed: reads it page by page, and waits for more.
//!
//! Invariants: `cursor` is always a revision up to which the reader was given everything, so an end
//! at any moment leaves no gap: the reader resumes from it. A bookmark is sent only after the primary
//! database was asked. Everything sent continues what was sent before, in one history.

use std::sync::Arc;
use std::time::Duration;

use service_kit::ApiError;
use service_kit::server::{Room, Rooms};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::whole;
use crate::domain::{Cursor, Entry, FeedPosition};
use crate::store::{Reader, Store, StoreError};

/// The limits of WatchShows streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WatchLimits {
    /// The most streams at once.
    pub streams_max: u16,
    /// How long a stream may be silent before it sends a bookmark.
    pub bookmark_interval: Duration,
    /// How long a reader may take nothing before its stream ends.
    pub reader_patience: Duration,
}

/// A message of a stream, as the contract of that stream has it.
pub(super) trait FeedMessage: Sized + Send + 'static {
    /// The method of the stream.
    const METHOD: &'static str;

    /// An entry, and where it stands.
    fn entry(entry: &Entry, at: FeedPosition) -> Self;

    /// Word that the reader has everything up to `at`.
    fn bookmark(at: FeedPosition) -> Self;
}

/// Feeds one reader.
pub(super) struct Watcher {
    pub(super) store: Arc<Store>,
    pub(super) reader: Reader,
    /// Wakes it at new revisions.
    pub(super) newest: watch::Receiver<i64>,
    pub(super) limits: WatchLimits,
    pub(super) stop: CancellationToken,
    /// The timeline that the reader is on.
    pub(super) timeline: Uuid,
    /// For its pages of large shows.
    pub(super) rooms: Rooms,
    pub(super) messages: mpsc::Sender<Sent>,
}

/// A message to a reader. It is converted to protobuf when the reader takes it, as that is several
/// times as large.
#[derive(Debug)]
pub(super) struct Sent {
    /// None is a bookmark.
    pub(super) entry: Option<Entry>,
    pub(super) at: FeedPosition,
    /// The room of its page.
    pub(super) room: Option<Arc<Room>>,
}

impl Watcher {
    /// Feeds the reader until an error or a stop ends the stream, and returns that.
    pub(super) async fn run(mut self, after: i64) -> ApiError {
        let (stop, messages) = (self.stop.clone(), self.messages.clone());
        tokio::select! {
            Err(end) = self.feed(after) => end,
            () = stop.cancelled() => ApiError::shutting_down(),
            // The reader has left, so nobody reads this status.
            () = messages.closed() => ApiError::shutting_down(),
        }
    }

    async fn feed(&mut self, after: i64) -> Result<std::convert::Infallible, ApiError> {
        let mut cursor = self.catch_up(after).await?;
        self.bookmark(cursor).await?;
        let mut bookmark_at = self.next_bookmark();
        loop {
            let is_due = tokio::select! {
                woken = self.newest.changed() => {
                    // Its sender lives as long as the server.
                    woken.map_err(|_| ApiError::shutting_down())?;
                    false
                }
                () = tokio::time::sleep_until(bookmark_at) => true,
            };
            let before = cursor;
            cursor = self.catch_up(cursor).await?;
            if is_due {
                self.bookmark(cursor).await?;
            }
            if is_due || cursor > before {
                bookmark_at = self.next_bookmark();
            }
        }
    }

    /// Sends all that was written after `cursor`, and returns up to where that is.
    async fn catch_up(&mut self, mut cursor: i64) -> Result<i64, ApiError> {
        loop {
            let read = async || Ok(self.store.feed_page(self.reader, cursor).await?);
            // The reader has not taken the page before, or others have not taken theirs.
            let until = Instant::now() + self.limits.reader_patience;
            let (page, room) = whole::page(&self.rooms, until, read).await?;
            let room = room.map(Arc::new);
            let FeedPosition { revision, timeline } = page.newest;
            if timeline != self.timeline {
                self.switch_timeline(timeline, cursor).await?;
            }
            // An entry is moved out as it is sent, so that the page is in memory once.
            for entry in page.entries {
                cursor = entry.revision();
                self.send(cursor, Some(entry), room.clone()).await?;
            }
            if page.up_to > cursor {
                cursor = page.up_to;
                self.bookmark(cursor).await?;
            }
            if cursor >= revision {
                return Ok(cursor);
            }
        }
    }

    /// Switches to another timeline, if it continues what the reader has.
    async fn switch_timeline(&mut self, timeline: Uuid, cursor: i64) -> Result<(), StoreError> {
        let cursor = Cursor {
            revision: cursor,
            timeline: Some(self.timeline),
        };
        let feed = self.store.feed(self.reader, cursor).await?;
        if feed.has_cursor && feed.newest.timeline == timeline {
            self.timeline = timeline;
            return Ok(());
        }
        let newest = feed.newest.revision;
        Err(StoreError::CursorAhead { newest })
    }

    async fn bookmark(&self, cursor: i64) -> Result<(), ApiError> {
        self.send(cursor, None, None).await
    }

    fn at(&self, revision: i64) -> FeedPosition {
        FeedPosition {
            revision,
            timeline: self.timeline,
        }
    }

    async fn send(
        &self,
        revision: i64,
        entry: Option<Entry>,
        room: Option<Arc<Room>>,
    ) -> Result<(), ApiError> {
        let at = self.at(revision);
        let sending = self.messages.send(Sent { entry, at, room });
        match tokio::time::timeout(self.limits.reader_patience, sending).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(ApiError::shutting_down()),
            Err(_) => Err(ApiError::overloaded(
                "the reader took nothing for too long; resume from the last revision it has",
            )
            .as_callers_doing()),
        }
    }

    fn next_bookmark(&self) -> Instant {
        Instant::now() + self.limits.bookmark_interval
    }
}
