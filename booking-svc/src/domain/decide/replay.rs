//! Replays: the stored result of a request id.

use model::ShowId;
use uuid::Uuid;

use super::Batch;
use crate::domain::booking::Booking;
use crate::domain::order::Order;
use crate::domain::rejection::Rejection;

/// The result of an earlier call with the same request id.
#[derive(Debug, Clone, PartialEq)]
pub struct Replay {
    /// The hash of its command and body.
    pub fingerprint: i64,
    /// Its result.
    pub result: Result<Booking, Rejection>,
}

impl Replay {
    /// The result for a later call under the same request id, with this fingerprint.
    ///
    /// # Errors
    ///
    /// If its body differs, or the earlier call was rejected.
    pub fn answer(&self, fingerprint: i64) -> Result<Booking, Rejection> {
        if self.fingerprint == fingerprint {
            self.result.clone()
        } else {
            Err(Rejection::RequestIdReused)
        }
    }
}

/// The rejection of an order, under the caller's request id.
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
        // A replay may come later in this batch.
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
