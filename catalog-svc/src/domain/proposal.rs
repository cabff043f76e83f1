//! A change that must not hurt a booking: the booking service is asked first.

use std::sync::Arc;

use model::{PriceDescription, ShowId};

use super::layout::{Layout, LayoutId};
use super::rejection::Rejection;
use super::show::{ProposalState, ShowInfo, ShowState};

/// A proposal that a show has now.
#[derive(Debug, Clone, PartialEq)]
pub struct Proposal {
    /// The revision that made it.
    pub revision: i64,
    /// Where it is.
    pub state: ProposalState,
    /// What is to change.
    pub change: Change,
    /// If it was refused for them: the labels of seats with live bookings.
    pub booked_seats: Vec<String>,
}

/// The change that a proposal would make.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// The layout, and the prices under it.
    Layout {
        /// The layout's id.
        id: LayoutId,
        /// The layout and the prices, while they are proposed.
        under: Option<(Arc<Layout>, PriceDescription)>,
    },
    /// The show is to be deleted.
    Deletion,
}

/// The proposal of a show to wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Proposed {
    /// The show.
    pub id: ShowId,
    /// The revision that made the proposal.
    pub revision: i64,
}

/// A change that is made, or waits for the booking service.
#[derive(Debug, Clone, PartialEq)]
pub enum Decided<T> {
    /// It is made.
    Now(T),
    /// The booking service is asked.
    Later(Proposed),
}

/// The booking service's answer to a proposal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// What the change removes is off sale by now.
    Accepted,
    /// Rejected, because of these seats' bookings; for a deletion it is only known that there are
    /// bookings.
    Refused {
        /// The seats' labels.
        booked_seats: Vec<String>,
    },
}

/// The outcome of a proposal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answered {
    /// It is done.
    Accepted,
    /// It was refused, for a reason that is the caller's error.
    Refused(Rejection),
}

impl ShowInfo {
    /// Whether nothing is proposed that is not answered yet.
    ///
    /// # Errors
    ///
    /// [`Rejection::ProposalPending`] if something is.
    pub fn check_nothing_pending(&self) -> Result<(), Rejection> {
        match self.proposal {
            Some((_, ProposalState::Pending)) => Err(Rejection::ProposalPending(self.id)),
            _ => Ok(()),
        }
    }
}

/// The error of a layout change that was dropped, as its show was cancelled first.
#[must_use]
pub fn dropped(id: ShowId) -> Rejection {
    Rejection::State {
        id,
        is: ShowState::Cancelled,
    }
}
