//! The model: a show as the contract describes it, as plain as possible. It has
//! no rows, locks, batches or owners of seats, and shares no code with the service: a
//! seat is free if no live booking lists it, and that is computed each time.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use proto::booking::v1::{BookingState, CancelReason, FailureReason};
use uuid::Uuid;

use super::ask::{Ask, Paid};
use super::booking::Booking;
use super::payments::Tried;
use super::rejection::Rejection;
use super::show::{CAPACITY, Terms, all_labels, row_of};

/// In microseconds since 1970, as exact as the database's clock.
pub(super) type Instant = i64;
pub(super) const SECOND: i64 = 1_000_000;

/// The show and its bookings at one moment.
#[derive(Debug, Clone)]
pub(super) struct Hall {
    pub(super) terms: Arc<Terms>,
    pub(super) bookings: BTreeMap<String, Booking>,
    /// The granted request of each request id.
    pub(super) granted: HashMap<Uuid, Ask>,
    /// The attempt to pay of each request id.
    pub(super) tried: HashMap<Uuid, Tried>,
    pub(super) cancelled: bool,
}

fn unknown(labels: &BTreeSet<String>) -> usize {
    labels
        .iter()
        .filter(|label| row_of(label).is_none())
        .count()
}

impl Hall {
    pub(super) fn new(terms: &Arc<Terms>) -> Self {
        Self {
            terms: Arc::clone(terms),
            bookings: BTreeMap::new(),
            granted: HashMap::new(),
            tried: HashMap::new(),
            cancelled: false,
        }
    }

    /// The live booking that has a seat.
    pub(super) fn owner(&self, label: &str, now: Instant) -> Option<&Booking> {
        let has_it = |b: &&Booking| b.is_live(now) && b.has.seats.contains(label);
        self.bookings.values().find(has_it)
    }

    /// The free seats.
    pub(super) fn free_seats(&self, now: Instant) -> BTreeSet<String> {
        let is_free = |label: &String| self.owner(label, now).is_none();
        all_labels().into_iter().filter(is_free).collect()
    }

    /// The places of the area that live bookings in a state have.
    pub(super) fn places(&self, state: BookingState, now: Instant) -> i32 {
        let counts = |b: &&Booking| b.is_live(now) && b.state == state;
        self.bookings
            .values()
            .filter(counts)
            .map(|b| b.has.places)
            .sum()
    }

    /// The free places of the area.
    pub(super) fn free_places(&self, now: Instant) -> i32 {
        let taken = [BookingState::Pending, BookingState::Confirmed];
        CAPACITY
            - taken
                .map(|state| self.places(state, now))
                .iter()
                .sum::<i32>()
    }

    /// The places of expired holds that are not failed yet.
    pub(super) fn ended_places(&self, now: Instant) -> i32 {
        let has_ended = |b: &&Booking| b.state == BookingState::Pending && b.expires <= now;
        let ended = self.bookings.values().filter(has_ended);
        ended.map(|b| b.has.places).sum()
    }

    /// Every reason at this moment to reject a request, with payments or without. The contract does not
    /// say which of several is reported.
    pub(super) fn objections(&self, ask: &Ask, pays: bool, now: Instant) -> Vec<Rejection> {
        let mut objections = Vec::new();
        if let Some(wanted) = ask.wanted() {
            if unknown(wanted) > 0 {
                objections.push(Rejection::UnknownSeats(unknown(wanted)));
            }
            let taken = self.taken(wanted, now);
            if !taken.is_empty() {
                objections.push(Rejection::SeatsUnavailable(taken));
            }
        }
        if let Ask::Reserve(asked) = ask {
            let free = self.free_places(now);
            if free < asked.wanted.places {
                objections.push(Rejection::AreaFull(free));
            }
            let name = asked.customer.as_ref();
            objections.extend(name.and_then(|name| self.too_many(name, asked.count(), now)));
        }
        let sells = !matches!(ask, Ask::Cancel { .. } | Ask::Extend { .. });
        if sells && self.cancelled {
            objections.push(Rejection::ShowNotOnSale("CANCELLED".to_owned()));
        }
        if let Some((id, etag)) = ask.booking() {
            let booking = &self.bookings[id];
            objections.extend(booking.objections(ask, etag, pays, now));
        }
        objections
    }

    /// The taken ones of these seats, and how they are taken.
    pub(super) fn taken(
        &self,
        wanted: &BTreeSet<String>,
        now: Instant,
    ) -> BTreeMap<String, String> {
        let taken = |label: &String| {
            let how = match self.owner(label, now)?.state {
                BookingState::Pending => "is held",
                _ => "is booked",
            };
            Some((label.clone(), how.to_owned()))
        };
        wanted.iter().filter_map(taken).collect()
    }

    /// Carries out a request without objections; returns the command that the log must name. A
    /// new booking gets this id.
    pub(super) fn carry_out(&mut self, ask: &Ask, now: Instant, id: &str) -> &'static str {
        if let Ask::Reserve(asked) = ask {
            let mut booking = Booking::hold(id, asked, now);
            if asked.confirm {
                booking.confirm(now, &asked.reference);
            }
            self.bookings.insert(id.to_owned(), booking);
            return if asked.confirm { "SELL" } else { "RESERVE" };
        }
        let booking = self.bookings.get_mut(id).expect("it was checked before");
        booking.version += 1;
        match ask {
            Ask::Reserve(_) => unreachable!("it was made above"),
            Ask::Confirm { paid, .. } => {
                match paid {
                    Paid::Elsewhere(reference) => booking.confirm(now, reference),
                    Paid::Here(_) => unreachable!("that is an attempt"),
                }
                "CONFIRM"
            }
            Ask::Cancel { given, .. } if given.is_empty() || *given == booking.has => {
                booking.cancel(now, CancelReason::Customer);
                "CANCEL"
            }
            Ask::Cancel { given, .. } => {
                booking
                    .has
                    .seats
                    .retain(|label| !given.seats.contains(label));
                booking.has.places -= given.places;
                "RELEASE"
            }
            Ask::Extend { hold_seconds, .. } => {
                booking.expires = booking.expires.max(now + hold_seconds * SECOND);
                "EXTEND"
            }
            Ask::Swap { from, to, .. } => {
                booking.has.seats.retain(|label| !from.contains(label));
                booking.has.seats.extend(to.iter().cloned());
                "SWAP"
            }
        }
    }

    /// Ends a booking of the cancelled show, if that is due.
    pub(super) fn void(&mut self, id: &str, now: Instant) -> Result<(), String> {
        let cancelled = self.cancelled;
        let booking = self.bookings.get_mut(id).ok_or("no such booking")?;
        if !cancelled || !booking.is_live(now) {
            return Err(format!("show cancelled: {cancelled}, void of {booking:?}"));
        }
        booking.version += 1;
        if booking.state == BookingState::Confirmed {
            booking.cancel(now, CancelReason::ShowCancelled);
        } else {
            booking.fail(now, FailureReason::ShowCancelled);
        }
        Ok(())
    }

    /// Ends a hold whose time is over.
    pub(super) fn expire(&mut self, id: &str, now: Instant) -> Result<(), String> {
        let booking = self.bookings.get_mut(id).ok_or("no such booking")?;
        if booking.state != BookingState::Pending || now < booking.expires {
            return Err(format!("expiry of {booking:?}"));
        }
        booking.version += 1;
        let ended = booking.expires;
        booking.fail(ended, FailureReason::Expired);
        Ok(())
    }
}
