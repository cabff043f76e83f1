//! The task behind a WatchShows stream: reads the feed page by page, and waits for more.
//!
//! `cursor` is always a revision up to which the reader was given everything, so an end at any
//! moment leaves no gap: the reader resumes from what it has.

use std::sync::Arc;
use std::time::Duration;

use proto::catalog::v1 as pb;
use service_kit::ApiError;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::convert;
use crate::store::Store;

/// What bounds the streams of WatchShows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WatchLimits {
    /// The most streams at once.
    pub streams_max: u16,
    /// How long a stream may be silent before it sends a bookmark.
    pub bookmark_interval: Duration,
    /// How long a reader may take nothing before its stream ends.
    pub reader_patience: Duration,
}

/// Feeds one reader.
pub(super) struct Watcher {
    pub(super) store: Arc<Store>,
    /// Wakes it at new revisions.
    pub(super) newest: watch::Receiver<i64>,
    pub(super) limits: WatchLimits,
    pub(super) stop: CancellationToken,
    pub(super) reader: mpsc::Sender<pb::WatchShowsResponse>,
}

impl Watcher {
    /// Feeds the reader until something ends it, and returns what.
    pub(super) async fn run(mut self, after: i64) -> ApiError {
        let (stop, reader) = (self.stop.clone(), self.reader.clone());
        tokio::select! {
            Err(end) = self.feed(after) => end,
            () = stop.cancelled() => ApiError::shutting_down(),
            // Nobody will read this.
            () = reader.closed() => ApiError::shutting_down(),
        }
    }

    async fn feed(&mut self, after: i64) -> Result<std::convert::Infallible, ApiError> {
        let mut cursor = self.catch_up(after).await?;
        self.send(convert::bookmark(cursor)).await?;
        let mut bookmark_at = self.next_bookmark();
        loop {
            tokio::select! {
                woken = self.newest.changed() => {
                    // Its sender lives as long as the server.
                    woken.map_err(|_| ApiError::shutting_down())?;
                    let before = cursor;
                    cursor = self.catch_up(cursor).await?;
                    if cursor > before {
                        bookmark_at = self.next_bookmark();
                    }
                }
                () = tokio::time::sleep_until(bookmark_at) => {
                    self.send(convert::bookmark(cursor)).await?;
                    bookmark_at = self.next_bookmark();
                }
            }
        }
    }

    /// Sends all that was written after `cursor`, and returns up to where that is.
    async fn catch_up(&mut self, mut cursor: i64) -> Result<i64, ApiError> {
        loop {
            let page = self.store.feed_page(cursor).await?;
            if page.entries.is_empty() {
                return Ok(cursor.max(page.newest));
            }
            // An entry is given up as it is converted, so that the page is in memory once.
            for entry in page.entries {
                cursor = entry.revision();
                self.send(convert::entry(&entry)).await?;
            }
            if cursor >= page.newest {
                return Ok(cursor);
            }
        }
    }

    async fn send(&self, entry: pb::WatchShowsResponse) -> Result<(), ApiError> {
        let sending = self.reader.send(entry);
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
