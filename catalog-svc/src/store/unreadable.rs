//! Unreadable rows among others: each is skipped, and logged.

use std::sync::Arc;

use service_kit::background::Skipped;
use uuid::Uuid;

use super::error::StoreError;

/// The rows that were skipped lately, so that not every read logs them.
#[derive(Debug, Clone, Default)]
pub(super) struct Unreadable(Arc<Skipped<Uuid>>);

impl Unreadable {
    /// The show or layout with this id that was read; none, with a line in the log once a
    /// minute, if it is unreadable.
    pub(super) fn leave_out<T>(&self, id: Uuid, read: Result<T, StoreError>) -> Option<T> {
        let error = match read {
            Ok(read) => return Some(read),
            Err(error) => error,
        };
        if !self.0.contains(id) {
            self.0.add(id);
            tracing::error!(%id, %error, "skipped an unreadable row");
        }
        None
    }
}
