//! Why something is not written as a caller asked.

use model::{Problem, Problems, ShowId};

use super::layout::LayoutId;
use super::show::ShowState;

/// A request that was understood, and cannot be done as things stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rejection {
    /// There are no such shows, or they were deleted.
    NotFound(Vec<ShowId>),
    /// There is no such layout, or it was deleted.
    LayoutNotFound(LayoutId),
    /// The show was written since the caller saw it.
    Etag {
        /// The show.
        id: ShowId,
        /// The etag it has now.
        now: String,
    },
    /// The show's state does not allow the verb.
    State {
        /// The show.
        id: ShowId,
        /// The state it is in.
        is: ShowState,
    },
    /// A layout cannot be deleted while a show uses it.
    LayoutInUse {
        /// The layout.
        id: LayoutId,
        /// One of the shows.
        show: ShowId,
    },
    /// Seats that the show would lose have live bookings.
    SeatsBooked {
        /// The show.
        id: ShowId,
        /// The seats' labels.
        labels: Vec<String>,
    },
    /// The show has had bookings.
    HasBookings(ShowId),
    /// Another change of the show waits for the booking service's answer.
    ProposalPending(ShowId),
    /// Fields that cannot be as they were asked for, each by its path in the request.
    Invalid(Problems),
}

impl Rejection {
    /// One field that cannot be as it was asked for.
    #[must_use]
    pub fn invalid(path: &str, message: impl Into<String>) -> Self {
        Self::Invalid(Problems::from(vec![Problem {
            path: path.to_owned(),
            message: message.into(),
        }]))
    }
}
