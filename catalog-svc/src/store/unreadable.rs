//! Rows that cannot be read, where others stand beside them: each is left out, and logged.

use std::sync::Arc;

use service_kit::background::Skipped;
use uuid::Uuid;

use super::error::StoreError;

/// What was left out lately, so that it is not logged by every read.
#[derive(Debug, Clone, Default)]
pub(super) struct Unreadable(Arc<Skipped<Uuid>>);

impl Unreadable {
    /// What was read of the show or layout with this id; none, and a line in the log once a
    /// minute, if it could not be.
    pub(super) fn leave_out<T>(&self, id: Uuid, read: Result<T, StoreError>) -> Option<T> {
        let error = match read {
            Ok(read) => return Some(read),
            Err(error) => error,
        };
        if !self.0.contains(id) {
            self.0.add(id);
            tracing::error!(%id, %error, "left out what cannot be read");
        }
        None
    }
}
