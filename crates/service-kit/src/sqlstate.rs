//! The one place that reads tokio-postgres's errors: what they mean for the statement that
//! failed.

use std::error::Error as _;

use tokio_postgres::Error;
use tokio_postgres::error::{DbError, SqlState};

/// The meaning of a database error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// The connection is gone, or the server will not serve now. If a COMMIT was on its way,
    /// its outcome is unknown.
    ConnectionLost,
    /// A conflict with another transaction; this one is certainly aborted, and may be retried.
    Contention,
    /// A unique key exists already; the transaction is certainly aborted.
    Duplicate,
    /// A statement took longer than it may; the transaction is certainly aborted.
    Timeout,
    /// Anything else: a fault of ours. The transaction is certainly aborted.
    Fault,
}

impl Failure {
    /// Whether it is transient.
    #[must_use]
    pub fn is_outage(self) -> bool {
        match self {
            Self::ConnectionLost | Self::Contention | Self::Timeout => true,
            Self::Duplicate | Self::Fault => false,
        }
    }
}

/// Reads an error.
#[must_use]
pub fn classify(error: &Error) -> Failure {
    let Some(state) = error.code() else {
        // Without a SQLSTATE it is the driver's: an I/O error or a closed connection, unless
        // a value could not be converted.
        let io = error.is_closed()
            || error
                .source()
                .is_some_and(|source| source.downcast_ref::<std::io::Error>().is_some());
        return if io {
            Failure::ConnectionLost
        } else {
            Failure::Fault
        };
    };
    of_state(state)
}

/// Whether an error may be about one row among those that a statement touched: a value that cannot
/// be read or computed with, or that breaks a rule of the schema. Other rows may succeed without it.
#[must_use]
pub fn is_about_a_row(error: &Error) -> bool {
    // Class 22 is "data exception", 23 "integrity constraint violation", TK our own.
    match error.code() {
        None => classify(error) == Failure::Fault,
        Some(state) => ["22", "23", "TK"]
            .iter()
            .any(|class| state.code().starts_with(class)),
    }
}

/// One error of a chain as text for the log, as [`crate::cause::chain`] joins them. The database's
/// detail is left out: it quotes whole rows, and with them personal data.
pub(crate) fn in_words(error: &(dyn std::error::Error + 'static)) -> String {
    match error.downcast_ref::<DbError>() {
        None => error.to_string(),
        Some(said) => of_database(
            said.severity(),
            said.code().code(),
            said.message(),
            said.constraint(),
        ),
    }
}

/// An error of the database as text for the log, if it came through another driver.
#[must_use]
pub fn of_database(severity: &str, state: &str, message: &str, constraint: Option<&str>) -> String {
    // In small letters: in capitals it reads like the level of the log's line.
    let severity = severity.to_lowercase();
    let rule = constraint.map(|name| format!(" ({name})"));
    format!("{severity} {state} {message}{}", rule.unwrap_or_default())
}

/// Whether a prepared statement does not exist any more, or another has its name: that
/// happens behind a pooler that shares sessions and does not track statements.
#[must_use]
pub(crate) fn is_statement_lost(error: &Error) -> bool {
    error.code().is_some_and(|state| {
        *state == SqlState::INVALID_SQL_STATEMENT_NAME || *state == SqlState::DUPLICATE_PSTATEMENT
    })
}

/// Reads a SQLSTATE that came through another driver.
#[must_use]
pub fn of_code(code: &str) -> Failure {
    of_state(&SqlState::from_code(code))
}

fn of_state(state: &SqlState) -> Failure {
    match *state {
        SqlState::T_R_SERIALIZATION_FAILURE
        | SqlState::T_R_DEADLOCK_DETECTED
        | SqlState::LOCK_NOT_AVAILABLE => Failure::Contention,
        SqlState::UNIQUE_VIOLATION => Failure::Duplicate,
        SqlState::QUERY_CANCELED => Failure::Timeout,
        SqlState::ADMIN_SHUTDOWN
        | SqlState::CRASH_SHUTDOWN
        | SqlState::CANNOT_CONNECT_NOW
        | SqlState::TOO_MANY_CONNECTIONS
        | SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT
        | SqlState::READ_ONLY_SQL_TRANSACTION => Failure::ConnectionLost,
        // Class 08 is "connection exception", 53 "insufficient resources", 58 "system error".
        ref other
            if ["08", "53", "58"]
                .iter()
                .any(|class| other.code().starts_with(class)) =>
        {
            Failure::ConnectionLost
        }
        _ => Failure::Fault,
    }
}
