//! What a booking is and what may happen to it. Pure: no I/O, no protobuf, no SQL, and no reading
//! of a clock.

mod booking;
mod buyer;
mod choice;
pub mod choose;
mod customer;
mod decide;
mod email;
mod event;
mod named;
mod order;
mod payment;
mod places;
mod quota;
mod rejection;
mod requester;
mod sale;

pub use booking::{
    Booking, BookingState, CancelReason, Customer, FailureReason, HeldSeat, Prior, Transition,
    Verb, next_state,
};
pub use buyer::Buyer;
pub use choice::{Choice, Misnamed, Picks, Surroundings};
pub use customer::{
    CustomerId, CustomerPatch, CustomerProblem, CustomerRecord, CustomerRefusal, CustomerUpdate,
    DisplayName, ExternalReference, Line, NewCustomer, Phone,
};
pub use decide::{
    AreaKey, AreaRow, AreaWrite, Decision, ENDED_HOLDS_MAX, EndedHold, Locked, NotGranted, Outcome,
    Owner, Replay, SaleRow, SeatWrite, StoredRejection, Writes, decide,
};
pub use email::{Email, EmailProblem};
pub use event::Event;
pub use order::{Command, Order, Reinstatement, Reservation, Settlement};
pub use payment::{
    AttemptEnd, DeclineReason, DueRefund, NewAttempt, OwedRefund, Payment, PaymentRecord,
    PaymentState, PaymentWrites, RefundState, SettledPayment, StartedPayment,
};
pub use places::{HeldPlaces, Places};
pub use quota::QuotaHolder;
pub use rejection::{Rejection, Taken};
pub use requester::{Requester, SERVICE_ACTOR, Subject};
pub use sale::{
    BOOKED_SEATS_MAX, OrphanRule, Proposal, ProposalAnswer, ProposedChange, Sale, SaleState,
    Snapshot, Terms, Withdrawn,
};
