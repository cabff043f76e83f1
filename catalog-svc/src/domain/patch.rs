//! What an update changes, and what a show is after it.

use time::OffsetDateTime;

use super::new_show::{Schedule, ShowName, Venue};
use super::refusal::Refusal;
use super::show::{ShowInfo, ShowState, ShowType};

/// New values for some of a show's fields; what is not set stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ShowPatch {
    /// A new name.
    pub name: Option<ShowName>,
    /// Another kind.
    pub show_type: Option<ShowType>,
    /// Another start.
    pub start_at: Option<OffsetDateTime>,
    /// Another end; `Some(None)` makes it unknown.
    pub end_at: Option<Option<OffsetDateTime>>,
    /// Another venue.
    pub venue: Option<Venue>,
}

/// The fields of a show as they are after a patch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changes {
    /// The name.
    pub name: String,
    /// The kind.
    pub show_type: ShowType,
    /// The start.
    pub start_at: OffsetDateTime,
    /// The end, if it is known.
    pub end_at: Option<OffsetDateTime>,
    /// The venue.
    pub venue: String,
}

impl ShowPatch {
    /// What `show` becomes by this patch at `now`.
    ///
    /// # Errors
    ///
    /// If the show is not on sale, its end would not be after its start, or a new start is
    /// not ahead of `now`.
    pub fn apply(&self, show: &ShowInfo, now: OffsetDateTime) -> Result<Changes, Refusal> {
        show.check_state(ShowState::OnSale)?;
        let start_at = self.start_at.unwrap_or(show.start_at);
        let end_at = self.end_at.unwrap_or(show.end_at);
        let schedule = Schedule::new(start_at, end_at).map_err(Refusal::Schedule)?;
        if self.start_at.is_some() {
            schedule.check_ahead(now).map_err(Refusal::Schedule)?;
        }
        let name = self.name.as_ref().map_or(&*show.name, ShowName::as_str);
        let venue = self.venue.as_ref().map_or(&*show.venue, Venue::as_str);
        Ok(Changes {
            name: name.to_owned(),
            show_type: self.show_type.unwrap_or(show.show_type),
            start_at,
            end_at,
            venue: venue.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use model::ShowId;
    use time::macros::datetime;

    use super::super::refusal::ScheduleField;
    use super::*;

    const NOW: OffsetDateTime = datetime!(2030-01-01 12:00 UTC);

    fn show() -> ShowInfo {
        ShowInfo {
            id: ShowId::generate(),
            revision: 7,
            name: "Hamlet".to_owned(),
            show_type: ShowType::Other,
            state: ShowState::OnSale,
            start_at: datetime!(2030-01-02 20:00 UTC),
            end_at: Some(datetime!(2030-01-02 23:00 UTC)),
            venue: "Globe".to_owned(),
            seat_count: 1,
            created_at: NOW,
            updated_at: NOW,
            cancelled_at: None,
        }
    }

    #[test]
    fn what_a_patch_does_not_name_stays() {
        let patch = ShowPatch {
            show_type: Some(ShowType::Concert),
            ..ShowPatch::default()
        };
        let changes = patch.apply(&show(), NOW);
        let changes = changes.map(|it| (it.name, it.show_type, it.end_at, it.venue));
        let (name, venue) = ("Hamlet".to_owned(), "Globe".to_owned());
        assert_eq!(changes, Ok((name, ShowType::Concert, show().end_at, venue)));
    }

    #[test]
    fn times_are_checked_as_they_will_be_together() {
        let field = |patch: ShowPatch| match patch.apply(&show(), NOW) {
            Err(Refusal::Schedule(problem)) => Some(problem.field),
            _ => None,
        };
        let late = ShowPatch {
            start_at: Some(datetime!(2030-01-03 20:00 UTC)),
            ..ShowPatch::default()
        };
        assert_eq!(field(late.clone()), Some(ScheduleField::End));
        assert_eq!(
            field(ShowPatch {
                end_at: Some(None),
                ..late
            }),
            None
        );
        let past = ShowPatch {
            start_at: Some(NOW),
            ..ShowPatch::default()
        };
        assert_eq!(field(past), Some(ScheduleField::Start));
    }

    #[test]
    fn a_cancelled_show_is_not_changed() {
        let cancelled = ShowInfo {
            state: ShowState::Cancelled,
            ..show()
        };
        let refused = ShowPatch::default().apply(&cancelled, NOW);
        assert!(matches!(
            refused,
            Err(Refusal::State {
                is: ShowState::Cancelled,
                ..
            })
        ));
    }
}
