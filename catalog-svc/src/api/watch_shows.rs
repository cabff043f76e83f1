//! WatchShows: the stream that a watcher reads, and its admission.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::Stream;
use proto::catalog::v1 as pb;
use service_kit::{ApiError, call, outcome};
use tokio::sync::{mpsc, oneshot};
use tonic::Status;
use tracing::Instrument as _;

use super::CatalogApi;
use super::watcher::Watcher;

/// How many entries wait for a reader beside the one in its hands. The page they come from is
/// bounded, and more of them would only be stale.
const ENTRIES_WAITING_MAX: usize = 1;

/// The entries of one stream, and the status that ends it.
///
/// The end is told at once: entries that still wait for the reader are dropped, since it will
/// resume from the last one that it has.
#[derive(Debug)]
pub struct Entries {
    entries: mpsc::Receiver<pb::WatchShowsResponse>,
    /// None after the end.
    end: Option<oneshot::Receiver<Status>>,
}

pub(super) async fn handle(
    api: &CatalogApi,
    request: pb::WatchShowsRequest,
) -> Result<Entries, ApiError> {
    let after = request.after_revision;
    if after < 0 {
        return Err(ApiError::invalid_field(
            "after_revision",
            "must not be negative",
        ));
    }
    if api.stop.is_cancelled() {
        return Err(ApiError::shutting_down());
    }
    let admitted = Arc::clone(&api.streams).try_acquire_owned();
    let admitted = admitted
        .map_err(|_| ApiError::overloaded("the server has as many streams as it serves"))?;
    api.store.check_cursor(after).await?;

    let (sender, entries) = mpsc::channel(ENTRIES_WAITING_MAX);
    let (end_sender, end) = oneshot::channel();
    let watcher = Watcher {
        store: Arc::clone(&api.store),
        newest: api.newest.subscribe(),
        limits: api.limits,
        stop: api.stop.clone(),
        reader: sender,
    };
    let watching = async move {
        let end = Status::from(watcher.run(after).await);
        drop(admitted);
        outcome::log_end_of_stream("WatchShows", &end);
        // A reader that has gone away needs no status.
        let _ = end_sender.send(end);
    };
    tokio::spawn(call::carry(watching).in_current_span());
    Ok(Entries {
        entries,
        end: Some(end),
    })
}

impl Stream for Entries {
    type Item = Result<pb::WatchShowsResponse, Status>;

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
