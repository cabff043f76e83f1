//! The events of a booking, from the log.

use model::BookingId;
use time::OffsetDateTime;
use uuid::Uuid;

use super::booking::{BookingState, Verb};

/// One entry of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The booking.
    pub booking_id: BookingId,
    /// The booking's version that it led to.
    pub version: i32,
    /// The command.
    pub verb: Verb,
    /// Its state before; none when it was made.
    pub from: Option<BookingState>,
    /// Where it is.
    pub to: BookingState,
    /// When it was decided.
    pub made_at: OffsetDateTime,
    /// Who did it: a caller, or a service.
    pub actor: String,
    /// Under which id, unique within the show.
    pub request_id: Uuid,
}
