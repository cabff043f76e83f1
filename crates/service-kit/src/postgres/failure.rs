//! Why PostgreSQL did not do what it was asked, or could not be reached.

use std::error::Error as _;
use std::fmt;
use std::time::Duration;

use deadpool::managed::PoolError;

use tokio_postgres::error::SqlState;

use super::tls::{Peer, TlsError, TlsMode};
use crate::api_error::ApiError;
use crate::background::StepError;
use crate::cause;
use crate::sqlstate::{self, Failure};

/// Why the database did not do what it was asked.
///
/// Its text has the whole chain of causes: the drivers' own says no more than "db error".
#[derive(Debug, thiserror::Error)]
pub enum DbError {
    /// A statement failed.
    #[error("{}", cause::chain(.0))]
    Statement(tokio_postgres::Error),
    /// No connection could be made.
    #[error(transparent)]
    Connect(ConnectError),
    /// All connections of the pool were in use for too long, and none of them came free.
    #[error("no connection of the pool came free in time")]
    PoolExhausted,
    /// They came free, but others had waited for longer.
    #[error("more calls than the pool has connections for")]
    PoolBusy,
}

impl From<tokio_postgres::Error> for DbError {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Statement(error)
    }
}

impl From<PoolError<ConnectError>> for DbError {
    fn from(error: PoolError<ConnectError>) -> Self {
        match error {
            PoolError::Backend(error) => Self::Connect(error),
            _ => Self::PoolExhausted,
        }
    }
}

impl DbError {
    /// Whether another transaction was in the way, so that this one certainly did nothing.
    #[must_use]
    pub fn is_contention(&self) -> bool {
        self.failure() == Failure::Contention
    }

    fn failure(&self) -> Failure {
        match self {
            Self::Statement(error) => sqlstate::classify(error),
            Self::Connect(_) | Self::PoolExhausted | Self::PoolBusy => Failure::ConnectionLost,
        }
    }
}

impl StepError for DbError {
    fn is_outage(&self) -> bool {
        match self {
            // A wrong password does not mend itself.
            Self::Connect(error) => error.may_pass(),
            _ => self.failure().is_outage(),
        }
    }
}

impl From<DbError> for ApiError {
    fn from(error: DbError) -> Self {
        if matches!(error, DbError::PoolBusy) {
            return Self::database_busy();
        }
        match error.failure() {
            Failure::ConnectionLost | Failure::Timeout => {
                Self::database_unavailable().because_of(&error)
            }
            Failure::Contention => Self::contention().because_of(&error),
            Failure::Duplicate | Failure::Fault => Self::internal(&error),
        }
    }
}

/// Why no host of a database could be connected to. Names each host, the database, the role and
/// the server's reason; never a password.
#[derive(Debug)]
pub struct ConnectError {
    database: String,
    role: String,
    /// The hosts with what each attempt came to, in that order; not empty.
    tried: Vec<(String, Failed)>,
}

/// What one attempt came to.
#[derive(Debug)]
pub(super) struct Failed {
    pub(super) reason: String,
    /// Whether waiting may mend it.
    pub(super) may_pass: bool,
    /// Whether it may be for TLS alone, so that it is worth trying without where that will do.
    pub(super) is_about_tls: bool,
}

impl ConnectError {
    pub(super) fn new(database: &str, role: &str, tried: Vec<(String, Failed)>) -> Self {
        Self {
            database: database.to_owned(),
            role: role.to_owned(),
            tried,
        }
    }

    /// Whether waiting may mend it, as while a server starts: not a wrong password, nor a
    /// database that does not exist.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        self.tried.iter().any(|(_, failed)| failed.may_pass)
    }
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            database,
            role,
            tried,
        } = self;
        if let [(host, Failed { reason, .. })] = tried.as_slice() {
            return write!(
                f,
                "cannot connect to {host} database {database} as {role}: {reason}"
            );
        }
        write!(f, "cannot connect to database {database} as {role}:")?;
        for (n, (host, Failed { reason, .. })) in tried.iter().enumerate() {
            let comma = if n == 0 { "" } else { ";" };
            write!(f, "{comma} {host}: {reason}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConnectError {}

impl Failed {
    /// What became of an attempt to connect, over TLS or not.
    pub(super) fn of(error: &tokio_postgres::Error, peer: &Peer, is_encrypted: bool) -> Self {
        let cause = error.source();
        if let Some(tls) = cause.and_then(|cause| cause.downcast_ref::<TlsError>()) {
            return Self::of_tls(tls);
        }
        if cause.is_some_and(|cause| cause.to_string() == DRIVER_HAS_NO_TLS) {
            return Self::of_tls(&peer.has_no_tls());
        }
        if let Some(reason) = peer.refusal(error) {
            return Self {
                reason,
                may_pass: false,
                is_about_tls: true,
            };
        }
        // The driver's own words add nothing to those of what caused it.
        let mut reason = cause::chain(cause.unwrap_or(error));
        let is_refused = error.code() == Some(&SqlState::INVALID_AUTHORIZATION_SPECIFICATION);
        if is_refused && peer.mode == TlsMode::Disable && reason.contains(NO_ENCRYPTION) {
            reason += ". If the server insists on TLS, add sslmode=verify-full to the URL, and the \
                       file of its CA as sslrootcert";
        }
        Self {
            reason,
            may_pass: sqlstate::classify(error) == Failure::ConnectionLost,
            is_about_tls: is_refused && is_encrypted,
        }
    }

    pub(super) fn of_tls(error: &TlsError) -> Self {
        Self {
            reason: error.to_string(),
            may_pass: error.may_pass,
            is_about_tls: true,
        }
    }

    /// Files that cannot be used: no server has been asked yet.
    pub(super) fn of_files(error: &TlsError) -> Self {
        Self {
            is_about_tls: false,
            ..Self::of_tls(error)
        }
    }

    /// An attempt that may succeed later.
    pub(super) fn passing(reason: impl ToString) -> Self {
        Self {
            reason: reason.to_string(),
            may_pass: true,
            is_about_tls: false,
        }
    }

    pub(super) fn no_answer(patience: Duration) -> Self {
        Self::passing(format!("no answer within {patience:?}"))
    }

    /// What became of a second attempt, without TLS.
    pub(super) fn and_without_tls(self, second: Self) -> Self {
        Self {
            reason: format!("{}; and without TLS: {}", self.reason, second.reason),
            may_pass: self.may_pass || second.may_pass,
            is_about_tls: true,
        }
    }
}

/// The driver's words for a server that has no TLS; it has no kind for it that we could ask for.
const DRIVER_HAS_NO_TLS: &str = "server does not support TLS";
/// The server's, in English, where `pg_hba.conf` has no line for a plain connection.
const NO_ENCRYPTION: &str = "no encryption";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_host_is_named_with_its_reason() {
        let tried = |hosts: &[&str]| {
            let tried = hosts.iter().map(|host| {
                let failed = Failed::no_answer(Duration::from_secs(3));
                ((*host).to_owned(), failed)
            });
            ConnectError::new("ticketing", "svc", tried.collect()).to_string()
        };
        assert_eq!(
            tried(&["10.0.0.1:5432"]),
            "cannot connect to 10.0.0.1:5432 database ticketing as svc: no answer within 3s"
        );
        assert_eq!(
            tried(&["a:1", "b:2"]),
            "cannot connect to database ticketing as svc: a:1: no answer within 3s; \
             b:2: no answer within 3s"
        );
    }
}
