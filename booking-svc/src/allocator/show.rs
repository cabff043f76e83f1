//! The remembered free seats of one show, and the claims on them.
//!
//! Invariants: no two claims have a seat in common; a claim ends with its [`SoftClaim`]; one read
//! at a time.

use std::collections::BTreeSet;
use std::future::Future;
use std::panic::resume_unwind;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Mutex as AsyncMutex, watch};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep_until};

use super::Wanted;
use crate::domain::Sale;
use crate::domain::choose::{FreeSeats, Hall, Unmet, choose_all};
use crate::store::{Store, StoreError};

/// The pause after a read, as a multiple of its duration, so that rejecting a crowd costs the
/// database only a part of its time.
const REST: u32 = 8;
/// The longest of these rests.
const REST_MAX: Duration = Duration::from_secs(1);

/// The memory of one show at one revision of its sale.
#[derive(Debug)]
pub(super) struct ShowAllocator {
    revision: i64,
    hall: Arc<Hall>,
    memory: Mutex<Memory>,
    /// Held while the free seats are read.
    reading: AsyncMutex<()>,
    /// Held while seats are picked: first come, first served.
    picking: AsyncMutex<()>,
    /// The number of the oldest open claim, or of the next one.
    oldest: watch::Sender<u64>,
}

#[derive(Debug)]
struct Memory {
    /// The seats without an owner, as far as is known.
    free: FreeSeats,
    /// The claimed seats.
    claimed: FreeSeats,
    /// The numbers of the open claims.
    outstanding: BTreeSet<u64>,
    next: u64,
    /// When the last read began.
    read_at: Option<Instant>,
    /// When the next may begin.
    rested_at: Instant,
    /// Seats that have changed hands since the current read began.
    taken_since: FreeSeats,
    freed_since: FreeSeats,
}

/// Why nothing was picked.
pub(super) enum NotPicked<W> {
    /// A choice cannot be met with the free seats of that read.
    Unmet(Unmet, Option<Instant>),
    /// Only because of claims; wait until these are settled.
    Promised(W),
}

/// Seats that are claimed until this is dropped.
#[derive(Debug)]
pub struct SoftClaim {
    room: Arc<ShowAllocator>,
    number: u64,
    ordinals: Vec<u32>,
}

impl SoftClaim {
    /// The seats, ascending.
    #[must_use]
    pub fn ordinals(&self) -> &[u32] {
        &self.ordinals
    }

    /// Ends the claim: these seats belong to others.
    pub fn lost(self, taken: &[u32]) {
        self.room.note(taken.iter().copied(), []);
    }
}

impl Drop for SoftClaim {
    fn drop(&mut self) {
        let mut memory = self.room.memory();
        for ordinal in &self.ordinals {
            memory.claimed.remove(*ordinal);
        }
        memory.outstanding.remove(&self.number);
        let oldest = memory.outstanding.first().copied().unwrap_or(memory.next);
        self.room.oldest.send_replace(oldest);
    }
}

impl ShowAllocator {
    pub(super) async fn of(sale: &Arc<Sale>) -> Self {
        let count = sale.seats.ordinal_count();
        let hall = off_the_runtime({
            let sale = Arc::clone(sale);
            move || Hall::of(&sale.seats, &sale.prices, &sale.withdrawn)
        });
        let memory = Memory {
            free: FreeSeats::none(count),
            claimed: FreeSeats::none(count),
            outstanding: BTreeSet::new(),
            next: 0,
            read_at: None,
            rested_at: Instant::now(),
            taken_since: FreeSeats::none(count),
            freed_since: FreeSeats::none(count),
        };
        Self {
            revision: sale.revision,
            hall: Arc::new(hall.await),
            memory: Mutex::new(memory),
            reading: AsyncMutex::default(),
            picking: AsyncMutex::default(),
            oldest: watch::Sender::new(0),
        }
    }

    pub(super) fn revision(&self) -> i64 {
        self.revision
    }

    pub(super) fn hall(&self) -> Arc<Hall> {
        Arc::clone(&self.hall)
    }

    /// Roughly the bytes that it takes in memory.
    pub(super) fn weight(&self) -> u64 {
        let memory = self.memory();
        let sets = [
            &memory.free,
            &memory.claimed,
            &memory.taken_since,
            &memory.freed_since,
        ];
        let sets: u64 = sets.into_iter().map(FreeSeats::weight).sum();
        size_of::<Self>() as u64 + self.hall.weight() + sets
    }

    /// Reads the free seats, unless a read has begun since `as_of`; `None`: ever.
    pub(super) async fn read(
        &self,
        store: &Store,
        sale: &Sale,
        as_of: Option<Instant>,
    ) -> Result<(), StoreError> {
        let is_read = || {
            let memory = self.memory();
            memory.read_at.is_some() && memory.read_at >= as_of
        };
        if is_read() {
            return Ok(());
        }
        let _turn = self.reading.lock().await;
        if is_read() {
            return Ok(());
        }
        let rested_at = self.memory().rested_at;
        sleep_until(rested_at).await;
        let began = Instant::now();
        {
            let mut memory = self.memory();
            memory.taken_since.clear();
            memory.freed_since.clear();
        }
        let mut free = store.free_seats(sale).await?;
        let mut memory = self.memory();
        free.remove_all(&memory.taken_since);
        free.insert_all(&memory.freed_since);
        memory.free = free;
        memory.read_at = Some(began);
        memory.rested_at = Instant::now() + (began.elapsed() * REST).min(REST_MAX);
        Ok(())
    }

    /// Records seats that have changed hands.
    pub(super) fn note(
        &self,
        taken: impl IntoIterator<Item = u32>,
        freed: impl IntoIterator<Item = u32>,
    ) {
        let mut memory = self.memory();
        for ordinal in freed {
            memory.free.insert(ordinal);
            memory.freed_since.insert(ordinal);
            memory.taken_since.remove(ordinal);
        }
        for ordinal in taken {
            memory.free.remove(ordinal);
            memory.taken_since.insert(ordinal);
            memory.freed_since.remove(ordinal);
        }
    }

    /// Picks remembered free seats, and claims them.
    pub(super) async fn try_pick(
        self: &Arc<Self>,
        wanted: &Arc<Wanted>,
    ) -> Result<SoftClaim, NotPicked<impl Future<Output = ()> + use<>>> {
        let _turn = self.picking.lock().await;
        let (mut free, claimed, read_at, next) = {
            let memory = self.memory();
            let free = memory.free.clone();
            (free, memory.claimed.clone(), memory.read_at, memory.next)
        };
        wanted.named.iter().for_each(|seat| free.remove(*seat));
        let choosing = off_the_runtime({
            let (hall, wanted) = (self.hall(), Arc::clone(wanted));
            move || choose_beside(&hall, free, &claimed, &wanted)
        });
        match choosing.await {
            Ok(ordinals) => {
                let mut memory = self.memory();
                let number = memory.next;
                memory.next += 1;
                memory.outstanding.insert(number);
                for ordinal in &ordinals {
                    memory.claimed.insert(*ordinal);
                }
                Ok(SoftClaim {
                    room: Arc::clone(self),
                    number,
                    ordinals,
                })
            }
            Err(Some(unmet)) => Err(NotPicked::Unmet(unmet, read_at)),
            Err(None) => {
                let mut oldest = self.oldest.subscribe();
                Err(NotPicked::Promised(async move {
                    // The sender lives as long as the claims.
                    let _ = oldest.wait_for(|oldest| *oldest >= next).await;
                }))
            }
        }
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Chooses among the free and unclaimed seats; none if only claims are in the way.
fn choose_beside(
    hall: &Hall,
    free: FreeSeats,
    claimed: &FreeSeats,
    wanted: &Wanted,
) -> Result<Vec<u32>, Option<Unmet>> {
    let mut left = free.clone();
    left.remove_all(claimed);
    let chosen = choose_all(hall, left, &wanted.wishes);
    match chosen {
        Err(unmet) if claimed.is_empty() => Err(Some(unmet)),
        Err(_) => match choose_all(hall, free, &wanted.wishes) {
            Ok(_) => Err(None),
            Err(unmet) => Err(Some(unmet)),
        },
        Ok(ordinals) => Ok(ordinals),
    }
}

/// Runs work of milliseconds on a blocking thread, where it holds up no call.
async fn off_the_runtime<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => resume_unwind(panic),
            // The process is ending, and this call with it.
            Err(_) => std::future::pending().await,
        },
    }
}
