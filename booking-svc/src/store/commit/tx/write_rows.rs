//! The parameters of a batch's statement: the composite types of `migrations/sql/0004_log.sql`, field
//! by field.

use model::ShowId;
use postgres_types::ToSql;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::domain::{AreaWrite, Booking, Customer, CustomerId, HeldSeat, SeatWrite, Transition};
use crate::store::commit::plan::ExpectedSale;
use crate::store::{area_lines, prior, rows};

/// A booking that is new.
#[derive(Debug, ToSql)]
#[postgres(name = "new_booking")]
pub(super) struct NewBooking<'a> {
    show_id: Uuid,
    booking_id: Uuid,
    state: &'static str,
    customer_id: Option<&'a str>,
    email: Option<&'a str>,
    linked_customer_id: Option<Uuid>,
    seat_ordinals: Vec<i32>,
    seat_prices: Vec<i64>,
    seat_tiers: Vec<&'a str>,
    areas: Option<String>,
    total: i64,
    currency: &'a str,
    expires_at: OffsetDateTime,
    confirmed_at: Option<OffsetDateTime>,
}

impl<'a> From<&'a Booking> for NewBooking<'a> {
    fn from(booking: &'a Booking) -> Self {
        let (customer_id, email) = match &booking.customer {
            Customer::Id(id) => (Some(id.as_str()), None),
            Customer::Email(email) => (None, Some(email.as_str())),
        };
        let seats = &booking.seats;
        Self {
            show_id: booking.booking_id.show().uuid(),
            booking_id: booking.booking_id.uuid(),
            state: booking.state.as_str(),
            customer_id,
            email,
            linked_customer_id: booking.linked_customer.map(CustomerId::uuid),
            seat_ordinals: seats
                .iter()
                .map(|seat| rows::ordinal(seat.ordinal))
                .collect(),
            seat_prices: seats.iter().map(|seat| seat.price).collect(),
            seat_tiers: seats.iter().map(|HeldSeat { tier, .. }| &**tier).collect(),
            areas: area_lines::to_json(&booking.places),
            total: booking.total,
            currency: booking.currency.as_str(),
            expires_at: booking.expires_at,
            confirmed_at: booking.confirmed_at,
        }
    }
}

/// A booking of which no more than the state has changed.
#[derive(Debug, ToSql)]
#[postgres(name = "changed_booking")]
pub(super) struct ChangedBooking {
    show_id: Uuid,
    booking_id: Uuid,
    prior_version: i32,
    version: i32,
    state: &'static str,
    failure_reason: Option<&'static str>,
    cancel_reason: Option<&'static str>,
    expires_at: OffsetDateTime,
    confirmed_at: Option<OffsetDateTime>,
    cancelled_at: Option<OffsetDateTime>,
    failed_at: Option<OffsetDateTime>,
    refund_due: Option<i64>,
}

impl From<&(Booking, i32)> for ChangedBooking {
    fn from((booking, prior_version): &(Booking, i32)) -> Self {
        Self {
            show_id: booking.booking_id.show().uuid(),
            booking_id: booking.booking_id.uuid(),
            prior_version: *prior_version,
            version: booking.version,
            state: booking.state.as_str(),
            failure_reason: booking.failure_reason.map(|reason| reason.as_str()),
            cancel_reason: booking.cancel_reason.map(|reason| reason.as_str()),
            expires_at: booking.expires_at,
            confirmed_at: booking.confirmed_at,
            cancelled_at: booking.cancelled_at,
            failed_at: booking.failed_at,
            refund_due: booking.refund_due,
        }
    }
}

/// A seat that has changed hands.
#[derive(Debug, ToSql)]
#[postgres(name = "given_seat")]
pub(super) struct GivenSeat {
    show_id: Uuid,
    ordinal: i32,
    prior_booking_id: Option<Uuid>,
    booking_id: Option<Uuid>,
}

impl From<&SeatWrite> for GivenSeat {
    fn from(seat: &SeatWrite) -> Self {
        Self {
            show_id: seat.show_id.uuid(),
            ordinal: rows::ordinal(seat.ordinal),
            prior_booking_id: seat.from.map(|owner| owner.uuid()),
            booking_id: seat.to.map(|owner| owner.uuid()),
        }
    }
}

/// A line of the log.
#[derive(Debug, ToSql)]
#[postgres(name = "new_transition")]
pub(super) struct NewTransition {
    show_id: Uuid,
    booking_id: Uuid,
    version: i32,
    verb: &'static str,
    from_state: Option<&'static str>,
    to_state: &'static str,
    request_id: Uuid,
    fingerprint: i64,
    prior: Option<String>,
}

impl From<&Transition> for NewTransition {
    fn from(transition: &Transition) -> Self {
        Self {
            show_id: transition.booking_id.show().uuid(),
            booking_id: transition.booking_id.uuid(),
            version: transition.version,
            verb: transition.verb.as_str(),
            from_state: transition.from.map(|state| state.as_str()),
            to_state: transition.to.as_str(),
            request_id: transition.request_id,
            fingerprint: transition.fingerprint,
            prior: transition.prior.as_ref().map(prior::to_json),
        }
    }
}

/// The expectations of a sale.
#[derive(Debug, ToSql)]
#[postgres(name = "expected_sale")]
pub(super) struct SaleLine {
    show_id: Uuid,
    revision: Option<i64>,
    until: Option<OffsetDateTime>,
}

impl From<(&ShowId, &ExpectedSale)> for SaleLine {
    fn from((show_id, sale): (&ShowId, &ExpectedSale)) -> Self {
        Self {
            show_id: show_id.uuid(),
            revision: sale.revision,
            until: sale.until,
        }
    }
}

/// Places that are counted.
#[derive(Debug, ToSql)]
#[postgres(name = "counted_area")]
pub(super) struct CountedArea<'a> {
    show_id: Uuid,
    area: &'a str,
    quantity: i32,
}

impl<'a> From<&'a AreaWrite> for CountedArea<'a> {
    fn from(area: &'a AreaWrite) -> Self {
        Self {
            show_id: area.show_id.uuid(),
            area: &area.area,
            quantity: area.quantity(),
        }
    }
}
