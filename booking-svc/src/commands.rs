//! The commands of callers: look up the sale, submit the order, return its outcome.

mod cancel;
mod confirm;
mod extend;
mod reserve;
mod swap;

use std::sync::Arc;
use std::time::Duration;

use model::BookingId;
use tokio::time::Instant;
use uuid::Uuid;

use crate::allocator::{PickError, SeatAllocator};
use crate::customer_resolver::CustomerResolver;
use crate::domain::{
    Booking, BookingState, Command, Misnamed, Order, OrphanRule, Places, Rejection, Requester,
    Sale, Surroundings,
};
use crate::hold_limits::{HoldLimits, TooManyHolds};
use crate::payments::{PayError, Payments};
use crate::sales::{Sales, SalesError};
use crate::store::{CustomerError, GroupCommit, OrderError};

pub use confirm::Paid;
pub use reserve::Reserve;

/// The most times that a sale is looked up because the catalog changes it during the call.
const LOOKUPS_MAX: u32 = 3;

/// Carries out orders.
#[derive(Debug, Clone)]
pub struct BookingCommands {
    sales: Sales,
    customers: CustomerResolver,
    allocator: SeatAllocator,
    group_commit: GroupCommit,
    terms: HoldTerms,
    paying: Paying,
    hold_limits: Option<Arc<HoldLimits>>,
}

/// How bookings are paid.
#[derive(Debug, Clone)]
pub struct Paying {
    /// Payments through the provider; `None`: no payments.
    pub payments: Option<Payments>,
    /// Whether a priced booking can be confirmed without a payment here.
    pub unpaid: bool,
}

impl Default for Paying {
    fn default() -> Self {
        Self {
            payments: None,
            unpaid: true,
        }
    }
}

/// How long holds last.
#[derive(Debug, Clone, Copy)]
pub struct HoldTerms {
    /// The hold's duration if neither the caller nor the show sets one.
    pub default: Duration,
    /// The longest since the booking was made, however often it is extended.
    pub lifetime_max: Duration,
}

/// The parts of every valid change of a booking.
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
    /// Who asks for it.
    pub requester: Arc<Requester>,
}

/// A booking, and the sale that names its seats.
#[derive(Debug, Clone)]
pub struct BookingView {
    /// The booking.
    pub booking: Booking,
    /// The sale.
    pub sale: Arc<Sale>,
}

/// Why a command did nothing.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// It was refused.
    #[error("refused: {0:?}")]
    Rejected(Rejection),
    /// Labels name no seat.
    #[error("unknown seats in {field}: {seats:?}")]
    UnknownSeats {
        /// The field of the request.
        field: &'static str,
        /// The place of each in that field, and the label.
        seats: Vec<(usize, String)>,
    },
    /// Names are no area's: the place of each in the request's `places`, and the name.
    #[error("unknown areas: {0:?}")]
    UnknownAreas(Vec<(usize, String)>),
    /// A hold is asked for that is longer than the show's holds, which last for this long.
    #[error("a hold may last for {0:?}")]
    HoldTooLong(Duration),
    /// Choices, by their index, name things that the show does not have.
    #[error("choices name what the show does not have: {0:?}")]
    Misnamed(Vec<(usize, Misnamed)>),
    /// It got no decision.
    #[error("no decision: {0:?}")]
    Undecided(OrderError),
    /// The sale could not be found out.
    #[error(transparent)]
    Sales(#[from] SalesError),
    /// The customer could not be found or made.
    #[error(transparent)]
    Customer(#[from] CustomerError),
    /// It was not paid, or the outcome is not known yet.
    #[error(transparent)]
    Payment(#[from] PayError),
    /// The caller holds too much.
    #[error("the caller holds too much: {0:?}")]
    TooManyHolds(TooManyHolds),
    /// Nothing can be paid here.
    #[error("there is no payment provider")]
    PaymentNotOffered,
}

impl From<PickError> for CommandError {
    fn from(error: PickError) -> Self {
        match error {
            PickError::Store(error) => Self::Sales(error.into()),
            PickError::Undecided(error) => Self::Undecided(error),
        }
    }
}

impl BookingCommands {
    /// Commands on `sales`, for the customers that `customers` finds, decided by `group_commit`.
    #[must_use]
    pub fn new(
        sales: Sales,
        customers: CustomerResolver,
        group_commit: GroupCommit,
        terms: HoldTerms,
        paying: Paying,
    ) -> Self {
        Self {
            allocator: SeatAllocator::new(sales.store().clone()),
            sales,
            customers,
            group_commit,
            terms,
            paying,
            hold_limits: None,
        }
    }

    /// With limits of how much one caller may hold.
    #[must_use]
    pub fn with_hold_limits(self, limits: Option<HoldLimits>) -> Self {
        Self {
            hold_limits: limits.map(Arc::new),
            ..self
        }
    }

    /// Whether one caller may hold only so much.
    #[must_use]
    pub fn counts_holds(&self) -> bool {
        self.hold_limits.is_some()
    }

    /// Looks each customer up again, after one was erased.
    pub fn forget_customers(&self) {
        self.customers.forget_all();
    }

    /// Has a command about a booking decided.
    async fn change(
        &self,
        change: &Change,
        command: Command,
        deadline: Instant,
    ) -> Result<BookingView, CommandError> {
        let order = Order {
            show_id: change.booking_id.show(),
            request_id: change.request_id.unwrap_or_else(Uuid::now_v7),
            repeatable: change.request_id.is_some(),
            fingerprint: change.fingerprint,
            requester: Arc::clone(&change.requester),
            command,
        };
        // The sale is looked up before the write, so that the reply cannot fail after it.
        let sale = self.sale_of(change.booking_id).await?;
        let answer = self.group_commit.decide(order, deadline).await;
        if let Ok(Ok(booking)) = &answer {
            self.note_end(booking);
        }
        if let Ok(Ok(booking)) = &answer
            && booking.state == BookingState::Cancelled
        {
            let show_id = booking.booking_id.show();
            self.allocator.note(show_id, [], ordinals_of(booking));
        }
        match answer {
            Ok(Ok(booking)) if sale.can_name(&booking) => Ok(BookingView { booking, sale }),
            Ok(Ok(booking)) => {
                let sale = self.sales.of(&booking).await?;
                Ok(BookingView { booking, sale })
            }
            Ok(Err(rejection)) => Err(CommandError::Rejected(rejection)),
            Err(error) => Err(CommandError::Undecided(error)),
        }
    }

    /// Has a hold that ended count no longer as open.
    fn note_end(&self, booking: &Booking) {
        let Some(limits) = &self.hold_limits else {
            return;
        };
        match booking.state {
            BookingState::Pending => {}
            BookingState::Confirmed => limits.bought(booking.booking_id),
            BookingState::Cancelled | BookingState::Failed => limits.given_up(booking.booking_id),
        }
    }

    /// The seats around those chosen by label, if the show's orphan rule needs them.
    async fn around(
        &self,
        sale: &Arc<Sale>,
        chosen: &[u32],
    ) -> Result<Option<Surroundings>, CommandError> {
        if sale.terms.orphan_rule == OrphanRule::Off || chosen.is_empty() {
            return Ok(None);
        }
        let hall = Box::pin(self.allocator.hall(sale)).await?;
        Ok(Some(Surroundings::of(hall, chosen)))
    }

    /// The sale of a booking's show.
    async fn sale_of(&self, booking_id: BookingId) -> Result<Arc<Sale>, CommandError> {
        match self.sales.known(booking_id.show()).await {
            Ok(sale) => Ok(sale),
            Err(SalesError::NotFound(_)) => Err(CommandError::Rejected(
                Rejection::BookingNotFound(booking_id),
            )),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether the caller may change the booking, where no transaction is going to look.
    async fn check_own(&self, change: &Change) -> Result<(), CommandError> {
        if change.requester.sees_all() {
            return Ok(());
        }
        let id = change.booking_id;
        let found = self.sales.store().booking(id).await;
        match found.map_err(SalesError::from)? {
            Some(record) if change.requester.may_see(&record.booking) => Ok(()),
            _ => Err(CommandError::Rejected(Rejection::BookingNotFound(id))),
        }
    }

    /// What an earlier call did under this request id, or was refused for, if it was the same:
    /// the layout may have had the seats then. Otherwise `error`.
    async fn first_result(
        &self,
        sale: Arc<Sale>,
        request_id: Option<Uuid>,
        fingerprint: i64,
        error: CommandError,
    ) -> Result<BookingView, CommandError> {
        let Some(request_id) = request_id else {
            return Err(error);
        };
        let first = self.sales.store().replay(sale.show_id, request_id).await;
        match first.map_err(SalesError::from)? {
            None => Err(error),
            Some(first) => match first.answer(fingerprint) {
                Ok(booking) => Ok(BookingView { booking, sale }),
                Err(rejection) => Err(CommandError::Rejected(rejection)),
            },
        }
    }
}

/// The ordinals of a booking's seats.
fn ordinals_of(booking: &Booking) -> impl Iterator<Item = u32> {
    booking.seats.iter().map(|seat| seat.ordinal)
}

/// The ordinals of labels, ascending.
fn ordinals(sale: &Sale, field: &'static str, labels: &[String]) -> Result<Vec<u32>, CommandError> {
    let mut ordinals = Vec::with_capacity(labels.len());
    let mut unknown = Vec::new();
    for (place, label) in labels.iter().enumerate() {
        match sale.seats.ordinal_of_label(label) {
            Some(ordinal) => ordinals.push(ordinal),
            None => unknown.push((place, label.clone())),
        }
    }
    if !unknown.is_empty() {
        let seats = unknown;
        return Err(CommandError::UnknownSeats { field, seats });
    }
    ordinals.sort_unstable();
    Ok(ordinals)
}

/// Whether a caller may ask for such a hold of the sale's show.
fn check_hold(sale: &Sale, asked: Option<Duration>) -> Result<(), CommandError> {
    match (asked, sale.terms.hold) {
        (Some(asked), Some(longest)) if asked > longest => Err(CommandError::HoldTooLong(longest)),
        _ => Ok(()),
    }
}

/// Places in the order of their areas, all of which the sale must have.
fn places(sale: &Sale, wanted: &[Places]) -> Result<Vec<Places>, CommandError> {
    let unknown = wanted.iter().enumerate();
    let unknown = unknown.filter(|(_, places)| sale.price_of_area(&places.area).is_none());
    let unknown: Vec<_> = unknown
        .map(|(place, places)| (place, places.area.to_string()))
        .collect();
    if !unknown.is_empty() {
        return Err(CommandError::UnknownAreas(unknown));
    }
    let mut places = wanted.to_vec();
    places.sort_unstable_by(|one, other| one.area.cmp(&other.area));
    Ok(places)
}
