//! Finding the sale of a show: in memory, else in the database, else in the catalog, so that
//! a show can be booked as soon as it has been created.

use std::sync::Arc;
use std::time::Duration;

use model::ShowId;
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use tokio::sync::{Notify, Semaphore};
use tokio::time::Instant;

use crate::catalog::{Catalog, CatalogError, Freshness, Stale};
use crate::domain::{Booking, Sale, SaleState, Snapshot};
use crate::store::{Applied, FeedPlace, Store, StoreError};

/// The most shows that are fetched from the catalog at once. Others wait, as long as their callers.
const CATALOG_CALLS_MAX: usize = 16;
/// The most bytes of sales in memory.
const CACHE_BYTES_MAX: u64 = 256 * 1024 * 1024;
const CACHED_SALES_EXPECTED: usize = 1_000;

/// Finds and keeps sales.
#[derive(Debug, Clone)]
pub struct Sales {
    store: Store,
    catalog: Catalog,
    freshness: Freshness,
    cache: Arc<Cache<ShowId, Arc<Sale>, ByBytes>>,
    asking: Arc<Semaphore>,
    answered: Arc<Notify>,
    cancelled: Arc<Notify>,
}

/// Why a sale could not be found out.
#[derive(Debug, thiserror::Error)]
pub enum SalesError {
    /// The database does not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The catalog does not answer, and the show is not known here.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// The copy of the catalog is too old to sell.
    #[error(transparent)]
    Stale(#[from] Stale),
    /// There is no such show.
    #[error("there is no such show")]
    NotFound(ShowId),
}

#[derive(Debug, Clone)]
struct ByBytes;

impl Weighter<ShowId, Arc<Sale>> for ByBytes {
    fn weight(&self, _: &ShowId, sale: &Arc<Sale>) -> u64 {
        sale.weight()
    }
}

impl Sales {
    /// Sales from `store`, and from `catalog` if the store has none yet.
    #[must_use]
    pub fn new(store: Store, catalog: Catalog, freshness: Freshness) -> Self {
        let cache = Cache::with_weighter(CACHED_SALES_EXPECTED, CACHE_BYTES_MAX, ByBytes);
        Self {
            store,
            catalog,
            freshness,
            cache: Arc::new(cache),
            asking: Arc::new(Semaphore::new(CATALOG_CALLS_MAX)),
            answered: Arc::new(Notify::new()),
            cancelled: Arc::new(Notify::new()),
        }
    }

    /// Until when a show can be sold with the present data. No order that sells may be decided
    /// later than that.
    ///
    /// # Errors
    ///
    /// If the data is too old to sell it.
    pub fn sellable_until(&self, show_id: ShowId) -> Result<Instant, SalesError> {
        Ok(self.freshness.sellable_until(show_id)?)
    }

    /// The sale of a show. It may be behind the catalog: a transaction checks the revision.
    ///
    /// # Errors
    ///
    /// If there is no such show, or neither the database nor the catalog answers.
    pub async fn get(&self, show_id: ShowId) -> Result<Arc<Sale>, SalesError> {
        if let Some(sale) = self.cache.get(&show_id) {
            return Ok(sale);
        }
        // Callers that need the same show at once wait for one of them. Boxed: every call
        // would carry the large future of a lookup that few need.
        Box::pin(self.cache.get_or_insert_async(&show_id, self.find(show_id))).await
    }

    /// The sale of a show that has bookings: the catalog need not be asked.
    ///
    /// # Errors
    ///
    /// If the show has never been on sale here, or the database does not answer.
    pub async fn known(&self, show_id: ShowId) -> Result<Arc<Sale>, SalesError> {
        if let Some(sale) = self.cache.get(&show_id) {
            return Ok(sale);
        }
        let find = async {
            let sale = self.store.sale(show_id).await?;
            sale.map(Arc::new).ok_or(SalesError::NotFound(show_id))
        };
        Box::pin(self.cache.get_or_insert_async(&show_id, find)).await
    }

    /// A sale that names every seat of a booking.
    ///
    /// # Errors
    ///
    /// As [`Self::known`].
    pub async fn of(&self, booking: &Booking) -> Result<Arc<Sale>, SalesError> {
        let show_id = booking.booking_id.show();
        let sale = self.known(show_id).await?;
        if sale.can_name(booking) {
            return Ok(sale);
        }
        self.cache.remove(&show_id);
        self.known(show_id).await
    }

    /// The sale of a show, as the database has it now.
    ///
    /// # Errors
    ///
    /// As [`Self::get`].
    pub async fn refresh(&self, show_id: ShowId) -> Result<Arc<Sale>, SalesError> {
        let sale = Box::pin(self.find(show_id)).await?;
        self.cache.insert(show_id, Arc::clone(&sale));
        Ok(sale)
    }

    /// The sale as the database has it now, if that is another than `sale`.
    ///
    /// # Errors
    ///
    /// As [`Self::get`].
    pub async fn reload_if_changed(&self, sale: &Sale) -> Result<Option<Arc<Sale>>, SalesError> {
        if self.store.revision(sale.show_id).await? == Some(sale.revision) {
            return Ok(None);
        }
        self.refresh(sale.show_id).await.map(Some)
    }

    /// Copies a show from the catalog; see [`Store::apply`].
    pub(crate) async fn apply(
        &self,
        snapshot: &Snapshot,
        cursor: Option<FeedPlace>,
        lock_wait: Duration,
    ) -> Result<Applied, StoreError> {
        let applied = self.keep(snapshot, cursor, Some(lock_wait)).await?;
        // The next lookup reads the stored sale, which may be newer than this.
        self.cache.remove(&snapshot.show_id);
        Ok(applied)
    }

    /// Waits until there is an answer that the catalog does not have.
    pub(crate) async fn answered(&self) {
        self.answered.notified().await;
    }

    /// Empties the cache, so that every sale is looked up again.
    pub(crate) fn forget_all(&self) {
        self.cache.clear();
    }

    /// Closes the sale of a deleted show; see [`Store::apply_deleted`].
    pub(crate) async fn close(
        &self,
        show_id: ShowId,
        revision: i64,
        cursor: FeedPlace,
        lock_wait: Duration,
    ) -> Result<Applied, StoreError> {
        let closing = self
            .store
            .apply_deleted(show_id, revision, cursor, Some(lock_wait));
        let applied = closing.await?;
        self.cache.remove(&show_id);
        self.cancelled.notify_one();
        Ok(applied)
    }

    /// The age of the copy of the catalog.
    pub(crate) fn freshness(&self) -> &Freshness {
        &self.freshness
    }

    /// Waits until the catalog reports another cancelled show.
    pub(crate) async fn cancellation(&self) {
        self.cancelled.notified().await;
    }

    /// Where sales are stored.
    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    async fn find(&self, show_id: ShowId) -> Result<Arc<Sale>, SalesError> {
        if let Some(sale) = self.store.sale(show_id).await? {
            return Ok(Arc::new(sale));
        }
        // The semaphore is never closed.
        let _permit = self.asking.acquire().await.ok();
        let show = self.catalog.show(show_id).await?;
        self.keep(&show.ok_or(SalesError::NotFound(show_id))?, None, None)
            .await?;
        let sale = self.store.sale(show_id).await?;
        sale.map(Arc::new).ok_or(SalesError::NotFound(show_id))
    }

    async fn keep(
        &self,
        snapshot: &Snapshot,
        cursor: Option<FeedPlace>,
        lock_wait: Option<Duration>,
    ) -> Result<Applied, StoreError> {
        let applied = self.store.apply(snapshot, cursor, lock_wait).await?;
        if applied == Applied::SaleAndAnswer {
            self.answered.notify_one();
        }
        if snapshot.terms.state == SaleState::Cancelled {
            self.cancelled.notify_one();
        }
        Ok(applied)
    }
}
