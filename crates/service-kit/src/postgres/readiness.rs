//! Readiness follows the database, by a connection that does nothing else: it says at once when
//! the database does not answer, and does not wait behind anybody's statements.

use std::mem::discriminant;
use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::database::{Database, Opened};
use super::driver::Loan;
use super::inspect::is_read_only;
use super::metrics::{answered, found};
use crate::cause;
use crate::health::Health;
use crate::metrics;
use crate::shutdown::Shutdown;

/// Between two questions.
const INTERVAL: Duration = Duration::from_millis(500);
/// The longest that an answer may take.
const ANSWER_MAX: Duration = Duration::from_secs(1);

/// What is known of a database.
#[derive(Debug)]
enum State {
    /// It takes writes.
    Writable,
    /// It is a standby, or has `default_transaction_read_only`.
    ReadOnly,
    /// It cannot be reached or does not answer, for this reason.
    Away(String),
}

/// Keeps the health in step with the database until the shutdown: ready while it answers and takes
/// writes. It also finds out where the primary is, see [`Database::primary`].
pub async fn follow_readiness(database: Database, health: Health, shutdown: Shutdown) {
    let following = async {
        let mut session = None;
        let mut known = None;
        loop {
            let state = look(&database, &mut session).await;
            tracing::debug!(?state, "the database");
            let is_news = known.as_ref().map(discriminant) != Some(discriminant(&state));
            found(
                !matches!(state, State::Away(_)),
                matches!(state, State::Writable),
            );
            if is_news {
                if matches!((&known, &state), (Some(State::ReadOnly), State::Writable)) {
                    database.takes_writes_again();
                }
                tell(&state);
                health.set_ready(matches!(state, State::Writable));
                known = Some(state);
            }
            sleep(INTERVAL).await;
        }
    };
    shutdown.soft.run_until_cancelled(following).await;
}

fn tell(state: &State) {
    match state {
        State::Writable => tracing::info!("the database answers and takes writes"),
        State::ReadOnly => tracing::warn!(
            "the database is read-only: a standby, or default_transaction_read_only is on"
        ),
        State::Away(reason) => tracing::warn!(reason, "the database does not answer"),
    }
}

/// Asks on the session that there is, else on a new one, and keeps that of a primary.
async fn look(database: &Database, session: &mut Option<Opened>) -> State {
    let Some(opened) = session.take() else {
        return connect(database, session).await;
    };
    match ask(&opened).await {
        Ok(state) => keep(state, opened, session),
        Err(Silence::NoAnswer(reason)) => State::Away(reason),
        // The server may have ended this session and no other.
        Err(Silence::Broken(reason)) => {
            let again = timeout(ANSWER_MAX, connect(database, session)).await;
            again.unwrap_or(State::Away(reason))
        }
    }
}

async fn connect(database: &Database, session: &mut Option<Opened>) -> State {
    let opened = match database.open(&Loan::default()).await {
        Ok(opened) => opened,
        Err(error) => return State::Away(error.to_string()),
    };
    match ask(&opened).await {
        Ok(state) => {
            if matches!(state, State::Writable) {
                database.primary_is_at(&opened.place);
            }
            keep(state, opened, session)
        }
        Err(Silence::NoAnswer(reason) | Silence::Broken(reason)) => State::Away(reason),
    }
}

/// If it takes no writes, another host may: the next look is at all of them.
fn keep(state: State, opened: Opened, session: &mut Option<Opened>) -> State {
    *session = matches!(state, State::Writable).then_some(opened);
    state
}

/// Why there is no answer.
enum Silence {
    /// None came in time.
    NoAnswer(String),
    /// The session has ended.
    Broken(String),
}

async fn ask(Opened { client, place, .. }: &Opened) -> Result<State, Silence> {
    let asked = metrics::now();
    let answer = timeout(ANSWER_MAX, is_read_only(client)).await;
    answered(asked);
    match answer {
        Ok(Ok(true)) => Ok(State::ReadOnly),
        Ok(Ok(false)) => Ok(State::Writable),
        Ok(Err(error)) => Err(Silence::Broken(format!(
            "{place}: {}",
            cause::chain(&error)
        ))),
        Err(_) => {
            let reason = format!("{place}: no answer within {ANSWER_MAX:?}");
            Err(Silence::NoAnswer(reason))
        }
    }
}
