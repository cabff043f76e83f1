//! Sales: copies of the catalog's shows, each with a row for every seat and every area.

use std::time::Duration;

use deadpool_postgres::Transaction;
use model::{Numbering, PriceList, ShowId, ShowSeats};
use serde::de::DeserializeOwned;
use service_kit::postgres;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::feed::{self, FeedPlace};
use super::rows::BadRow;
use super::{Store, StoreError, areas, rows};
use crate::domain::{OrphanRule, Sale, SaleState, Snapshot, Terms, Withdrawn};

/// The result of applying a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Applied {
    /// Nothing: it was no news, or the show has been deleted.
    Nothing,
    /// Nothing: another session holds a lock that it needs.
    Locked,
    /// The sale is as in the snapshot.
    Sale,
    /// That, and there is an answer that the catalog waits for.
    SaleAndAnswer,
}

/// The stored row of a sale, under its lock.
struct Stored {
    revision: i64,
    seats: ShowSeats,
    /// The proposal that was answered last, if it is undecided still.
    answered: Option<i64>,
}

impl Store {
    /// The sale of a show, if the show is known here.
    ///
    /// # Errors
    ///
    /// If the database does not answer.
    pub async fn sale(&self, show_id: ShowId) -> Result<Option<Sale>, StoreError> {
        let client = postgres::get(&self.pool).await?;
        let statement = client.prepare_cached(include_str!("sql/sale.sql")).await?;
        let row = client.query_opt(&statement, &[&show_id.uuid()]).await?;
        Ok(row.map(|row| sale(&row, show_id)).transpose()?)
    }

    /// The catalog's revision that a sale is a copy of, if the show is known here.
    ///
    /// # Errors
    ///
    /// If the database does not answer.
    pub async fn revision(&self, show_id: ShowId) -> Result<Option<i64>, StoreError> {
        let client = postgres::get(&self.pool).await?;
        let revision = "SELECT revision FROM booking.sales WHERE show_id = $1";
        let statement = client.prepare_cached(revision).await?;
        let row = client.query_opt(&statement, &[&show_id.uuid()]).await?;
        Ok(row.map(|row| row.get(0)))
    }

    /// Copies a show from the catalog, unless a newer copy is stored, and answers its proposal;
    /// with `cursor`, also moves the feed's cursor in the same transaction.
    /// Applying it twice, late or from several replicas at once changes nothing.
    /// With `lock_wait`, does not wait longer for the show's locks.
    ///
    /// # Errors
    ///
    /// If the database fails, or the show has had too many seats in its life; then
    /// nothing was changed.
    pub async fn apply(
        &self,
        snapshot: &Snapshot,
        cursor: Option<FeedPlace>,
        lock_wait: Option<Duration>,
    ) -> Result<Applied, StoreError> {
        let mut client = postgres::get(&self.pool).await?;
        let transaction = client.transaction().await?;
        let epoch = feed::lock_cursor(&transaction, cursor).await?;
        feed::bound_lock_wait(&transaction, lock_wait).await?;
        let revision = feed::stored_revision(epoch, snapshot.revision);
        match apply(&transaction, snapshot, revision).await {
            Ok(applied) => {
                transaction.commit().await?;
                Ok(applied)
            }
            Err(error) if lock_wait.is_some() && error.is_contention() => Ok(Applied::Locked),
            Err(error) => Err(error),
        }
    }

    /// Closes the sale of a show that the catalog has deleted. If there is none, prevents one from
    /// being created: another replica may have fetched the show before it was deleted.
    ///
    /// # Errors
    ///
    /// If the database fails; then nothing was changed.
    pub async fn apply_deleted(
        &self,
        show_id: ShowId,
        revision: i64,
        cursor: FeedPlace,
        lock_wait: Option<Duration>,
    ) -> Result<Applied, StoreError> {
        let mut client = postgres::get(&self.pool).await?;
        let transaction = client.transaction().await?;
        let id = show_id.uuid();
        // A transaction that stores a fetched show is done, or comes later.
        let epoch = feed::lock_cursor(&transaction, Some(cursor)).await?;
        let revision = feed::stored_revision(epoch, revision);
        feed::bound_lock_wait(&transaction, lock_wait).await?;
        // Orders that were decided on the open sale commit first.
        let lock = "SELECT FROM booking.sales WHERE show_id = $1 FOR UPDATE";
        match transaction
            .execute(lock, &[&id])
            .await
            .map_err(StoreError::from)
        {
            Ok(_) => {}
            Err(error) if lock_wait.is_some() && error.is_contention() => {
                return Ok(Applied::Locked);
            }
            Err(error) => return Err(error),
        }
        let closed = transaction
            .execute(include_str!("sql/close_sale.sql"), &[&id, &revision])
            .await?;
        if closed > 0 {
            forget_answers(&transaction, show_id, None).await?;
        }
        transaction
            .execute(include_str!("sql/note_deleted.sql"), &[&id, &revision])
            .await?;
        transaction.commit().await?;
        Ok(Applied::Sale)
    }
}

/// Applies a snapshot under the revision that is stored for it.
async fn apply(
    transaction: &Transaction<'_>,
    snapshot: &Snapshot,
    revision: i64,
) -> Result<Applied, StoreError> {
    let layout = json(&snapshot.layout, "layout", snapshot.show_id)?;
    let mut stored = lock(transaction, snapshot, &layout).await?;
    let mut seats = ShowSeats::new(snapshot.layout.clone());
    if stored.is_none() {
        let statement = include_str!("sql/insert_sale.sql");
        let sale = (snapshot, revision, &*layout);
        if write(transaction, statement, sale, &seats, &[]).await? == 0 {
            // Another replica has just brought it, or it was deleted.
            stored = lock(transaction, snapshot, &layout).await?;
            if stored.is_none() {
                return Ok(Applied::Nothing);
            }
        }
    }
    let mut first_new = 0;
    let mut had_areas = false;
    let mut answered = None;
    if let Some(stored) = stored {
        if stored.revision >= revision {
            return Ok(Applied::Nothing);
        }
        first_new = stored.seats.ordinal_count();
        answered = stored.answered;
        had_areas = !stored.seats.layout().areas().is_empty();
        seats = if stored.seats.layout() == seats.layout() {
            stored.seats
        } else {
            stored.seats.with_layout(snapshot.layout.clone())?
        };
        let statement = include_str!("sql/update_sale.sql");
        let pending = pending(snapshot);
        let sale = (snapshot, revision, &*layout);
        write(transaction, statement, sale, &seats, &[&pending]).await?;
        forget_answers(transaction, snapshot.show_id, pending).await?;
    }
    let (first_new, count) = (
        rows::ordinal(first_new),
        rows::ordinal(seats.ordinal_count()),
    );
    if first_new < count {
        let insert = include_str!("sql/insert_seats.sql");
        let show_id = snapshot.show_id.uuid();
        transaction
            .execute(insert, &[&show_id, &first_new, &count])
            .await?;
    }
    // Until the catalog has the answer, areas stay as the answer changed them.
    let is_answered = answered.is_some() && answered == pending(snapshot);
    let has_areas = had_areas || !seats.layout().areas().is_empty();
    if has_areas && !is_answered {
        areas::offer(transaction, snapshot.show_id, seats.layout(), None).await?;
    }
    match &snapshot.proposal {
        Some(proposal) if answered != Some(proposal.revision) => {
            super::proposals::answer(transaction, snapshot.show_id, &seats, proposal).await?;
            Ok(Applied::SaleAndAnswer)
        }
        _ => Ok(Applied::Sale),
    }
}

/// The revision of the proposal that waits for an answer.
fn pending(snapshot: &Snapshot) -> Option<i64> {
    snapshot.proposal.as_ref().map(|proposal| proposal.revision)
}

/// Locks the sale of a snapshot's show against batches, and reads its row.
async fn lock(
    transaction: &Transaction<'_>,
    snapshot: &Snapshot,
    layout: &str,
) -> Result<Option<Stored>, StoreError> {
    let statement = transaction
        .prepare_cached(include_str!("sql/lock_sale.sql"))
        .await?;
    let show_id = snapshot.show_id;
    let Some(row) = transaction
        .query_opt(&statement, &[&show_id.uuid(), &layout])
        .await?
    else {
        return Ok(None);
    };
    let layout = match row.get::<_, Option<&str>>(1) {
        None => snapshot.layout.clone(),
        Some(other) => parsed(other, "layout", show_id)?,
    };
    Ok(Some(Stored {
        revision: row.get(0),
        seats: seats(layout, row.get(2), show_id)?,
        answered: row.get(3),
    }))
}

/// Runs a statement that writes a sale; returns how many rows it wrote. `more` are its
/// parameters beyond those of the sale.
async fn write(
    transaction: &Transaction<'_>,
    statement: &str,
    (snapshot, revision, layout): (&Snapshot, i64, &str),
    seats: &ShowSeats,
    more: &[&(dyn ToSql + Sync)],
) -> Result<u64, StoreError> {
    let Snapshot { show_id, terms, .. } = snapshot;
    let hold_ms = terms
        .hold
        .map(|hold| i32::try_from(hold.as_millis()).unwrap_or(i32::MAX));
    let mut parameters: Vec<&(dyn ToSql + Sync)> = vec![];
    let id = show_id.uuid();
    let state = terms.state.as_str();
    let seats_max = terms.seats_per_booking_max.map(i32::from);
    let places_max = terms.places_per_customer_max.map(i32::from);
    let rule = terms.orphan_rule.as_str();
    let numbering = json(seats.numbering(), "numbering", *show_id)?;
    let prices = json(snapshot.prices.description(), "prices", *show_id)?;
    let seat_count = rows::ordinal(seats.ordinal_count());
    parameters.extend_from_slice(&[
        &id,
        &revision,
        &state,
        &terms.start_at,
        &terms.sales_open_at,
        &terms.sales_close_at,
        &hold_ms,
        &seats_max,
        &places_max,
        &rule,
        &layout,
        &numbering,
        &prices,
        &seat_count,
    ]);
    parameters.extend_from_slice(more);
    let statement = transaction.prepare_cached(statement).await?;
    Ok(transaction.execute(&statement, &parameters).await?)
}

async fn forget_answers(
    transaction: &Transaction<'_>,
    show_id: ShowId,
    pending: Option<i64>,
) -> Result<(), StoreError> {
    let statement = include_str!("sql/forget_answers.sql");
    transaction
        .execute(statement, &[&show_id.uuid(), &pending])
        .await?;
    Ok(())
}

fn sale(row: &Row, show_id: ShowId) -> Result<Sale, BadRow> {
    let bad = |column| rows::bad(column, show_id);
    let limit = |place: usize, column| {
        let limit = row.get::<_, Option<i32>>(place).map(u16::try_from);
        limit.transpose().map_err(|_| bad(column))
    };
    let terms = Terms {
        state: SaleState::from_name(row.get(1)).ok_or_else(|| bad("state"))?,
        start_at: row.get(2),
        sales_open_at: row.get(3),
        sales_close_at: row.get(4),
        hold: row
            .get::<_, Option<i32>>(5)
            .map(|ms| Duration::from_millis(u64::from(ms.unsigned_abs()))),
        seats_per_booking_max: limit(6, "seats_per_booking_max")?,
        places_per_customer_max: limit(7, "places_per_customer_max")?,
        orphan_rule: OrphanRule::from_name(row.get(8)).ok_or_else(|| bad("orphan_rule"))?,
    };
    let layout = parsed(row.get(9), "layout", show_id)?;
    let seats = seats(layout, row.get(10), show_id)?;
    let prices = parsed(row.get(11), "prices", show_id)?;
    let withdrawn: Vec<i32> = row.get(12);
    Ok(Sale {
        show_id,
        revision: row.get(0),
        terms,
        prices: PriceList::new(prices, seats.layout()).map_err(|_| bad("prices"))?,
        seats,
        withdrawn: Withdrawn {
            seats: withdrawn
                .into_iter()
                .map(|ordinal| u32::try_from(ordinal).map_err(|_| bad("withdrawn")))
                .collect::<Result<_, _>>()?,
            show: row.get(13),
        },
    })
}

fn seats(layout: model::SeatLayout, numbering: &str, show_id: ShowId) -> Result<ShowSeats, BadRow> {
    let numbering: Numbering = parsed(numbering, "numbering", show_id)?;
    ShowSeats::restore(layout, numbering).map_err(|_| rows::bad("numbering", show_id))
}

fn parsed<T: DeserializeOwned>(
    text: &str,
    column: &'static str,
    show_id: ShowId,
) -> Result<T, BadRow> {
    serde_json::from_str(text).map_err(|_| rows::bad(column, show_id))
}

fn json(
    value: &impl serde::Serialize,
    column: &'static str,
    show_id: ShowId,
) -> Result<String, BadRow> {
    serde_json::to_string(value).map_err(|_| rows::bad(column, show_id))
}
