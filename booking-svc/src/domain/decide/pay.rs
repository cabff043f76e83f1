//! Paying for a booking: the beginning of an attempt, and the effect of its end on the booking.
//!
//! What must always hold: money that was taken leaves a ticket, or a refund on record; and no
//! booking is confirmed by an attempt that did not take it.

use std::time::Duration;

use model::BookingId;
use uuid::Uuid;

use super::{Batch, NotGranted, Outcome, refused};
use crate::domain::booking::{Booking, BookingState, FailureReason, Verb};
use crate::domain::order::{Order, Reinstatement, Settlement};
use crate::domain::payment::{
    AttemptEnd, DeclineReason, NewAttempt, OwedRefund, Payment, PaymentState, SettledPayment,
    StartedPayment,
};
use crate::domain::rejection::Rejection;
use crate::domain::sale::SaleState;

impl Batch {
    /// Begins an attempt. The hold lasts for as long as that may take, and then for the time that
    /// it had left. A booking that costs nothing is confirmed at once.
    pub(super) fn pay(
        &mut self,
        order: &Order,
        id: BookingId,
        version: Option<i32>,
        attempt: Option<&NewAttempt>,
    ) -> Outcome {
        let mut booking = self.live_booking(id, Verb::Pay, version)?;
        if booking.total == 0 {
            return self.confirm(order, id, version, None);
        }
        let attempt = attempt.ok_or(refused(Rejection::PaymentRequired(Some(id))))?;
        self.check_not_cancelled(order.show_id)?;
        // Every hold gets a first attempt. Further ones without a limit would keep it for ever.
        if booking.payment.is_some() && self.now > booking.created_at + attempt.lifetime_max {
            return Err(refused(Rejection::LifetimeExceeded {
                booking_id: id,
                left: Duration::ZERO,
            }));
        }
        let prior = booking.prior();
        booking.expires_at += attempt.timeout;
        booking.payment = Some(Payment {
            key: attempt.key,
            state: PaymentState::Started,
        });
        self.payments.started.push(StartedPayment {
            booking_id: id,
            key: attempt.key,
            amount: booking.total,
            currency: booking.currency,
            deadline_at: self.now + attempt.timeout,
        });
        self.transition(order, Verb::Pay, Some(booking.state), booking, Some(prior))
    }

    /// Not a caller's order: if the attempt is already settled, that is no error.
    pub(super) fn settle(&mut self, order: &Order, settlement: &Settlement) -> Outcome {
        let booking = self.booking(settlement.booking_id)?;
        let under_way = Payment {
            key: settlement.key,
            state: PaymentState::Started,
        };
        if booking.payment != Some(under_way) {
            return Ok(booking);
        }
        if booking.lapsed(self.now) {
            return Err(NotGranted::Lapsed(vec![booking.booking_id]));
        }
        match settlement.ending {
            AttemptEnd::NotTaken(reason) => self.decline(order, settlement, booking, reason),
            AttemptEnd::Taken => self.take(order, settlement, booking),
        }
    }

    /// The booking is as it was before the attempt, with as much of its hold as was left then.
    fn decline(
        &mut self,
        order: &Order,
        settlement: &Settlement,
        mut booking: Booking,
        reason: DeclineReason,
    ) -> Outcome {
        let prior = booking.prior();
        if booking.state == BookingState::Pending {
            booking.expires_at = self.now + (booking.expires_at - settlement.deadline_at);
        }
        let ending = AttemptEnd::NotTaken(reason);
        self.end_attempt(&mut booking, PaymentState::Declined, ending);
        let state = booking.state;
        self.transition(order, Verb::Decline, Some(state), booking, Some(prior))
    }

    /// The booking is sold, even if its hold has ended, as long as its seats and places are still
    /// available to its customer; else a refund is due.
    fn take(&mut self, order: &Order, settlement: &Settlement, mut booking: Booking) -> Outcome {
        let state = booking.state;
        let is_cancelled = self.sale(order.show_id)?.state == SaleState::Cancelled;
        let verb = match state {
            BookingState::Pending if !is_cancelled => Verb::Confirm,
            // It has expired: nothing but the show's end fails a booking otherwise.
            BookingState::Failed
                if !is_cancelled
                    && self.can_return(order, &booking, settlement.reinstatement.as_ref())? =>
            {
                Verb::Reinstate
            }
            BookingState::Pending | BookingState::Failed => Verb::Repay,
            BookingState::Confirmed | BookingState::Cancelled => {
                return Err(NotGranted::Fault("a booking was sold while it was paid"));
            }
        };
        match verb {
            Verb::Repay => {
                if state == BookingState::Pending {
                    self.free_seats(&booking)?;
                    booking.failure_reason = Some(FailureReason::ShowCancelled);
                    booking.failed_at = Some(self.now);
                }
                booking.refund_due = Some(booking.total);
            }
            _ => {
                if verb == Verb::Reinstate {
                    let id = booking.booking_id;
                    self.areas.take(order.show_id, &booking.places)?;
                    self.give_seats(&booking.seats, id, Some(id));
                    booking.failure_reason = None;
                    booking.failed_at = None;
                }
                booking.confirmed_at = Some(self.now);
            }
        }
        self.end_attempt(&mut booking, PaymentState::Captured, AttemptEnd::Taken);
        self.transition(order, verb, Some(state), booking, None)
    }

    /// Whether a booking that has lost its seats and places can have them back: they are free, and
    /// within its customer's quota.
    fn can_return(
        &mut self,
        order: &Order,
        booking: &Booking,
        reinstatement: Option<&Reinstatement>,
    ) -> Result<bool, NotGranted> {
        // The sale is looked up, and the seats are locked, only when they are needed.
        let Reinstatement {
            sale,
            ordinals,
            places,
            ..
        } = reinstatement.ok_or(NotGranted::SaleChanged)?;
        if self.sale(sale.show_id)?.revision != sale.revision {
            return Err(NotGranted::SaleChanged);
        }
        let can_return = self
            .check_quota(order, sale, booking.place_count())
            .and_then(|()| self.check_seats_free(sale, ordinals, &[]))
            .and_then(|()| self.check_places_free(sale, places));
        match can_return {
            Ok(()) => Ok(true),
            Err(NotGranted::Rejected(_)) => Ok(false),
            Err(other) => Err(other),
        }
    }

    fn end_attempt(&mut self, booking: &mut Booking, state: PaymentState, ending: AttemptEnd) {
        let id = booking.booking_id;
        if let Some(payment) = &mut booking.payment {
            payment.state = state;
            self.payments.settled.push(SettledPayment {
                booking_id: id,
                key: payment.key,
                ending,
            });
        }
        self.rewritten.insert(id);
    }

    /// Records the refund that a command has made due, if the booking was paid here.
    pub(super) fn record_refund_due(&mut self, booking: &Booking) {
        let id = booking.booking_id;
        let before = self.locked.bookings.get(&id);
        let owed_before = before.and_then(|before| before.refund_due).unwrap_or(0);
        let amount = booking.refund_due.unwrap_or(0) - owed_before;
        let paid = booking
            .payment
            .filter(|payment| payment.state == PaymentState::Captured);
        if let Some(payment) = paid.filter(|_| amount > 0) {
            self.payments.refunds.push(OwedRefund {
                booking_id: id,
                payment_key: payment.key,
                key: refund_key(payment.key, booking.version),
                amount,
            });
        }
    }
}

/// The refund key of a version of a booking: the same each time that it is decided, and another one
/// for each version.
fn refund_key(payment_key: Uuid, version: i32) -> Uuid {
    Uuid::from_u128(payment_key.as_u128() ^ u128::from(version.unsigned_abs()))
}
