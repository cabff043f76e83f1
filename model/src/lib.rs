//! Values that both sides of the contract must agree on: ids that nest, seat layouts, money.
//!
//! Everything here is a value that cannot be invalid once it exists. No I/O, no protobuf, no
//! SQL: those rooms convert to and from it.

mod amount;
mod ids;
mod layout;
mod money;

pub use amount::{AMOUNT_MAX, Amount, AmountError};
pub use ids::{BookingId, IdError, ShowId};
pub use layout::{
    LABEL_CHARS_MAX, LayoutProblem, ROW_NAME_CHARS_MAX, ROWS_MAX, SEATS_MAX,
    SECTION_NAME_CHARS_MAX, SECTIONS_MAX, SeatLayout, SeatPlace, SeatRow, Seats, Section,
};
pub use money::{Currency, MoneyError, PRICE_MAX};
