//! ConfirmBooking with a payment token, against the real simulated provider.

mod back;
mod confirm;
mod late;
mod races;
mod reads;
pub(crate) mod till;
