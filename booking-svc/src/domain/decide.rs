//! The decision between the two round trips of a transaction: which of a batch of orders
//! are granted, over locked rows. Pure code: the same orders over the same rows always end the same
//! way, exactly as if they had come one after another.
//!
//! Invariants: an order is granted whole or not at all; a seat is only given if it has no owner, or
//! one that this batch has just expired; no area gives more places than it has; every change of a
//! booking leaves a transition.

mod areas;
mod change;
mod end;
mod orphans;
mod pay;
mod quota;
mod replay;
mod reserve;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::mem::take;
use std::sync::Arc;

use model::{BookingId, ShowId};
use time::OffsetDateTime;
use uuid::Uuid;

use super::booking::{
    Booking, BookingState, FailureReason, HeldSeat, Prior, Transition, Verb, next_state,
};
use super::order::{Command, Order};
use super::payment::PaymentWrites;
use super::quota::QuotaHolder;
use super::rejection::Rejection;
use super::sale::SaleState;
pub use replay::{Replay, StoredRejection};

use self::areas::Areas;
pub use self::areas::{AreaKey, AreaRow, AreaWrite, ENDED_HOLDS_MAX, EndedHold};

/// The rows that a batch has locked, as they were read under the locks.
#[derive(Debug, Default)]
pub struct Locked {
    /// The database's clock, read after the last lock was taken.
    pub now: Option<OffsetDateTime>,
    /// The sales of all shows in the batch.
    pub sales: HashMap<ShowId, SaleRow>,
    /// The bookings that orders name.
    pub bookings: HashMap<BookingId, Booking>,
    /// The owner of every seat that orders may give or take.
    pub seats: HashMap<(ShowId, u32), Option<BookingId>>,
    /// Owners of seats that are not locked themselves.
    pub owners: HashMap<BookingId, Owner>,
    /// Every area of which orders may take or give back places.
    pub areas: HashMap<AreaKey, AreaRow>,
    /// For areas with fewer places left than wanted: the show's expired holds with places, in the
    /// order of their ends, up to [`ENDED_HOLDS_MAX`].
    pub ended: HashMap<ShowId, Vec<EndedHold>>,
    /// The PENDING and CONFIRMED bookings of each quota holder that orders add places to.
    pub quota: HashMap<(ShowId, QuotaHolder), Vec<Booking>>,
    /// Earlier results, granted or rejected, by request id.
    pub replays: HashMap<(ShowId, Uuid), Replay>,
}

/// A sale as it stands under its lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SaleRow {
    /// The catalog's revision that it is a copy of.
    pub revision: i64,
    /// The show's state at that revision of the catalog.
    pub state: SaleState,
}

/// What a seat's row says about its owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner {
    /// The owner's state.
    pub state: BookingState,
    /// When its hold ends.
    pub expires_at: OffsetDateTime,
}

impl Owner {
    /// Whether its hold has ended at `now`, even if its row does not say so yet.
    #[must_use]
    pub fn has_lapsed(&self, now: OffsetDateTime) -> bool {
        self.state == BookingState::Pending && self.expires_at <= now
    }
}

/// The outcome of an order: the booking after it, or why it was not granted.
pub type Outcome = Result<Booking, NotGranted>;

/// Why an order is not granted. It has changed nothing.
#[derive(Debug, Clone, PartialEq)]
pub enum NotGranted {
    /// Rejected, which is final.
    Rejected(Rejection),
    /// The sale was looked up at an older revision: look it up again, then submit the order again.
    SaleChanged,
    /// Expired holds, whose rows are not locked here, own wanted seats or places: decide the order
    /// again behind an `Expire` for each. Empty if other orders wait for them.
    Lapsed(Vec<BookingId>),
    /// Only picked seats, these ordinals, are taken: pick others, then submit the order
    /// again.
    PicksTaken(Vec<u32>),
    /// The rows contradict each other. A fault of ours.
    Fault(&'static str),
}

/// The decision on a batch.
#[derive(Debug)]
pub struct Decision {
    /// One for each order, in their order.
    pub outcomes: Vec<Outcome>,
    /// The writes for them.
    pub writes: Writes,
}

/// The writes of a transaction.
#[derive(Debug, Default)]
pub struct Writes {
    /// Bookings that are new, as they end up.
    pub inserted: Vec<Booking>,
    /// Bookings whose state has changed, in their final form, each with its prior version.
    pub updated: Vec<(Booking, i32)>,
    /// Bookings, new ones too, of which more has changed than the state, or which have values that
    /// most never have; in their final form, each with its prior or first version.
    pub rewritten: Vec<(Booking, i32)>,
    /// Seats that have changed hands.
    pub seats: Vec<SeatWrite>,
    /// Areas of which places were taken or given back.
    pub areas: Vec<AreaWrite>,
    /// The events, in order.
    pub transitions: Vec<Transition>,
    /// The rejections to be stored for replays.
    pub rejections: Vec<StoredRejection>,
    /// The writes about payments.
    pub payments: PaymentWrites,
}

impl Writes {
    /// Whether the writes are plain: only new bookings, changes of state, seats and the log, which
    /// one statement writes.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.rewritten.is_empty()
            && self.areas.is_empty()
            && self.rejections.is_empty()
            && self.payments.is_empty()
    }
}

/// A seat that has changed hands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SeatWrite {
    /// Its show.
    pub show_id: ShowId,
    /// The number that it keeps.
    pub ordinal: u32,
    /// Its former owner.
    pub from: Option<BookingId>,
    /// Its new owner.
    pub to: Option<BookingId>,
}

/// Decides a batch. An order sees the grants of those before it.
#[must_use]
pub fn decide(orders: &[Order], mut locked: Locked) -> Decision {
    let Some(now) = locked.now else {
        return Decision {
            outcomes: orders
                .iter()
                .map(|_| Err(NotGranted::Fault("no clock was read")))
                .collect(),
            writes: Writes::default(),
        };
    };
    let areas = Areas::new(take(&mut locked.areas), take(&mut locked.ended));
    let mut batch = Batch {
        now,
        locked,
        areas,
        changed: BTreeMap::new(),
        rewritten: BTreeSet::new(),
        seats: BTreeMap::new(),
        log: Vec::new(),
        rejections: Vec::new(),
        payments: PaymentWrites::default(),
    };
    let outcomes = orders.iter().map(|order| batch.decide(order)).collect();
    Decision {
        outcomes,
        writes: batch.into_writes(),
    }
}

fn refused(rejection: Rejection) -> NotGranted {
    NotGranted::Rejected(rejection)
}

struct Batch {
    now: OffsetDateTime,
    locked: Locked,
    areas: Areas,
    /// The prior version of each booking that this batch has touched; none if it is new.
    changed: BTreeMap<BookingId, Option<i32>>,
    /// Those of them that need a rewrite: more than the state has changed, or is unusual.
    rewritten: BTreeSet<BookingId>,
    /// The prior owner of each seat that this batch has given or freed.
    seats: BTreeMap<(ShowId, u32), Option<BookingId>>,
    log: Vec<Transition>,
    rejections: Vec<StoredRejection>,
    payments: PaymentWrites,
}

impl Batch {
    fn decide(&mut self, order: &Order) -> Outcome {
        self.check_own(order)?;
        if let Some(replay) = self.locked.replays.get(&order.key()) {
            return replay.answer(order.fingerprint).map_err(refused);
        }
        let outcome = self.carry_out(order);
        if let Err(NotGranted::Rejected(rejection)) = &outcome
            && order.repeatable
            && rejection.is_stored()
        {
            self.store_rejection(order, rejection.clone());
        }
        outcome
    }

    /// Comes before replays: another customer's booking must not even show what was done with it.
    fn check_own(&self, order: &Order) -> Result<(), NotGranted> {
        let Some(id) = order.command.booking_id() else {
            return Ok(());
        };
        if order.requester.sees_all() || order.requester.may_see(&self.booking(id)?) {
            Ok(())
        } else {
            Err(refused(Rejection::BookingNotFound(id)))
        }
    }

    fn carry_out(&mut self, order: &Order) -> Outcome {
        match &order.command {
            Command::Reserve(wanted) => self.reserve(order, wanted),
            Command::Confirm {
                booking_id,
                version,
                payment_reference,
            } => self.confirm(order, *booking_id, *version, payment_reference.as_ref()),
            Command::Cancel {
                booking_id,
                version,
            } => self.cancel(order, *booking_id, *version),
            Command::Release {
                booking_id,
                version,
                sale,
                labels,
                places,
            } => self.release(order, *booking_id, *version, sale, (labels, places)),
            Command::Extend {
                booking_id,
                version,
                hold,
                lifetime_max,
            } => self.extend(order, *booking_id, *version, *hold, *lifetime_max),
            Command::Swap {
                booking_id,
                version,
                sale,
                labels,
                ordinals,
                around,
            } => {
                let taken = (&**ordinals, around.as_ref());
                self.swap(order, *booking_id, *version, sale, labels, taken)
            }
            Command::Expire { booking_id } => self.expire(order, *booking_id),
            Command::Void { booking_id } => self.void(order, *booking_id),
            Command::Pay {
                booking_id,
                version,
                attempt,
            } => self.pay(order, *booking_id, *version, attempt.as_ref()),
            Command::Settle(settlement) => self.settle(order, settlement),
        }
    }

    fn sale(&self, show_id: ShowId) -> Result<SaleRow, NotGranted> {
        let row = self.locked.sales.get(&show_id).copied();
        row.ok_or(refused(Rejection::ShowNotFound(show_id)))
    }

    /// A hold can be sold, unless the show was cancelled.
    fn check_not_cancelled(&self, show_id: ShowId) -> Result<(), NotGranted> {
        let state = self.sale(show_id)?.state;
        if state == SaleState::Cancelled {
            return Err(refused(Rejection::ShowNotOnSale(show_id, state, None)));
        }
        Ok(())
    }

    fn booking(&self, id: BookingId) -> Result<Booking, NotGranted> {
        self.locked
            .bookings
            .get(&id)
            .cloned()
            .ok_or(refused(Rejection::BookingNotFound(id)))
    }

    /// The booking, if `verb` is allowed for it as it stands at this moment.
    fn live_booking(
        &self,
        id: BookingId,
        verb: Verb,
        version: Option<i32>,
    ) -> Result<Booking, NotGranted> {
        let booking = self.booking(id)?;
        let expired = booking.failure_reason == Some(FailureReason::Expired);
        if expired || booking.lapsed(self.now) {
            return Err(refused(Rejection::HoldExpired(id, booking.expires_at)));
        }
        if next_state(Some(booking.state), verb).is_none() {
            return Err(refused(Rejection::BookingState {
                booking_id: id,
                state: booking.state,
                failure_reason: booking.failure_reason,
                since: booking.since(),
            }));
        }
        if let Some(payment) = booking.payment.filter(|_| booking.is_being_paid()) {
            return Err(refused(Rejection::PaymentPending(id, payment.key)));
        }
        if version.is_some_and(|version| version != booking.version) {
            return Err(refused(Rejection::VersionMismatch(id, booking.version)));
        }
        Ok(booking)
    }

    /// Frees the seats and places of a booking, never another's.
    fn free_seats(&mut self, booking: &Booking) -> Result<(), NotGranted> {
        self.check_owner(booking)?;
        let show_id = booking.booking_id.show();
        self.areas.give_back(show_id, &booking.places)?;
        self.give_seats(&booking.seats, booking.booking_id, None);
        Ok(())
    }

    /// Whether a live booking has its seats, as it must.
    fn check_owner(&self, booking: &Booking) -> Result<(), NotGranted> {
        let id = booking.booking_id;
        let is_own = |seat: &HeldSeat| {
            let owner = self.locked.seats.get(&(id.show(), seat.ordinal));
            owner.copied().flatten() == Some(id)
        };
        if booking.seats.iter().all(is_own) {
            Ok(())
        } else {
            Err(NotGranted::Fault("a live booking does not own its seats"))
        }
    }

    /// Has seats of the show of `id` change hands.
    fn give_seats(&mut self, seats: &[HeldSeat], id: BookingId, to: Option<BookingId>) {
        for seat in seats {
            let key = (id.show(), seat.ordinal);
            let from = self.locked.seats.insert(key, to).flatten();
            self.seats.entry(key).or_insert(from);
        }
    }

    fn transition(
        &mut self,
        order: &Order,
        verb: Verb,
        from: Option<BookingState>,
        mut booking: Booking,
        prior: Option<Prior>,
    ) -> Outcome {
        let Some(to) = next_state(from, verb) else {
            return Err(NotGranted::Fault(
                "a verb was allowed that the table of states refuses",
            ));
        };
        let id = booking.booking_id;
        self.changed
            .entry(id)
            .or_insert(from.map(|_| booking.version));
        if prior.is_some() {
            self.rewritten.insert(id);
        }
        booking.state = to;
        booking.version += 1;
        self.record_refund_due(&booking);
        self.log.push(Transition {
            booking_id: id,
            version: booking.version,
            verb,
            from,
            to,
            request_id: order.request_id,
            fingerprint: order.fingerprint,
            prior,
            actor: Arc::clone(&order.requester.actor),
        });
        if order.repeatable {
            // A replay may come later in this batch.
            let replay = Replay {
                fingerprint: order.fingerprint,
                result: Ok(booking.clone()),
            };
            self.locked.replays.insert(order.key(), replay);
        }
        self.count_anew(&booking);
        self.locked.bookings.insert(id, booking.clone());
        Ok(booking)
    }

    fn into_writes(mut self) -> Writes {
        let mut writes = Writes {
            transitions: self.log,
            areas: self.areas.into_writes(),
            rejections: self.rejections,
            payments: self.payments,
            ..Writes::default()
        };
        for (id, version) in self.changed {
            let Some(booking) = self.locked.bookings.remove(&id) else {
                continue;
            };
            match (self.rewritten.contains(&id), version) {
                (true, None) => {
                    writes.inserted.push(booking.clone());
                    let version = booking.version;
                    writes.rewritten.push((booking, version));
                }
                (false, None) => writes.inserted.push(booking),
                (true, Some(version)) => writes.rewritten.push((booking, version)),
                (false, Some(version)) => writes.updated.push((booking, version)),
            }
        }
        for ((show_id, ordinal), from) in self.seats {
            let to = self
                .locked
                .seats
                .get(&(show_id, ordinal))
                .copied()
                .flatten();
            if from != to {
                writes.seats.push(SeatWrite {
                    show_id,
                    ordinal,
                    from,
                    to,
                });
            }
        }
        writes
    }
}

#[cfg(test)]
mod tests;
