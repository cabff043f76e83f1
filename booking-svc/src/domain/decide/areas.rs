//! Areas: a counter each, decided in memory for a whole batch. Expired holds count in it
//! until their rows say so, which is written when their places are wanted.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use model::{BookingId, ShowId};

use super::{Batch, NotGranted, refused};
use crate::domain::booking::Booking;
use crate::domain::places::{HeldPlaces, Places};
use crate::domain::rejection::Rejection;
use crate::domain::sale::Sale;

/// The most ended holds of a show that one batch knows. No order wants more places than this, so an
/// order that needed more of them gets its places in the next batch.
pub const ENDED_HOLDS_MAX: usize = 256;

/// An area of a show, by its name.
pub type AreaKey = (ShowId, Arc<str>);

/// An area as it stands under its lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AreaRow {
    /// How many places are for sale, or sold.
    pub capacity: u32,
    /// The places of PENDING and CONFIRMED bookings, expired holds included.
    pub taken: u32,
}

/// An expired hold with places whose row is still PENDING.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndedHold {
    /// The booking.
    pub booking_id: BookingId,
    /// Its places, by area.
    pub places: Vec<HeldPlaces>,
}

/// An area of which places were taken or given back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AreaWrite {
    /// Its show.
    pub show_id: ShowId,
    /// Its name.
    pub area: Arc<str>,
    /// How many were taken.
    pub from: u32,
    /// How many are.
    pub to: u32,
    /// Whether any were given back, however many were taken.
    pub gives_back: bool,
}

impl AreaWrite {
    /// How many more are taken, or if it is less than 0 given back.
    #[must_use]
    pub fn quantity(&self) -> i32 {
        // No area has more places than fit.
        self.to.cast_signed() - self.from.cast_signed()
    }
}

/// The areas that a batch touches.
#[derive(Debug, Default)]
pub(super) struct Areas {
    rows: HashMap<AreaKey, AreaRow>,
    /// The prior count of each area that the batch has changed.
    before: BTreeMap<AreaKey, u32>,
    /// The areas of which it has given places back.
    given_back: HashSet<AreaKey>,
    ended: HashMap<ShowId, Vec<EndedHold>>,
    /// The holds that orders of this batch wait for.
    awaited: HashSet<BookingId>,
    /// How many more places these ends free than those orders want.
    spare: HashMap<AreaKey, i64>,
}

impl Areas {
    pub(super) fn new(
        rows: HashMap<AreaKey, AreaRow>,
        ended: HashMap<ShowId, Vec<EndedHold>>,
    ) -> Self {
        Self {
            rows,
            ended,
            ..Self::default()
        }
    }

    fn row(&self, key: &AreaKey) -> Result<AreaRow, NotGranted> {
        let row = self.rows.get(key).copied();
        row.ok_or(NotGranted::Fault("an area has no row"))
    }

    fn set(&mut self, key: AreaKey, taken: u32) {
        if let Some(row) = self.rows.get_mut(&key) {
            let before = std::mem::replace(&mut row.taken, taken);
            if taken < before {
                self.given_back.insert(key.clone());
            }
            self.before.entry(key).or_insert(before);
        }
    }

    /// Takes places that were found to be free.
    pub(super) fn take(&mut self, show_id: ShowId, lines: &[HeldPlaces]) -> Result<(), NotGranted> {
        self.change(show_id, lines, u32::checked_add)
    }

    /// Gives the places of a live booking back.
    pub(super) fn give_back(
        &mut self,
        show_id: ShowId,
        lines: &[HeldPlaces],
    ) -> Result<(), NotGranted> {
        self.change(show_id, lines, u32::checked_sub)
    }

    /// Changes all of the lines, or none.
    fn change(
        &mut self,
        show_id: ShowId,
        lines: &[HeldPlaces],
        change: fn(u32, u32) -> Option<u32>,
    ) -> Result<(), NotGranted> {
        let mut changed = Vec::with_capacity(lines.len());
        for line in lines {
            let key = (show_id, Arc::clone(&line.area));
            let taken = change(self.row(&key)?.taken, line.quantity);
            let taken = taken.ok_or(NotGranted::Fault("an area's counter is not the sum"))?;
            changed.push((key, taken));
        }
        for (key, taken) in changed {
            self.set(key, taken);
        }
        Ok(())
    }

    pub(super) fn into_writes(self) -> Vec<AreaWrite> {
        let Self {
            rows,
            before,
            given_back,
            ..
        } = self;
        let write = |((show_id, area), from): (AreaKey, u32)| {
            let key = (show_id, area);
            let to = rows.get(&key).map_or(from, |row| row.taken);
            let gives_back = given_back.contains(&key);
            let (show_id, area) = key;
            (from != to || gives_back).then_some(AreaWrite {
                show_id,
                area,
                from,
                to,
                gives_back,
            })
        };
        before.into_iter().filter_map(write).collect()
    }
}

impl Batch {
    /// Whether all of the places are free. If expired holds are in the way, returns which must be
    /// failed first; orders of one batch wait for different ones.
    pub(super) fn check_places_free(
        &mut self,
        sale: &Sale,
        wanted: &[Places],
    ) -> Result<(), NotGranted> {
        let mut is_short = false;
        for line in wanted {
            let row = self.areas.row(&(sale.show_id, Arc::clone(&line.area)))?;
            is_short |= row.capacity.saturating_sub(row.taken) < line.quantity;
        }
        if !is_short {
            return Ok(());
        }
        let ended = self.ended_holds(sale.show_id);
        let are_all_known = self
            .areas
            .ended
            .get(&sale.show_id)
            .is_none_or(|known| known.len() < ENDED_HOLDS_MAX);
        let mut chosen: Vec<EndedHold> = Vec::new();
        let mut full = Vec::new();
        let mut is_hopeless = false;
        for line in wanted {
            let key = (sale.show_id, Arc::clone(&line.area));
            let row = self.areas.row(&key)?;
            let spare = self.areas.spare.get(&key).copied().unwrap_or(0);
            let mut left = i64::from(row.capacity) - i64::from(row.taken) + spare;
            left += chosen
                .iter()
                .map(|hold| hold.places_in(&line.area))
                .sum::<i64>();
            for hold in &ended {
                if left >= i64::from(line.quantity) {
                    break;
                }
                let has = hold.places_in(&line.area);
                if has > 0 && !chosen.contains(hold) {
                    chosen.push(hold.clone());
                    left += has;
                }
            }
            if left < i64::from(line.quantity) {
                is_hopeless |= line.quantity > row.capacity;
                full.push((line.area.to_string(), u32::try_from(left).unwrap_or(0)));
            }
        }
        if !full.is_empty() {
            if are_all_known || is_hopeless {
                return Err(refused(Rejection::AreasFull(sale.show_id, full)));
            }
            // There may be more than were read.
            chosen = ended;
        }
        Err(NotGranted::Lapsed(self.await_ends(sale, wanted, &chosen)))
    }

    /// The holds of a show that are still expired, and that no order waits for.
    fn ended_holds(&self, show_id: ShowId) -> Vec<EndedHold> {
        let has_ended = |hold: &&EndedHold| {
            let booking = self.locked.bookings.get(&hold.booking_id);
            !self.areas.awaited.contains(&hold.booking_id)
                && booking.is_none_or(|booking| booking.lapsed(self.now))
        };
        let known = self.areas.ended.get(&show_id);
        known
            .into_iter()
            .flatten()
            .filter(has_ended)
            .cloned()
            .collect()
    }

    fn await_ends(
        &mut self,
        sale: &Sale,
        wanted: &[Places],
        chosen: &[EndedHold],
    ) -> Vec<BookingId> {
        let coming = chosen.iter().flat_map(|hold| &hold.places);
        let coming = coming.map(|line| (&line.area, i64::from(line.quantity)));
        let going = wanted
            .iter()
            .map(|line| (&line.area, -i64::from(line.quantity)));
        for (area, quantity) in coming.chain(going) {
            let key = (sale.show_id, Arc::clone(area));
            *self.areas.spare.entry(key).or_default() += quantity;
        }
        let ids = chosen.iter().map(|hold| hold.booking_id);
        self.areas.awaited.extend(ids.clone());
        ids.collect()
    }
}

impl EndedHold {
    fn places_in(&self, area: &str) -> i64 {
        let lines = self.places.iter().filter(|line| *line.area == *area);
        lines.map(|line| i64::from(line.quantity)).sum()
    }
}

/// Places at the prices of the moment.
pub(super) fn priced_places(sale: &Sale, wanted: &[Places]) -> Result<Vec<HeldPlaces>, NotGranted> {
    let line = |places: &Places| {
        let priced = sale.price_of_area(&places.area);
        let priced = priced.ok_or(NotGranted::Fault("an area is not in the layout"))?;
        Ok(HeldPlaces {
            area: Arc::clone(&places.area),
            quantity: places.quantity,
            price: priced.price,
            tier: priced.tier.into(),
        })
    };
    wanted.iter().map(line).collect()
}

/// The places that a booking returns, and those that it keeps.
pub(super) fn parted_places(
    booking: &Booking,
    given_up: &[Places],
) -> Result<(Vec<HeldPlaces>, Vec<HeldPlaces>), NotGranted> {
    let mut kept = booking.places.clone();
    let mut given = Vec::new();
    let mut missing = Vec::new();
    for Places { area, quantity } in given_up {
        match kept.iter_mut().find(|line| line.area == *area) {
            Some(line) if line.quantity >= *quantity => {
                line.quantity -= quantity;
                given.push(HeldPlaces {
                    quantity: *quantity,
                    ..line.clone()
                });
            }
            line => missing.push((area.to_string(), line.map_or(0, |line| line.quantity))),
        }
    }
    if !missing.is_empty() {
        let rejection = Rejection::PlacesNotInBooking(booking.booking_id, missing);
        return Err(refused(rejection));
    }
    kept.retain(|line| line.quantity > 0);
    Ok((given, kept))
}
