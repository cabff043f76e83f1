//! Holding seats and places.

use std::sync::Arc;
use std::time::Duration;

use model::ShowId;
use tokio::time::{Instant, timeout_at};
use uuid::Uuid;

use super::{
    BookingCommands, BookingView, CommandError, LOOKUPS_MAX, check_hold, ordinals, ordinals_of,
    places,
};
use crate::allocator::{SoftClaim, Wanted};
use crate::domain::choose::Wish;
use crate::domain::{
    BookingState, Choice, Command, Customer, Order, Picks, Places, Rejection, Requester,
    Reservation, Sale, Subject,
};
use crate::hold_limits::HoldLimits;
use crate::store::OrderError;

/// How often seats are picked because the last ones were taken.
const PICKS_MAX: u32 = 16;

/// A valid ReserveSeats.
#[derive(Debug, Clone, PartialEq)]
pub struct Reserve {
    /// Of which show.
    pub show_id: ShowId,
    /// The labels of seats, none twice.
    pub labels: Vec<String>,
    /// How many places of which areas, no area twice.
    pub places: Vec<Places>,
    /// The choices of further seats.
    pub choices: Vec<Choice>,
    /// The customer.
    pub customer: Customer,
    /// The hold's duration; `None`: the show's, or this service's default.
    pub hold: Option<Duration>,
    /// Whether to sell at once, without a hold.
    pub sell: bool,
    /// The reference of a payment taken outside Ticketing.
    pub payment_reference: Option<String>,
    /// The caller's id for it.
    pub request_id: Option<Uuid>,
    /// A hash of the request.
    pub fingerprint: i64,
    /// Who asks for it.
    pub requester: Arc<Requester>,
}

/// The attempts at a reserve so far.
#[derive(Debug)]
struct Attempts {
    /// When the first began.
    since: Instant,
    lookups: u32,
    picks: u32,
    /// When a pick was found taken last.
    last_conflict_at: Option<Instant>,
}

impl BookingCommands {
    /// Holds seats and places, or sells them at once: all of them or none.
    ///
    /// # Errors
    ///
    /// Why nothing was held or sold.
    pub async fn reserve(
        &self,
        wanted: Reserve,
        deadline: Instant,
    ) -> Result<BookingView, CommandError> {
        if wanted.sell && !self.paying.unpaid {
            return Err(CommandError::Rejected(Rejection::PaymentRequired(None)));
        }
        self.sales.sellable_until(wanted.show_id)?;
        let sale = self.sales.get(wanted.show_id).await?;
        let Some((limits, subject)) = self.limits_of(&wanted) else {
            return self.reserve_in(sale, &wanted, deadline).await;
        };
        let length = self.hold_length(&sale, &wanted);
        let asked = match limits.ask(subject, wanted.show_id, length) {
            Ok(asked) => asked,
            Err(too_many) => {
                let (id, fingerprint) = (wanted.request_id, wanted.fingerprint);
                let error = CommandError::TooManyHolds(too_many);
                return self.first_result(sale, id, fingerprint, error).await;
            }
        };
        let reserved = self.reserve_in(sale, &wanted, deadline).await;
        match &reserved {
            Ok(BookingView { booking, .. }) if booking.state == BookingState::Pending => {
                asked.granted(booking.booking_id, length);
            }
            Err(CommandError::Undecided(error)) if error.may_be_carried_out() => drop(asked),
            _ => asked.refused(),
        }
        reserved
    }

    /// Who counts the hold, and as whose; none if it is not counted.
    fn limits_of<'a>(&'a self, wanted: &'a Reserve) -> Option<(&'a HoldLimits, &'a Subject)> {
        let limits = self.hold_limits.as_deref().filter(|_| !wanted.sell)?;
        Some((limits, wanted.requester.subject.as_ref()?))
    }

    fn hold_length(&self, sale: &Sale, wanted: &Reserve) -> Duration {
        let length = wanted.hold.or(sale.terms.hold);
        length.unwrap_or(self.terms.default)
    }

    async fn reserve_in(
        &self,
        mut sale: Arc<Sale>,
        wanted: &Reserve,
        deadline: Instant,
    ) -> Result<BookingView, CommandError> {
        let mut tried = Attempts {
            since: Instant::now(),
            lookups: 0,
            picks: 0,
            last_conflict_at: None,
        };
        while tried.lookups < LOOKUPS_MAX && tried.picks < PICKS_MAX {
            let sellable_until = self.sales.sellable_until(wanted.show_id)?;
            let decided_by = deadline.min(sellable_until);
            let resolved = match resolve(&sale, wanted) {
                Ok(resolved) => resolved,
                Err(unknown) => match self.sales.reload_if_changed(&sale).await? {
                    Some(reload_if_changed) => {
                        sale = reload_if_changed;
                        tried.lookups += 1;
                        continue;
                    }
                    None => {
                        let (id, fingerprint) = (wanted.request_id, wanted.fingerprint);
                        return self.first_result(sale, id, fingerprint, unknown).await;
                    }
                },
            };
            let prepared = self.prepare(&sale, wanted, resolved, &tried, decided_by);
            let (answer, pick) = match prepared.await {
                Ok((order, pick)) => (self.group_commit.decide(order, decided_by).await, pick),
                Err(CommandError::Undecided(error)) => (Err(error), None),
                Err(error) => return Err(error),
            };
            match answer {
                Ok(Ok(booking)) => {
                    self.allocator
                        .note(wanted.show_id, ordinals_of(&booking), []);
                    return Ok(BookingView { booking, sale });
                }
                Ok(Err(rejection)) => {
                    let labels = wanted.labels.iter().map(String::as_str);
                    let areas = wanted.places.iter().map(|places| &*places.area);
                    let rejection = rejection.in_order_of(labels.chain(areas));
                    return Err(CommandError::Rejected(rejection));
                }
                Err(OrderError::SaleChanged) => {
                    sale = self.sales.refresh(wanted.show_id).await?;
                    tried.lookups += 1;
                }
                Err(OrderError::PicksTaken(taken)) => {
                    pick.into_iter().for_each(|pick| pick.lost(&taken));
                    tried.picks += 1;
                    tried.last_conflict_at = Some(Instant::now());
                }
                // A newer sale may be known by now.
                Err(OrderError::DeadlineExceeded) if decided_by < deadline => tried.lookups += 1,
                Err(error) => return Err(CommandError::Undecided(error)),
            }
        }
        Err(CommandError::Undecided(OrderError::Contention))
    }

    /// The order, and the claim on the seats that were picked for it.
    async fn prepare(
        &self,
        sale: &Arc<Sale>,
        wanted: &Reserve,
        resolved: Resolved,
        tried: &Attempts,
        deadline: Instant,
    ) -> Result<(Order, Option<SoftClaim>), CommandError> {
        let Resolved {
            named,
            places,
            wishes,
        } = resolved;
        let around = self.around(sale, &named).await?;
        let linked_customer = self.customers.of(&wanted.customer, deadline).await?;
        let mut ordinals = named;
        let mut picks = Picks::default();
        let mut promise = None;
        if !wishes.is_empty() {
            let pick = self.allocator.pick(
                sale,
                Wanted {
                    named: ordinals.clone(),
                    wishes,
                    since: tried.since,
                    last_conflict_at: tried.last_conflict_at,
                },
            );
            // Boxed: every call would carry the future of a pick that few make.
            let picked = timeout_at(deadline, Box::pin(pick)).await;
            match picked.map_err(|_| CommandError::Undecided(OrderError::DeadlineExceeded))?? {
                Ok(pick) => {
                    picks.ordinals = pick.ordinals().to_vec();
                    ordinals.extend(pick.ordinals());
                    ordinals.sort_unstable();
                    promise = Some(pick);
                }
                Err(unmet) => picks.unmet = Some(unmet),
            }
        }
        let order = Order {
            show_id: wanted.show_id,
            request_id: wanted.request_id.unwrap_or_else(Uuid::now_v7),
            repeatable: wanted.request_id.is_some(),
            fingerprint: wanted.fingerprint,
            requester: Arc::clone(&wanted.requester),
            command: Command::Reserve(Reservation {
                ordinals,
                places,
                picks,
                around,
                sale: Arc::clone(sale),
                customer: wanted.customer.clone(),
                linked_customer,
                hold: self.hold_length(sale, wanted),
                sell: wanted.sell,
                payment_reference: wanted.payment_reference.clone(),
            }),
        };
        Ok((order, promise))
    }
}

/// The request in a sale's terms: ordinals and areas.
struct Resolved {
    /// The ordinals of the seats that are named.
    named: Vec<u32>,
    places: Vec<Places>,
    wishes: Vec<Wish>,
}

fn resolve(sale: &Sale, wanted: &Reserve) -> Result<Resolved, CommandError> {
    check_hold(sale, wanted.hold.filter(|_| !wanted.sell))?;
    let named = ordinals(sale, "seat_labels", &wanted.labels)?;
    let places = places(sale, &wanted.places)?;
    let mut wishes = Vec::with_capacity(wanted.choices.len());
    let mut misnamed = Vec::new();
    for (place, choice) in wanted.choices.iter().enumerate() {
        match choice.wish(sale) {
            Ok(wish) => wishes.push(wish),
            Err(what) => misnamed.extend(what.into_iter().map(|what| (place, what))),
        }
    }
    if misnamed.is_empty() {
        Ok(Resolved {
            named,
            places,
            wishes,
        })
    } else {
        Err(CommandError::Misnamed(misnamed))
    }
}
