//! Finishes attempts whose deadline has passed, and makes refunds that are due.
//!
//! The rows alone say what is left. Any number of replicas run this at once: each claims rows,
//! which the others then skip for a while, longer each time. So a provider that is down is called
//! for as long as it takes, but less and less often.

use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use model::Amount;
use payment_client::{RefundKey, RefundOutcome};
use service_kit::{Shutdown, background};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::{PayError, Payments, attempt_of, metrics};
use crate::domain::{DueRefund, PaymentRecord, RefundState, Requester};
use crate::store::StoreError;

/// How often it looks for due rows.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// The longest that a call is repeated before its row is put back; shorter than the shortest time
/// that a row is claimed for.
const QUESTION_MAX: Duration = Duration::from_millis(1_500);
/// How many rows are worked on at once.
const AT_ONCE: usize = 32;

/// A claimed row.
#[derive(Debug)]
enum Due {
    Payment(PaymentRecord),
    Refund(DueRefund),
}

/// Settles due rows until the shutdown.
pub async fn reconcile(payments: Payments, shutdown: Shutdown) {
    let stop = &shutdown.soft;
    // Further rows are claimed only as earlier ones are finished, and a slow one holds up no
    // other.
    let (sender, due) = mpsc::channel(1);
    let claiming = background::run("payments", stop, || payments.claim_due(&sender));
    let due = stream::unfold(due, async |mut due| Some((due.recv().await?, due)));
    let settling = due.for_each_concurrent(AT_ONCE, |due| payments.settle_due(due));
    tokio::select! {
        () = claiming => {}
        () = settling => {}
        () = stop.cancelled() => {}
    }
}

impl Payments {
    /// Claims a page of due rows, and hands it over; returns the pause before the next page.
    async fn claim_due(&self, sender: &mpsc::Sender<Due>) -> Result<Duration, StoreError> {
        let store = self.sales.store();
        let payments = store.due_payments().await?.into_iter().map(Due::Payment);
        let refunds = store.due_refunds().await?.into_iter().map(Due::Refund);
        let mut rest = LOOK_INTERVAL;
        for due in payments.chain(refunds) {
            rest = Duration::ZERO;
            // The receiver lives as long as this does.
            let _ = sender.send(due).await;
        }
        Ok(rest)
    }

    async fn settle_due(&self, due: Due) {
        match due {
            Due::Payment(record) => self.reconcile_attempt(&record).await,
            Due::Refund(refund) => self.give_back(&refund).await,
        }
    }

    /// Voids an attempt whose deadline has passed; if its money was taken, the booking gets
    /// it. If the outcome is still unknown, the attempt is due again.
    async fn reconcile_attempt(&self, record: &PaymentRecord) {
        let (key, booking_id) = (record.key, record.booking_id);
        let settled = async {
            let attempt = attempt_of(record)?;
            let deadline = Instant::now() + QUESTION_MAX;
            let Some(ending) = self.call_off(&attempt, deadline).await else {
                return Ok(());
            };
            self.settle(record, ending, &Requester::unnamed()).await?;
            tracing::info!(%key, %booking_id, ?ending, "a payment was settled after its deadline");
            Ok(())
        };
        match settled.await {
            Ok(()) => {}
            Err(error @ (PayError::NoAmount(_) | PayError::Rejected(_))) => {
                tracing::error!(%key, %error, "a payment cannot be settled");
            }
            Err(error) => tracing::warn!(%key, %error, "a payment is not settled yet"),
        }
    }

    /// Makes a refund. If the outcome is unknown, it is due again, under the same key.
    async fn give_back(&self, refund: &DueRefund) {
        let (key, booking_id) = (refund.key, refund.payment.booking_id);
        let amount = Amount::new(refund.amount, refund.payment.currency);
        let (Ok(attempt), Ok(amount)) = (attempt_of(&refund.payment), amount) else {
            tracing::error!(%key, "a refund is of no amount that can be paid");
            return;
        };
        let deadline = Instant::now() + QUESTION_MAX;
        let asking = self
            .client
            .refund(&attempt, RefundKey(key), amount, deadline);
        let state = match asking.await {
            Ok(RefundOutcome::Refunded) => RefundState::Refunded,
            Ok(RefundOutcome::Declined) => {
                // No fault of ours.
                tracing::warn!(%key, %booking_id, "a refund was declined: a person has to handle it");
                RefundState::Declined
            }
            Err(error) => {
                metrics::refunded(None);
                tracing::debug!(%key, %error, "a refund is not made yet");
                return;
            }
        };
        metrics::refunded(Some(state));
        if let Err(error) = self.sales.store().settle_refund(refund, state).await {
            tracing::warn!(%key, %error, "the outcome of a refund could not be recorded; it is repeated");
        }
    }
}
