//! Values of the domain as messages of the contract.

use proto::booking::v1 as pb;
use proto::catalog::v1::Point;
use proto::money::v1::Money;
use service_kit::proto_convert;

use crate::commands::BookingView;
use crate::domain::{
    Booking, BookingState, CancelReason, Customer, FailureReason, HeldPlaces, HeldSeat, Sale,
};
use crate::store::SeatStatus;

impl From<BookingView> for pb::Booking {
    fn from(BookingView { mut booking, sale }: BookingView) -> Self {
        // A seat that the layout has no more comes last.
        let place = |seat: &HeldSeat| sale.seats.position_of(seat.ordinal).unwrap_or(u32::MAX);
        booking.seats.sort_by_key(place);
        let area = |line: &HeldPlaces| {
            let area = sale.seats.layout().area(&line.area);
            area.map_or(usize::MAX, |(index, _)| index)
        };
        booking.places.sort_by_key(area);
        let money = |minor_units| Money {
            minor_units,
            currency_code: booking.currency.as_str().to_owned(),
        };
        let orphans = booking.orphans.iter();
        let orphans = orphans.filter_map(|ordinal| sale.named(*ordinal));
        let orphan_seat_labels = orphans.map(|seat| seat.label.into_owned()).collect();
        let line = |seat: &HeldSeat| {
            let mut line = pb::BookingLine {
                price_tier: seat.tier.to_string(),
                price: Some(money(seat.price)),
                ..pb::BookingLine::default()
            };
            if let Some(named) = sale.named(seat.ordinal) {
                line.seat_label = named.label.into_owned();
                named.section.clone_into(&mut line.section);
                line.row = named.row.into_owned();
            }
            line
        };
        let area_line = |line: &HeldPlaces| pb::AreaLine {
            area: line.area.to_string(),
            quantity: i32::try_from(line.quantity).unwrap_or(i32::MAX),
            price_tier: line.tier.to_string(),
            price: Some(money(line.price)),
        };
        Self {
            booking_id: booking.booking_id.to_string(),
            show_id: booking.booking_id.show().to_string(),
            state: state(booking.state).into(),
            failure_reason: failure_reason(booking.failure_reason).into(),
            lines: booking.seats.iter().map(line).collect(),
            area_lines: booking.places.iter().map(area_line).collect(),
            total: Some(money(booking.total)),
            create_time: Some(proto_convert::timestamp(booking.created_at)),
            expire_time: Some(proto_convert::timestamp(booking.expires_at)),
            confirm_time: booking.confirmed_at.map(proto_convert::timestamp),
            cancel_time: booking.cancelled_at.map(proto_convert::timestamp),
            fail_time: booking.failed_at.map(proto_convert::timestamp),
            etag: etag(&booking),
            refund_due: booking.refund_due.map(money),
            cancel_reason: cancel_reason(booking.cancel_reason).into(),
            payment_reference: booking.payment_reference.unwrap_or_default(),
            orphan_seat_labels,
            // Filled in by `with_payment`.
            payment: None,
            customer_id: match (booking.linked_customer, &booking.customer) {
                (Some(id), _) => id.to_string(),
                (None, Customer::Id(own)) => own.clone(),
                (None, Customer::Email(_)) => String::new(),
            },
            email: match booking.customer {
                Customer::Id(_) => String::new(),
                Customer::Email(email) => email,
            },
        }
    }
}

/// A booking's etag: its version.
fn etag(booking: &Booking) -> String {
    format!("v{}", booking.version)
}

/// The seat in a position of a show's layout.
pub(super) fn seat(sale: &Sale, position: u32, status: SeatStatus) -> pb::Seat {
    let mut seat = pb::Seat {
        status: match status {
            SeatStatus::Available => pb::SeatStatus::Available,
            SeatStatus::Held => pb::SeatStatus::Held,
            SeatStatus::Booked => pb::SeatStatus::Booked,
            SeatStatus::Blocked => pb::SeatStatus::Blocked,
        }
        .into(),
        ..pb::Seat::default()
    };
    if let Some(place) = sale.seats.layout().seat(position) {
        let point = place.point();
        seat.label = place.label();
        seat.section = place.section().name.to_string();
        seat.row = place.row_name().into_owned();
        seat.deck = place.section().deck.to_string();
        seat.accessible = place.is_accessible();
        seat.companion = place.is_companion();
        seat.position = Some(Point {
            x: point.x,
            y: point.y,
        });
    }
    if let Some(priced) = sale.prices.of_seat(position) {
        seat.price_tier = priced.tier.to_owned();
        seat.price = Some(Money {
            minor_units: priced.price,
            currency_code: sale.prices.currency().as_str().to_owned(),
        });
    }
    seat
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
        Err(_) => Err("is not a state of a booking"),
    }
}

/// A status to filter by; none for every status.
pub(super) fn seat_status(number: i32) -> Result<Option<SeatStatus>, &'static str> {
    match pb::SeatStatus::try_from(number) {
        Ok(pb::SeatStatus::Unspecified) => Ok(None),
        Ok(pb::SeatStatus::Available) => Ok(Some(SeatStatus::Available)),
        Ok(pb::SeatStatus::Held) => Ok(Some(SeatStatus::Held)),
        Ok(pb::SeatStatus::Booked) => Ok(Some(SeatStatus::Booked)),
        Ok(pb::SeatStatus::Blocked) => Ok(Some(SeatStatus::Blocked)),
        Err(_) => Err("is not a status of a seat"),
    }
}
