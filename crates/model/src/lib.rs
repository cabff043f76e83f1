//! Values that both sides of the contract must agree on: ids that nest, seat layouts, the
//! numbers that a show's seats keep, prices, money.
//!
//! Everything here is a value that cannot be invalid once it exists. No I/O, no protobuf, no
//! SQL: other crates convert to and from it.

mod amount;
mod ids;
mod layout;
mod money;
mod numbering;
mod prices;
mod problem;
mod text;

pub use amount::{AMOUNT_MAX, Amount, AmountError};
pub use ids::{BookingId, IdError, ShowId};
pub use layout::{
    AREAS_MAX, Area, BestSeats, CAPACITY_MAX, COORDINATE_MAX, Coordinates, DECK_CHARS_MAX,
    LABEL_CHARS_MAX, LABEL_FORMAT_CHARS_MAX, LayoutDescription, NAME_CHARS_MAX, NUMBER_MAX,
    PLACES_MAX, Point, ROWS_MAX, RUNS_MAX, RowBlock, RowPlace, SEATS_MAX, SECTIONS_MAX,
    SERIES_NAME_CHARS_MAX, SKIPPED_MAX, SeatLayout, SeatPlace, Section, Series,
};
pub use money::{Currency, MoneyError, PRICE_MAX};
pub use numbering::{NamedSeat, Numbering, NumberingError, ORDINALS_MAX, RetiredSeat, ShowSeats};
pub use prices::{
    PRICE_TARGETS_MAX, PRICE_TIERS_MAX, PriceDescription, PriceList, PriceTier, PricedAt, RowRef,
};
pub use problem::{PROBLEMS_MAX, Problem, Problems};
pub use text::{is_hidden, nfc, normalize};
