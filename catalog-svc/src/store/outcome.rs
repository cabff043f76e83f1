//! The stored form of each kind of result. Layouts never change, so their ids are enough.

use std::sync::Arc;

use model::ShowId;
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use uuid::Uuid;

use super::column::JsonColumn;
use super::error::StoreError;
use super::layouts;
use super::requests::Outcome;
use super::rows::{self, ShowRow};
use crate::domain::{Decided, Layout, LayoutId, Proposed, Show, ShowInfo};

/// A show as a call returned it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StoredShow(ShowRow);

/// A layout that a call created.
#[derive(Debug, Serialize, Deserialize)]
pub struct StoredLayout {
    layout_id: Uuid,
}

/// The result of a call that returns nothing.
#[derive(Debug, Serialize, Deserialize)]
pub struct StoredNothing {}

/// The result of a call that may have to wait for the booking service.
#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub enum StoredDecision<T> {
    /// It waits, or has waited, for the answer to this proposal.
    Later {
        /// The show.
        proposed_for: ShowId,
        /// The revision that made the proposal.
        proposed_by: i64,
    },
    /// It is done.
    Now(T),
}

/// A show that was written, without its contents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WrittenShow {
    /// The show.
    pub id: ShowId,
    /// The revision that wrote it.
    pub revision: i64,
}

impl From<ShowInfo> for WrittenShow {
    fn from(show: ShowInfo) -> Self {
        Self {
            id: show.id,
            revision: show.revision,
        }
    }
}

impl Outcome for Show {
    type Stored = StoredShow;

    fn wrote(&self) -> Option<(ShowId, i64)> {
        Some((self.info.id, self.info.revision))
    }

    fn store(&self) -> Result<StoredShow, StoreError> {
        Ok(StoredShow(ShowRow {
            prices: Some(JsonColumn::of(self.prices.clone())),
            ..(&self.info).try_into()?
        }))
    }

    async fn restore(
        stored: StoredShow,
        connection: &mut PgConnection,
    ) -> Result<Self, StoreError> {
        rows::whole(connection, stored.0.with_prices()?).await
    }
}

impl Outcome for Arc<Layout> {
    type Stored = StoredLayout;

    fn store(&self) -> Result<StoredLayout, StoreError> {
        Ok(StoredLayout {
            layout_id: self.info.id.0,
        })
    }

    async fn restore(
        stored: StoredLayout,
        connection: &mut PgConnection,
    ) -> Result<Self, StoreError> {
        layouts::one(connection, LayoutId(stored.layout_id)).await
    }
}

impl Outcome for () {
    type Stored = StoredNothing;

    fn store(&self) -> Result<StoredNothing, StoreError> {
        Ok(StoredNothing {})
    }

    async fn restore(_: StoredNothing, _: &mut PgConnection) -> Result<Self, StoreError> {
        Ok(())
    }
}

/// `None` for a replay, and if nothing had to be written.
impl Outcome for Option<WrittenShow> {
    type Stored = StoredNothing;

    fn wrote(&self) -> Option<(ShowId, i64)> {
        self.map(|written| (written.id, written.revision))
    }

    fn store(&self) -> Result<StoredNothing, StoreError> {
        Ok(StoredNothing {})
    }

    async fn restore(_: StoredNothing, _: &mut PgConnection) -> Result<Self, StoreError> {
        Ok(None)
    }
}

impl<T: Outcome> Outcome for Decided<T> {
    type Stored = StoredDecision<T::Stored>;

    fn wrote(&self) -> Option<(ShowId, i64)> {
        match self {
            Self::Now(done) => done.wrote(),
            Self::Later(proposed) => Some((proposed.id, proposed.revision)),
        }
    }

    fn store(&self) -> Result<Self::Stored, StoreError> {
        Ok(match self {
            Self::Now(done) => StoredDecision::Now(done.store()?),
            Self::Later(proposed) => StoredDecision::Later {
                proposed_for: proposed.id,
                proposed_by: proposed.revision,
            },
        })
    }

    async fn restore(
        stored: Self::Stored,
        connection: &mut PgConnection,
    ) -> Result<Self, StoreError> {
        Ok(match stored {
            StoredDecision::Now(done) => Self::Now(T::restore(done, connection).await?),
            StoredDecision::Later {
                proposed_for: id,
                proposed_by: revision,
            } => Self::Later(Proposed { id, revision }),
        })
    }
}
