//! Answers the catalog's proposals: a change that must not hurt a booking is accepted only if no
//! booking needs what it removes, which is off sale from then on. The answer is stored in the
//! transaction that makes it true, and stays until the catalog has it.

use deadpool_postgres::Transaction;
use model::{ShowId, ShowSeats};
use service_kit::postgres;
use uuid::Uuid;

use super::bookings::Page;
use super::{Store, StoreError, areas, rows};
use crate::domain::{BOOKED_SEATS_MAX, Proposal, ProposalAnswer, ProposedChange};

/// The most answers that are read at once.
const ANSWERS_MAX: i64 = 100;

impl Store {
    /// Answers that the catalog may not have: those after `after` by show, at most 100, and
    /// where the next ones begin if there may be more.
    ///
    /// # Errors
    ///
    /// If the database does not answer.
    pub async fn undelivered_answers(
        &self,
        after: Option<Uuid>,
    ) -> Result<Page<ProposalAnswer, Uuid>, StoreError> {
        let client = postgres::get(&self.pool).await?;
        let statement = client
            .prepare_cached(include_str!("sql/undelivered_answers.sql"))
            .await?;
        let after = after.unwrap_or_default();
        let found = client.query(&statement, &[&after, &ANSWERS_MAX]).await?;
        let items = rows::readable(&found, 0, |row| {
            Ok(ProposalAnswer {
                show_id: rows::show_id(row.get(0))?,
                proposal: row.get(1),
                accepted: row.get(2),
                booked_seats: row.get(3),
            })
        });
        let next = rows::next_after(&found, ANSWERS_MAX);
        Ok(Page { items, next })
    }

    /// Deletes an answer that the catalog has, unless another transaction has it locked.
    ///
    /// # Errors
    ///
    /// If the database does not do it.
    pub async fn answer_delivered(&self, answer: &ProposalAnswer) -> Result<(), StoreError> {
        let client = postgres::get(&self.pool).await?;
        let statement = client
            .prepare_cached(include_str!("sql/answer_delivered.sql"))
            .await?;
        client
            .execute(&statement, &[&answer.show_id.uuid(), &answer.proposal])
            .await?;
        Ok(())
    }
}

/// Answers a proposal, in a transaction that has locked the sale against batches: bookings that
/// are live now are all that there can be until it commits.
pub(super) async fn answer(
    transaction: &Transaction<'_>,
    show_id: ShowId,
    seats: &ShowSeats,
    proposal: &Proposal,
) -> Result<(), StoreError> {
    let id = show_id.uuid();
    let mut dropped = Vec::new();
    let mut booked_seats = Vec::new();
    let deletes = matches!(proposal.change, ProposedChange::Deletion);
    let accepted = if deletes {
        let any = "SELECT EXISTS (SELECT FROM booking.bookings WHERE show_id = $1)";
        !transaction.query_one(any, &[&id]).await?.get::<_, bool>(0)
    } else if let Ok(ordinals) = proposal.dropped(seats) {
        dropped = ordinals.into_iter().map(rows::ordinal).collect();
        booked_seats = booked(transaction, show_id, seats, &dropped).await?;
        if let ProposedChange::Layout(layout) = &proposal.change {
            booked_seats.extend(areas::too_small(transaction, show_id, layout).await?);
            booked_seats.truncate(BOOKED_SEATS_MAX);
        }
        booked_seats.is_empty()
    } else {
        // The show's numbering would have no ordinals left for all its seats.
        false
    };
    if !accepted {
        dropped.clear();
    }
    if let (true, ProposedChange::Layout(layout)) = (accepted, &proposal.change) {
        areas::offer(transaction, show_id, seats.layout(), Some(layout)).await?;
    }
    transaction
        .execute(
            include_str!("sql/withdraw.sql"),
            &[&id, &proposal.revision, &dropped, &(deletes && accepted)],
        )
        .await?;
    transaction
        .execute(
            include_str!("sql/store_answer.sql"),
            &[&id, &proposal.revision, &accepted, &booked_seats],
        )
        .await?;
    Ok(())
}

/// The labels of the seats with live bookings.
async fn booked(
    transaction: &Transaction<'_>,
    show_id: ShowId,
    seats: &ShowSeats,
    dropped: &[i32],
) -> Result<Vec<String>, StoreError> {
    let labels_max = i64::try_from(BOOKED_SEATS_MAX).unwrap_or(i64::MAX);
    let found = transaction
        .query(
            include_str!("sql/booked_seats.sql"),
            &[&show_id.uuid(), &dropped, &labels_max],
        )
        .await?;
    let labels = found.into_iter().map(|row| {
        let ordinal = u32::try_from(row.get::<_, i32>(0)).ok();
        let seat = ordinal.and_then(|ordinal| seats.seat(ordinal));
        let label = seat.map(|seat| seat.label.into_owned());
        Ok(label.ok_or_else(|| rows::bad("ordinal", show_id))?)
    });
    labels.collect()
}
