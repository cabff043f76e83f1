//! Drives an attempt from its beginning to its end, for the call that pays.

use std::sync::Arc;
use std::time::Duration;

use payment_client::{Attempt, PaymentOutcome, PaymentToken, Unsettled};
use tokio::time::Instant;
use tracing::Instrument as _;

use super::{PayError, Payments, attempt_of, metrics, payment_key};
use crate::domain::{
    AttemptEnd, Booking, BookingState, DeclineReason, FailureReason, Order, PaymentRecord,
    PaymentState, Rejection, Requester,
};
use crate::store::OrderError;

/// How long to try to void a failed attempt before it is left to the
/// reconciler.
const VOID_MAX: Duration = Duration::from_secs(2);

impl Payments {
    /// Takes the payment for a booking and confirms it, under the ids of `order`. A repeat of an
    /// earlier call continues that attempt, and comes to the same outcome.
    ///
    /// Once the provider is called the attempt continues without its caller. If the caller leaves
    /// before that, the attempt is voided at its deadline.
    ///
    /// # Errors
    ///
    /// Why it was not paid, or that this is not known yet.
    pub async fn pay(
        &self,
        order: Order,
        token: PaymentToken,
        deadline: Instant,
    ) -> Result<Booking, PayError> {
        let room = Arc::clone(&self.room).try_acquire_owned();
        let room = room.map_err(|_| PayError::Undecided(OrderError::Overloaded))?;
        let (show_id, key) = (order.show_id, payment_key(order.show_id, order.request_id));
        // Whoever reads the log finds the caller at the end of its payment too.
        let finisher = order.requester.finisher();
        let decided = self.group_commit.decide(order, deadline).await?;
        let booking = decided.map_err(PayError::Rejected)?;
        let Some(record) = self.sales.store().payment(show_id, key).await? else {
            // It costs nothing.
            return Ok(booking);
        };
        let payments = self.clone();
        let driving = async move {
            let _room = room;
            payments.drive(&record, &token, &finisher).await
        };
        match tokio::spawn(driving.in_current_span()).await {
            Ok(outcome) => outcome,
            Err(panic) => std::panic::resume_unwind(panic.into_panic()),
        }
    }

    async fn drive(
        &self,
        record: &PaymentRecord,
        token: &PaymentToken,
        finisher: &Arc<Requester>,
    ) -> Result<Booking, PayError> {
        if record.state == PaymentState::Started {
            let deadline = Instant::now() + record.time_left;
            let began = service_kit::metrics::now();
            let ending = self.ask(&attempt_of(record)?, token, deadline).await;
            metrics::asked(began, ending.is_some());
            let ending = ending.ok_or(unsettled(record))?;
            match self.settle(record, ending, finisher).await {
                // Not CONTENTION, which would mean that nothing was changed: the money may have been taken.
                Err(PayError::Undecided(OrderError::Contention)) => return Err(unsettled(record)),
                settled => settled?,
            }
        }
        self.load_result(record).await
    }

    /// The final outcome of an attempt, if it can be determined.
    async fn ask(
        &self,
        attempt: &Attempt,
        token: &PaymentToken,
        deadline: Instant,
    ) -> Option<AttemptEnd> {
        let authorized = self.client.authorize(attempt, token, deadline).await;
        let outcome = match authorized {
            Ok(PaymentOutcome::Approved) => self.client.capture(attempt, deadline).await,
            other => other,
        };
        if let Err(Unsettled::Refused { code, message }) = &outcome {
            let key = attempt.key;
            tracing::warn!(%key, ?code, message, "the payment provider refuses an attempt");
        }
        match outcome.ok().and_then(ending) {
            Some(ending) => Some(ending),
            // Not done, uncertain or refused: the answer to Void is certain.
            None => self.call_off(attempt, Instant::now() + VOID_MAX).await,
        }
    }

    /// Makes sure that no money is taken, or finds out that it was; none if neither is certain
    /// by `deadline`.
    pub(super) async fn call_off(
        &self,
        attempt: &Attempt,
        deadline: Instant,
    ) -> Option<AttemptEnd> {
        let outcome = self.client.void(attempt, deadline).await;
        outcome.ok().and_then(ending)
    }

    /// The state of the booking after the attempt's end, for the call that began the attempt and for
    /// every replay.
    async fn load_result(&self, record: &PaymentRecord) -> Result<Booking, PayError> {
        let (booking_id, key) = (record.booking_id, record.key);
        let store = self.sales.store();
        let now = store.payment(booking_id.show(), key).await?;
        let end = store.replay(booking_id.show(), key).await?;
        let (Some(now), Some(end)) = (now, end) else {
            return Err(unsettled(record));
        };
        let booking = end.result.map_err(PayError::Rejected)?;
        Err(match (now.decline_reason, booking.state) {
            (None, BookingState::Confirmed) => return Ok(booking),
            (None, _) => PayError::TooLate {
                booking_id,
                key,
                failure_reason: booking.failure_reason,
            },
            (Some(reason), BookingState::Pending) => PayError::Declined {
                booking_id,
                key,
                reason,
                expires_at: booking.expires_at,
            },
            (Some(_), _) if booking.failure_reason == Some(FailureReason::Expired) => {
                PayError::Rejected(Rejection::HoldExpired(booking_id, booking.expires_at))
            }
            (Some(_), state) => PayError::Rejected(Rejection::BookingState {
                booking_id,
                state,
                failure_reason: booking.failure_reason,
                since: booking.since(),
            }),
        })
    }
}

fn unsettled(record: &PaymentRecord) -> PayError {
    PayError::Unsettled {
        booking_id: record.booking_id,
        key: record.key,
    }
}

/// The final outcome; none if the money is only held.
fn ending(outcome: PaymentOutcome) -> Option<AttemptEnd> {
    Some(match outcome {
        PaymentOutcome::Approved => return None,
        PaymentOutcome::Captured => AttemptEnd::Taken,
        PaymentOutcome::Voided => AttemptEnd::NotTaken(DeclineReason::NotCompleted),
        PaymentOutcome::Declined(reason) => AttemptEnd::NotTaken(why(reason)),
    })
}

fn why(reason: payment_client::DeclineReason) -> DeclineReason {
    use payment_client::DeclineReason as Reported;
    match reason {
        Reported::Other => DeclineReason::Other,
        Reported::InsufficientFunds => DeclineReason::InsufficientFunds,
        Reported::Expired => DeclineReason::Expired,
        Reported::Incorrect => DeclineReason::Incorrect,
        Reported::OverLimit => DeclineReason::OverLimit,
        Reported::AuthenticationRequired => DeclineReason::AuthenticationRequired,
        Reported::SuspectedFraud => DeclineReason::SuspectedFraud,
        Reported::CurrencyNotSupported => DeclineReason::CurrencyNotSupported,
    }
}

#[cfg(test)]
mod tests {
    use payment_client::DeclineReason as Reported;

    use super::*;

    #[test]
    fn a_decline_keeps_its_reason() {
        for reported in [
            Reported::Other,
            Reported::InsufficientFunds,
            Reported::Expired,
            Reported::Incorrect,
            Reported::OverLimit,
            Reported::AuthenticationRequired,
            Reported::SuspectedFraud,
            Reported::CurrencyNotSupported,
        ] {
            let Some(AttemptEnd::NotTaken(reason)) = ending(PaymentOutcome::Declined(reported))
            else {
                panic!("{reported:?} is an end without money");
            };
            assert_eq!(format!("{reason:?}"), format!("{reported:?}"));
        }
    }
}
