//! Values of the domain as messages of the contract.

use model::SeatPlace;
use proto::booking::v1 as pb;
use proto::booking::v1::booking::Customer as PbCustomer;
use proto::money::v1::Money;
use service_kit::wire;

use crate::domain::{Booking, BookingState, CancelReason, Customer, FailureReason, Sale};
use crate::store::SeatStatus;
use crate::verbs::Booked;

impl From<Booked> for pb::Booking {
    fn from(Booked { booking, sale }: Booked) -> Self {
        let money = |minor_units| Money {
            minor_units,
            currency_code: booking.currency.as_str().to_owned(),
        };
        let line = |seat: &crate::domain::HeldSeat| {
            let place = sale.layout.seat(seat.ordinal);
            pb::BookingLine {
                seat_label: place.map(|place| place.label()).unwrap_or_default(),
                section: section_of(place),
                row: row_of(place),
                price_tier: section_of(place),
                price: Some(money(seat.price)),
            }
        };
        Self {
            booking_id: booking.booking_id.to_string(),
            show_id: booking.booking_id.show().to_string(),
            state: state(booking.state).into(),
            failure_reason: failure_reason(booking.failure_reason).into(),
            lines: booking.seats.iter().map(line).collect(),
            total: Some(money(booking.total)),
            create_time: Some(wire::timestamp(booking.created_at)),
            expire_time: Some(wire::timestamp(booking.expires_at)),
            confirm_time: booking.confirmed_at.map(wire::timestamp),
            cancel_time: booking.cancelled_at.map(wire::timestamp),
            fail_time: booking.failed_at.map(wire::timestamp),
            etag: etag(&booking),
            refund_due: booking.refund_due.map(money),
            cancel_reason: cancel_reason(booking.cancel_reason).into(),
            customer: Some(match booking.customer {
                Customer::Id(id) => PbCustomer::CustomerId(id),
                Customer::Email(email) => PbCustomer::Email(email),
            }),
        }
    }
}

/// A booking's etag: its version.
fn etag(booking: &Booking) -> String {
    format!("v{}", booking.version)
}

/// A seat of a show.
pub(super) fn seat(sale: &Sale, ordinal: u32, status: SeatStatus) -> pb::Seat {
    let place = sale.layout.seat(ordinal);
    pb::Seat {
        label: place.map(|place| place.label()).unwrap_or_default(),
        section: section_of(place),
        row: row_of(place),
        price_tier: section_of(place),
        price: place.map(|place| Money {
            minor_units: place.section.price,
            currency_code: sale.layout.currency().as_str().to_owned(),
        }),
        status: match status {
            SeatStatus::Available => pb::SeatStatus::Available,
            SeatStatus::Held => pb::SeatStatus::Held,
            SeatStatus::Booked => pb::SeatStatus::Booked,
        }
        .into(),
    }
}

fn section_of(place: Option<SeatPlace<'_>>) -> String {
    place
        .map(|place| place.section.name.to_string())
        .unwrap_or_default()
}

fn row_of(place: Option<SeatPlace<'_>>) -> String {
    place
        .map(|place| place.row.name.to_string())
        .unwrap_or_default()
}

pub(super) fn state(state: BookingState) -> pb::BookingState {
    match state {
        BookingState::Pending => pb::BookingState::Pending,
        BookingState::Confirmed => pb::BookingState::Confirmed,
        BookingState::Cancelled => pb::BookingState::Cancelled,
        BookingState::Failed => pb::BookingState::Failed,
    }
}

fn failure_reason(reason: Option<FailureReason>) -> pb::FailureReason {
    match reason {
        None => pb::FailureReason::Unspecified,
        Some(FailureReason::Expired) => pb::FailureReason::Expired,
        Some(FailureReason::PaymentDeclined) => pb::FailureReason::PaymentDeclined,
        Some(FailureReason::ShowCancelled) => pb::FailureReason::ShowCancelled,
    }
}

fn cancel_reason(reason: Option<CancelReason>) -> pb::CancelReason {
    match reason {
        None => pb::CancelReason::Unspecified,
        Some(CancelReason::Customer) => pb::CancelReason::Customer,
        Some(CancelReason::ShowCancelled) => pb::CancelReason::ShowCancelled,
    }
}

/// A state to filter by; none for every state.
pub(super) fn booking_state(number: i32) -> Result<Option<BookingState>, &'static str> {
    match pb::BookingState::try_from(number) {
        Ok(pb::BookingState::Unspecified) => Ok(None),
        Ok(pb::BookingState::Pending) => Ok(Some(BookingState::Pending)),
        Ok(pb::BookingState::Confirmed) => Ok(Some(BookingState::Confirmed)),
        Ok(pb::BookingState::Cancelled) => Ok(Some(BookingState::Cancelled)),
        Ok(pb::BookingState::Failed) => Ok(Some(BookingState::Failed)),
        Err(_) => Err("is no state of a booking"),
    }
}

/// A status to filter by; unspecified for every status.
pub(super) fn seat_status(number: i32) -> Result<pb::SeatStatus, &'static str> {
    pb::SeatStatus::try_from(number).map_err(|_| "is no status of a seat")
}
