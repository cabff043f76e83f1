//! The changes of an update, and the show after it.

use model::Problem;
use time::OffsetDateTime;

use super::new_show::{ShowName, Venue};
use super::rejection::Rejection;
use super::rules::{
    HoldLength, Limit, PLACES_PER_CUSTOMER_MAX, SEATS_PER_BOOKING_MAX, SaleRules, TimeZone,
};
use super::schedule::{self, Schedule};
use super::show::{OrphanRule, ShowInfo, ShowState, ShowType};

/// New values for some of a show's fields; unset ones stay as they are. `Some(None)` clears
/// a value.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ShowPatch {
    /// A new name.
    pub name: Option<ShowName>,
    /// Another kind.
    pub show_type: Option<ShowType>,
    /// Another start.
    pub start_at: Option<OffsetDateTime>,
    /// Another end.
    pub end_at: Option<Option<OffsetDateTime>>,
    /// Another venue.
    pub venue: Option<Venue>,
    /// Another time zone.
    pub time_zone: Option<TimeZone>,
    /// Another time at which the sale opens automatically.
    pub sales_open_at: Option<Option<OffsetDateTime>>,
    /// Another time at which the sale closes by itself.
    pub sales_close_at: Option<Option<OffsetDateTime>>,
    /// Another length of holds.
    pub hold: Option<Option<HoldLength>>,
    /// Another limit for a booking.
    pub seats_per_booking: Option<Option<Limit<SEATS_PER_BOOKING_MAX>>>,
    /// Another limit for a customer.
    pub places_per_customer: Option<Option<Limit<PLACES_PER_CUSTOMER_MAX>>>,
    /// Another rule for orphans.
    pub orphan_rule: Option<OrphanRule>,
}

impl ShowPatch {
    /// What `show` becomes by this patch at `now`.
    ///
    /// # Errors
    ///
    /// If the show's state does not allow it, its times would not be in order, or a new time
    /// is not ahead of `now`.
    pub fn apply(&self, show: ShowInfo, now: OffsetDateTime) -> Result<ShowInfo, Rejection> {
        self.check_state(&show)?;
        let schedule = Schedule::new(
            self.start_at.unwrap_or(show.start_at),
            self.end_at.unwrap_or(show.end_at),
            self.sales_open_at.unwrap_or(show.sales_open_at),
            self.sales_close_at.unwrap_or(show.sales_close_at),
        );
        let not_ahead = self.not_ahead(now);
        let schedule = match schedule {
            Ok(schedule) if not_ahead.is_empty() => schedule,
            Ok(_) => return Err(Rejection::Invalid(not_ahead.into())),
            Err(problems) => {
                return Err(Rejection::Invalid(merge(problems, not_ahead).into()));
            }
        };
        let name = self.name.as_ref().map(|name| name.as_str().to_owned());
        let venue = self.venue.as_ref().map(|venue| venue.as_str().to_owned());
        Ok(ShowInfo {
            name: name.unwrap_or(show.name),
            show_type: self.show_type.unwrap_or(show.show_type),
            start_at: schedule.start_at(),
            end_at: schedule.end_at(),
            sales_open_at: schedule.sales_open_at(),
            sales_close_at: schedule.sales_close_at(),
            venue: venue.unwrap_or(show.venue),
            time_zone: self.time_zone.clone().unwrap_or(show.time_zone),
            rules: self.rules(show.rules),
            offered: show.offered || schedule.sales_open_at().is_some(),
            ..show
        })
    }

    /// The field by which the show's slots may fall on another day.
    #[must_use]
    pub fn new_day(&self) -> Option<&'static str> {
        let fields = [
            (self.start_at.is_some(), "start_time"),
            (self.time_zone.is_some(), "time_zone"),
            (self.end_at.is_some(), "end_time"),
        ];
        fields
            .into_iter()
            .find_map(|(is_new, field)| is_new.then_some(field))
    }

    fn check_state(&self, show: &ShowInfo) -> Result<(), Rejection> {
        show.check_not_cancelled()?;
        let opens_elsewhen = self.sales_open_at.is_some() && show.state != ShowState::Draft;
        let closes_elsewhen = self.sales_close_at.is_some() && show.state == ShowState::Closed;
        if opens_elsewhen || closes_elsewhen {
            return Err(show.wrong_state());
        }
        Ok(())
    }

    /// Which of the new times are past. Those that stay may be.
    fn not_ahead(&self, now: OffsetDateTime) -> Vec<Problem> {
        let start = self.start_at.map(|at| schedule::start_not_ahead(at, now));
        let open = schedule::not_ahead("sales_open_time", self.sales_open_at.flatten(), now);
        let close = schedule::not_ahead("sales_close_time", self.sales_close_at.flatten(), now);
        let start = start.unwrap_or_default().into_iter();
        start.chain(open).chain(close).collect()
    }

    fn rules(&self, rules: SaleRules) -> SaleRules {
        SaleRules {
            hold: self.hold.unwrap_or(rules.hold),
            seats_per_booking: self.seats_per_booking.unwrap_or(rules.seats_per_booking),
            places_per_customer: self
                .places_per_customer
                .unwrap_or(rules.places_per_customer),
            orphan_rule: self.orphan_rule.unwrap_or(rules.orphan_rule),
        }
    }
}

/// All problems, one for each field.
fn merge(mut problems: Vec<Problem>, more: Vec<Problem>) -> Vec<Problem> {
    for problem in more {
        if problems.iter().all(|known| known.path != problem.path) {
            problems.push(problem);
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::super::show::tests::show;
    use super::*;

    const NOW: OffsetDateTime = datetime!(2030-01-01 12:00 UTC);

    fn fields(refused: Result<ShowInfo, Rejection>) -> Vec<String> {
        match refused {
            Err(Rejection::Invalid(problems)) => problems.into_iter().map(|it| it.path).collect(),
            other => panic!("not refused for fields: {other:?}"),
        }
    }

    #[test]
    fn what_a_patch_does_not_name_stays() {
        let patch = ShowPatch {
            show_type: Some(ShowType::Concert),
            ..ShowPatch::default()
        };
        let before = show();
        let expected = ShowInfo {
            show_type: ShowType::Concert,
            ..before.clone()
        };
        assert_eq!(patch.apply(before, NOW), Ok(expected));
    }

    #[test]
    fn times_are_checked_as_they_will_be_together() {
        let late = ShowPatch {
            start_at: Some(datetime!(2030-01-03 20:00 UTC)),
            ..ShowPatch::default()
        };
        assert_eq!(fields(late.apply(show(), NOW)), ["end_time"]);
        let open_ended = ShowPatch {
            end_at: Some(None),
            ..late
        };
        assert!(open_ended.apply(show(), NOW).is_ok());
        let past = ShowPatch {
            start_at: Some(NOW),
            sales_close_at: Some(Some(NOW)),
            ..ShowPatch::default()
        };
        assert_eq!(
            fields(past.apply(show(), NOW)),
            ["start_time", "sales_close_time"]
        );
    }

    #[test]
    fn a_state_allows_updates_that_still_have_an_effect() {
        let at = Some(Some(datetime!(2030-01-02 10:00 UTC)));
        let opening = ShowPatch {
            sales_open_at: at,
            ..ShowPatch::default()
        };
        let closing = ShowPatch {
            sales_close_at: at,
            ..ShowPatch::default()
        };
        let allowed = |patch: &ShowPatch| {
            ShowState::ALL.map(|state| patch.apply(ShowInfo { state, ..show() }, NOW).is_ok())
        };
        assert_eq!(
            allowed(&ShowPatch::default()),
            [true, true, true, true, false]
        );
        assert_eq!(allowed(&opening), [true, false, false, false, false]);
        assert_eq!(allowed(&closing), [true, true, true, false, false]);
    }

    #[test]
    fn a_time_at_which_the_sale_opens_is_an_offer() {
        let draft = || ShowInfo {
            state: ShowState::Draft,
            offered: false,
            ..show()
        };
        let opening = ShowPatch {
            sales_open_at: Some(Some(datetime!(2030-01-02 10:00 UTC))),
            ..ShowPatch::default()
        };
        let offered = opening.apply(draft(), NOW).expect("an update");
        assert!(offered.offered);
        let withdrawn = ShowPatch {
            sales_open_at: Some(None),
            ..ShowPatch::default()
        };
        // A feed consumer that knows the time may not know yet that it was cleared.
        let withdrawn = withdrawn.apply(offered, NOW).expect("an update");
        assert_eq!((withdrawn.sales_open_at, withdrawn.offered), (None, true));
        assert!(
            !ShowPatch::default()
                .apply(draft(), NOW)
                .expect("an update")
                .offered
        );
    }
}
