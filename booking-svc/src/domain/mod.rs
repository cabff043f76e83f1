//! What a booking is and what may happen to it. Pure: no I/O, no protobuf, no SQL, no clock
//! of its own.

mod booking;
mod decide;
mod order;
mod sale;

pub use booking::{
    Booking, BookingState, CancelReason, Customer, FailureReason, HeldSeat, Transition, Verb,
    next_state,
};
pub use decide::{
    Decision, Locked, NotGranted, Outcome, Owner, Replay, SaleRow, SeatWrite, Writes, decide,
};
pub use order::{Command, Order, Refusal, Taken};
pub use sale::{Sale, SaleState};
