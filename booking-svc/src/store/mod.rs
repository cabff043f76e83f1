//! Schema `booking` in PostgreSQL. Owns every statement on it; driver types stay in here.

mod area_lines;
mod areas;
mod bookings;
mod cancelled_shows;
mod change_customer;
mod commit;
mod customer_requests;
mod customers;
mod erase_customer;
mod events;
mod feed;
mod free_seats;
mod open_work;
mod payments;
mod prior;
mod proposals;
mod rejections;
mod rows;
mod sales;
mod seats;
mod sweep;

use model::NumberingError;
use service_kit::background::StepError;
use service_kit::postgres::{DbError, Pool};
use tokio::time::Instant;

use self::change_customer::Places;

pub use areas::AreaCount;
pub use bookings::{BookingFilter, BookingRecord, Page};
pub use cancelled_shows::CancelledSale;
pub use commit::{Answer, Fault, GroupCommit, GroupCommitConfig, OrderError, RejectionLimits};
pub use customer_requests::RequestKey;
pub use customers::{Changed, CustomerChange, CustomerError, CustomerKey};
pub use erase_customer::Erased;
pub use events::{EventPlace, EventsOf};
pub use feed::{FeedCursor, FeedPlace, FoundCatalog};
pub use open_work::register_open_work;
pub use rows::BadRow;
pub use sales::Applied;
pub use seats::SeatStatus;

/// When a caller that waits for others is answered at the latest: in 5 s, or a little before its own
/// `deadline`.
#[must_use]
pub fn give_up_at(deadline: Instant) -> Instant {
    commit::give_up_at(deadline, commit::WAIT_MAX)
}

/// Why a read, or a copy from the catalog, failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database did not do it.
    #[error(transparent)]
    Db(#[from] DbError),
    /// A row was read that cannot be.
    #[error(transparent)]
    BadRow(#[from] BadRow),
    /// A show from the catalog has had more seats in its life than there are ordinals.
    #[error(transparent)]
    TooManySeats(#[from] NumberingError),
    /// The feed's cursor is of another epoch: the data is of a catalog that is no longer followed.
    #[error("another catalog was accepted meanwhile")]
    OtherEpoch,
}

impl StoreError {
    /// Whether another session holds a lock that it needs; nothing was done.
    fn is_contention(&self) -> bool {
        matches!(self, Self::Db(error) if error.is_contention())
    }
}

impl StepError for StoreError {
    fn is_outage(&self) -> bool {
        match self {
            Self::Db(error) => error.is_outage(),
            Self::OtherEpoch => true,
            Self::BadRow(_) | Self::TooManySeats(_) => false,
        }
    }
}

impl From<tokio_postgres::Error> for StoreError {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Db(error.into())
    }
}

/// Everything but the transactions of callers, which go through [`GroupCommit`].
#[derive(Debug, Clone)]
pub struct Store {
    pool: Pool,
    /// For changes of customers.
    changing: Places,
}

impl Store {
    /// A store over a pool of connections.
    #[must_use]
    pub fn new(pool: Pool) -> Self {
        let changing = Places::of(pool.status().max_size);
        Self { pool, changing }
    }
}
