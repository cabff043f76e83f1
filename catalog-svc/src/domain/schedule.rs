//! When a show takes place, and from when to when it is on sale.

use model::Problem;
use time::{Duration, OffsetDateTime};

/// How far ahead a show may start: 10 years.
pub const START_AHEAD_MAX: Duration = Duration::days(3_653);

/// The times of a show, in an order that makes sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schedule {
    start_at: OffsetDateTime,
    end_at: Option<OffsetDateTime>,
    sales_open_at: Option<OffsetDateTime>,
    sales_close_at: Option<OffsetDateTime>,
}

impl Schedule {
    /// A start, and optionally an end after it, and a sale that opens before it
    /// closes, and closes before the show is over.
    ///
    /// # Errors
    ///
    /// Every time that is out of order, by the name of its field.
    pub fn new(
        start_at: OffsetDateTime,
        end_at: Option<OffsetDateTime>,
        sales_open_at: Option<OffsetDateTime>,
        sales_close_at: Option<OffsetDateTime>,
    ) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        let ends_after_start = end_at.is_none_or(|end_at| end_at > start_at);
        if !ends_after_start {
            problems.push(problem("end_time", "must be after start_time"));
        }
        let (over, name) = match end_at.filter(|_| ends_after_start) {
            Some(end_at) => (end_at, "end_time"),
            None => (start_at, "start_time"),
        };
        if sales_close_at.is_some_and(|close_at| close_at > over) {
            let message = format!("must not be after {name}");
            problems.push(problem("sales_close_time", message));
        }
        let (ends, name) = match sales_close_at {
            Some(close_at) => (close_at, "sales_close_time"),
            None => (start_at, "start_time"),
        };
        if sales_open_at.is_some_and(|open_at| open_at >= ends) {
            problems.push(problem("sales_open_time", format!("must be before {name}")));
        }
        if problems.is_empty() {
            Ok(Self {
                start_at,
                end_at,
                sales_open_at,
                sales_close_at,
            })
        } else {
            Err(problems)
        }
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

    /// When its sale opens automatically, if it does.
    #[must_use]
    pub fn sales_open_at(&self) -> Option<OffsetDateTime> {
        self.sales_open_at
    }

    /// When its sale closes automatically, if not at the start.
    #[must_use]
    pub fn sales_close_at(&self) -> Option<OffsetDateTime> {
        self.sales_close_at
    }

    /// The times that are not in the future of `now`, or too far in it.
    #[must_use]
    pub fn not_ahead(&self, now: OffsetDateTime) -> Vec<Problem> {
        let mut problems = start_not_ahead(self.start_at, now);
        problems.extend(not_ahead("sales_open_time", self.sales_open_at, now));
        problems.extend(not_ahead("sales_close_time", self.sales_close_at, now));
        problems
    }
}

/// The fault of a start, as of `now`.
pub(super) fn start_not_ahead(start_at: OffsetDateTime, now: OffsetDateTime) -> Vec<Problem> {
    let too_far = start_at - now > START_AHEAD_MAX;
    let too_far = too_far.then(|| problem("start_time", "must be at most 10 years ahead"));
    not_ahead("start_time", Some(start_at), now)
        .into_iter()
        .chain(too_far)
        .collect()
}

/// The fault of an optional time that must be in the future of `now`.
pub(super) fn not_ahead(
    field: &str,
    at: Option<OffsetDateTime>,
    now: OffsetDateTime,
) -> Option<Problem> {
    let is_past = at.is_some_and(|at| at <= now);
    is_past.then(|| problem(field, "must be in the future"))
}

fn problem(field: &str, message: impl Into<String>) -> Problem {
    Problem {
        path: field.to_owned(),
        message: message.into(),
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    const START: OffsetDateTime = datetime!(2030-01-01 20:00 UTC);
    const HOUR: Duration = Duration::HOUR;

    fn fields(problems: &[Problem]) -> String {
        let fields: Vec<_> = problems.iter().map(|problem| &*problem.path).collect();
        fields.join(",")
    }

    fn wrong(
        end_at: Option<OffsetDateTime>,
        open_at: Option<OffsetDateTime>,
        close_at: Option<OffsetDateTime>,
    ) -> String {
        let schedule = Schedule::new(START, end_at, open_at, close_at);
        schedule.map_or_else(|problems| fields(&problems), |_| String::new())
    }

    #[test]
    fn times_are_in_order() {
        assert_eq!(wrong(None, None, None), "");
        assert_eq!(wrong(Some(START + Duration::MICROSECOND), None, None), "");
        assert_eq!(wrong(Some(START), None, None), "end_time");
        // A clinic's day is sold while it runs, and not after it.
        let end = Some(START + HOUR);
        assert_eq!(wrong(end, None, end), "");
        assert_eq!(
            wrong(end, None, end.map(|end| end + HOUR)),
            "sales_close_time"
        );
        assert_eq!(wrong(None, None, Some(START)), "");
        assert_eq!(wrong(None, None, end), "sales_close_time");
        assert_eq!(wrong(None, Some(START - HOUR), None), "");
        assert_eq!(wrong(None, Some(START), None), "sales_open_time");
        let (open, close) = (Some(START - HOUR), Some(START - HOUR));
        assert_eq!(wrong(None, open, close), "sales_open_time");
        assert_eq!(
            wrong(Some(START), Some(START + HOUR), Some(START + HOUR)),
            "end_time,sales_close_time,sales_open_time"
        );
    }

    #[test]
    fn a_show_starts_in_the_next_ten_years() {
        let check = |ahead| {
            let schedule = Schedule::new(START + ahead, None, None, None);
            schedule.map(|schedule| fields(&schedule.not_ahead(START)))
        };
        assert_eq!(check(Duration::ZERO).as_deref(), Ok("start_time"));
        assert_eq!(check(Duration::MICROSECOND).as_deref(), Ok(""));
        assert_eq!(check(START_AHEAD_MAX).as_deref(), Ok(""));
        let beyond = START_AHEAD_MAX + Duration::MICROSECOND;
        assert_eq!(check(beyond).as_deref(), Ok("start_time"));
    }

    #[test]
    fn a_sale_lies_ahead() {
        let schedule = Schedule::new(START, None, Some(START - 3 * HOUR), Some(START - HOUR));
        let schedule = schedule.expect("a schedule");
        assert_eq!(fields(&schedule.not_ahead(START - 4 * HOUR)), "");
        let late = schedule.not_ahead(START - HOUR);
        assert_eq!(fields(&late), "sales_open_time,sales_close_time");
    }
}
