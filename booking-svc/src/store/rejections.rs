//! Rejections that are stored under the request id of their call for a day, in `booking.rejections`,
//! as JSON. Times are in microseconds since 1970, as exact as the database's own.

use std::time::Duration;

use model::{BookingId, Currency, ShowId};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use tokio_postgres::Row;
use uuid::Uuid;

use super::rows::{self, BadRow};
use crate::domain::choose::Unmet;
use crate::domain::{BookingState, FailureReason, Rejection, Replay, SaleState, Taken};

/// The show is the row's.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "why", rename_all = "SCREAMING_SNAKE_CASE")]
enum Stored {
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
    OrphanSeats {
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

/// A rejection as JSON; none if it is not stored.
pub(super) fn to_json(rejection: &Rejection) -> Option<String> {
    let told = match rejection {
        Rejection::ShowNotFound(_)
        | Rejection::BookingNotFound(_)
        | Rejection::RequestIdReused
        | Rejection::PaymentRequired(_) => {
            return None;
        }
        Rejection::PaymentPending(booking_id, key) => Stored::PaymentPending {
            booking_id: booking_id.uuid(),
            key: *key,
        },
        Rejection::ShowNotOnSale(_, state, opens_at) => Stored::ShowNotOnSale {
            state: state.as_str().to_owned(),
            opens_at: opens_at.map(micros),
        },
        Rejection::ShowStarted(_, start_at) => Stored::ShowStarted {
            start_at: micros(*start_at),
        },
        Rejection::TooManySeats(limit) => Stored::TooManySeats { limit: *limit },
        Rejection::TooManyPlaces(limit) => Stored::TooManyPlaces { limit: *limit },
        Rejection::CustomerHasTooMany { limit, taken } => Stored::CustomerHasTooMany {
            limit: *limit,
            taken: *taken,
        },
        Rejection::AreasFull(_, areas) => Stored::AreasFull {
            areas: areas.clone(),
        },
        Rejection::ChoiceUnavailable(_, unmet) => Stored::ChoiceUnavailable {
            choice: unmet.wish,
            largest_party: unmet.largest_party,
        },
        Rejection::OrphanSeats(_, labels) => Stored::OrphanSeats {
            labels: labels.clone(),
        },
        Rejection::PlacesNotInBooking(booking_id, areas) => Stored::PlacesNotInBooking {
            booking_id: booking_id.uuid(),
            areas: areas.clone(),
        },
        Rejection::SeatsUnavailable(_, seats) => {
            let seat = |(label, how): &(String, Taken)| (label.clone(), how.as_str().to_owned());
            Stored::SeatsUnavailable {
                seats: seats.iter().map(seat).collect(),
            }
        }
        Rejection::HoldExpired(booking_id, expires_at) => Stored::HoldExpired {
            booking_id: booking_id.uuid(),
            expires_at: micros(*expires_at),
        },
        Rejection::BookingState {
            booking_id,
            state,
            failure_reason,
            since,
        } => Stored::BookingState {
            booking_id: booking_id.uuid(),
            state: state.as_str().to_owned(),
            failure_reason: failure_reason.map(|reason| reason.as_str().to_owned()),
            since: micros(*since),
        },
        Rejection::VersionMismatch(booking_id, version) => Stored::VersionMismatch {
            booking_id: booking_id.uuid(),
            version: *version,
        },
        Rejection::NotInBooking(booking_id, labels) => Stored::NotInBooking {
            booking_id: booking_id.uuid(),
            labels: labels.clone(),
        },
        Rejection::LifetimeExceeded { booking_id, left } => Stored::LifetimeExceeded {
            booking_id: booking_id.uuid(),
            left_ms: u64::try_from(left.as_millis()).unwrap_or(u64::MAX),
        },
        Rejection::SwapCostsMore {
            booking_id,
            by,
            currency,
        } => Stored::SwapCostsMore {
            booking_id: booking_id.uuid(),
            by: *by,
            currency: *currency,
        },
    };
    // Numbers, texts and lists of them always have a JSON text.
    serde_json::to_string(&told).ok()
}

/// What [`to_json`] wrote of an order of a show; none if it is not that.
fn from_json(show_id: ShowId, json: &str) -> Option<Rejection> {
    Some(match serde_json::from_str(json).ok()? {
        Stored::ShowNotOnSale { state, opens_at } => Rejection::ShowNotOnSale(
            show_id,
            SaleState::from_name(&state)?,
            match opens_at {
                Some(at) => Some(instant(at)?),
                None => None,
            },
        ),
        Stored::ShowStarted { start_at } => Rejection::ShowStarted(show_id, instant(start_at)?),
        Stored::TooManySeats { limit } => Rejection::TooManySeats(limit),
        Stored::TooManyPlaces { limit } => Rejection::TooManyPlaces(limit),
        Stored::CustomerHasTooMany { limit, taken } => {
            Rejection::CustomerHasTooMany { limit, taken }
        }
        Stored::AreasFull { areas } => Rejection::AreasFull(show_id, areas),
        Stored::PaymentPending { booking_id, key } => {
            Rejection::PaymentPending(booking(booking_id)?, key)
        }
        Stored::ChoiceUnavailable {
            choice,
            largest_party,
        } => {
            let unmet = Unmet {
                wish: choice,
                largest_party,
            };
            Rejection::ChoiceUnavailable(show_id, unmet)
        }
        Stored::OrphanSeats { labels } => Rejection::OrphanSeats(show_id, labels),
        Stored::PlacesNotInBooking { booking_id, areas } => {
            Rejection::PlacesNotInBooking(booking(booking_id)?, areas)
        }
        Stored::SeatsUnavailable { seats } => {
            let seat = |(label, how): (String, String)| Some((label, Taken::from_name(&how)?));
            let seats: Option<_> = seats.into_iter().map(seat).collect();
            Rejection::SeatsUnavailable(show_id, seats?)
        }
        Stored::HoldExpired {
            booking_id,
            expires_at,
        } => Rejection::HoldExpired(booking(booking_id)?, instant(expires_at)?),
        Stored::BookingState {
            booking_id,
            state,
            failure_reason,
            since,
        } => Rejection::BookingState {
            booking_id: booking(booking_id)?,
            state: BookingState::from_name(&state)?,
            failure_reason: match failure_reason {
                Some(name) => Some(FailureReason::from_name(&name)?),
                None => None,
            },
            since: instant(since)?,
        },
        Stored::VersionMismatch {
            booking_id,
            version,
        } => Rejection::VersionMismatch(booking(booking_id)?, version),
        Stored::NotInBooking { booking_id, labels } => {
            Rejection::NotInBooking(booking(booking_id)?, labels)
        }
        Stored::LifetimeExceeded {
            booking_id,
            left_ms,
        } => Rejection::LifetimeExceeded {
            booking_id: booking(booking_id)?,
            left: Duration::from_millis(left_ms),
        },
        Stored::SwapCostsMore {
            booking_id,
            by,
            currency,
        } => Rejection::SwapCostsMore {
            booking_id: booking(booking_id)?,
            by,
            currency,
        },
    })
}

/// Reads a row of `rejections.sql`: the request, and what it is answered.
pub(super) fn refused(row: &Row) -> Result<((ShowId, Uuid), Replay), BadRow> {
    let (show_id, request_id) = (rows::show_id(row.get(0))?, row.get(1));
    let rejection = from_json(show_id, row.get(3));
    let replay = Replay {
        fingerprint: row.get(2),
        result: Err(rejection.ok_or_else(|| rows::bad("rejection", request_id))?),
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
    fn all(show_id: ShowId) -> Vec<Rejection> {
        let booking_id = BookingId::generate(show_id);
        let state = |state, failure_reason| Rejection::BookingState {
            booking_id,
            state,
            failure_reason,
            since: AT,
        };
        let labels = || vec!["A-1".to_owned(), "Ü \"7\"".to_owned()];
        vec![
            Rejection::ShowNotFound(show_id),
            Rejection::BookingNotFound(booking_id),
            Rejection::RequestIdReused,
            Rejection::ShowNotOnSale(show_id, SaleState::Draft, Some(AT)),
            Rejection::ShowNotOnSale(show_id, SaleState::Cancelled, None),
            Rejection::ShowStarted(show_id, AT),
            Rejection::TooManySeats(7),
            Rejection::TooManyPlaces(9),
            Rejection::CustomerHasTooMany { limit: 4, taken: 3 },
            Rejection::AreasFull(
                show_id,
                vec![("Floor".to_owned(), 0), ("Pit".to_owned(), 2)],
            ),
            Rejection::ChoiceUnavailable(
                show_id,
                Unmet {
                    wish: 2,
                    largest_party: 5,
                },
            ),
            Rejection::PaymentRequired(Some(booking_id)),
            Rejection::PaymentPending(booking_id, Uuid::from_u128(7)),
            Rejection::OrphanSeats(show_id, labels()),
            Rejection::PlacesNotInBooking(booking_id, vec![("Floor".to_owned(), 1)]),
            Rejection::SeatsUnavailable(
                show_id,
                labels()
                    .into_iter()
                    .zip([Taken::Held, Taken::Booked])
                    .chain([("B".to_owned(), Taken::Blocked)])
                    .collect(),
            ),
            Rejection::HoldExpired(booking_id, AT),
            state(BookingState::Cancelled, None),
            state(BookingState::Failed, Some(FailureReason::Expired)),
            Rejection::VersionMismatch(booking_id, 3),
            Rejection::NotInBooking(booking_id, labels()),
            Rejection::LifetimeExceeded {
                booking_id,
                left: Duration::from_millis(1_234),
            },
            Rejection::SwapCostsMore {
                booking_id,
                by: 1_250,
                currency: "EUR".parse().expect("a currency"),
            },
        ]
    }

    #[test]
    fn what_sticks_is_written_and_read_again() {
        let show_id = ShowId::generate();
        for rejection in all(show_id) {
            let json = to_json(&rejection);
            assert_eq!(json.is_some(), rejection.is_stored(), "{rejection:?}");
            if let Some(json) = json {
                assert_eq!(from_json(show_id, &json), Some(rejection), "{json}");
            }
        }
        assert_eq!(from_json(show_id, r#"{"why": "NOTHING"}"#), None);
    }
}
