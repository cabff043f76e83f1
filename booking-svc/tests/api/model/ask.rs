//! The requests of customers.

use std::collections::BTreeSet;

use proto::booking::v1::reserve_seats_request::Customer;
use proto::booking::v1::{
    Booking as BookingReply, CancelBookingRequest, ConfirmBookingRequest, ExtendHoldRequest,
    PlaceRequest, ReserveSeatsRequest, SwapSeatsRequest,
};
use test_harness::system::reservation;
use tonic::Status;
use uuid::Uuid;

use super::choice::{self, Choice};
use super::rejection::Rejection;
use super::show::{AREA, Lot};
use crate::stage::Bookings;

/// A request of a customer. Equal ones are the same body.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Ask {
    Reserve(Reserve),
    Confirm {
        booking: String,
        etag: String,
        paid: Paid,
    },
    /// Nothing given: all of it.
    Cancel {
        booking: String,
        etag: String,
        given: Lot,
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

/// How a booking is paid.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Paid {
    /// Outside Ticketing, with a reference that may be empty.
    Elsewhere(String),
    /// Here, with this token.
    Here(&'static str),
}

/// A request that makes a booking.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Reserve {
    pub(crate) wanted: Lot,
    /// Choices of further seats.
    pub(crate) choices: Vec<Choice>,
    pub(crate) customer: Option<Customer>,
    pub(crate) hold_seconds: Option<i64>,
    pub(crate) confirm: bool,
    pub(crate) reference: String,
}

impl Reserve {
    /// How many seats and places it is.
    pub(super) fn count(&self) -> i32 {
        let chosen: usize = self.choices.iter().map(|choice| choice.count).sum();
        self.wanted.count() + i32::try_from(chosen).expect("it is small")
    }
}

impl Ask {
    /// The same with the seats by label that were chosen, as a reply named them; none if
    /// they do not satisfy the choices.
    pub(super) fn with_chosen(&self, reply: &BookingReply) -> Option<Self> {
        let Self::Reserve(asked) = self else {
            return Some(self.clone());
        };
        let mut named = asked.clone();
        let choices = std::mem::take(&mut named.choices);
        if !choices.is_empty() {
            let all = Lot::of(reply).seats;
            if !choice::are_met(&choices, &(&all - &named.wanted.seats)) {
                return None;
            }
            named.wanted.seats.extend(all);
        }
        Some(Self::Reserve(named))
    }

    /// The booking that it is about, unless it makes one, and the etag that it must have.
    pub(crate) fn booking(&self) -> Option<(&str, &str)> {
        match self {
            Self::Reserve(_) => None,
            Self::Confirm { booking, etag, .. }
            | Self::Cancel { booking, etag, .. }
            | Self::Extend { booking, etag, .. }
            | Self::Swap { booking, etag, .. } => Some((booking, etag)),
        }
    }

    /// Its payment token.
    pub(super) fn token(&self) -> Option<&'static str> {
        match self {
            Self::Confirm {
                paid: Paid::Here(token),
                ..
            } => Some(token),
            _ => None,
        }
    }

    /// Why it is refused whatever the state of the show, with payments (`pays`) or without.
    pub(super) fn refused_at(&self, pays: bool) -> Option<Rejection> {
        let unpaid = match self {
            Self::Reserve(asked) => asked.confirm,
            Self::Confirm {
                paid: Paid::Elsewhere(reference),
                ..
            } => !reference.is_empty(),
            _ => false,
        };
        if self.token().is_some() && !pays {
            Some(Rejection::PaymentNotOffered)
        } else {
            (unpaid && pays).then_some(Rejection::PaymentRequired)
        }
    }

    /// The seats that it wants to have.
    pub(crate) fn wanted(&self) -> Option<&BTreeSet<String>> {
        match self {
            Self::Reserve(Reserve { wanted, .. }) => Some(&wanted.seats),
            Self::Swap { to, .. } => Some(to),
            _ => None,
        }
    }

    /// Asks the service for it.
    pub(crate) async fn send(
        &self,
        client: &mut Bookings,
        show_id: &str,
        request_id: Option<Uuid>,
    ) -> Result<BookingReply, Status> {
        let request_id = request_id.map_or(String::new(), |id| id.to_string());
        let list = |labels: &BTreeSet<String>| labels.iter().cloned().collect();
        let seconds = |seconds| prost_types::Duration { seconds, nanos: 0 };
        let reply = match self.clone() {
            Self::Reserve(asked) => {
                let labels: Vec<&str> = asked.wanted.seats.iter().map(String::as_str).collect();
                let request = ReserveSeatsRequest {
                    places: places(&asked.wanted),
                    choices: asked.choices.iter().map(Choice::asked).collect(),
                    hold_duration: asked.hold_seconds.map(seconds),
                    request_id,
                    confirm: asked.confirm,
                    payment_reference: asked.reference,
                    customer: asked.customer,
                    ..reservation(show_id, &labels, "")
                };
                client.reserve_seats(request).await?.into_inner().booking
            }
            Self::Confirm {
                booking: booking_id,
                etag,
                paid,
            } => {
                let mut request = ConfirmBookingRequest {
                    booking_id,
                    request_id,
                    etag,
                    ..Default::default()
                };
                match paid {
                    Paid::Elsewhere(reference) => request.payment_reference = reference,
                    Paid::Here(token) => request.payment_token = token.to_owned(),
                }
                client.confirm_booking(request).await?.into_inner().booking
            }
            Self::Cancel {
                booking: booking_id,
                etag,
                given,
            } => {
                let request = CancelBookingRequest {
                    booking_id,
                    request_id,
                    etag,
                    seat_labels: list(&given.seats),
                    places: places(&given),
                };
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
        Ok(reply.expect("every answer has the booking"))
    }
}

fn places(lot: &Lot) -> Vec<PlaceRequest> {
    let place = PlaceRequest {
        area: AREA.to_owned(),
        quantity: lot.places,
    };
    (lot.places > 0).then_some(place).into_iter().collect()
}
