//! Rejections that are stored under the request id of their call for a day, in `booking.rejections`,
//! as JSON.

use model::ShowId;
use tokio_postgres::Row;
use uuid::Uuid;

use super::rows::{self, BadRow};
use crate::domain::{Rejection, Replay};

/// A rejection as JSON; none if it is not stored.
pub(super) fn to_json(rejection: &Rejection) -> Option<String> {
    // Numbers, texts and lists of them always have a JSON text.
    let json = || serde_json::to_string(rejection).ok();
    rejection.is_stored().then(json).flatten()
}

/// Reads a row of `rejections.sql`: the request, and its stored rejection.
pub(super) fn refused(row: &Row) -> Result<((ShowId, Uuid), Replay), BadRow> {
    let (show_id, request_id) = (rows::show_id(row.get(0))?, row.get(1));
    let rejection = serde_json::from_str(row.get(3));
    let replay = Replay {
        fingerprint: row.get(2),
        result: Err(rejection.map_err(|_| rows::bad("rejection", request_id))?),
    };
    Ok(((show_id, request_id), replay))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use model::BookingId;
    use time::OffsetDateTime;
    use time::macros::datetime;

    use super::*;
    use crate::domain::choose::Unmet;
    use crate::domain::{BookingState, FailureReason, SaleState, Taken};

    const AT: OffsetDateTime = datetime!(2030-01-01 12:00:00.123456 UTC);

    /// At least one of each kind; optional values are set in one and unset in another.
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
    fn what_is_stored_is_written_and_read_again() {
        for rejection in all(ShowId::generate()) {
            let json = to_json(&rejection);
            assert_eq!(json.is_some(), rejection.is_stored(), "{rejection:?}");
            if let Some(json) = json {
                let read: Rejection = serde_json::from_str(&json).expect(&json);
                assert_eq!(read, rejection, "{json}");
            }
        }
        assert!(serde_json::from_str::<Rejection>(r#"{"Nothing": 1}"#).is_err());
    }

    #[test]
    fn what_another_release_stored_is_read() {
        let show = "00000000-0001-8000-8000-000000000000";
        let stored = [
            format!(r#"{{"ShowNotOnSale":["{show}","Draft","2030-01-01T12:00:00.123456Z"]}}"#),
            format!(r#"{{"SeatsUnavailable":["{show}",[["A-1","Held"],["A-2","Blocked"]]]}}"#),
            r#"{"CustomerHasTooMany":{"limit":4,"taken":3}}"#.to_owned(),
        ];
        for json in stored {
            let read: Rejection = serde_json::from_str(&json).expect(&json);
            assert_eq!(to_json(&read), Some(json));
        }
    }
}
