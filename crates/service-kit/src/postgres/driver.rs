//! The task that drives a connection, and gives it up when nobody can have use of it any more.

use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::time::timeout;
use tokio_postgres::{Connection, Socket};

use super::database::Database;
use super::place::Place;
use super::tls::TlsStream;

/// The longest that anybody keeps a connection of the pool: a little more than the
/// `statement_timeout` of the services' roles. A database that has not answered by then has
/// vanished, whatever the connection's peer says.
const LOAN_TIME_MAX: Duration = Duration::from_secs(12);
/// How often a driver looks whether its connection is to be given up.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);

/// Since when somebody has had a connection of the pool, if somebody has.
#[derive(Debug, Clone, Default)]
pub(super) struct Loan(Arc<Mutex<Option<Instant>>>);

impl Loan {
    pub(super) fn begin(&self) {
        *self.since() = Some(Instant::now());
    }

    pub(super) fn end(&self) {
        *self.since() = None;
    }

    fn is_overdue(&self) -> bool {
        self.since()
            .is_some_and(|since| since.elapsed() > LOAN_TIME_MAX)
    }

    fn since(&self) -> MutexGuard<'_, Option<Instant>> {
        // Nobody can leave a time half written.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Drives a connection to `place` until its end. Errors reach the client's user;
/// once the connection is given up, that is an error that says it is closed.
pub(super) async fn drive(
    connection: Connection<Socket, TlsStream>,
    database: Database,
    place: Place,
    loan: Loan,
) {
    let mut connection = pin!(connection);
    while timeout(LOOK_INTERVAL, connection.as_mut()).await.is_err() {
        if loan.is_overdue() {
            tracing::warn!(%place, "a statement got no answer in time; its connection is closed");
            return;
        }
        if database.has_left(&place) {
            tracing::info!(%place, "the primary is elsewhere; a connection is closed");
            return;
        }
    }
}
