//! Sales: booking-svc's own records that shows can be booked.

use std::time::Duration;

use model::{
    NamedSeat, NumberingError, PriceList, PricedAt, SeatLayout, SeatPlace, ShowId, ShowSeats,
};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::booking::Booking;
use super::named::named;

/// A show as booking-svc sells it: the catalog's description at one revision, and the numbering of
/// its seats under all layouts so far.
#[derive(Debug, Clone)]
pub struct Sale {
    /// The show.
    pub show_id: ShowId,
    /// The catalog's revision that this is a copy of.
    pub revision: i64,
    /// When and how it is sold.
    pub terms: Terms,
    /// Its seats, by the ordinals that they keep.
    pub seats: ShowSeats,
    /// Their prices.
    pub prices: PriceList,
    /// The part that is off sale because of a pending change.
    pub withdrawn: Withdrawn,
}

/// A show as the catalog describes it at one revision.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// The show.
    pub show_id: ShowId,
    /// The revision.
    pub revision: i64,
    /// When and how it is sold.
    pub terms: Terms,
    /// Its layout.
    pub layout: SeatLayout,
    /// The prices under that layout.
    pub prices: PriceList,
    /// A change that waits for an answer.
    pub proposal: Option<Proposal>,
}

/// When and how a show is sold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// Its stored state, before the changes that the times below make due.
    pub state: SaleState,
    /// When it starts.
    pub start_at: OffsetDateTime,
    /// When a DRAFT goes on sale automatically.
    pub sales_open_at: Option<OffsetDateTime>,
    /// When the sale ends automatically; none: when the show starts.
    pub sales_close_at: Option<OffsetDateTime>,
    /// The default duration of a hold; none: the service's setting.
    pub hold: Option<Duration>,
    /// The most seats of one booking; none: the service's setting.
    pub seats_per_booking_max: Option<u16>,
    /// The most places of one customer's live bookings; none: no limit.
    pub places_per_customer_max: Option<u16>,
    /// What to do with choices by label that leave orphans.
    pub orphan_rule: OrphanRule,
}

/// The part of a show that is off sale because of an accepted proposal of the catalog. Empty if there
/// is none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Withdrawn {
    /// The ordinals of the seats that the change drops, ascending.
    pub seats: Box<[u32]>,
    /// Whether the show is to be deleted.
    pub show: bool,
}

/// A change that must not hurt a booking: the catalog makes it once it is accepted here.
#[derive(Debug, Clone)]
pub struct Proposal {
    /// The catalog revision that it copies; distinguishes it from other sales of its show.
    pub revision: i64,
    /// The proposed change.
    pub change: ProposedChange,
}

/// The proposed change.
#[derive(Debug, Clone)]
pub enum ProposedChange {
    /// The show gets another layout.
    Layout(SeatLayout),
    /// The show is deleted.
    Deletion,
}

/// The answer to a proposal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProposalAnswer {
    /// The show.
    pub show_id: ShowId,
    /// The proposal's revision.
    pub proposal: i64,
    /// Whether the change may be made: what it removes is off sale by now.
    pub accepted: bool,
    /// If not, for a layout: the labels of seats with live bookings, and the names of areas of
    /// which live bookings have more places than it leaves; up to [`BOOKED_SEATS_MAX`] in all.
    pub booked_seats: Vec<String>,
}

/// The most seats and areas that an answer names.
pub const BOOKED_SEATS_MAX: usize = 100;

/// Where a show is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum SaleState {
    /// Not on sale yet.
    Draft,
    /// Until it closes, or starts.
    OnSale,
    /// Not for a while.
    Paused,
    /// Off sale for good.
    Closed,
    /// Off sale for good, and holds cannot be confirmed.
    Cancelled,
}

/// What to do with a choice of seats that leaves an orphan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrphanRule {
    /// Accept it.
    Off,
    /// Accept it, and name the orphans in the reply.
    Warn,
    /// Reject it.
    Strict,
}

impl Sale {
    /// The seat with this ordinal in the layout; none if the layout no longer has it.
    #[must_use]
    pub fn place(&self, ordinal: u32) -> Option<SeatPlace<'_>> {
        self.seats.layout().seat(self.seats.position_of(ordinal)?)
    }

    /// The present price of the seat with this ordinal.
    #[must_use]
    pub fn price(&self, ordinal: u32) -> Option<PricedAt<'_>> {
        self.prices.of_seat(self.seats.position_of(ordinal)?)
    }

    /// The current price of a place in the area of this name; none if the layout no longer has it.
    #[must_use]
    pub fn price_of_area(&self, name: &str) -> Option<PricedAt<'_>> {
        let (index, _) = self.seats.layout().area(name)?;
        self.prices.of_area(index)
    }

    /// The names of the seat with this ordinal, whether or not the layout still has it.
    #[must_use]
    pub fn named(&self, ordinal: u32) -> Option<NamedSeat<'_>> {
        self.seats.seat(ordinal)
    }

    /// Whether the seat with this ordinal is not for sale.
    #[must_use]
    pub fn is_blocked(&self, ordinal: u32) -> bool {
        self.place(ordinal).is_none_or(|place| place.is_blocked())
            || self.withdrawn.seats.binary_search(&ordinal).is_ok()
    }

    /// Whether it can name every seat of a booking: the catalog may have added seats since this
    /// was looked up.
    #[must_use]
    pub fn can_name(&self, booking: &Booking) -> bool {
        let known = |ordinal: u32| ordinal < self.seats.ordinal_count();
        booking.seats.iter().all(|seat| known(seat.ordinal))
            && booking.orphans.iter().copied().all(known)
    }

    /// Roughly the bytes that it takes in memory.
    #[must_use]
    pub fn weight(&self) -> u64 {
        let own = size_of::<Self>() + size_of_val(&*self.withdrawn.seats);
        own as u64 + self.seats.weight() + self.prices.weight()
    }
}

impl Proposal {
    /// The ordinals, ascending, of the seats that the change would drop.
    ///
    /// # Errors
    ///
    /// If the show has had too many seats in its life for the change to be made.
    pub fn dropped(&self, seats: &ShowSeats) -> Result<Vec<u32>, NumberingError> {
        let ProposedChange::Layout(layout) = &self.change else {
            return Ok(Vec::new());
        };
        let after = seats.with_layout(layout.clone())?;
        let is_dropped = |ordinal: &u32| {
            seats.position_of(*ordinal).is_some() && after.position_of(*ordinal).is_none()
        };
        Ok((0..seats.ordinal_count()).filter(is_dropped).collect())
    }
}

impl Terms {
    /// The state at `now`: scheduled times count even before the catalog has applied them.
    #[must_use]
    pub fn state_at(&self, now: OffsetDateTime) -> SaleState {
        let has_come = |at: Option<OffsetDateTime>| at.is_some_and(|at| at <= now);
        match self.state {
            SaleState::Draft if !has_come(self.sales_open_at) => SaleState::Draft,
            SaleState::Draft | SaleState::OnSale | SaleState::Paused
                if has_come(self.sales_close_at) =>
            {
                SaleState::Closed
            }
            SaleState::Draft => SaleState::OnSale,
            state => state,
        }
    }

    /// The next time after `now` at which it may be sold otherwise than now, if there is one.
    #[must_use]
    pub fn next_change(&self, now: OffsetDateTime) -> Option<OffsetDateTime> {
        let times = [Some(self.start_at), self.sales_open_at, self.sales_close_at];
        times.into_iter().flatten().filter(|at| *at > now).min()
    }
}

named!(SaleState {
    Draft = "DRAFT",
    OnSale = "ON_SALE",
    Paused = "PAUSED",
    Closed = "CLOSED",
    Cancelled = "CANCELLED",
});
named!(OrphanRule { Off = "OFF", Warn = "WARN", Strict = "STRICT" });
