//! What was answered under a request id, and is answered again.

use model::ShowId;
use uuid::Uuid;

use super::Batch;
use crate::domain::booking::Booking;
use crate::domain::order::{Order, Refusal};

/// What an earlier call with the same request id did.
#[derive(Debug, Clone, PartialEq)]
pub struct Replay {
    /// The hash of its verb and body.
    pub fingerprint: i64,
    /// What it was answered.
    pub result: Result<Booking, Refusal>,
}

impl Replay {
    /// What a later call under the same request id, with this hash, is answered.
    ///
    /// # Errors
    ///
    /// If it is about something else, or was refused.
    pub fn answer(&self, fingerprint: i64) -> Result<Booking, Refusal> {
        if self.fingerprint == fingerprint {
            self.result.clone()
        } else {
            Err(Refusal::RequestIdReused)
        }
    }
}

/// What an order was refused for, under the caller's request id.
#[derive(Debug, Clone, PartialEq)]
pub struct RememberedRefusal {
    /// Its show.
    pub show_id: ShowId,
    /// Its request id, unique within the show.
    pub request_id: Uuid,
    /// The hash of its verb and body.
    pub fingerprint: i64,
    /// Why it was refused; one that sticks.
    pub refusal: Refusal,
}

impl Batch {
    /// Has copies of the order refused as it was.
    pub(super) fn remember(&mut self, order: &Order, refusal: Refusal) {
        // A copy may come later in this batch.
        let replay = Replay {
            fingerprint: order.fingerprint,
            result: Err(refusal.clone()),
        };
        self.locked.replays.insert(order.key(), replay);
        self.refusals.push(RememberedRefusal {
            show_id: order.show_id,
            request_id: order.request_id,
            fingerprint: order.fingerprint,
            refusal,
        });
    }
}
