//! What a caller can do: look up the sale, have the order decided, and say what became of it.

use std::sync::Arc;
use std::time::Duration;

use model::{BookingId, ShowId};
use tokio::time::Instant;
use uuid::Uuid;

use crate::domain::{Booking, Command, Customer, Order, Refusal, Sale};
use crate::sales::{Sales, SalesError};
use crate::store::{LaneError, Lanes};

/// How often a reserve looks its sale up because the catalog changes it meanwhile.
const LOOKUPS_MAX: u32 = 3;

/// Carries out orders.
#[derive(Debug, Clone)]
pub struct Verbs {
    sales: Sales,
    lanes: Lanes,
    hold_default: Duration,
}

/// A valid ReserveSeats.
#[derive(Debug, Clone, PartialEq)]
pub struct Reserve {
    /// Of which show.
    pub show_id: ShowId,
    /// Which seats, none twice.
    pub labels: Vec<String>,
    /// For whom.
    pub customer: Customer,
    /// For how long; none: as the show says, or this service.
    pub hold: Option<Duration>,
    /// The caller's id for it.
    pub request_id: Option<Uuid>,
    /// A hash of the request.
    pub fingerprint: i64,
}

/// A valid ConfirmBooking or CancelBooking.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// Which booking.
    pub booking_id: BookingId,
    /// The version it must still have.
    pub version: Option<i32>,
    /// The caller's id for it.
    pub request_id: Option<Uuid>,
    /// A hash of the request.
    pub fingerprint: i64,
}

/// A booking, and the sale that names its seats.
#[derive(Debug, Clone)]
pub struct Booked {
    /// The booking.
    pub booking: Booking,
    /// The sale.
    pub sale: Arc<Sale>,
}

/// Why a verb did nothing.
#[derive(Debug, thiserror::Error)]
pub enum VerbError {
    /// It was refused.
    #[error("refused: {0:?}")]
    Refused(Refusal),
    /// Labels name no seat: the place of each in the request, and the label.
    #[error("unknown seats: {0:?}")]
    UnknownSeats(Vec<(usize, String)>),
    /// It got no decision.
    #[error("no decision: {0:?}")]
    Undecided(LaneError),
    /// The sale could not be found out.
    #[error(transparent)]
    Sales(#[from] SalesError),
}

impl Verbs {
    /// Verbs on `sales`, decided by `lanes`. Seats are held for `hold_default` where neither the
    /// caller nor the show says for how long.
    #[must_use]
    pub fn new(sales: Sales, lanes: Lanes, hold_default: Duration) -> Self {
        Self {
            sales,
            lanes,
            hold_default,
        }
    }

    /// Holds seats: all of them or none.
    ///
    /// # Errors
    ///
    /// Why nothing was held.
    pub async fn reserve(&self, wanted: Reserve, deadline: Instant) -> Result<Booked, VerbError> {
        let mut sale = self.sales.get(wanted.show_id).await?;
        for _ in 0..LOOKUPS_MAX {
            let ordinals = match ordinals(&sale, &wanted.labels) {
                Ok(ordinals) => ordinals,
                Err(unknown) => match self.sales.newer(&sale).await? {
                    Some(newer) => {
                        sale = newer;
                        continue;
                    }
                    None => return self.first_result(&wanted, sale, unknown).await,
                },
            };
            let order = Order {
                show_id: wanted.show_id,
                request_id: wanted.request_id.unwrap_or_else(Uuid::now_v7),
                repeatable: wanted.request_id.is_some(),
                fingerprint: wanted.fingerprint,
                command: Command::Reserve {
                    ordinals,
                    sale: Arc::clone(&sale),
                    customer: wanted.customer.clone(),
                    hold: wanted.hold.or(sale.terms.hold).unwrap_or(self.hold_default),
                },
            };
            match self.lanes.decide(order, deadline).await {
                Ok(Ok(booking)) => return Ok(Booked { booking, sale }),
                Ok(Err(refusal)) => return Err(VerbError::Refused(refusal)),
                Err(LaneError::SaleChanged) => sale = self.sales.refresh(wanted.show_id).await?,
                Err(error) => return Err(VerbError::Undecided(error)),
            }
        }
        Err(VerbError::Undecided(LaneError::Contention))
    }

    /// What an earlier call did that was the same as `wanted`, if there was one: the layout may
    /// have had the seats then. Otherwise `error`.
    async fn first_result(
        &self,
        wanted: &Reserve,
        sale: Arc<Sale>,
        error: VerbError,
    ) -> Result<Booked, VerbError> {
        let Some(request_id) = wanted.request_id else {
            return Err(error);
        };
        let store = self.sales.store();
        let first = store.replay(wanted.show_id, request_id).await;
        match first.map_err(SalesError::from)? {
            None => Err(error),
            Some(first) => match first.answer(wanted.fingerprint) {
                Ok(booking) => Ok(Booked { booking, sale }),
                Err(refusal) => Err(VerbError::Refused(refusal)),
            },
        }
    }

    /// Turns a hold into a sale.
    ///
    /// # Errors
    ///
    /// Why it was not.
    pub async fn confirm(&self, change: Change, deadline: Instant) -> Result<Booked, VerbError> {
        let Change {
            booking_id,
            version,
            ..
        } = change;
        self.change(
            &change,
            Command::Confirm {
                booking_id,
                version,
            },
            deadline,
        )
        .await
    }

    /// Gives a booking up; its seats are free.
    ///
    /// # Errors
    ///
    /// Why it was not.
    pub async fn cancel(&self, change: Change, deadline: Instant) -> Result<Booked, VerbError> {
        let Change {
            booking_id,
            version,
            ..
        } = change;
        self.change(
            &change,
            Command::Cancel {
                booking_id,
                version,
            },
            deadline,
        )
        .await
    }

    async fn change(
        &self,
        change: &Change,
        command: Command,
        deadline: Instant,
    ) -> Result<Booked, VerbError> {
        let order = Order {
            show_id: change.booking_id.show(),
            request_id: change.request_id.unwrap_or_else(Uuid::now_v7),
            repeatable: change.request_id.is_some(),
            fingerprint: change.fingerprint,
            command,
        };
        // A booking has a sale: it is looked up first, so that what is written can be told.
        let sale = match self.sales.known(order.show_id).await {
            Ok(sale) => sale,
            Err(SalesError::NotFound(_)) => {
                return Err(VerbError::Refused(Refusal::BookingNotFound(
                    change.booking_id,
                )));
            }
            Err(error) => return Err(error.into()),
        };
        match self.lanes.decide(order, deadline).await {
            Ok(Ok(booking)) if sale.can_name(&booking) => Ok(Booked { booking, sale }),
            Ok(Ok(booking)) => {
                let sale = self.sales.of(&booking).await?;
                Ok(Booked { booking, sale })
            }
            Ok(Err(refusal)) => Err(VerbError::Refused(refusal)),
            Err(error) => Err(VerbError::Undecided(error)),
        }
    }
}

/// The ordinals of labels, ascending.
fn ordinals(sale: &Sale, labels: &[String]) -> Result<Vec<u32>, VerbError> {
    let mut ordinals = Vec::with_capacity(labels.len());
    let mut unknown = Vec::new();
    for (place, label) in labels.iter().enumerate() {
        match sale.seats.ordinal_of_label(label) {
            Some(ordinal) => ordinals.push(ordinal),
            None => unknown.push((place, label.clone())),
        }
    }
    if !unknown.is_empty() {
        return Err(VerbError::UnknownSeats(unknown));
    }
    ordinals.sort_unstable();
    Ok(ordinals)
}
