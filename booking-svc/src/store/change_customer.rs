//! The one place that changes customers: one transaction for each change, with the request id
//! that makes it safe to repeat, retried after a conflict.
//!
//! Locks are taken in one order: the request's row, the e-mail address, the customer. Another
//! session may keep one of them for long, such as a console that was left open. So a transaction
//! waits for a lock for [`LOCK_WAIT`] only, then gives its connection back and starts again.
//!
//! Invariant: changes that wait for locks use only a part of the pool's connections
//! ([`Places`]); those that have met a lock use separate places, so that they do not hold up
//! the changes of other customers.

use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::Transaction;
use service_kit::postgres::{self, DbError};
use service_kit::sqlstate::{self, Failure};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, sleep, timeout_at};

use super::commit::{WAIT_MAX, give_up_at};
use super::customer_requests::{self, RequestKey};
use super::customers::{Changed, CustomerChange, CustomerError, customer};
use super::{Store, StoreError};
use crate::domain::{
    CustomerId, CustomerRecord, CustomerRefusal, CustomerUpdate, Email, NewCustomer,
};

/// The most tries of a transaction whose key others took, or whose connection broke.
const TRIES_MAX: u32 = 4;
/// How long a transaction waits for a lock; far longer than a change of a customer takes.
const LOCK_WAIT: Duration = Duration::from_millis(25);
/// The pause before another try; longer each time.
const PAUSE: Duration = Duration::from_millis(20);
const PAUSE_MAX: Duration = Duration::from_millis(100);

/// How many changes have a connection of the pool at once, as parts of the pool: so that reads always
/// find one, whatever is locked.
#[derive(Debug, Clone)]
pub(super) struct Places(Arc<[Semaphore; 2]>);

impl Places {
    /// Half of a pool for changes that have met no lock, a quarter for those that have; at least one
    /// each.
    pub(super) fn of(pool_size: usize) -> Self {
        let part = |of: usize| Semaphore::new((pool_size / of).max(1));
        Self(Arc::new([part(2), part(4)]))
    }

    /// A place, if one comes free before `give_up_at`.
    async fn get(&self, has_met_a_lock: bool, give_up_at: Instant) -> Option<SemaphorePermit<'_>> {
        let place = self.0[usize::from(has_met_a_lock)].acquire();
        // The semaphore is never closed.
        timeout_at(give_up_at, place).await.ok()?.ok()
    }
}

/// Whether to repeat a failed transaction.
#[derive(Debug, PartialEq, Eq)]
enum Again {
    /// As often as time allows: another session held a lock.
    UnlessTooLate,
    /// A few times.
    AFewTimes,
    Never,
}

impl CustomerError {
    /// Whether a further transaction may succeed. If the commit may have happened, repeat only what
    /// is safe to repeat: with a request id, whose row records the outcome, for one.
    fn again(&self, is_repeatable: bool) -> Again {
        if matches!(self, Self::Contention) {
            return Again::UnlessTooLate;
        }
        let Self::Store(StoreError::Db(DbError::Statement(error))) = self else {
            return Again::Never;
        };
        match sqlstate::classify(error) {
            Failure::Contention => Again::UnlessTooLate,
            // The next try finds the row that holds the key now.
            Failure::Duplicate => Again::AFewTimes,
            Failure::ConnectionLost if is_repeatable => Again::AFewTimes,
            Failure::ConnectionLost | Failure::Timeout | Failure::Fault => Again::Never,
        }
    }
}

/// How often and how long a transaction of a caller is tried.
#[derive(Debug)]
pub(super) struct Patience {
    give_up_at: Instant,
    tries: u32,
    has_met_a_lock: bool,
}

impl Patience {
    /// Until a caller's `deadline`, or for 5 s.
    pub(super) fn until(deadline: Instant) -> Self {
        Self {
            give_up_at: give_up_at(deadline, WAIT_MAX),
            tries: 0,
            has_met_a_lock: false,
        }
    }

    /// A place for the next try.
    pub(super) async fn place<'a>(
        &self,
        places: &'a Places,
    ) -> Result<SemaphorePermit<'a>, CustomerError> {
        let place = places.get(self.has_met_a_lock, self.give_up_at).await;
        place.ok_or_else(|| match self.has_met_a_lock {
            true => CustomerError::Contention,
            false => DbError::PoolExhausted.into(),
        })
    }

    /// Returns when it is time for another try after a failed one, or the error if there is none.
    pub(super) async fn after(
        &mut self,
        error: CustomerError,
        is_repeatable: bool,
    ) -> Result<(), CustomerError> {
        self.tries += 1;
        match error.again(is_repeatable) {
            Again::UnlessTooLate => self.has_met_a_lock = true,
            Again::AFewTimes if self.tries < TRIES_MAX => {}
            Again::AFewTimes | Again::Never => return Err(error),
        }
        let pause = (PAUSE * self.tries).min(PAUSE_MAX);
        if Instant::now() + pause >= self.give_up_at {
            return Err(error);
        }
        sleep(pause).await;
        Ok(())
    }
}

impl Store {
    /// Makes a change, once for each request id. It is answered before its caller's `deadline`, and
    /// in 5 s if another session holds a lock that it needs.
    ///
    /// # Errors
    ///
    /// If the change is refused, or the database fails.
    pub async fn change_customer(
        &self,
        change: &CustomerChange,
        request: Option<RequestKey>,
        deadline: Instant,
    ) -> Result<Changed, CustomerError> {
        let mut patience = Patience::until(deadline);
        loop {
            let place = patience.place(&self.changing).await?;
            match self.try_change(change, request).await {
                Ok(changed) => return Ok(changed),
                Err(error) => {
                    drop(place);
                    patience.after(error, request.is_some()).await?;
                }
            }
        }
    }

    async fn try_change(
        &self,
        change: &CustomerChange,
        request: Option<RequestKey>,
    ) -> Result<Changed, CustomerError> {
        let mut client = postgres::get(&self.pool).await?;
        let transaction = transaction_of(&mut client).await?;
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

/// A transaction that waits for a lock for [`LOCK_WAIT`]. Rolled back when it is dropped.
pub(super) async fn transaction_of(
    client: &mut postgres::Lent,
) -> Result<Transaction<'_>, tokio_postgres::Error> {
    let transaction = client.transaction().await?;
    let lock_wait = format!("SET LOCAL lock_timeout = {}", LOCK_WAIT.as_millis());
    transaction.batch_execute(&lock_wait).await?;
    Ok(transaction)
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
        let rejection = CustomerRefusal::NotFound(Some(update.id));
        return Err(CustomerError::Rejected(rejection));
    };
    if update.version.is_some_and(|asked| asked != locked.version) {
        let rejection = CustomerRefusal::VersionMismatch(locked.version);
        return Err(CustomerError::Rejected(rejection));
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
        .ok_or(CustomerError::Rejected(CustomerRefusal::EmailTaken(
            update.id,
        )))
}

pub(super) async fn lock_email(
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
