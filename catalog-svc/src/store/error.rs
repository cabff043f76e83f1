//! Errors of the store.

use deadpool::managed::PoolError;
use model::ShowId;
use service_kit::background::StepError;
use service_kit::postgres::ConnectError;
use service_kit::sqlstate::Failure;

use super::sqlstate;
use crate::domain::Rejection;

/// An error of the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The show does not allow it.
    #[error("refused: {0:?}")]
    Rejected(Rejection),
    /// The request id was used before, for a call with another body.
    #[error("the request id was used for another call")]
    RequestIdReused,
    /// A cursor that the feed does not have: it lies ahead of the newest revision, or is of
    /// another history.
    #[error("the feed does not have the cursor; it is at revision {newest}")]
    CursorAhead {
        /// The newest revision.
        newest: i64,
    },
    /// A read that must be as new as a revision that does not exist yet.
    #[error("the revision asked for lies ahead of revision {newest}")]
    RevisionAhead {
        /// The newest revision.
        newest: i64,
    },
    /// No connection could be made.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// All connections of a pool were in use for too long, and none of them became free.
    #[error("no connection of the pool came free in time")]
    PoolExhausted,
    /// Connections became free, but others had waited for longer.
    #[error("more calls than the pool has connections for")]
    PoolBusy,
    /// The database failed; nothing was changed.
    #[error("{}", sqlstate::in_words(.0))]
    Database(sqlx::Error),
    /// The connection was lost while a transaction was being committed: it may be done or not.
    #[error("cut off in a commit: {}", sqlstate::in_words(.0))]
    InCommit(sqlx::Error),
    /// The database did not answer in time; a transaction may be done or not.
    #[error("the database did not answer in time")]
    NoAnswer,
    /// Shows that were asked for by their ids and cannot be read, each with why.
    #[error("shows cannot be read: {0:?}")]
    Unreadable(Vec<(ShowId, String)>),
    /// A fault of ours: something that must hold does not.
    #[error("{0}")]
    Fault(String),
}

impl StoreError {
    /// A fault of ours.
    pub(super) fn fault(what: impl ToString) -> Self {
        Self::Fault(what.to_string())
    }

    /// Whether the connection may be in an unknown state, and must not be used again.
    pub(super) fn spoils_connection(&self) -> bool {
        match self {
            Self::Rejected(_)
            | Self::RequestIdReused
            | Self::CursorAhead { .. }
            | Self::RevisionAhead { .. }
            | Self::Unreadable(_) => false,
            Self::Database(error) => error.as_database_error().is_none(),
            Self::Connect(_)
            | Self::PoolExhausted
            | Self::PoolBusy
            | Self::InCommit(_)
            | Self::NoAnswer
            | Self::Fault(_) => true,
        }
    }

    /// Whether to try the same transaction again: either it is certainly aborted, by another one
    /// that was in the way; or it may have committed, which a request id can find out.
    pub(super) fn is_worth_another_try(&self, has_request_id: bool) -> bool {
        match self {
            Self::Database(error) => sqlstate::is_conflict(error),
            Self::InCommit(_) => has_request_id,
            _ => false,
        }
    }

    /// The meaning of a failure of the database; none for the other kinds.
    #[must_use]
    pub fn failure(&self) -> Option<Failure> {
        match self {
            Self::Database(error) => Some(sqlstate::classify(error)),
            Self::Connect(_)
            | Self::PoolExhausted
            | Self::PoolBusy
            | Self::InCommit(_)
            | Self::NoAnswer => Some(Failure::ConnectionLost),
            Self::Unreadable(_) | Self::Fault(_) => Some(Failure::Fault),
            Self::Rejected(_)
            | Self::RequestIdReused
            | Self::CursorAhead { .. }
            | Self::RevisionAhead { .. } => None,
        }
    }
}

impl StepError for StoreError {
    fn is_outage(&self) -> bool {
        self.failure().is_some_and(Failure::is_outage)
    }
}

impl From<Rejection> for StoreError {
    fn from(rejection: Rejection) -> Self {
        Self::Rejected(rejection)
    }
}

impl From<PoolError<StoreError>> for StoreError {
    fn from(error: PoolError<StoreError>) -> Self {
        match error {
            PoolError::Backend(error) => error,
            _ => Self::PoolExhausted,
        }
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error)
    }
}
