//! What was answered under a request id, and is answered again.

use model::ShowId;
use uuid::Uuid;

use super::Batch;
use crate::domain::booking::Booking;
use crate::domain::order::Order;
use crate::domain::rejection::Rejection;

/// What an earlier call with the same request id did.
#[derive(Debug, Clone, PartialEq)]
pub struct Replay {
    /// The hash of its command and body.
    pub fingerprint: i64,
    /// Its result.
    pub result: Result<Booking, Rejection>,
}

impl Replay {
    /// What a later call under the same request id, with this hash, is answered.
    ///
    /// # Errors
    ///
    /// If it is about something else, or was refused.
    pub fn answer(&self, fingerprint: i64) -> Result<Booking, Rejection> {
        if self.fingerprint == fingerprint {
            self.result.clone()
        } else {
            Err(Rejection::RequestIdReused)
        }
    }
}

/// What an order was refused for, under the caller's request id.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredRejection {
    /// Its show.
    pub show_id: ShowId,
    /// Its request id, unique within the show.
    pub request_id: Uuid,
    /// The hash of its command and body.
    pub fingerprint: i64,
    /// Why it was refused; one that sticks.
    pub rejection: Rejection,
}

impl Batch {
    /// Has copies of the order refused as it was.
    pub(super) fn store_rejection(&mut self, order: &Order, rejection: Rejection) {
        // A copy may come later in this batch.
        let replay = Replay {
            fingerprint: order.fingerprint,
            result: Err(rejection.clone()),
        };
        self.locked.replays.insert(order.key(), replay);
        self.rejections.push(StoredRejection {
            show_id: order.show_id,
            request_id: order.request_id,
            fingerprint: order.fingerprint,
            rejection,
        });
    }
}
