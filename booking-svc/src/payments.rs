//! Payments: the provider takes the money for a booking, and refunds it.
//!
//! An attempt is written before the provider is called, and its outcome is decided under the
//! booking's lock like any other order; no transaction is open in between. Every call to the
//! provider can be repeated, so a recorded attempt can be finished by the call that began it, by a
//! repeat of that call, or by [`reconcile`] once its deadline has passed. Several at once do no
//! harm.

mod attempt;
mod metrics;
mod reconciler;

use std::sync::Arc;
use std::time::Duration;

use model::{Amount, BookingId, ShowId};
use payment_client::{Attempt, PaymentClient, PaymentKey};
use service_kit::auth::Bearer;
use service_kit::tls::Channels;
use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use uuid::{Builder, Uuid};

use crate::domain::{
    AttemptEnd, Command, DeclineReason, FailureReason, NewAttempt, Order, PaymentRecord, Places,
    Reinstatement, Rejection, Requester, Settlement,
};
use crate::sales::{Sales, SalesError};
use crate::store::{GroupCommit, OrderError, StoreError};

pub use payment_client::{PaymentToken, TOKEN_CHARS_MAX};
pub use reconciler::reconcile;

/// The most attempts that this process drives at once.
const DRIVEN_MAX: usize = 4_096;
/// The longest to wait for one answer of the provider before it is asked again.
const ANSWER_MAX: Duration = Duration::from_secs(5);
/// How many answers the time of an attempt is enough for, at least.
const ANSWERS_MIN: u32 = 4;
/// The longest that an order may wait to be decided.
const ORDER_WAIT_MAX: Duration = Duration::from_secs(30);
/// The most times that a booking and its sale are looked up because they change during the call.
const LOOKUPS_MAX: u32 = 3;

/// Has bookings paid.
#[derive(Debug, Clone)]
pub struct Payments {
    client: PaymentClient<Bearer>,
    sales: Sales,
    group_commit: GroupCommit,
    terms: PaymentTerms,
    room: Arc<Semaphore>,
}

/// How payments are tried.
#[derive(Debug, Clone, Copy)]
pub struct PaymentTerms {
    /// How long an attempt may take.
    pub timeout: Duration,
    /// How long after a booking was made a further attempt may begin.
    pub lifetime_max: Duration,
}

/// Why a booking was not paid, or perhaps was not.
#[derive(Debug, thiserror::Error)]
pub enum PayError {
    /// It was refused.
    #[error("refused: {0:?}")]
    Rejected(Rejection),
    /// It got no decision.
    #[error("no decision: {0:?}")]
    Undecided(OrderError),
    /// The booking, its sale or the attempt could not be found out.
    #[error(transparent)]
    Sales(#[from] SalesError),
    /// No money was taken, and the seats stay held.
    #[error("declined: {reason:?}")]
    Declined {
        /// The booking.
        booking_id: BookingId,
        /// The attempt.
        key: Uuid,
        /// Why.
        reason: DeclineReason,
        /// When the hold ends.
        expires_at: OffsetDateTime,
    },
    /// The money was taken after the booking had ended, and is refunded.
    #[error("paid too late")]
    TooLate {
        /// The booking.
        booking_id: BookingId,
        /// The attempt.
        key: Uuid,
        /// Why the booking ended.
        failure_reason: Option<FailureReason>,
    },
    /// The outcome is not known yet.
    #[error("the provider has not settled it yet")]
    Unsettled {
        /// The booking.
        booking_id: BookingId,
        /// The attempt.
        key: Uuid,
    },
    /// An attempt is on record that cannot be.
    #[error("the attempt {0} is for no amount that can be paid")]
    NoAmount(Uuid),
}

impl From<StoreError> for PayError {
    fn from(error: StoreError) -> Self {
        Self::Sales(error.into())
    }
}

impl From<OrderError> for PayError {
    fn from(error: OrderError) -> Self {
        Self::Undecided(error)
    }
}

impl Payments {
    /// Payments by the provider that `provider` leads to, which is shown the token of `bearer`.
    #[must_use]
    pub fn new(
        provider: Channels,
        bearer: Bearer,
        sales: Sales,
        group_commit: GroupCommit,
        terms: PaymentTerms,
    ) -> Self {
        metrics::register();
        let answer_max = ANSWER_MAX.min(terms.timeout / ANSWERS_MIN);
        Self {
            client: PaymentClient::new(move || provider.current(), bearer, answer_max),
            sales,
            group_commit,
            terms,
            room: Arc::new(Semaphore::new(DRIVEN_MAX)),
        }
    }

    /// How an attempt begins that is made under a request id.
    #[must_use]
    pub fn new_attempt(&self, show_id: ShowId, request_id: Uuid) -> NewAttempt {
        let PaymentTerms {
            timeout,
            lifetime_max,
        } = self.terms;
        NewAttempt {
            key: payment_key(show_id, request_id),
            timeout,
            lifetime_max,
        }
    }

    /// Records the outcome of an attempt, unless that was done. The booking is confirmed or
    /// reinstated, or a refund becomes due, or it waits for another attempt. The requester is this
    /// service itself, or the finisher of a call.
    async fn settle(
        &self,
        record: &PaymentRecord,
        ending: AttemptEnd,
        requester: &Arc<Requester>,
    ) -> Result<(), PayError> {
        let booking_id = record.booking_id;
        let show_id = booking_id.show();
        let mut reinstatement = None;
        for _ in 0..LOOKUPS_MAX {
            let order = Order {
                show_id,
                // One end for each attempt: the log would not have a second.
                request_id: record.key,
                repeatable: true,
                fingerprint: 0,
                requester: Arc::clone(requester),
                command: Command::Settle(Settlement {
                    booking_id,
                    key: record.key,
                    deadline_at: record.deadline_at,
                    ending,
                    reinstatement: reinstatement.take(),
                }),
            };
            let deadline = Instant::now() + ORDER_WAIT_MAX;
            match self.group_commit.decide(order, deadline).await {
                Ok(Ok(_)) => {
                    metrics::settled(ending);
                    return Ok(());
                }
                Ok(Err(rejection)) => return Err(PayError::Rejected(rejection)),
                Err(OrderError::SaleChanged) => {
                    let sale = self.sales.refresh(show_id).await?;
                    let booking = self.sales.store().booking(booking_id).await?;
                    let record = booking
                        .ok_or(PayError::Rejected(Rejection::BookingNotFound(booking_id)))?;
                    let booking = record.booking;
                    let ordinals = booking.seats.iter().map(|seat| seat.ordinal).collect();
                    let places = booking.places.iter().map(|held| Places {
                        area: Arc::clone(&held.area),
                        quantity: held.quantity,
                    });
                    reinstatement = Some(Reinstatement {
                        sale,
                        holder: booking.holder(),
                        ordinals,
                        places: places.collect(),
                    });
                }
                Err(error) => return Err(error.into()),
            }
        }
        Err(PayError::Undecided(OrderError::Contention))
    }
}

/// The key of the attempt under a request id: the same for every replay of the call on every
/// replica, and different from any other show's.
fn payment_key(show_id: ShowId, request_id: Uuid) -> Uuid {
    let mut hash = Sha256::new();
    hash.update("ticketing payment");
    hash.update(show_id.uuid());
    hash.update(request_id);
    let mut head = [0; 16];
    head.copy_from_slice(&hash.finalize()[..16]);
    Builder::from_custom_bytes(head).into_uuid()
}

/// The attempt for calls to the provider.
fn attempt_of(record: &PaymentRecord) -> Result<Attempt, PayError> {
    let amount = Amount::new(record.amount, record.currency);
    Ok(Attempt {
        key: PaymentKey(record.key),
        amount: amount.map_err(|_| PayError::NoAmount(record.key))?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replay_has_the_same_key_and_no_other_call_has_it() {
        let [show, other_show] = [ShowId::generate(), ShowId::generate()];
        let [request, other_request] = [Uuid::now_v7(), Uuid::now_v7()];
        let key = payment_key(show, request);
        assert_eq!(payment_key(show, request), key);
        assert_ne!(payment_key(other_show, request), key);
        assert_ne!(payment_key(show, other_request), key);
    }
}
