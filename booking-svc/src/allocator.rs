//! The seat allocator: picks seats for callers that name none, from a memory of the free seats.
//!
//! The memory is only a hint: the transaction that sells picked seats locks and checks them again.
//! The memory is as new as its last read of the database, repeated at most about once a second
//! while callers ask, plus the seats that this process has sold and freed since. Picked seats are
//! claimed until their order is decided, so that parties that come at the same time get
//! different seats.

mod show;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use model::ShowId;
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use tokio::time::Instant;

use self::show::{NotPicked, ShowAllocator};
use crate::domain::Sale;
use crate::domain::choose::{Hall, Unmet, Wish};
use crate::store::{OrderError, Store, StoreError};

pub use self::show::SoftClaim;

/// How old a read of the free seats may be; an older one is repeated before a pick.
const FRESH_FOR: Duration = Duration::from_secs(1);
/// The most times that a pick waits for the decision of others that hold the seats it needs.
const WAITS_MAX: u32 = 16;
/// The most bytes of halls in memory, with their free seats.
const CACHE_BYTES_MAX: u64 = 64 * 1024 * 1024;
const CACHED_ROOMS_EXPECTED: usize = 100;

/// Picks seats.
#[derive(Debug, Clone)]
pub struct SeatAllocator {
    store: Store,
    rooms: Arc<Cache<ShowId, Arc<ShowAllocator>, ByBytes>>,
    /// Whether there was ever a room: most services sell by label alone.
    is_used: Arc<AtomicBool>,
}

/// The choices of one call, and the seats that it names.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// The ordinals of the seats that are named.
    pub named: Vec<u32>,
    /// The others, as they are wished for.
    pub wishes: Vec<Wish>,
    /// When the call arrived: an older read cannot reject it.
    pub since: Instant,
    /// When a pick of the same call was last found taken, if one was: older reads are of no use.
    pub last_conflict_at: Option<Instant>,
}

/// Why nothing was picked.
#[derive(Debug, thiserror::Error)]
pub enum PickError {
    /// The free seats cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The sale is not the newest, or every pick was lost to others.
    #[error("nothing was picked: {0:?}")]
    Undecided(OrderError),
}

#[derive(Debug, Clone)]
struct ByBytes;

impl Weighter<ShowId, Arc<ShowAllocator>> for ByBytes {
    fn weight(&self, _: &ShowId, room: &Arc<ShowAllocator>) -> u64 {
        room.weight()
    }
}

impl SeatAllocator {
    /// An allocator that remembers nothing yet.
    #[must_use]
    pub fn new(store: Store) -> Self {
        let rooms = Cache::with_weighter(CACHED_ROOMS_EXPECTED, CACHE_BYTES_MAX, ByBytes);
        Self {
            store,
            rooms: Arc::new(rooms),
            is_used: Arc::default(),
        }
    }

    /// The hall of a sale.
    ///
    /// # Errors
    ///
    /// If another sale of the show was looked up since.
    pub async fn hall(&self, sale: &Arc<Sale>) -> Result<Arc<Hall>, PickError> {
        Ok(self.room(sale).await?.hall())
    }

    /// Seats for all choices, or the choice that cannot be met, as of a read that began after the
    /// call arrived.
    ///
    /// # Errors
    ///
    /// If neither could be determined.
    pub async fn pick(
        &self,
        sale: &Arc<Sale>,
        wanted: Wanted,
    ) -> Result<Result<SoftClaim, Unmet>, PickError> {
        let room = self.room(sale).await?;
        let oldest = Instant::now().checked_sub(FRESH_FOR);
        let mut as_of = wanted.last_conflict_at.max(oldest);
        let wanted = Arc::new(wanted);
        for _ in 0..WAITS_MAX {
            room.read(&self.store, sale, as_of).await?;
            match room.try_pick(&wanted).await {
                Ok(pick) => return Ok(Ok(pick)),
                Err(NotPicked::Promised(settled)) => settled.await,
                Err(NotPicked::Unmet(unmet, read_at)) => {
                    if read_at >= Some(wanted.since) {
                        return Ok(Err(unmet));
                    }
                    as_of = Some(wanted.since);
                }
            }
        }
        Err(PickError::Undecided(OrderError::Contention))
    }

    /// Records seats that have changed hands, by ordinal, if the show is in memory.
    pub fn note(
        &self,
        show_id: ShowId,
        taken: impl IntoIterator<Item = u32>,
        freed: impl IntoIterator<Item = u32>,
    ) {
        if !self.is_used.load(Ordering::Relaxed) {
            return;
        }
        if let Some(room) = self.rooms.get(&show_id) {
            room.note(taken, freed);
        }
    }

    /// The room of a sale.
    async fn room(&self, sale: &Arc<Sale>) -> Result<Arc<ShowAllocator>, PickError> {
        let show_id = sale.show_id;
        let mut room = self.rooms.get(&show_id);
        if room
            .take_if(|room| room.revision() < sale.revision)
            .is_some()
        {
            self.rooms.remove(&show_id);
        }
        let room = match room {
            Some(room) => room,
            None => {
                self.is_used.store(true, Ordering::Relaxed);
                let make = async { Ok::<_, PickError>(Arc::new(ShowAllocator::of(sale).await)) };
                Box::pin(self.rooms.get_or_insert_async(&show_id, make)).await?
            }
        };
        if room.revision() == sale.revision {
            Ok(room)
        } else {
            Err(PickError::Undecided(OrderError::SaleChanged))
        }
    }
}
