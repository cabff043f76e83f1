//! The rejections that customers get.

use std::collections::{BTreeMap, BTreeSet};

use test_harness::errors::{fields, metadata, reason};
use tonic::Status;
use tonic_types::StatusExt as _;

use super::show::AREA;

/// Why a call did nothing, with everything that its error must contain.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Rejection {
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
    /// How many places the booking has.
    PlacesNotInBooking(i32),
    /// How many places are left.
    AreaFull(i32),
    /// Which choice of the call, and for how many it could be met.
    ChoiceUnavailable {
        choice: usize,
        largest_party: usize,
    },
    TooManyPlaces {
        limit: i32,
        taken: i32,
        left: i32,
    },
    PaymentNotOffered,
    PaymentRequired,
    /// By its key.
    PaymentPending(String),
    PaymentUnavailable,
    PaymentDeclined {
        reason: String,
        expires: String,
    },
    /// Why the booking had failed.
    PaymentTooLate(String),
    LifetimeExceeded,
    SwapCostsMore(i64),
}

impl Rejection {
    /// The same without the end of a hold.
    pub(super) fn without_times(&self) -> Self {
        let mut same = self.clone();
        if let Self::HoldExpired(at) | Self::PaymentDeclined { expires: at, .. } = &mut same {
            at.clear();
        }
        same
    }

    /// Reads an error; none if it is not one that a call may end with here.
    pub(crate) fn read(status: &Status) -> Option<Self> {
        let value = |name: &str| metadata(status).get(name).cloned();
        let failure = status.get_details_precondition_failure();
        let subjects = || {
            let violations = failure.iter().flat_map(|failure| &failure.violations);
            violations.map(|v| (v.subject.clone(), v.description.clone()))
        };
        Some(match reason(status).as_str() {
            "REQUEST_ID_REUSED" => Self::RequestIdReused,
            "UNKNOWN_SEATS" => Self::UnknownSeats(fields(status).len()),
            "SHOW_NOT_ON_SALE" => Self::ShowNotOnSale(value("state")?),
            "SEATS_UNAVAILABLE" => Self::SeatsUnavailable(subjects().collect()),
            "HOLD_EXPIRED" => Self::HoldExpired(value("expire_time")?),
            "BOOKING_STATE" => Self::BookingState {
                state: value("state")?,
                since: value("since_time")?,
                failure_reason: value("failure_reason"),
            },
            "ETAG_MISMATCH" => Self::EtagMismatch(value("etag")?),
            "SEATS_NOT_IN_BOOKING" => match subjects().next()? {
                (area, has) if area == AREA => Self::PlacesNotInBooking(first_number(&has)?),
                _ => Self::NotInBooking(subjects().map(|(label, _)| label).collect()),
            },
            "AREA_FULL" => {
                let left = value("left")?.parse().ok()?;
                let (area, says) = subjects().next()?;
                (area == AREA && first_number(&says)? == left).then_some(Self::AreaFull(left))?
            }
            "CHOICE_UNAVAILABLE" => {
                let choice = value("choice")?.parse().ok()?;
                let (path, _) = subjects().next()?;
                (path == format!("choices[{choice}]")).then_some(Self::ChoiceUnavailable {
                    choice,
                    largest_party: value("largest_party")?.parse().ok()?,
                })?
            }
            "PLACES_PER_CUSTOMER_EXCEEDED" => Self::TooManyPlaces {
                limit: value("limit")?.parse().ok()?,
                taken: value("taken")?.parse().ok()?,
                left: value("left")?.parse().ok()?,
            },
            "PAYMENT_NOT_OFFERED" => Self::PaymentNotOffered,
            "PAYMENT_REQUIRED" => Self::PaymentRequired,
            "PAYMENT_PENDING" => Self::PaymentPending(value("payment_key")?),
            "PAYMENT_UNAVAILABLE" => Self::PaymentUnavailable,
            "PAYMENT_DECLINED" => Self::PaymentDeclined {
                reason: value("decline_reason")?,
                expires: value("expire_time")?,
            },
            "PAYMENT_TOO_LATE" => Self::PaymentTooLate(value("failure_reason")?),
            "HOLD_LIFETIME_EXCEEDED" => Self::LifetimeExceeded,
            "SWAP_COSTS_MORE" => Self::SwapCostsMore(value("minor_units")?.parse().ok()?),
            _ => return None,
        })
    }
}

fn first_number(text: &str) -> Option<i32> {
    text.split(' ').find_map(|word| word.parse().ok())
}
