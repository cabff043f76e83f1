//! The values that a transition has replaced, as JSON for the log.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::area_lines::AreaLine;
use crate::domain::{HeldSeat, Prior};

#[derive(Debug, Serialize, Deserialize)]
struct SeatLine {
    ordinal: u32,
    price: i64,
    tier: String,
}

#[derive(Debug, Serialize, Deserialize)]
struct PriorLines {
    seats: Vec<SeatLine>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    areas: Vec<AreaLine>,
    total: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    released: Option<i64>,
    /// In microseconds since 1970, as exact as the database's own times.
    expires_at: i64,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    orphans: Vec<u32>,
}

/// The replaced values as JSON.
pub(super) fn to_json(prior: &Prior) -> String {
    let lines = PriorLines {
        seats: prior.seats.iter().map(SeatLine::from).collect(),
        areas: prior.places.iter().map(AreaLine::from).collect(),
        total: prior.total,
        released: prior.released,
        expires_at: micros(prior.expires_at),
        orphans: prior.orphans.clone(),
    };
    // Numbers and texts always have a JSON text.
    serde_json::to_string(&lines).unwrap_or_default()
}

/// Reads what [`to_json`] wrote; none if it is not of that form.
pub(super) fn from_json(json: &str) -> Option<Prior> {
    let lines: PriorLines = serde_json::from_str(json).ok()?;
    let nanos = i128::from(lines.expires_at) * 1_000;
    Some(Prior {
        seats: lines.seats.into_iter().map(Into::into).collect(),
        places: lines.areas.into_iter().map(Into::into).collect(),
        total: lines.total,
        released: lines.released,
        expires_at: OffsetDateTime::from_unix_timestamp_nanos(nanos).ok()?,
        orphans: lines.orphans,
    })
}

fn micros(at: OffsetDateTime) -> i64 {
    i64::try_from(at.unix_timestamp_nanos() / 1_000).unwrap_or(i64::MAX)
}

impl From<&HeldSeat> for SeatLine {
    fn from(seat: &HeldSeat) -> Self {
        Self {
            ordinal: seat.ordinal,
            price: seat.price,
            tier: seat.tier.to_string(),
        }
    }
}

impl From<SeatLine> for HeldSeat {
    fn from(line: SeatLine) -> Self {
        Self {
            ordinal: line.ordinal,
            price: line.price,
            tier: line.tier.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;
    use crate::domain::HeldPlaces;

    #[test]
    fn what_is_written_is_read_again() {
        let seat = HeldSeat {
            ordinal: 4,
            price: 1_250,
            tier: "VIP \"A\"".into(),
        };
        let places = HeldPlaces {
            area: "Floor".into(),
            quantity: 3,
            price: 800,
            tier: "Standing".into(),
        };
        let cases = [
            (Some(9), vec![places], vec![]),
            (None, Vec::new(), vec![3, 8]),
        ];
        for (released, places, orphans) in cases {
            let prior = Prior {
                seats: vec![seat.clone()],
                places,
                total: 18_750,
                released,
                expires_at: datetime!(2030-01-01 12:00:00.123456 UTC),
                orphans,
            };
            assert_eq!(from_json(&to_json(&prior)), Some(prior));
        }
        assert_eq!(from_json("{}"), None);
    }
}
