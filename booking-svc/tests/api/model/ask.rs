//! What customers ask for, and why they do not get it.

use std::collections::{BTreeMap, BTreeSet};

use proto::booking::v1::{
    Booking as Told, CancelBookingRequest, ConfirmBookingRequest, ExtendHoldRequest,
    ReserveSeatsRequest, SwapSeatsRequest,
};
use system_tests::errors::{fields, metadata, reason};
use system_tests::system::reservation;
use tonic::Status;
use tonic_types::StatusExt as _;
use uuid::Uuid;

use crate::stage::Bookings;

/// What a customer asks for. Two that are equal are the same body of a request.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Ask {
    Reserve {
        labels: BTreeSet<String>,
        customer: String,
        hold_seconds: Option<i64>,
        confirm: bool,
        reference: String,
    },
    Confirm {
        booking: String,
        etag: String,
        reference: String,
    },
    /// No labels: all of it.
    Cancel {
        booking: String,
        etag: String,
        labels: BTreeSet<String>,
    },
    Extend {
        booking: String,
        etag: String,
        hold_seconds: i64,
    },
    Swap {
        booking: String,
        etag: String,
        from: BTreeSet<String>,
        to: BTreeSet<String>,
    },
}

/// Why a call did nothing, with all that its error must tell.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Refusal {
    RequestIdReused,
    UnknownSeats(usize),
    ShowNotOnSale(String),
    /// Each seat, and whether it "is held" or "is booked".
    SeatsUnavailable(BTreeMap<String, String>),
    HoldExpired(String),
    BookingState {
        state: String,
        since: String,
        failure_reason: Option<String>,
    },
    EtagMismatch(String),
    NotInBooking(BTreeSet<String>),
    LifetimeExceeded,
    SwapCostsMore(i64),
}

impl Ask {
    /// The booking that it is about, unless it makes one, and the etag that it must have.
    pub(crate) fn booking(&self) -> Option<(&str, &str)> {
        match self {
            Self::Reserve { .. } => None,
            Self::Confirm { booking, etag, .. }
            | Self::Cancel { booking, etag, .. }
            | Self::Extend { booking, etag, .. }
            | Self::Swap { booking, etag, .. } => Some((booking, etag)),
        }
    }

    /// The seats that it wants to have.
    pub(crate) fn wanted(&self) -> Option<&BTreeSet<String>> {
        match self {
            Self::Reserve { labels: wanted, .. } | Self::Swap { to: wanted, .. } => Some(wanted),
            _ => None,
        }
    }

    /// Asks the service for it.
    pub(crate) async fn send(
        &self,
        client: &mut Bookings,
        show_id: &str,
        request_id: Option<Uuid>,
    ) -> Result<Told, Status> {
        let request_id = request_id.map_or(String::new(), |id| id.to_string());
        let list = |labels: &BTreeSet<String>| labels.iter().cloned().collect();
        let seconds = |seconds| prost_types::Duration { seconds, nanos: 0 };
        let told = match self.clone() {
            Self::Reserve {
                labels,
                customer,
                hold_seconds,
                confirm,
                reference,
            } => {
                let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
                let request = ReserveSeatsRequest {
                    hold_duration: hold_seconds.map(seconds),
                    request_id,
                    confirm,
                    payment_reference: reference,
                    ..reservation(show_id, &labels, &customer)
                };
                client.reserve_seats(request).await?.into_inner().booking
            }
            Self::Confirm {
                booking: booking_id,
                etag,
                reference,
            } => {
                let mut request = ConfirmBookingRequest {
                    booking_id,
                    request_id,
                    etag,
                    ..Default::default()
                };
                request.payment_reference = reference;
                client.confirm_booking(request).await?.into_inner().booking
            }
            Self::Cancel {
                booking: booking_id,
                etag,
                labels,
            } => {
                let mut request = CancelBookingRequest {
                    booking_id,
                    request_id,
                    etag,
                    ..Default::default()
                };
                request.seat_labels = list(&labels);
                client.cancel_booking(request).await?.into_inner().booking
            }
            Self::Extend {
                booking: booking_id,
                etag,
                hold_seconds,
            } => {
                let request = ExtendHoldRequest {
                    booking_id,
                    hold_duration: Some(seconds(hold_seconds)),
                    request_id,
                    etag,
                };
                client.extend_hold(request).await?.into_inner().booking
            }
            Self::Swap {
                booking: booking_id,
                etag,
                from,
                to,
            } => {
                let request = SwapSeatsRequest {
                    booking_id,
                    from_seat_labels: list(&from),
                    to_seat_labels: list(&to),
                    request_id,
                    etag,
                };
                client.swap_seats(request).await?.into_inner().booking
            }
        };
        Ok(told.expect("every answer has the booking"))
    }
}

impl Refusal {
    /// What an error says; none if it is none that a call may end with here.
    pub(crate) fn read(status: &Status) -> Option<Self> {
        let told = |name: &str| metadata(status).get(name).cloned();
        let failure = status.get_details_precondition_failure();
        let subjects = || {
            let violations = failure.iter().flat_map(|failure| &failure.violations);
            violations.map(|v| (v.subject.clone(), v.description.clone()))
        };
        Some(match reason(status).as_str() {
            "REQUEST_ID_REUSED" => Self::RequestIdReused,
            "UNKNOWN_SEATS" => Self::UnknownSeats(fields(status).len()),
            "SHOW_NOT_ON_SALE" => Self::ShowNotOnSale(told("state")?),
            "SEATS_UNAVAILABLE" => Self::SeatsUnavailable(subjects().collect()),
            "HOLD_EXPIRED" => Self::HoldExpired(told("expire_time")?),
            "BOOKING_STATE" => Self::BookingState {
                state: told("state")?,
                since: told("since_time")?,
                failure_reason: told("failure_reason"),
            },
            "ETAG_MISMATCH" => Self::EtagMismatch(told("etag")?),
            "SEATS_NOT_IN_BOOKING" => {
                Self::NotInBooking(subjects().map(|(label, _)| label).collect())
            }
            "HOLD_LIFETIME_EXCEEDED" => Self::LifetimeExceeded,
            "SWAP_COSTS_MORE" => Self::SwapCostsMore(told("minor_units")?.parse().ok()?),
            _ => return None,
        })
    }
}
