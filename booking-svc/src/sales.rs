//! Finding the sale of a show: in memory, else in the database, else in the catalog, so that
//! a show can be booked as soon as it has been created.

use std::sync::Arc;

use model::ShowId;
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use tokio::sync::{Notify, Semaphore};

use crate::catalog::{Catalog, CatalogError};
use crate::domain::{Sale, SaleState};
use crate::store::{Store, StoreError};

/// How many shows may be asked of the catalog at once. More wait, as long as their callers.
const CATALOG_CALLS_MAX: usize = 16;
/// What sales in memory may weigh in all; a label or a row of a layout weighs 1, about 100
/// bytes.
const CACHE_WEIGHT_MAX: u64 = 500_000;
const CACHED_SALES_EXPECTED: usize = 1_000;

/// Finds and keeps sales.
#[derive(Debug, Clone)]
pub struct Sales {
    store: Store,
    catalog: Catalog,
    cache: Arc<Cache<ShowId, Arc<Sale>, ByLabels>>,
    asking: Arc<Semaphore>,
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
    /// There is no such show.
    #[error("there is no such show")]
    NotFound(ShowId),
}

#[derive(Debug, Clone)]
struct ByLabels;

impl Weighter<ShowId, Arc<Sale>> for ByLabels {
    fn weight(&self, _: &ShowId, sale: &Arc<Sale>) -> u64 {
        let rows = sale
            .layout
            .sections()
            .iter()
            .flat_map(|section| &section.rows);
        let weights = rows.map(|row| match &row.seats {
            model::Seats::Count(_) => 2,
            model::Seats::Labels(labels) => 2 + labels.len() as u64,
        });
        1 + weights.sum::<u64>()
    }
}

impl Sales {
    /// Sales out of `store`, and out of `catalog` where the store has none yet.
    #[must_use]
    pub fn new(store: Store, catalog: Catalog) -> Self {
        let cache = Cache::with_weighter(CACHED_SALES_EXPECTED, CACHE_WEIGHT_MAX, ByLabels);
        Self {
            store,
            catalog,
            cache: Arc::new(cache),
            asking: Arc::new(Semaphore::new(CATALOG_CALLS_MAX)),
            cancelled: Arc::new(Notify::new()),
        }
    }

    /// The sale of a show. It may be behind the catalog: a transaction checks the revision.
    ///
    /// # Errors
    ///
    /// If there is no such show, or nobody who knows can be asked.
    pub async fn get(&self, show_id: ShowId) -> Result<Arc<Sale>, SalesError> {
        if let Some(sale) = self.cache.get(&show_id) {
            return Ok(sale);
        }
        // Callers that ask for the same show at once wait for one of them. Boxed: every call
        // would carry the large future of a lookup that hardly any needs.
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

    /// Copies a show from the catalog; see [`Store::apply_sale`].
    pub(crate) async fn apply(&self, sale: Sale, cursor: Option<i64>) -> Result<(), StoreError> {
        self.keep(&sale, cursor).await?;
        // Whoever asks next reads what is stored, which may be newer than this.
        self.cache.remove(&sale.show_id);
        Ok(())
    }

    /// Closes the sale of a deleted show.
    pub(crate) async fn close(&self, show_id: ShowId, revision: i64) -> Result<(), StoreError> {
        self.store.apply_deleted(show_id, revision).await?;
        self.cache.remove(&show_id);
        self.cancelled.notify_one();
        Ok(())
    }

    /// Waits until the catalog has told of a cancelled show since the last time.
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
        let sale = self
            .catalog
            .show(show_id)
            .await?
            .ok_or(SalesError::NotFound(show_id))?;
        self.keep(&sale, None).await?;
        Ok(Arc::new(sale))
    }

    async fn keep(&self, sale: &Sale, cursor: Option<i64>) -> Result<(), StoreError> {
        self.store.apply_sale(sale, cursor).await?;
        if sale.state == SaleState::Cancelled {
            self.cancelled.notify_one();
        }
        Ok(())
    }
}
