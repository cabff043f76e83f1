//! The one place that changes customers: a transaction for each change, with the request id
//! that makes it safe to repeat, and again if others were in its way.
//!
//! Locks are taken in one order: the request's row, the e-mail address, the customer.

use std::time::Duration;

use deadpool_postgres::Transaction;
use service_kit::postgres::{self, DbError};
use service_kit::sqlstate::{self, Failure};

use super::customer_requests::{self, RequestKey};
use super::customers::customer;
use super::{Store, StoreError};
use crate::domain::{
    CustomerId, CustomerRecord, CustomerRefusal, CustomerUpdate, Email, NewCustomer,
};

/// How often a transaction is tried that others keep in conflict.
const TRIES_MAX: u32 = 4;
/// The pause before another try; longer each time.
const PAUSE: Duration = Duration::from_millis(20);

/// What to do to a customer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CustomerChange {
    /// See to it that one is there.
    Create(NewCustomer),
    /// Change one.
    Update(CustomerUpdate),
}

/// A customer after a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    /// As it was when the change was made.
    pub customer: CustomerRecord,
    /// Whether the change made it.
    pub created: bool,
}

/// Why a customer was not changed.
#[derive(Debug, thiserror::Error)]
pub enum CustomerError {
    /// It was refused.
    #[error("refused: {0:?}")]
    Refused(CustomerRefusal),
    /// The database did not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<tokio_postgres::Error> for CustomerError {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Store(error.into())
    }
}

impl From<DbError> for CustomerError {
    fn from(error: DbError) -> Self {
        Self::Store(error.into())
    }
}

impl CustomerError {
    /// Whether the same may go well in a further transaction. One whose commit may have been
    /// done is repeated under a request id only, whose row tells what became of it.
    fn is_worth_another_try(&self, has_request_id: bool) -> bool {
        let Self::Store(StoreError::Db(DbError::Statement(error))) = self else {
            return false;
        };
        match sqlstate::classify(error) {
            // What holds the key now is found by the next try.
            Failure::Contention | Failure::Duplicate => true,
            Failure::ConnectionLost => has_request_id,
            Failure::Timeout | Failure::Fault => false,
        }
    }
}

impl Store {
    /// Makes a change, once for each request id.
    ///
    /// # Errors
    ///
    /// If the change is refused, or the database fails.
    pub async fn change_customer(
        &self,
        change: &CustomerChange,
        request: Option<RequestKey>,
    ) -> Result<Changed, CustomerError> {
        let mut tries = 1;
        loop {
            match self.try_change(change, request).await {
                Err(error)
                    if tries < TRIES_MAX && error.is_worth_another_try(request.is_some()) =>
                {
                    tokio::time::sleep(PAUSE * tries).await;
                    tries += 1;
                }
                result => return result,
            }
        }
    }

    async fn try_change(
        &self,
        change: &CustomerChange,
        request: Option<RequestKey>,
    ) -> Result<Changed, CustomerError> {
        let mut client = postgres::get(&self.pool).await?;
        // Rolled back when it is dropped.
        let transaction = client.transaction().await?;
        if let Some(request) = request
            && let Some(first) = customer_requests::claim(&transaction, request).await?
        {
            return Ok(first);
        }
        let changed = match change {
            CustomerChange::Create(new) => create(&transaction, new).await?,
            CustomerChange::Update(update) => Changed {
                customer: self::update(&transaction, update).await?,
                created: false,
            },
        };
        if let Some(request) = request {
            customer_requests::settle(&transaction, request, &changed).await?;
        }
        transaction.commit().await?;
        Ok(changed)
    }
}

async fn create(
    transaction: &Transaction<'_>,
    new: &NewCustomer,
) -> Result<Changed, CustomerError> {
    lock_email(transaction, &new.email).await?;
    let statement = transaction
        .prepare_cached(include_str!("sql/create_customer.sql"))
        .await?;
    let row = transaction
        .query_one(
            &statement,
            &[
                &CustomerId::generate().uuid(),
                &new.email.as_str(),
                &new.display_name.as_str(),
                &new.phone.as_str(),
                &new.external_reference.as_str(),
            ],
        )
        .await?;
    Ok(Changed {
        customer: customer(&row),
        created: row.get(8),
    })
}

async fn update(
    transaction: &Transaction<'_>,
    update: &CustomerUpdate,
) -> Result<CustomerRecord, CustomerError> {
    if let Some(email) = &update.patch.email {
        lock_email(transaction, email).await?;
    }
    let statement = transaction
        .prepare_cached(include_str!("sql/lock_customer.sql"))
        .await?;
    let locked = transaction
        .query_opt(&statement, &[&update.id.uuid()])
        .await?;
    let Some(locked) = locked.as_ref().map(customer) else {
        let refusal = CustomerRefusal::NotFound(Some(update.id));
        return Err(CustomerError::Refused(refusal));
    };
    if update.version.is_some_and(|asked| asked != locked.version) {
        let refusal = CustomerRefusal::VersionMismatch(locked.version);
        return Err(CustomerError::Refused(refusal));
    }
    let prior_version = locked.version;
    let next = update.patch.apply(locked);
    let statement = transaction
        .prepare_cached(include_str!("sql/update_customer.sql"))
        .await?;
    let written = transaction
        .query_opt(
            &statement,
            &[
                &next.id.uuid(),
                &prior_version,
                &next.email,
                &next.display_name,
                &next.phone,
                &next.external_reference,
            ],
        )
        .await?;
    // The row is locked: only another customer's address can have kept it as it is.
    written
        .as_ref()
        .map(customer)
        .ok_or(CustomerError::Refused(CustomerRefusal::EmailTaken(
            update.id,
        )))
}

async fn lock_email(
    transaction: &Transaction<'_>,
    email: &Email,
) -> Result<(), tokio_postgres::Error> {
    let statement = transaction
        .prepare_cached(include_str!("sql/lock_email.sql"))
        .await?;
    transaction
        .execute(&statement, &[&email.as_str()])
        .await
        .map(drop)
}
