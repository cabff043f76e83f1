//! Holding seats and places.

use std::sync::Arc;
use std::time::Duration;

use model::ShowId;
use tokio::time::Instant;
use uuid::Uuid;

use super::{Booked, LOOKUPS_MAX, VerbError, Verbs, ordinals, places};
use crate::domain::{Command, Customer, Order, Places, Reservation};
use crate::store::LaneError;

/// A valid ReserveSeats.
#[derive(Debug, Clone, PartialEq)]
pub struct Reserve {
    /// Of which show.
    pub show_id: ShowId,
    /// Which seats, none twice.
    pub labels: Vec<String>,
    /// How many places of which areas, no area twice.
    pub places: Vec<Places>,
    /// For whom.
    pub customer: Customer,
    /// For how long; none: as the show says, or this service.
    pub hold: Option<Duration>,
    /// Whether they are sold at once.
    pub sell: bool,
    /// What the money is known by that was taken elsewhere.
    pub payment_reference: Option<String>,
    /// The caller's id for it.
    pub request_id: Option<Uuid>,
    /// A hash of the request.
    pub fingerprint: i64,
}

impl Verbs {
    /// Holds seats and places, or sells them at once: all of them or none.
    ///
    /// # Errors
    ///
    /// Why nothing was held or sold.
    pub async fn reserve(&self, wanted: Reserve, deadline: Instant) -> Result<Booked, VerbError> {
        let mut sale = self.sales.get(wanted.show_id).await?;
        for _ in 0..LOOKUPS_MAX {
            let found = ordinals(&sale, "seat_labels", &wanted.labels)
                .and_then(|ordinals| Ok((ordinals, places(&sale, &wanted.places)?)));
            let (ordinals, places) = match found {
                Ok(found) => found,
                Err(unknown) => match self.sales.newer(&sale).await? {
                    Some(newer) => {
                        sale = newer;
                        continue;
                    }
                    None => {
                        let Reserve {
                            request_id,
                            fingerprint,
                            ..
                        } = wanted;
                        return self
                            .first_result(sale, request_id, fingerprint, unknown)
                            .await;
                    }
                },
            };
            let linked_customer = self.links.of(&wanted.customer).await?;
            let order = Order {
                show_id: wanted.show_id,
                request_id: wanted.request_id.unwrap_or_else(Uuid::now_v7),
                repeatable: wanted.request_id.is_some(),
                is_final: true,
                fingerprint: wanted.fingerprint,
                command: Command::Reserve(Reservation {
                    ordinals,
                    places,
                    sale: Arc::clone(&sale),
                    customer: wanted.customer.clone(),
                    linked_customer,
                    hold: wanted
                        .hold
                        .or(sale.terms.hold)
                        .unwrap_or(self.terms.default),
                    sell: wanted.sell,
                    payment_reference: wanted.payment_reference.clone(),
                }),
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
}
