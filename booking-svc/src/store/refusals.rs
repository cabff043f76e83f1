//! What calls with a request id were refused for, in `booking.refusals`, for a day: a refusal as
//! JSON. Times are in microseconds since 1970, as exact as the database's own.

use std::time::Duration;

use model::{BookingId, Currency, ShowId};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use tokio_postgres::Row;
use uuid::Uuid;

use super::rows::{self, BadRow};
use crate::domain::choose::Unmet;
use crate::domain::{BookingState, FailureReason, Refusal, Replay, SaleState, Taken};

/// The show is the row's.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "why", rename_all = "SCREAMING_SNAKE_CASE")]
enum Told {
    ShowNotOnSale {
        state: String,
        opens_at: Option<i64>,
    },
    ShowStarted {
        start_at: i64,
    },
    TooManySeats {
        limit: u16,
    },
    TooManyPlaces {
        limit: u16,
    },
    CustomerHasTooMany {
        limit: u16,
        taken: usize,
    },
    AreasFull {
        areas: Vec<(String, u32)>,
    },
    PlacesNotInBooking {
        booking_id: Uuid,
        areas: Vec<(String, u32)>,
    },
    SeatsUnavailable {
        seats: Vec<(String, String)>,
    },
    HoldExpired {
        booking_id: Uuid,
        expires_at: i64,
    },
    BookingState {
        booking_id: Uuid,
        state: String,
        failure_reason: Option<String>,
        since: i64,
    },
    VersionMismatch {
        booking_id: Uuid,
        version: i32,
    },
    PaymentPending {
        booking_id: Uuid,
        key: Uuid,
    },
    ChoiceUnavailable {
        choice: usize,
        largest_party: u8,
    },
    SeatsStranded {
        labels: Vec<String>,
    },
    NotInBooking {
        booking_id: Uuid,
        labels: Vec<String>,
    },
    LifetimeExceeded {
        booking_id: Uuid,
        left_ms: u64,
    },
    SwapCostsMore {
        booking_id: Uuid,
        by: i64,
        currency: Currency,
    },
}

/// A refusal as JSON; none if it is not to be remembered.
pub(super) fn to_json(refusal: &Refusal) -> Option<String> {
    let told = match refusal {
        Refusal::ShowNotFound(_)
        | Refusal::BookingNotFound(_)
        | Refusal::RequestIdReused
        | Refusal::PaymentRequired(_) => {
            return None;
        }
        Refusal::PaymentPending(booking_id, key) => Told::PaymentPending {
            booking_id: booking_id.uuid(),
            key: *key,
        },
        Refusal::ShowNotOnSale(_, state, opens_at) => Told::ShowNotOnSale {
            state: state.as_str().to_owned(),
            opens_at: opens_at.map(micros),
        },
        Refusal::ShowStarted(_, start_at) => Told::ShowStarted {
            start_at: micros(*start_at),
        },
        Refusal::TooManySeats(limit) => Told::TooManySeats { limit: *limit },
        Refusal::TooManyPlaces(limit) => Told::TooManyPlaces { limit: *limit },
        Refusal::CustomerHasTooMany { limit, taken } => Told::CustomerHasTooMany {
            limit: *limit,
            taken: *taken,
        },
        Refusal::AreasFull(_, areas) => Told::AreasFull {
            areas: areas.clone(),
        },
        Refusal::ChoiceUnavailable(_, unmet) => Told::ChoiceUnavailable {
            choice: unmet.wish,
            largest_party: unmet.largest_party,
        },
        Refusal::SeatsStranded(_, labels) => Told::SeatsStranded {
            labels: labels.clone(),
        },
        Refusal::PlacesNotInBooking(booking_id, areas) => Told::PlacesNotInBooking {
            booking_id: booking_id.uuid(),
            areas: areas.clone(),
        },
        Refusal::SeatsUnavailable(_, seats) => {
            let seat = |(label, how): &(String, Taken)| (label.clone(), how.as_str().to_owned());
            Told::SeatsUnavailable {
                seats: seats.iter().map(seat).collect(),
            }
        }
        Refusal::HoldExpired(booking_id, expires_at) => Told::HoldExpired {
            booking_id: booking_id.uuid(),
            expires_at: micros(*expires_at),
        },
        Refusal::BookingState {
            booking_id,
            state,
            failure_reason,
            since,
        } => Told::BookingState {
            booking_id: booking_id.uuid(),
            state: state.as_str().to_owned(),
            failure_reason: failure_reason.map(|reason| reason.as_str().to_owned()),
            since: micros(*since),
        },
        Refusal::VersionMismatch(booking_id, version) => Told::VersionMismatch {
            booking_id: booking_id.uuid(),
            version: *version,
        },
        Refusal::NotInBooking(booking_id, labels) => Told::NotInBooking {
            booking_id: booking_id.uuid(),
            labels: labels.clone(),
        },
        Refusal::LifetimeExceeded { booking_id, left } => Told::LifetimeExceeded {
            booking_id: booking_id.uuid(),
            left_ms: u64::try_from(left.as_millis()).unwrap_or(u64::MAX),
        },
        Refusal::SwapCostsMore {
            booking_id,
            by,
            currency,
        } => Told::SwapCostsMore {
            booking_id: booking_id.uuid(),
            by: *by,
            currency: *currency,
        },
    };
    // Numbers, texts and lists of them always have a JSON text.
    serde_json::to_string(&told).ok()
}

/// What [`to_json`] wrote of an order of a show; none if it is not that.
fn from_json(show_id: ShowId, json: &str) -> Option<Refusal> {
    Some(match serde_json::from_str(json).ok()? {
        Told::ShowNotOnSale { state, opens_at } => Refusal::ShowNotOnSale(
            show_id,
            SaleState::from_name(&state)?,
            match opens_at {
                Some(at) => Some(instant(at)?),
                None => None,
            },
        ),
        Told::ShowStarted { start_at } => Refusal::ShowStarted(show_id, instant(start_at)?),
        Told::TooManySeats { limit } => Refusal::TooManySeats(limit),
        Told::TooManyPlaces { limit } => Refusal::TooManyPlaces(limit),
        Told::CustomerHasTooMany { limit, taken } => Refusal::CustomerHasTooMany { limit, taken },
        Told::AreasFull { areas } => Refusal::AreasFull(show_id, areas),
        Told::PaymentPending { booking_id, key } => {
            Refusal::PaymentPending(booking(booking_id)?, key)
        }
        Told::ChoiceUnavailable {
            choice,
            largest_party,
        } => {
            let unmet = Unmet {
                wish: choice,
                largest_party,
            };
            Refusal::ChoiceUnavailable(show_id, unmet)
        }
        Told::SeatsStranded { labels } => Refusal::SeatsStranded(show_id, labels),
        Told::PlacesNotInBooking { booking_id, areas } => {
            Refusal::PlacesNotInBooking(booking(booking_id)?, areas)
        }
        Told::SeatsUnavailable { seats } => {
            let seat = |(label, how): (String, String)| Some((label, Taken::from_name(&how)?));
            let seats: Option<_> = seats.into_iter().map(seat).collect();
            Refusal::SeatsUnavailable(show_id, seats?)
        }
        Told::HoldExpired {
            booking_id,
            expires_at,
        } => Refusal::HoldExpired(booking(booking_id)?, instant(expires_at)?),
        Told::BookingState {
            booking_id,
            state,
            failure_reason,
            since,
        } => Refusal::BookingState {
            booking_id: booking(booking_id)?,
            state: BookingState::from_name(&state)?,
            failure_reason: match failure_reason {
                Some(name) => Some(FailureReason::from_name(&name)?),
                None => None,
            },
            since: instant(since)?,
        },
        Told::VersionMismatch {
            booking_id,
            version,
        } => Refusal::VersionMismatch(booking(booking_id)?, version),
        Told::NotInBooking { booking_id, labels } => {
            Refusal::NotInBooking(booking(booking_id)?, labels)
        }
        Told::LifetimeExceeded {
            booking_id,
            left_ms,
        } => Refusal::LifetimeExceeded {
            booking_id: booking(booking_id)?,
            left: Duration::from_millis(left_ms),
        },
        Told::SwapCostsMore {
            booking_id,
            by,
            currency,
        } => Refusal::SwapCostsMore {
            booking_id: booking(booking_id)?,
            by,
            currency,
        },
    })
}

/// Reads a row of `refusals.sql`: the request, and what it is answered.
pub(super) fn refused(row: &Row) -> Result<((ShowId, Uuid), Replay), BadRow> {
    let (show_id, request_id) = (rows::show_id(row.get(0))?, row.get(1));
    let refusal = from_json(show_id, row.get(3));
    let replay = Replay {
        fingerprint: row.get(2),
        result: Err(refusal.ok_or_else(|| rows::bad("refusal", request_id))?),
    };
    Ok(((show_id, request_id), replay))
}

fn booking(id: Uuid) -> Option<BookingId> {
    BookingId::try_from(id).ok()
}

fn micros(at: OffsetDateTime) -> i64 {
    i64::try_from(at.unix_timestamp_nanos() / 1_000).unwrap_or(i64::MAX)
}

fn instant(micros: i64) -> Option<OffsetDateTime> {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(micros) * 1_000).ok()
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    const AT: OffsetDateTime = datetime!(2030-01-01 12:00:00.123456 UTC);

    /// One of each kind at least; what is not set once is set another time.
    fn all(show_id: ShowId) -> Vec<Refusal> {
        let booking_id = BookingId::generate(show_id);
        let state = |state, failure_reason| Refusal::BookingState {
            booking_id,
            state,
            failure_reason,
            since: AT,
        };
        let labels = || vec!["A-1".to_owned(), "Ü \"7\"".to_owned()];
        vec![
            Refusal::ShowNotFound(show_id),
            Refusal::BookingNotFound(booking_id),
            Refusal::RequestIdReused,
            Refusal::ShowNotOnSale(show_id, SaleState::Draft, Some(AT)),
            Refusal::ShowNotOnSale(show_id, SaleState::Cancelled, None),
            Refusal::ShowStarted(show_id, AT),
            Refusal::TooManySeats(7),
            Refusal::TooManyPlaces(9),
            Refusal::CustomerHasTooMany { limit: 4, taken: 3 },
            Refusal::AreasFull(
                show_id,
                vec![("Floor".to_owned(), 0), ("Pit".to_owned(), 2)],
            ),
            Refusal::ChoiceUnavailable(
                show_id,
                Unmet {
                    wish: 2,
                    largest_party: 5,
                },
            ),
            Refusal::PaymentRequired(Some(booking_id)),
            Refusal::PaymentPending(booking_id, Uuid::from_u128(7)),
            Refusal::SeatsStranded(show_id, labels()),
            Refusal::PlacesNotInBooking(booking_id, vec![("Floor".to_owned(), 1)]),
            Refusal::SeatsUnavailable(
                show_id,
                labels()
                    .into_iter()
                    .zip([Taken::Held, Taken::Booked])
                    .chain([("B".to_owned(), Taken::Blocked)])
                    .collect(),
            ),
            Refusal::HoldExpired(booking_id, AT),
            state(BookingState::Cancelled, None),
            state(BookingState::Failed, Some(FailureReason::Expired)),
            Refusal::VersionMismatch(booking_id, 3),
            Refusal::NotInBooking(booking_id, labels()),
            Refusal::LifetimeExceeded {
                booking_id,
                left: Duration::from_millis(1_234),
            },
            Refusal::SwapCostsMore {
                booking_id,
                by: 1_250,
                currency: "EUR".parse().expect("a currency"),
            },
        ]
    }

    #[test]
    fn what_sticks_is_written_and_read_again() {
        let show_id = ShowId::generate();
        for refusal in all(show_id) {
            let json = to_json(&refusal);
            assert_eq!(json.is_some(), refusal.sticks(), "{refusal:?}");
            if let Some(json) = json {
                assert_eq!(from_json(show_id, &json), Some(refusal), "{json}");
            }
        }
        assert_eq!(from_json(show_id, r#"{"why": "NOTHING"}"#), None);
    }
}
