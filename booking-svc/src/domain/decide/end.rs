//! Ending a booking: its seats are free.

use model::BookingId;

use super::{Batch, NotGranted, Outcome};
use crate::domain::booking::{BookingState, CancelReason, FailureReason, Verb, next_state};
use crate::domain::order::Order;
use crate::domain::sale::SaleState;

impl Batch {
    pub(super) fn cancel(&mut self, order: &Order, id: BookingId, version: Option<i32>) -> Outcome {
        let mut booking = self.live_booking(id, Verb::Cancel, version)?;
        booking.cancelled_at = Some(self.now);
        booking.cancel_reason = Some(CancelReason::Customer);
        booking.refund_due = booking.refund();
        self.free_seats(&booking)?;
        self.transition(order, Verb::Cancel, Some(booking.state), booking, None)
    }

    /// Not a caller's order: a hold that was extended or has already ended is no error.
    pub(super) fn expire(&mut self, order: &Order, id: BookingId) -> Outcome {
        let mut booking = self.booking(id)?;
        if !booking.lapsed(self.now) {
            return Ok(booking);
        }
        booking.failure_reason = Some(FailureReason::Expired);
        booking.failed_at = Some(booking.expires_at);
        self.free_seats(&booking)?;
        self.transition(order, Verb::Expire, Some(booking.state), booking, None)
    }

    /// Not a caller's order: if the booking has ended, that is no error. An expired hold becomes
    /// FAILED (EXPIRED), as on any other show.
    pub(super) fn void(&mut self, order: &Order, id: BookingId) -> Outcome {
        let mut booking = self.booking(id)?;
        if booking.lapsed(self.now) {
            return self.expire(order, id);
        }
        let sale = self.locked.sales.get(&order.show_id);
        if sale.is_none_or(|row| row.state != SaleState::Cancelled) {
            return Err(NotGranted::SaleChanged);
        }
        match next_state(Some(booking.state), Verb::Void) {
            None => return Ok(booking),
            Some(BookingState::Failed) => {
                booking.failure_reason = Some(FailureReason::ShowCancelled);
                booking.failed_at = Some(self.now);
            }
            Some(_) => {
                booking.cancel_reason = Some(CancelReason::ShowCancelled);
                booking.cancelled_at = Some(self.now);
                booking.refund_due = booking.refund();
            }
        }
        self.free_seats(&booking)?;
        self.transition(order, Verb::Void, Some(booking.state), booking, None)
    }
}
