//! The decision between the two round trips of a transaction: which of a batch of orders
//! are granted, over rows that are locked. Pure code: the same orders over the same rows
//! always end the same way, exactly as if they had come one after another.
//!
//! Invariants: an order is granted whole or not at all; a seat that is given has no owner,
//! or one that this batch has just expired; every change of a booking leaves a transition.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use model::{BookingId, ShowId};
use time::OffsetDateTime;
use uuid::Uuid;

use super::booking::{
    Booking, BookingState, CancelReason, Customer, FailureReason, HeldSeat, Transition, Verb,
    next_state,
};
use super::order::{Command, Order, Refusal, Taken};
use super::sale::{Sale, SaleState};

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
    /// What is known of owners that are not locked themselves.
    pub owners: HashMap<BookingId, Owner>,
    /// Orders that were carried out before, by request id.
    pub replays: HashMap<(ShowId, Uuid), Replay>,
}

/// A sale as it stands under its lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SaleRow {
    /// The catalog's revision that it is a copy of.
    pub revision: i64,
    /// Whether it can be booked.
    pub state: SaleState,
    /// When the show starts.
    pub start_at: OffsetDateTime,
}

/// What a seat's row tells of its owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner {
    /// The owner's state.
    pub state: BookingState,
    /// When its hold ends.
    pub expires_at: OffsetDateTime,
}

/// What an earlier call with the same request id did.
#[derive(Debug, Clone, PartialEq)]
pub struct Replay {
    /// The hash of its verb and body.
    pub fingerprint: i64,
    /// What it returned.
    pub result: Booking,
}

impl Replay {
    /// What a later call under the same request id is answered.
    ///
    /// # Errors
    ///
    /// If it is about something else.
    pub fn answer(&self, order: &Order) -> Outcome {
        if self.fingerprint == order.fingerprint {
            Ok(self.result.clone())
        } else {
            Err(refused(Refusal::RequestIdReused))
        }
    }
}

/// What becomes of an order: the booking as it stands after it, or why there is none.
pub type Outcome = Result<Booking, NotGranted>;

/// Why an order is not granted. It has changed nothing.
#[derive(Debug, Clone, PartialEq)]
pub enum NotGranted {
    /// For good.
    Refused(Refusal),
    /// The sale was looked up at an older revision: look it up again, then order again.
    SaleChanged,
    /// Seats are owned by holds that have ended, but whose rows are not locked here: order
    /// again, together with an `Expire` for each.
    Lapsed(Vec<BookingId>),
    /// The rows contradict each other. A fault of ours.
    Fault(&'static str),
}

/// The decision on a batch.
#[derive(Debug)]
pub struct Decision {
    /// One for each order, in their order.
    pub outcomes: Vec<Outcome>,
    /// What must be written for them.
    pub writes: Writes,
}

/// What a transaction must write.
#[derive(Debug, Default)]
pub struct Writes {
    /// Bookings that are new, as they end up.
    pub inserted: Vec<Booking>,
    /// Bookings that have changed, as they end up, each with the version it had.
    pub updated: Vec<(Booking, i32)>,
    /// Seats that have changed hands.
    pub seats: Vec<SeatWrite>,
    /// What happened, in order.
    pub transitions: Vec<Transition>,
}

/// A seat that has changed hands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SeatWrite {
    /// Its show.
    pub show_id: ShowId,
    /// Its place in the layout.
    pub ordinal: u32,
    /// Who had it.
    pub from: Option<BookingId>,
    /// Who has it.
    pub to: Option<BookingId>,
}

/// Decides a batch. An order sees what those before it were granted.
#[must_use]
pub fn decide(orders: &[Order], locked: Locked) -> Decision {
    let Some(now) = locked.now else {
        return Decision {
            outcomes: orders
                .iter()
                .map(|_| Err(NotGranted::Fault("no clock was read")))
                .collect(),
            writes: Writes::default(),
        };
    };
    let mut batch = Batch {
        now,
        locked,
        changed: BTreeMap::new(),
        seats: BTreeMap::new(),
        log: Vec::new(),
    };
    let outcomes = orders.iter().map(|order| batch.decide(order)).collect();
    Decision {
        outcomes,
        writes: batch.into_writes(),
    }
}

fn refused(refusal: Refusal) -> NotGranted {
    NotGranted::Refused(refusal)
}

struct Batch {
    now: OffsetDateTime,
    locked: Locked,
    /// The version that each booking had that this batch has touched; none if it is new.
    changed: BTreeMap<BookingId, Option<i32>>,
    /// Who had each seat that this batch has given or freed.
    seats: BTreeMap<(ShowId, u32), Option<BookingId>>,
    log: Vec<Transition>,
}

impl Batch {
    fn decide(&mut self, order: &Order) -> Outcome {
        if let Some(replay) = self.locked.replays.get(&order.key()) {
            return replay.answer(order);
        }
        match &order.command {
            Command::Reserve {
                sale,
                ordinals,
                customer,
                hold,
            } => self.reserve(order, sale, ordinals, customer, *hold),
            Command::Confirm {
                booking_id,
                version,
            } => self.confirm(order, *booking_id, *version),
            Command::Cancel {
                booking_id,
                version,
            } => self.cancel(order, *booking_id, *version),
            Command::Expire { booking_id } => self.expire(order, *booking_id),
            Command::Void { booking_id } => self.void(order, *booking_id),
        }
    }

    fn reserve(
        &mut self,
        order: &Order,
        sale: &Arc<Sale>,
        ordinals: &[u32],
        customer: &Customer,
        hold: Duration,
    ) -> Outcome {
        let row = self.sale_on_sale(order.show_id)?;
        if row.start_at <= self.now {
            return Err(refused(Refusal::ShowStarted(order.show_id, row.start_at)));
        }
        if row.revision != sale.revision {
            return Err(NotGranted::SaleChanged);
        }
        self.seats_are_free(sale, ordinals)?;

        let mut seats = Vec::with_capacity(ordinals.len());
        for &ordinal in ordinals {
            let place = sale
                .layout
                .seat(ordinal)
                .ok_or(NotGranted::Fault("a seat is not in the layout"))?;
            seats.push(HeldSeat {
                ordinal,
                price: place.section.price,
            });
        }
        let booking = Booking {
            booking_id: BookingId::generate(order.show_id),
            state: BookingState::Pending,
            failure_reason: None,
            cancel_reason: None,
            version: 0,
            customer: customer.clone(),
            total: seats.iter().map(|seat| seat.price).sum(),
            refund_due: None,
            seats,
            currency: sale.layout.currency(),
            created_at: self.now,
            expires_at: self.now + hold,
            confirmed_at: None,
            cancelled_at: None,
            failed_at: None,
        };
        self.give_seats(&booking, Some(booking.booking_id));
        self.transition(order, Verb::Reserve, None, booking)
    }

    fn confirm(&mut self, order: &Order, id: BookingId, version: Option<i32>) -> Outcome {
        let mut booking = self.live_booking(id, Verb::Confirm, version)?;
        self.sale_on_sale(order.show_id)?;
        booking.confirmed_at = Some(self.now);
        self.transition(order, Verb::Confirm, Some(booking.state), booking)
    }

    fn cancel(&mut self, order: &Order, id: BookingId, version: Option<i32>) -> Outcome {
        let mut booking = self.live_booking(id, Verb::Cancel, version)?;
        booking.cancelled_at = Some(self.now);
        booking.cancel_reason = Some(CancelReason::Customer);
        booking.refund_due = booking.refund();
        self.free_seats(&booking)?;
        self.transition(order, Verb::Cancel, Some(booking.state), booking)
    }

    /// Not a caller's order: if the hold goes on, or was ended by somebody else, all is well.
    fn expire(&mut self, order: &Order, id: BookingId) -> Outcome {
        let mut booking = self.booking(id)?;
        if !booking.lapsed(self.now) {
            return Ok(booking);
        }
        booking.failure_reason = Some(FailureReason::Expired);
        booking.failed_at = Some(booking.expires_at);
        self.free_seats(&booking)?;
        self.transition(order, Verb::Expire, Some(booking.state), booking)
    }

    /// Not a caller's order: if the booking has ended, all is well. A hold that has ended by
    /// itself has expired, as on any other show.
    fn void(&mut self, order: &Order, id: BookingId) -> Outcome {
        let mut booking = self.booking(id)?;
        if booking.lapsed(self.now) {
            return self.expire(order, id);
        }
        let sale = self.locked.sales.get(&order.show_id);
        if sale.is_none_or(|row| row.state != SaleState::Cancelled) {
            return Err(NotGranted::SaleChanged);
        }
        match next_state(Some(booking.state), Verb::Void) {
            None => return Ok(booking),
            Some(BookingState::Failed) => {
                booking.failure_reason = Some(FailureReason::ShowCancelled);
                booking.failed_at = Some(self.now);
            }
            Some(_) => {
                booking.cancel_reason = Some(CancelReason::ShowCancelled);
                booking.cancelled_at = Some(self.now);
                booking.refund_due = booking.refund();
            }
        }
        self.free_seats(&booking)?;
        self.transition(order, Verb::Void, Some(booking.state), booking)
    }

    fn sale_on_sale(&self, show_id: ShowId) -> Result<SaleRow, NotGranted> {
        match self.locked.sales.get(&show_id) {
            Some(row) if row.state == SaleState::OnSale => Ok(*row),
            Some(row) => Err(refused(Refusal::ShowNotOnSale(show_id, row.state))),
            None => Err(refused(Refusal::ShowNotFound(show_id))),
        }
    }

    fn booking(&self, id: BookingId) -> Result<Booking, NotGranted> {
        self.locked
            .bookings
            .get(&id)
            .cloned()
            .ok_or(refused(Refusal::BookingNotFound(id)))
    }

    /// The booking, if `verb` is for it as it stands at this moment.
    fn live_booking(
        &self,
        id: BookingId,
        verb: Verb,
        version: Option<i32>,
    ) -> Result<Booking, NotGranted> {
        let booking = self.booking(id)?;
        let expired = booking.failure_reason == Some(FailureReason::Expired);
        if expired || booking.lapsed(self.now) {
            return Err(refused(Refusal::HoldExpired(id, booking.expires_at)));
        }
        if next_state(Some(booking.state), verb).is_none() {
            return Err(refused(Refusal::BookingState {
                booking_id: id,
                state: booking.state,
                failure_reason: booking.failure_reason,
                since: booking.since(),
            }));
        }
        if version.is_some_and(|version| version != booking.version) {
            return Err(refused(Refusal::VersionMismatch(id, booking.version)));
        }
        Ok(booking)
    }

    fn seats_are_free(&self, sale: &Sale, ordinals: &[u32]) -> Result<(), NotGranted> {
        let mut taken = Vec::new();
        let mut lapsed = Vec::new();
        for &ordinal in ordinals {
            let seat = self.locked.seats.get(&(sale.show_id, ordinal));
            let Some(owner) = *seat.ok_or(NotGranted::Fault("a seat has no row"))? else {
                continue;
            };
            let known = match self.locked.bookings.get(&owner) {
                Some(booking) => Some(Owner {
                    state: booking.state,
                    expires_at: booking.expires_at,
                }),
                None => self.locked.owners.get(&owner).copied(),
            };
            match known {
                Some(Owner {
                    state: BookingState::Pending,
                    expires_at,
                }) if expires_at <= self.now => {
                    lapsed.push(owner);
                }
                Some(Owner {
                    state: BookingState::Confirmed,
                    ..
                }) => {
                    taken.push((ordinal, Taken::Booked));
                }
                // An owner that is not known took the seat while we waited for it.
                _ => taken.push((ordinal, Taken::Held)),
            }
        }
        if !taken.is_empty() {
            let label = |ordinal| sale.layout.seat(ordinal).map(|place| place.label());
            let taken = taken
                .into_iter()
                .map(|(o, how)| (label(o).unwrap_or_default(), how));
            let refusal = Refusal::SeatsUnavailable(sale.show_id, taken.collect());
            return Err(refused(refusal));
        }
        if !lapsed.is_empty() {
            lapsed.sort_unstable();
            lapsed.dedup();
            return Err(NotGranted::Lapsed(lapsed));
        }
        Ok(())
    }

    /// Frees the seats of a booking, never another's.
    fn free_seats(&mut self, booking: &Booking) -> Result<(), NotGranted> {
        let id = booking.booking_id;
        let is_own = |seat: &HeldSeat| {
            let owner = self.locked.seats.get(&(id.show(), seat.ordinal));
            owner.copied().flatten() == Some(id)
        };
        if !booking.seats.iter().all(is_own) {
            return Err(NotGranted::Fault("a live booking does not own its seats"));
        }
        self.give_seats(booking, None);
        Ok(())
    }

    fn give_seats(&mut self, booking: &Booking, to: Option<BookingId>) {
        let show_id = booking.booking_id.show();
        for seat in &booking.seats {
            let key = (show_id, seat.ordinal);
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
        booking.state = to;
        booking.version += 1;
        self.log.push(Transition {
            booking_id: id,
            version: booking.version,
            verb,
            from,
            to,
            request_id: order.request_id,
            fingerprint: order.fingerprint,
        });
        if order.repeatable {
            // A copy may come later in this batch.
            let replay = Replay {
                fingerprint: order.fingerprint,
                result: booking.clone(),
            };
            self.locked.replays.insert(order.key(), replay);
        }
        self.locked.bookings.insert(id, booking.clone());
        Ok(booking)
    }

    fn into_writes(mut self) -> Writes {
        let mut writes = Writes {
            transitions: self.log,
            ..Writes::default()
        };
        for (id, version) in self.changed {
            match (self.locked.bookings.remove(&id), version) {
                (Some(booking), None) => writes.inserted.push(booking),
                (Some(booking), Some(version)) => writes.updated.push((booking, version)),
                (None, _) => {}
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
