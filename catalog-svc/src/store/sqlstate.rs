//! The one place that reads sqlx's errors: what they mean for the statement.

use service_kit::cause;
use service_kit::sqlstate::{self, Failure};
use sqlx::Error;
use sqlx::postgres::PgDatabaseError;

/// SQLSTATE of a lock that was not granted within `lock_timeout`.
const LOCK_NOT_AVAILABLE: &str = "55P03";

/// Reads an error.
pub(super) fn classify(error: &Error) -> Failure {
    match error {
        Error::Database(error) => error
            .code()
            .map_or(Failure::Fault, |code| sqlstate::of_code(&code)),
        Error::Io(_)
        | Error::Tls(_)
        | Error::PoolTimedOut
        | Error::PoolClosed
        | Error::WorkerCrashed
        | Error::BeginFailed => Failure::ConnectionLost,
        _ => Failure::Fault,
    }
}

/// An error as text for the log, without the rows that the database quotes.
pub(super) fn in_words(error: &Error) -> String {
    let said = error.as_database_error();
    match said.and_then(|said| said.try_downcast_ref::<PgDatabaseError>()) {
        None => cause::chain(error),
        Some(said) => sqlstate::of_database(
            &format!("{:?}", said.severity()),
            said.code(),
            said.message(),
            said.constraint(),
        ),
    }
}

/// Whether another transaction was in the way, and an immediate retry may help. A lock that was not
/// free within seconds is not such a case: a retry would wait as long again.
pub(super) fn is_conflict(error: &Error) -> bool {
    classify(error) == Failure::Contention && code(error).as_deref() != Some(LOCK_NOT_AVAILABLE)
}

/// Whether the connection was lost, so that the statement may or may not have been executed.
pub(super) fn is_connection_lost(error: &Error) -> bool {
    classify(error) == Failure::ConnectionLost
}

fn code(error: &Error) -> Option<String> {
    let code = error.as_database_error()?.code()?;
    Some(code.into_owned())
}
