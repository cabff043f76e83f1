//! The life of a show: the commands that its state allows, and the changes that its times make due.

use time::OffsetDateTime;

use super::rejection::Rejection;
use super::show::{ShowInfo, ShowState};

/// A command or a time that changes a show's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// Puts it on sale.
    Publish,
    /// Takes it off sale for a while.
    Pause,
    /// Puts it on sale again.
    Resume,
    /// Takes it off sale for good.
    Close,
    /// It does not take place.
    Cancel,
    /// Opens the sale at its time.
    OpenInTime,
    /// Closes the sale at its time.
    CloseInTime,
}

impl Verb {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Publish,
        Self::Pause,
        Self::Resume,
        Self::Close,
        Self::Cancel,
        Self::OpenInTime,
        Self::CloseInTime,
    ];
}

/// The one table of a show's life: the state that a verb leads to, if the present one allows it.
#[must_use]
pub fn next_state(state: ShowState, verb: Verb) -> Option<ShowState> {
    use ShowState::{Cancelled, Closed, Draft, OnSale, Paused};
    match (state, verb) {
        (Draft, Verb::Publish | Verb::OpenInTime) | (Paused, Verb::Resume) => Some(OnSale),
        (OnSale, Verb::Pause) => Some(Paused),
        (OnSale | Paused, Verb::Close | Verb::CloseInTime) => Some(Closed),
        (Draft | OnSale | Paused | Closed, Verb::Cancel) => Some(Cancelled),
        _ => None,
    }
}

/// The states that a show in this one may go to, in the order of a life.
pub fn next_states(state: ShowState) -> impl Iterator<Item = ShowState> {
    let is_next = move |next: &ShowState| {
        let leads_there = |verb| next_state(state, verb) == Some(*next);
        Verb::ALL.into_iter().any(leads_there)
    };
    ShowState::ALL.into_iter().filter(is_next)
}

impl ShowInfo {
    /// The show as its own times have made it by `now`, whether or not that is written yet.
    #[must_use]
    pub fn at(mut self, now: OffsetDateTime) -> Self {
        let is_due = |at: Option<OffsetDateTime>| at.is_some_and(|at| at <= now);
        for (due_at, verb) in [
            (self.sales_open_at, Verb::OpenInTime),
            (self.sales_close_at, Verb::CloseInTime),
        ] {
            if let Some(next) = next_state(self.state, verb).filter(|_| is_due(due_at)) {
                self.state = next;
            }
        }
        self
    }

    /// The show after a command at `now`.
    ///
    /// A show that is published early loses its opening time.
    ///
    /// # Errors
    ///
    /// [`Rejection::State`] if its state does not allow the command.
    pub fn after(self, verb: Verb, now: OffsetDateTime) -> Result<Self, Rejection> {
        let state = next_state(self.state, verb).ok_or_else(|| self.wrong_state())?;
        let is_ahead = |at: &OffsetDateTime| *at > now;
        let opens_no_more =
            verb == Verb::Publish && self.sales_open_at.as_ref().is_some_and(is_ahead);
        Ok(Self {
            state,
            offered: self.offered || state == ShowState::OnSale,
            sales_open_at: self.sales_open_at.filter(|_| !opens_no_more),
            cancelled_at: (state == ShowState::Cancelled).then_some(now),
            ..self
        })
    }

    /// The rejection: its state does not allow the command.
    #[must_use]
    pub fn wrong_state(&self) -> Rejection {
        Rejection::State {
            id: self.id,
            is: self.state,
        }
    }

    /// Whether it still takes place.
    ///
    /// # Errors
    ///
    /// [`Rejection::State`] if it was cancelled.
    pub fn check_not_cancelled(&self) -> Result<(), Rejection> {
        if self.state == ShowState::Cancelled {
            Err(self.wrong_state())
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use time::Duration;
    use time::macros::datetime;

    use super::super::show::tests::show;
    use super::*;

    const NOW: OffsetDateTime = datetime!(2030-01-01 12:00 UTC);

    /// Every pair of a state and a verb, as the contract's picture has them.
    #[test]
    fn the_state_table_matches_the_contract() {
        let table = [
            "DRAFT: ON_SALE - - - CANCELLED ON_SALE -",
            "ON_SALE: - PAUSED - CLOSED CANCELLED - CLOSED",
            "PAUSED: - - ON_SALE CLOSED CANCELLED - CLOSED",
            "CLOSED: - - - - CANCELLED - -",
            "CANCELLED: - - - - - - -",
        ];
        let rows = ShowState::ALL.map(|state| {
            let next = |verb| next_state(state, verb).map_or("-", ShowState::as_str);
            format!("{state}: {}", Verb::ALL.map(next).join(" "))
        });
        assert_eq!(rows, table);
    }

    #[test]
    fn a_state_lists_its_allowed_transitions() {
        let next = |state| {
            let names: Vec<_> = next_states(state).map(ShowState::as_str).collect();
            names.join(",")
        };
        assert_eq!(next(ShowState::Draft), "ON_SALE,CANCELLED");
        assert_eq!(next(ShowState::Paused), "ON_SALE,CLOSED,CANCELLED");
        assert_eq!(next(ShowState::Cancelled), "");
    }

    #[test]
    fn times_change_the_state_by_themselves() {
        let at = |state, open_at, close_at| {
            let show = ShowInfo {
                state,
                sales_open_at: open_at,
                sales_close_at: close_at,
                ..show()
            };
            show.at(NOW).state
        };
        let (past, ahead) = (Some(NOW), Some(NOW + Duration::SECOND));
        assert_eq!(at(ShowState::Draft, None, None), ShowState::Draft);
        assert_eq!(at(ShowState::Draft, ahead, None), ShowState::Draft);
        assert_eq!(at(ShowState::Draft, past, None), ShowState::OnSale);
        assert_eq!(at(ShowState::Draft, past, past), ShowState::Closed);
        assert_eq!(at(ShowState::Draft, None, past), ShowState::Draft);
        assert_eq!(at(ShowState::Paused, past, past), ShowState::Closed);
        assert_eq!(at(ShowState::OnSale, past, ahead), ShowState::OnSale);
        assert_eq!(at(ShowState::Cancelled, past, past), ShowState::Cancelled);
    }

    #[test]
    fn who_publishes_early_does_not_leave_a_later_opening() {
        let draft = |open_at| ShowInfo {
            state: ShowState::Draft,
            sales_open_at: open_at,
            offered: false,
            ..show()
        };
        let ahead = Some(NOW + Duration::SECOND);
        let published = draft(ahead).after(Verb::Publish, NOW).expect("published");
        assert_eq!((published.sales_open_at, published.offered), (None, true));
        let cancelled = draft(ahead).after(Verb::Cancel, NOW).expect("cancelled");
        assert_eq!((cancelled.sales_open_at, cancelled.offered), (ahead, false));
        assert_eq!(cancelled.cancelled_at, Some(NOW));
    }
}
