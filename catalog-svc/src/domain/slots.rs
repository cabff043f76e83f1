//! A day's slots are local times. On the day on which the clocks go forward some local times do not
//! exist: a show must not sell them. A local time that occurs twice, when the clocks go back, is one
//! slot, the first of the two.

use jiff::Timestamp;
use jiff::civil::{DateTime, Time};
use jiff::tz::{AmbiguousOffset, TimeZone};
use model::{LayoutDescription, Problem, Series};

use super::rejection::Rejection;
use super::show::ShowInfo;

/// Checks that every slot of a layout exists on the show's day.
///
/// # Errors
///
/// The first series with a slot that does not exist, under `field`: the field of the request that
/// gives the show this layout, or this day.
pub fn check_slots(
    show: &ShowInfo,
    layout: &LayoutDescription,
    field: &str,
) -> Result<(), Rejection> {
    match missing_slots(show, layout).first() {
        Some(problem) => Err(Rejection::invalid(field, problem.to_string())),
        None => Ok(()),
    }
}

/// The series with slots that do not exist on the show's day, by their paths below the layout.
pub fn missing_slots(show: &ShowInfo, layout: &LayoutDescription) -> Vec<Problem> {
    let mut series = every_series(layout).filter(|(_, series)| series.minutes().next().is_some());
    // Most layouts have no series of times.
    let Some(first) = series.next() else {
        return Vec::new();
    };
    let Some(day) = Day::of(show) else {
        return Vec::new();
    };
    let all = std::iter::once(first).chain(series);
    let missing = all.filter_map(|(path, series)| {
        let missing: Vec<_> = series.minutes().filter_map(|at| day.missing(at)).collect();
        let slot = missing.first()?;
        let more = match missing.len() - 1 {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        Some(Problem {
            path: format!("{path}.times"),
            message: format!(
                "has the slot {}{more}, which does not exist on {} in {}: the clocks go forward",
                slot.time().strftime("%H:%M"),
                slot.date(),
                show.time_zone.as_str()
            ),
        })
    });
    missing.collect()
}

fn every_series(layout: &LayoutDescription) -> impl Iterator<Item = (String, &Series)> {
    let sections = layout.sections.iter().enumerate();
    let rows = sections.flat_map(|(i, section)| {
        let rows = section.rows.iter().enumerate();
        rows.map(move |(j, row)| (format!("sections[{i}].rows[{j}]"), row))
    });
    rows.flat_map(|(path, row)| {
        let runs = row.runs.iter().enumerate();
        let runs = runs.map(|(k, run)| (format!("runs[{k}]"), run));
        let names = row.names.iter().map(|names| ("names".to_owned(), names));
        let all: Vec<_> = names.chain(runs).collect();
        let all = all.into_iter();
        all.map(move |(below, series)| (format!("{path}.{below}"), series))
    })
}

/// When a show takes place, as the clocks there show it.
struct Day {
    clocks: TimeZone,
    starts: DateTime,
    ends: Option<DateTime>,
}

impl Day {
    /// None if the show's time zone no longer exists.
    fn of(show: &ShowInfo) -> Option<Self> {
        let clocks = show.time_zone.clocks()?;
        let local = |at: time::OffsetDateTime| {
            let at = Timestamp::from_nanosecond(at.unix_timestamp_nanos()).ok()?;
            Some(clocks.to_datetime(at))
        };
        let starts = local(show.start_at)?;
        let ends = show.end_at.and_then(local);
        Some(Self {
            clocks,
            starts,
            ends,
        })
    }

    /// The slot at a minute of the day, if it does not exist.
    fn missing(&self, minute: u32) -> Option<DateTime> {
        let slot = self.slot(minute)?;
        let offset = self.clocks.to_ambiguous_timestamp(slot).offset();
        matches!(offset, AmbiguousOffset::Gap { .. }).then_some(slot)
    }

    /// It is on the day on which the show starts; or on the next one if it would otherwise be before
    /// the start, and the show lasts until then.
    fn slot(&self, minute: u32) -> Option<DateTime> {
        let (hour, minute) = (
            i8::try_from(minute / 60).ok()?,
            i8::try_from(minute % 60).ok()?,
        );
        let time = Time::new(hour, minute, 0, 0).ok()?;
        let today = self.starts.date().to_datetime(time);
        let tomorrow = self.starts.date().tomorrow().ok()?.to_datetime(time);
        let is_tomorrow = today < self.starts && self.ends.is_some_and(|ends| tomorrow < ends);
        Some(if is_tomorrow { tomorrow } else { today })
    }
}

#[cfg(test)]
mod tests {
    use model::{RowBlock, Section};
    use time::macros::datetime;

    use super::super::rules::TimeZone as Zone;
    use super::super::show_on_sale;
    use super::*;

    fn times(first: &str, last: &str) -> Series {
        Series::Times {
            first: first.into(),
            last: last.into(),
            step_minutes: 30,
        }
    }

    fn layout(runs: Vec<Series>) -> LayoutDescription {
        let row = RowBlock {
            names: None,
            runs,
            label_format: None,
        };
        LayoutDescription {
            sections: vec![Section {
                name: "Room".into(),
                deck: "".into(),
                origin: None,
                rows: vec![row],
            }],
            ..LayoutDescription::default()
        }
    }

    fn show(
        zone: &str,
        start_at: time::OffsetDateTime,
        end_at: Option<time::OffsetDateTime>,
    ) -> ShowInfo {
        ShowInfo {
            time_zone: Zone::try_from(zone.to_owned()).expect("a zone"),
            start_at,
            end_at,
            ..show_on_sale()
        }
    }

    fn missing(show: &ShowInfo, runs: Vec<Series>) -> Vec<String> {
        let missing = missing_slots(show, &layout(runs));
        missing.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_hour_that_does_not_come_is_named() {
        // In Berlin it is 02:00 and then 03:00 on 28 March 2027.
        let spring = show("Europe/Berlin", datetime!(2027-03-28 0:00 UTC), None);
        let around = || vec![times("01:00", "01:30"), times("03:00", "04:30")];
        assert_eq!(missing(&spring, around()), [""; 0]);
        assert_eq!(
            missing(
                &spring,
                vec![times("01:00", "01:30"), times("01:30", "03:30")]
            ),
            [
                "sections[0].rows[0].runs[1].times: has the slot 02:00 and 1 more, which does not \
              exist on 2027-03-28 in Europe/Berlin: the clocks go forward"
            ]
        );
        for (zone, start) in [
            ("Europe/Berlin", datetime!(2027-03-27 0:00 UTC)),
            ("Europe/Berlin", datetime!(2027-03-29 0:00 UTC)),
            ("UTC", datetime!(2027-03-28 0:00 UTC)),
            // The clocks go back there: an hour occurs twice, and each of its slots is one.
            ("Europe/Berlin", datetime!(2027-10-30 23:00 UTC)),
        ] {
            let other = show(zone, start, None);
            assert_eq!(missing(&other, vec![times("00:00", "23:30")]), [""; 0]);
        }
        // Half an hour, on an island: 02:00 is 02:30.
        let island = show("Australia/Lord_Howe", datetime!(2027-10-02 15:00 UTC), None);
        let found = missing(&island, vec![times("01:30", "03:00")]);
        assert!(found[0].contains("has the slot 02:00, which"), "{found:?}");
    }

    #[test]
    fn a_night_has_slots_of_the_next_day() {
        let evening = datetime!(2027-03-27 21:00 UTC);
        let night = show(
            "Europe/Berlin",
            evening,
            Some(datetime!(2027-03-28 4:00 UTC)),
        );
        let slots = || vec![times("22:00", "23:30"), times("00:00", "05:30")];
        let found = missing(&night, slots());
        assert!(found[0].contains("runs[1].times: has the slot 02:00 and 1 more"));
        // It ends before that hour, or the next night is the one.
        let short = show(
            "Europe/Berlin",
            evening,
            Some(datetime!(2027-03-28 0:30 UTC)),
        );
        assert_eq!(missing(&short, slots()), [""; 0]);
        let after = show(
            "Europe/Berlin",
            datetime!(2027-03-28 21:00 UTC),
            Some(datetime!(2027-03-29 4:00 UTC)),
        );
        assert_eq!(missing(&after, slots()), [""; 0]);
    }

    #[test]
    fn rows_may_be_the_slots_too() {
        let mut described = layout(vec![Series::List(vec!["1".into()])]);
        described.sections[0].rows[0].names = Some(times("02:00", "02:30"));
        let spring = show("Europe/Berlin", datetime!(2027-03-28 0:00 UTC), None);
        let refused = check_slots(&spring, &described, "layout_id");
        let Err(Rejection::Invalid(problems)) = refused else {
            panic!("{refused:?}")
        };
        let problem = problems.first().expect("a problem").to_string();
        assert!(problem.starts_with("layout_id: sections[0].rows[0].names.times: has"));
    }
}
