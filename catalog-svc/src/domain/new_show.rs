//! The parts of a show that a caller chooses, each of which cannot be invalid once it exists.

use model::SeatLayout;
use time::{Duration, OffsetDateTime};

use super::refusal::ScheduleField;
use super::show::ShowType;

/// The most characters of a show's name; it has one at least.
pub const NAME_CHARS_MAX: usize = 200;
/// The most characters of a venue; it may be empty.
pub const VENUE_CHARS_MAX: usize = 200;
/// How far ahead a show may start: 10 years.
pub const START_AHEAD_MAX: Duration = Duration::days(3_653);

/// A show that is to be created.
#[derive(Debug, Clone, PartialEq)]
pub struct NewShow {
    /// Its name.
    pub name: ShowName,
    /// Its kind.
    pub show_type: ShowType,
    /// When it takes place.
    pub schedule: Schedule,
    /// Where.
    pub venue: Venue,
    /// Its seats and their prices.
    pub layout: SeatLayout,
}

/// What is wrong with a text. Its message is for the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TextProblem {
    /// Too short or too long.
    #[error("must have {min} to {max} characters")]
    Length {
        /// The fewest characters.
        min: usize,
        /// The most.
        max: usize,
    },
    /// White space around it, or control characters in it.
    #[error("must not begin or end with white space, nor have control characters")]
    Shape,
}

fn check_text(text: &str, min: usize, max: usize) -> Result<(), TextProblem> {
    let chars = text.chars().count();
    if chars < min || chars > max {
        return Err(TextProblem::Length { min, max });
    }
    if text.trim() != text || text.chars().any(char::is_control) {
        return Err(TextProblem::Shape);
    }
    Ok(())
}

/// The name of a show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShowName(String);

impl ShowName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for ShowName {
    type Error = TextProblem;

    fn try_from(name: String) -> Result<Self, TextProblem> {
        check_text(&name, 1, NAME_CHARS_MAX).map(|()| Self(name))
    }
}

/// Where a show takes place; may be empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Venue(String);

impl Venue {
    /// The venue as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Venue {
    type Error = TextProblem;

    fn try_from(venue: String) -> Result<Self, TextProblem> {
        check_text(&venue, 0, VENUE_CHARS_MAX).map(|()| Self(venue))
    }
}

/// When a show takes place. It ends after it starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schedule {
    start_at: OffsetDateTime,
    end_at: Option<OffsetDateTime>,
}

/// Which time is wrong, and what it must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScheduleProblem {
    /// The time that is wrong.
    pub field: ScheduleField,
    /// What it must be.
    pub message: &'static str,
}

impl Schedule {
    /// A start, and an end after it if it is known.
    ///
    /// # Errors
    ///
    /// If the end is not after the start.
    pub fn new(
        start_at: OffsetDateTime,
        end_at: Option<OffsetDateTime>,
    ) -> Result<Self, ScheduleProblem> {
        if end_at.is_some_and(|end_at| end_at <= start_at) {
            return Err(ScheduleProblem {
                field: ScheduleField::End,
                message: "must be after start_time",
            });
        }
        Ok(Self { start_at, end_at })
    }

    /// When it starts.
    #[must_use]
    pub fn start_at(&self) -> OffsetDateTime {
        self.start_at
    }

    /// When it ends, if that is known.
    #[must_use]
    pub fn end_at(&self) -> Option<OffsetDateTime> {
        self.end_at
    }

    /// Whether it starts in the future of `now`, and not too far in it.
    ///
    /// # Errors
    ///
    /// If it does not.
    pub fn check_ahead(&self, now: OffsetDateTime) -> Result<(), ScheduleProblem> {
        let message = if self.start_at <= now {
            "must be in the future"
        } else if self.start_at - now > START_AHEAD_MAX {
            "must be at most 10 years ahead"
        } else {
            return Ok(());
        };
        Err(ScheduleProblem {
            field: ScheduleField::Start,
            message,
        })
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn names_have_length_and_shape() {
        let name = |text: &str| ShowName::try_from(text.to_owned()).map(|_| ());
        assert_eq!(name("x"), Ok(()));
        assert_eq!(name(&"ä".repeat(NAME_CHARS_MAX)), Ok(()));
        let length = Err(TextProblem::Length {
            min: 1,
            max: NAME_CHARS_MAX,
        });
        assert_eq!(name(""), length);
        assert_eq!(name(&"ä".repeat(NAME_CHARS_MAX + 1)), length);
        for shape in [" x", "x ", " ", "a\nb", "a\0b", "\u{2003}x"] {
            assert_eq!(name(shape), Err(TextProblem::Shape), "{shape:?}");
        }
        assert!(Venue::try_from(String::new()).is_ok());
    }

    #[test]
    fn a_show_ends_after_it_starts() {
        let start = datetime!(2030-01-01 20:00 UTC);
        assert!(Schedule::new(start, None).is_ok());
        assert!(Schedule::new(start, Some(start + Duration::MICROSECOND)).is_ok());
        let problem = Schedule::new(start, Some(start)).map_err(|problem| problem.field);
        assert_eq!(problem, Err(ScheduleField::End));
    }

    #[test]
    fn a_show_starts_in_the_next_ten_years() {
        let now = datetime!(2030-01-01 20:00 UTC);
        let check = |ahead| {
            let schedule = Schedule::new(now + ahead, None).map_err(|problem| problem.message);
            schedule.and_then(|it| it.check_ahead(now).map_err(|problem| problem.message))
        };
        assert_eq!(check(Duration::ZERO), Err("must be in the future"));
        assert_eq!(check(Duration::MICROSECOND), Ok(()));
        assert_eq!(check(START_AHEAD_MAX), Ok(()));
        assert!(check(START_AHEAD_MAX + Duration::MICROSECOND).is_err());
    }
}
