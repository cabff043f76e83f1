//! Erasing a person: what names them becomes a tombstone, in the customer's record first and then in
//! their bookings, a bounded number in each transaction.
//!
//! What is being erased stands in `booking.erasures` until it is complete. So a call that was cut off
//! can be repeated by the same name, and goes on with the same tombstone.
//!
//! Locks are taken in the order of [`super::change_customer`], or are those of bookings in the order
//! of their ids, and are waited for as long as there.

use deadpool_postgres::Transaction;
use model::BookingId;
use service_kit::postgres;
use time::OffsetDateTime;
use tokio::time::Instant;
use uuid::Uuid;

use super::change_customer::{Patience, lock_email, transaction_of};
use super::customers::{CustomerError, CustomerKey, customer};
use super::{Store, rows};
use crate::domain::{Customer, CustomerRefusal};

/// The most bookings that a transaction erases.
const BATCH_MAX: usize = 500;
/// The most transactions of a call that erase bookings.
const BATCHES_MAX: usize = 20;

/// What a call has erased.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Erased {
    /// How many bookings it changed.
    pub bookings: usize,
    /// Whether it erased a customer's record.
    pub record: bool,
    /// Whether nothing is left to erase.
    pub complete: bool,
}

/// The names of a person.
#[derive(Debug, Clone, Default)]
struct Names {
    customer_id: Option<String>,
    email: Option<String>,
    linked: Option<Uuid>,
}

/// An erasure that has begun.
#[derive(Debug)]
struct Erasure {
    tombstone: Uuid,
    names: Names,
    begun_at: OffsetDateTime,
    /// Whether this call erased the record.
    record: bool,
    /// Whether an earlier call began it.
    is_resumed: bool,
}

/// The bookings that a transaction has dealt with.
#[derive(Debug)]
struct Batch {
    changed: usize,
    /// How many could still change, and were left.
    left: Option<Uuid>,
    /// The last of them, unless there are no more.
    last: Option<(Uuid, Uuid)>,
}

impl Store {
    /// Erases a person, or a part of what is left of them.
    ///
    /// # Errors
    ///
    /// If a booking of theirs can still change, or the database fails.
    pub async fn erase_customer(
        &self,
        who: &Customer,
        include_upcoming: bool,
        deadline: Instant,
    ) -> Result<Erased, CustomerError> {
        let erasure = self.begin_erasure(who, include_upcoming, deadline).await?;
        let mut erased = Erased {
            record: erasure.record,
            ..Erased::default()
        };
        let (mut after, mut left) = ((Uuid::nil(), Uuid::nil()), None);
        for _ in 0..BATCHES_MAX {
            let batch = self.erase_bookings(&erasure, after, deadline).await?;
            erased.bookings += batch.changed;
            left = left.or(batch.left);
            match batch.last {
                Some(last) => after = last,
                None => {
                    if let Some(id) = left {
                        return Err(has_bookings(id, false)?);
                    }
                    self.end_erasure(erasure.tombstone, deadline).await?;
                    // The same name may be somebody else's since it began.
                    erased.complete = !erasure.is_resumed;
                    break;
                }
            }
        }
        tracing::info!(
            tombstone = %erasure.tombstone,
            bookings = erased.bookings,
            complete = erased.complete,
            "a customer is erased"
        );
        Ok(erased)
    }

    async fn begin_erasure(
        &self,
        who: &Customer,
        include_upcoming: bool,
        deadline: Instant,
    ) -> Result<Erasure, CustomerError> {
        let mut patience = Patience::until(deadline);
        loop {
            let place = patience.place(&self.changing).await?;
            match self.try_begin(who, include_upcoming).await {
                Ok(erasure) => return Ok(erasure),
                Err(error) => {
                    drop(place);
                    patience.after(error, true).await?;
                }
            }
        }
    }

    async fn try_begin(
        &self,
        who: &Customer,
        include_upcoming: bool,
    ) -> Result<Erasure, CustomerError> {
        let mut client = postgres::get(&self.pool).await?;
        let transaction = transaction_of(&mut client).await?;
        let (names, erased_as) = find(&transaction, who).await?;
        if let Some(erasure) = open(&transaction, &names).await? {
            return Ok(erasure);
        }
        // Not derived from anything, so that nobody can find out whose it is.
        let tombstone = erased_as.unwrap_or_else(Uuid::new_v4);
        let statement = transaction
            .prepare_cached(include_str!("sql/customer_in_use.sql"))
            .await?;
        let (customer_id, email, linked) = (&names.customer_id, &names.email, &names.linked);
        let in_use = transaction
            .query_opt(
                &statement,
                &[customer_id, email, linked, &tombstone, &include_upcoming],
            )
            .await?;
        if let Some(row) = in_use {
            return Err(has_bookings(row.get(0), row.get(1))?);
        }
        let statement = transaction
            .prepare_cached(include_str!("sql/begin_customer_erasure.sql"))
            .await?;
        let begun = transaction
            .query_opt(&statement, &[&tombstone, customer_id, email, linked])
            .await?;
        let begun_at = begun.ok_or(CustomerError::Contention)?.get(0);
        let record = match linked {
            Some(id) => erase_record(&transaction, *id, tombstone).await?,
            None => false,
        };
        transaction.commit().await?;
        Ok(Erasure {
            tombstone,
            names,
            begun_at,
            record,
            is_resumed: false,
        })
    }

    async fn erase_bookings(
        &self,
        erasure: &Erasure,
        after: (Uuid, Uuid),
        deadline: Instant,
    ) -> Result<Batch, CustomerError> {
        let mut patience = Patience::until(deadline);
        loop {
            let place = patience.place(&self.changing).await?;
            match self.try_erase_bookings(erasure, after).await {
                Ok(batch) => return Ok(batch),
                Err(error) => {
                    drop(place);
                    patience.after(error, true).await?;
                }
            }
        }
    }

    async fn try_erase_bookings(
        &self,
        erasure: &Erasure,
        after: (Uuid, Uuid),
    ) -> Result<Batch, CustomerError> {
        let mut client = postgres::get(&self.pool).await?;
        let transaction = transaction_of(&mut client).await?;
        let Names {
            customer_id,
            email,
            linked,
        } = &erasure.names;
        let limit = i64::try_from(BATCH_MAX).unwrap_or(i64::MAX);
        let statement = transaction
            .prepare_cached(include_str!("sql/customer_bookings_to_erase.sql"))
            .await?;
        let (tombstone, begun_at) = (&erasure.tombstone, &erasure.begun_at);
        let found = transaction
            .query(
                &statement,
                &[
                    customer_id,
                    email,
                    linked,
                    tombstone,
                    begun_at,
                    &after.0,
                    &after.1,
                    &limit,
                ],
            )
            .await?;
        let shows: Vec<Uuid> = found.iter().map(|row| row.get(0)).collect();
        let bookings: Vec<Uuid> = found.iter().map(|row| row.get(1)).collect();
        let statement = transaction
            .prepare_cached(include_str!("sql/erase_customer_bookings.sql"))
            .await?;
        let changed = transaction
            .execute(&statement, &[&shows, &bookings, tombstone])
            .await?;
        let changed = usize::try_from(changed).unwrap_or(usize::MAX);
        let names: Vec<&str> = [customer_id, email]
            .into_iter()
            .flatten()
            .map(|name| &**name)
            .collect();
        let statement = transaction
            .prepare_cached(include_str!("sql/erase_customer_actors.sql"))
            .await?;
        transaction
            .execute(&statement, &[&shows, &bookings, &names, tombstone])
            .await?;
        transaction.commit().await?;
        let last = shows.last().copied().zip(bookings.last().copied());
        Ok(Batch {
            changed,
            left: bookings.first().copied().filter(|_| changed < found.len()),
            last: last.filter(|_| found.len() == BATCH_MAX),
        })
    }

    async fn end_erasure(&self, tombstone: Uuid, deadline: Instant) -> Result<(), CustomerError> {
        let mut patience = Patience::until(deadline);
        loop {
            let place = patience.place(&self.changing).await?;
            match self.try_end(tombstone).await {
                Ok(()) => return Ok(()),
                Err(error) => {
                    drop(place);
                    patience.after(error, true).await?;
                }
            }
        }
    }

    async fn try_end(&self, tombstone: Uuid) -> Result<(), CustomerError> {
        let mut client = postgres::get(&self.pool).await?;
        let transaction = transaction_of(&mut client).await?;
        let statement = transaction
            .prepare_cached(include_str!("sql/end_customer_erasure.sql"))
            .await?;
        transaction.execute(&statement, &[&tombstone]).await?;
        Ok(transaction.commit().await?)
    }
}

/// All names of a person that one of them leads to, with the customer's record locked if there is one;
/// and the tombstone of a record that is erased already.
async fn find(
    transaction: &Transaction<'_>,
    who: &Customer,
) -> Result<(Names, Option<Uuid>), CustomerError> {
    let mut names = match who {
        Customer::Id(id) => Names {
            customer_id: Some(id.clone()),
            ..Names::default()
        },
        Customer::Email(email) => Names {
            email: Some(email.clone()),
            ..Names::default()
        },
    };
    let id = match CustomerKey::of(who) {
        None => None,
        Some(CustomerKey::Email(email)) => {
            lock_email(transaction, &email).await?;
            let statement = transaction
                .prepare_cached(include_str!("sql/customer_by_email.sql"))
                .await?;
            let found = transaction
                .query_opt(&statement, &[&email.as_str()])
                .await?;
            found.as_ref().map(customer).map(|found| found.id.uuid())
        }
        Some(CustomerKey::Id(id)) => {
            let statement = transaction
                .prepare_cached(include_str!("sql/customer_by_id.sql"))
                .await?;
            let found = transaction.query_opt(&statement, &[&id.uuid()]).await?;
            if let Some(found) = found.as_ref().map(customer) {
                if let Ok(email) = found.email.parse() {
                    lock_email(transaction, &email).await?;
                }
                names.email = Some(found.email);
            }
            Some(id.uuid())
        }
    };
    let Some(id) = id else {
        return Ok((names, None));
    };
    let statement = transaction
        .prepare_cached(include_str!("sql/customer_to_erase.sql"))
        .await?;
    let Some(row) = transaction.query_opt(&statement, &[&id]).await? else {
        return Ok((names, None));
    };
    let erased_as: Option<Uuid> = row.get(1);
    // It may have got another address, or have been erased, before its lock was granted.
    let is_as_found = match erased_as {
        None => names.email.as_deref() == Some(row.get(0)),
        Some(_) => names.email.is_none(),
    };
    if !is_as_found {
        return Err(CustomerError::Contention);
    }
    names.linked = Some(id);
    names.customer_id = Some(id.to_string());
    Ok((names, erased_as))
}

/// The erasure of that person that is not complete, if there is one.
async fn open(
    transaction: &Transaction<'_>,
    names: &Names,
) -> Result<Option<Erasure>, CustomerError> {
    let statement = transaction
        .prepare_cached(include_str!("sql/customer_erasure.sql"))
        .await?;
    let row = transaction
        .query_opt(
            &statement,
            &[&names.customer_id, &names.email, &names.linked],
        )
        .await?;
    Ok(row.map(|row| Erasure {
        tombstone: row.get(0),
        names: Names {
            customer_id: row.get(1),
            email: row.get(2),
            linked: row.get(3),
        },
        begun_at: row.get(4),
        record: false,
        is_resumed: true,
    }))
}

/// Erases a customer's record, and the stored results that show it.
async fn erase_record(
    transaction: &Transaction<'_>,
    id: Uuid,
    tombstone: Uuid,
) -> Result<bool, CustomerError> {
    let statement = transaction
        .prepare_cached(include_str!("sql/erase_customer_record.sql"))
        .await?;
    let erased = transaction.execute(&statement, &[&id, &tombstone]).await?;
    let statement = transaction
        .prepare_cached(include_str!("sql/erase_customer_results.sql"))
        .await?;
    transaction.execute(&statement, &[&id]).await?;
    Ok(erased > 0)
}

fn has_bookings(id: Uuid, is_upcoming: bool) -> Result<CustomerError, CustomerError> {
    let booking_id: BookingId = rows::booking_id(id).map_err(super::StoreError::from)?;
    Ok(CustomerError::Rejected(CustomerRefusal::HasBookings {
        booking_id,
        is_upcoming,
    }))
}
