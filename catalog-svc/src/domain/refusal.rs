//! Why a show is not written as a caller asked.

use model::ShowId;

use super::new_show::ScheduleProblem;
use super::show::ShowState;

/// A request that was understood, and cannot be done as the show stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// There is no such show, or it was deleted.
    NotFound(ShowId),
    /// It was written since the caller saw it.
    Etag {
        /// The show.
        id: ShowId,
        /// The etag it has now.
        now: String,
    },
    /// Its state does not allow the verb.
    State {
        /// The show.
        id: ShowId,
        /// The state it is in.
        is: ShowState,
        /// The state it would have to be in.
        wanted: ShowState,
    },
    /// Its times cannot be as they were asked for.
    Schedule(ScheduleProblem),
}

/// Which of a show's times a problem is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScheduleField {
    /// When it starts.
    Start,
    /// When it ends.
    End,
}
