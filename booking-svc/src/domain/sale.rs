//! booking-svc's own record that a show can be booked.

use model::{SeatLayout, ShowId};
use time::OffsetDateTime;

/// A show as the catalog described it at one revision.
#[derive(Debug, Clone, PartialEq)]
pub struct Sale {
    /// The show.
    pub show_id: ShowId,
    /// The catalog's revision that this is a copy of.
    pub revision: i64,
    /// Whether it can be booked.
    pub state: SaleState,
    /// When it starts: nothing can be reserved from then on.
    pub start_at: OffsetDateTime,
    /// Its seats and their prices.
    pub layout: SeatLayout,
}

/// Whether a show can be booked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SaleState {
    /// Until it starts.
    OnSale,
    /// Never again.
    Cancelled,
}

impl SaleState {
    /// Its name in the database and in error metadata.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OnSale => "ON_SALE",
            Self::Cancelled => "CANCELLED",
        }
    }

    /// The state of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::OnSale, Self::Cancelled]
            .into_iter()
            .find(|state| state.as_str() == name)
    }
}
