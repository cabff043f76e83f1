//! The optimistic cache: the expected state of rows that this process has not locked, because it wrote
//! them itself or saw them under a lock not long ago: free seats, areas with places left, holds that
//! it made, the database's clock.
//!
//! A batch whose orders would all be granted over the expected rows is written without locking it
//! first: the write locks the rows and compares each with its expectation. On a mismatch the
//! transaction is aborted, and the batch is run again on the locked path. So the cache is never
//! relied on: it only saves a round trip and the look-ups of the locks. No caller is ever rejected
//! because of it.

use std::collections::HashMap;
use std::mem::take;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use model::{BookingId, ShowId};
use time::OffsetDateTime;
use tokio::time::Instant;

use super::plan::{ExpectedSale, ExpectedSales, OptimisticPlan};
use crate::domain::{
    AreaKey, AreaRow, Booking, BookingState, Command, Decision, Locked, Order, Outcome,
    Reservation, SaleRow, SaleState, decide,
};

/// The most holds that are remembered; beyond it the older half is forgotten.
const HOLDS_MAX: usize = 32_768;
/// The most seats that are remembered, in words of 64 bits; beyond it all are forgotten.
const SEAT_WORDS_MAX: usize = 1 << 18;
/// The most areas that are remembered; then all are forgotten.
const AREAS_MAX: usize = 10_000;
/// How long after places of an area were given back its places are not counted last: more may be
/// given back, each of which would break a batch.
const GIVEN_BACK_REST: Duration = Duration::from_secs(10);
/// How long one reading of the database's clock is used.
const CLOCK_MAX: Duration = Duration::from_secs(60);
/// One part in this many of the time since the reading is left out: clocks drift apart by less,
/// so the estimate is never ahead of the database's clock.
const DRIFT: u32 = 1_000;
/// The most batches that take the locked path after a miss.
const REST_MAX: u32 = 64;

/// The cache, shared by all commit workers of the process.
#[derive(Debug, Default)]
pub(super) struct OptimisticCache(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    clock: Option<Clock>,
    holds: Holds,
    taken: TakenSeats,
    areas: HashMap<AreaKey, ExpectedArea>,
    /// The number of misses in a row.
    misses: u32,
    /// How many of the next batches take the locked path.
    rest: u32,
}

impl OptimisticCache {
    /// The decision on a batch, if it may well be that all of it is granted.
    pub(super) fn of(&self, orders: &[Order]) -> Option<OptimisticPlan> {
        let mut state = self.state();
        if state.rest > 0 {
            state.rest -= 1;
            return None;
        }
        let (locked, sales) = state.rows(orders)?;
        let now = locked.now?;
        // Only commit workers wait for this lock, and they run on the same few threads.
        let Decision {
            outcomes,
            mut writes,
        } = decide(orders, locked);
        // Areas that were not locked are counted in the statement that writes the seats.
        let areas = take(&mut writes.areas);
        let is_plain = writes.rewritten.is_empty()
            && writes.rejections.is_empty()
            && writes.payments.is_empty();
        if !is_plain || writes.transitions.is_empty() || outcomes.iter().any(Result::is_err) {
            return None;
        }
        for seat in &writes.seats {
            state
                .taken
                .note(seat.show_id, seat.ordinal, seat.to.is_some());
        }
        let mut counted_last =
            !areas.is_empty() && writes.updated.is_empty() && writes.seats.is_empty();
        for area in &areas {
            let key = (area.show_id, Arc::clone(&area.area));
            if let Some(expected) = state.areas.get_mut(&key) {
                let taken = area.to;
                expected.see(AreaRow {
                    taken,
                    ..expected.row
                });
                counted_last &= !expected.is_given_back();
            }
        }
        Some(OptimisticPlan {
            outcomes,
            writes,
            areas,
            counted_last,
            sales,
            now,
        })
    }

    /// Remembers rows that were read under locks.
    pub(super) fn observe_locked(&self, locked: &Locked) {
        let mut state = self.state();
        state.clock = locked.now.map(Clock::at);
        for ((show_id, ordinal), owner) in &locked.seats {
            state.taken.note(*show_id, *ordinal, owner.is_some());
        }
        if state.areas.len() + locked.areas.len() > AREAS_MAX {
            state.areas.clear();
        }
        for (key, row) in &locked.areas {
            let expected = state.areas.entry(key.clone());
            let expected = expected.or_insert(ExpectedArea::new(*row));
            expected.see(*row);
        }
    }

    /// Remembers the committed outcomes of a batch.
    pub(super) fn settled(&self, outcomes: &[Outcome]) {
        let mut state = self.state();
        for booking in outcomes.iter().flatten() {
            let show_id = booking.booking_id.show();
            let is_live = matches!(
                booking.state,
                BookingState::Pending | BookingState::Confirmed
            );
            for seat in &booking.seats {
                state.taken.note(show_id, seat.ordinal, is_live);
            }
            if booking.state == BookingState::Pending && booking.payment.is_none() {
                state.holds.insert(booking.clone());
            } else {
                state.holds.remove(booking.booking_id);
            }
        }
    }

    /// Records a hit, and the database's clock at that time.
    pub(super) fn record_hit(&self, clock: OffsetDateTime) {
        let mut state = self.state();
        state.misses = 0;
        state.clock = Some(Clock::at(clock));
    }

    /// Records a miss: the rows of these orders are forgotten, and the next batches take the locked
    /// path, more of them with each miss in a row.
    pub(super) fn record_miss(&self, orders: &[Order]) {
        let mut state = self.state();
        state.misses = state.misses.saturating_add(1);
        state.rest = 2_u32.saturating_pow(state.misses).min(REST_MAX);
        for id in orders.iter().filter_map(|order| order.command.booking_id()) {
            state.holds.remove(id);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The expected rows that `orders` would lock; none if one is unknown.
    fn rows(&self, orders: &[Order]) -> Option<(Locked, ExpectedSales)> {
        let now = self.clock?.now()?;
        let mut locked = Locked {
            now: Some(now),
            ..Locked::default()
        };
        let mut sales = ExpectedSales::new();
        for order in orders {
            // Should the connection break, it may be written long after a second attempt was
            // refused: only under a caller's id would that rejection be met.
            if !order.repeatable {
                return None;
            }
            let show_id = order.show_id;
            let sale = match &order.command {
                Command::Reserve(wanted) if is_plain(wanted) => {
                    for &ordinal in &wanted.ordinals {
                        if self.taken.contains(show_id, ordinal) {
                            return None;
                        }
                        locked.seats.insert((show_id, ordinal), None);
                    }
                    for places in &wanted.places {
                        let key = (show_id, Arc::clone(&places.area));
                        let row = self.areas.get(&key)?.row;
                        locked.areas.insert(key, row);
                    }
                    let (revision, terms) = (wanted.sale.revision, &wanted.sale.terms);
                    let sale = ExpectedSale {
                        revision: Some(revision),
                        until: terms.next_change(now),
                    };
                    sales.insert(show_id, sale);
                    let state = terms.state;
                    SaleRow { revision, state }
                }
                Command::Confirm {
                    booking_id,
                    payment_reference: None,
                    ..
                }
                | Command::Cancel { booking_id, .. } => {
                    let hold = self.holds.get(*booking_id)?.clone();
                    for seat in &hold.seats {
                        locked
                            .seats
                            .insert((show_id, seat.ordinal), Some(*booking_id));
                    }
                    for places in &hold.places {
                        let key = (show_id, Arc::clone(&places.area));
                        if let Some(area) = self.areas.get(&key) {
                            locked.areas.insert(key, area.row);
                        }
                    }
                    locked.bookings.insert(*booking_id, hold);
                    if sales.contains_key(&show_id) {
                        continue;
                    }
                    sales.insert(show_id, ExpectedSale::default());
                    // Any state will do: the write checks that the show is not cancelled.
                    SaleRow {
                        revision: 0,
                        state: SaleState::OnSale,
                    }
                }
                _ => return None,
            };
            locked.sales.insert(show_id, sale);
        }
        Some((locked, sales))
    }
}

/// Whether nothing but its seats' and areas' rows and its sale's decide on it.
fn is_plain(wanted: &Reservation) -> bool {
    wanted.picks.ordinals.is_empty()
        && wanted.picks.unmet.is_none()
        && wanted.around.is_none()
        && wanted.sale.terms.places_per_customer_max.is_none()
}

/// An area, as it is expected.
#[derive(Debug, Clone, Copy)]
struct ExpectedArea {
    row: AreaRow,
    /// When places of it were last seen to be given back.
    given_back_at: Option<Instant>,
}

impl ExpectedArea {
    fn new(row: AreaRow) -> Self {
        let given_back_at = None;
        Self { row, given_back_at }
    }

    fn see(&mut self, row: AreaRow) {
        if row.taken < self.row.taken {
            self.given_back_at = Some(Instant::now());
        }
        self.row = row;
    }

    /// Whether places of it were given back not long ago.
    fn is_given_back(&self) -> bool {
        let since = self.given_back_at.map(|at| at.elapsed());
        since.is_some_and(|since| since < GIVEN_BACK_REST)
    }
}

/// An estimate of the database's clock, from its last reading.
#[derive(Debug, Clone, Copy)]
struct Clock {
    time: OffsetDateTime,
    at: Instant,
}

impl Clock {
    fn at(time: OffsetDateTime) -> Self {
        let at = Instant::now();
        Self { time, at }
    }

    /// The current time or a little earlier, to the microsecond as the database has it; none if the
    /// reading is too old.
    fn now(self) -> Option<OffsetDateTime> {
        let passed = self.at.elapsed();
        let least = (passed - passed / DRIFT).as_micros();
        (passed < CLOCK_MAX)
            .then_some(Duration::from_micros(u64::try_from(least).ok()?))
            .map(|passed| self.time + passed)
    }
}

/// Holds that this process last made or changed, in two halves by age. Boxed, because maps move their
/// entries when they grow.
#[derive(Debug, Default)]
struct Holds {
    young: HashMap<BookingId, Box<Booking>>,
    old: HashMap<BookingId, Box<Booking>>,
}

impl Holds {
    fn get(&self, id: BookingId) -> Option<&Booking> {
        let hold = self.young.get(&id).or_else(|| self.old.get(&id));
        hold.map(|hold| &**hold)
    }

    fn insert(&mut self, hold: Booking) {
        if self.young.len() >= HOLDS_MAX / 2 {
            self.old = take(&mut self.young);
        }
        self.old.remove(&hold.booking_id);
        self.young.insert(hold.booking_id, Box::new(hold));
    }

    fn remove(&mut self, id: BookingId) {
        self.young.remove(&id);
        self.old.remove(&id);
    }
}

/// Seats that seem to have an owner, one bit each.
#[derive(Debug, Default)]
struct TakenSeats {
    shows: HashMap<ShowId, Vec<u64>>,
    words: usize,
}

impl TakenSeats {
    fn contains(&self, show_id: ShowId, ordinal: u32) -> bool {
        let word = self.shows.get(&show_id).and_then(|words| {
            let word = words.get(ordinal as usize / 64)?;
            Some(word & (1 << (ordinal % 64)))
        });
        word.is_some_and(|word| word != 0)
    }

    fn note(&mut self, show_id: ShowId, ordinal: u32, is_taken: bool) {
        let at = ordinal as usize / 64;
        if !is_taken && !self.contains(show_id, ordinal) {
            return;
        }
        if self.words > SEAT_WORDS_MAX {
            *self = Self::default();
        }
        let words = self.shows.entry(show_id).or_default();
        if words.len() <= at {
            self.words += at + 1 - words.len();
            words.resize(at + 1, 0);
        }
        let bit = 1 << (ordinal % 64);
        if is_taken {
            words[at] |= bit;
        } else {
            words[at] &= !bit;
        }
    }
}

#[cfg(test)]
mod tests;
