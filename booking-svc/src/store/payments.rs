//! The stored attempts to pay and refunds, and those that are due.

use std::collections::HashMap;
use std::time::Duration;

use model::{BookingId, ShowId};
use service_kit::postgres;
use tokio_postgres::Row;
use uuid::Uuid;

use super::rows::{self, BadRow};
use super::{Store, StoreError};
use crate::domain::{DeclineReason, DueRefund, PaymentRecord, PaymentState, RefundState};

/// The most attempts, or refunds, that are claimed at once.
const CLAIMED_MAX: i64 = 32;
/// Attempts by their keys.
const BY_KEYS: &str = concat!(
    "SELECT payment.* FROM unnest($1::uuid[], $2::uuid[]) AS wanted (show_id, payment_key)
    CROSS JOIN LATERAL (",
    include_str!("sql/payment.sql"),
    ") AS payment"
);
/// The longest pause before a retry, in seconds.
const PAUSE_SECONDS_MAX: f64 = 300.0;

impl Store {
    /// An attempt to pay, if there is one of that key.
    ///
    /// # Errors
    ///
    /// If the database does not answer.
    pub async fn payment(
        &self,
        show_id: ShowId,
        key: Uuid,
    ) -> Result<Option<PaymentRecord>, StoreError> {
        let found = self.payment_rows(&[show_id.uuid()], &[key]).await?;
        Ok(found.first().map(|row| record(row, 0)).transpose()?)
    }

    /// Claims attempts whose deadline has passed, at most 32: other replicas skip them for a
    /// while, and then they are due again. Unreadable ones are left out.
    ///
    /// # Errors
    ///
    /// If the database does not answer.
    pub async fn due_payments(&self) -> Result<Vec<PaymentRecord>, StoreError> {
        let due = self.claim(include_str!("sql/due_payments.sql")).await?;
        self.payments_of(&due).await
    }

    /// Claims refunds that have yet to be made, at most 32, in the same way.
    ///
    /// # Errors
    ///
    /// If the database does not answer.
    pub async fn due_refunds(&self) -> Result<Vec<DueRefund>, StoreError> {
        let due = self.claim(include_str!("sql/due_refunds.sql")).await?;
        let payments = self.payments_of(&due).await?;
        let payments: HashMap<_, _> = payments.into_iter().map(|it| (it.key, it)).collect();
        let refunds = due.iter().filter_map(|row| {
            // Only missing if it is unreadable: the refund refers to it.
            let payment = payments.get(&row.get(1))?.clone();
            Some(DueRefund {
                key: row.get(2),
                amount: row.get(3),
                payment,
            })
        });
        Ok(refunds.collect())
    }

    /// Takes rows up; each begins with its show and the key of its payment.
    async fn claim(&self, due: &str) -> Result<Vec<Row>, StoreError> {
        let client = postgres::get(&self.pool).await?;
        let statement = client.prepare_cached(due).await?;
        let due = client.query(&statement, &[&CLAIMED_MAX, &PAUSE_SECONDS_MAX]);
        Ok(due.await?)
    }

    /// The payments whose keys the rows begin with, without unreadable ones.
    async fn payments_of(&self, rows: &[Row]) -> Result<Vec<PaymentRecord>, StoreError> {
        let column = |at| rows.iter().map(|row| row.get(at)).collect();
        let (shows, keys): (Vec<Uuid>, Vec<Uuid>) = (column(0), column(1));
        let found = self.payment_rows(&shows, &keys).await?;
        Ok(rows::readable(&found, 1, |row| record(row, 0)))
    }

    /// Attempts to pay by their keys.
    async fn payment_rows(&self, shows: &[Uuid], keys: &[Uuid]) -> Result<Vec<Row>, StoreError> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let client = postgres::get(&self.pool).await?;
        let statement = client.prepare_cached(BY_KEYS).await?;
        Ok(client.query(&statement, &[&shows, &keys]).await?)
    }

    /// Records the outcome of a refund, unless another session has its row locked: then it is due again.
    ///
    /// # Errors
    ///
    /// If the database fails.
    pub async fn settle_refund(
        &self,
        refund: &DueRefund,
        state: RefundState,
    ) -> Result<(), StoreError> {
        let client = postgres::get(&self.pool).await?;
        let statement = client
            .prepare_cached(include_str!("sql/settle_refund.sql"))
            .await?;
        let payment = &refund.payment;
        let show_id = payment.booking_id.show().uuid();
        client
            .execute(
                &statement,
                &[&show_id, &payment.key, &refund.key, &state.as_str()],
            )
            .await?;
        Ok(())
    }
}

/// Reads the columns of `payment.sql`, the first of which is the row's column `at`.
pub(super) fn record(row: &Row, at: usize) -> Result<PaymentRecord, BadRow> {
    let key: Uuid = row.get(at + 1);
    let bad = |column| rows::bad(column, key);
    let booking_id: BookingId = rows::booking_id(row.get(at + 2))?;
    let decline_reason = row.get::<_, Option<&str>>(at + 6);
    let decline_reason = decline_reason
        .map(|name| DeclineReason::from_name(name).ok_or_else(|| bad("decline_reason")));
    Ok(PaymentRecord {
        key,
        booking_id,
        state: PaymentState::from_name(row.get(at + 3)).ok_or_else(|| bad("state"))?,
        amount: row.get(at + 4),
        currency: row
            .get::<_, &str>(at + 5)
            .parse()
            .map_err(|_| bad("currency"))?,
        decline_reason: decline_reason.transpose()?,
        started_at: row.get(at + 7),
        deadline_at: row.get(at + 8),
        time_left: Duration::try_from_secs_f64(row.get(at + 9)).unwrap_or_default(),
        refunded: row.get(at + 10),
        refund_due: row.get(at + 11),
        refund_declined: row.get(at + 12),
    })
}

#[cfg(test)]
mod tests;
