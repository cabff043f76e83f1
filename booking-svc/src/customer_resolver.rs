//! Finds or creates the customer of `CustomerService` that a booking belongs to, before its order is
//! submitted, so that no transaction of a commit worker reads customers.
//!
//! A caller's own customer id costs no look-up unless it could be one of `CustomerService`.

use std::sync::Arc;
use std::time::Duration;

use quick_cache::sync::Cache;
use tokio::time::{Instant, timeout_at};

use crate::domain::{Customer, CustomerId, Email, NewCustomer};
use crate::store::{CustomerChange, CustomerError, CustomerKey, Store, give_up_at};

/// The most answers in memory.
const KNOWN_MAX: usize = 10_000;
/// For how long an answer is believed: an address can become another customer's.
const BELIEVED: Duration = Duration::from_secs(5);

/// Finds the customers of bookings.
#[derive(Debug, Clone)]
pub struct CustomerResolver {
    store: Store,
    known: Arc<Cache<Customer, Known>>,
}

#[derive(Debug, Clone, Copy)]
struct Known {
    customer: Option<CustomerId>,
    until: Instant,
}

impl CustomerResolver {
    /// Finds customers in `store`.
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self {
            store,
            known: Arc::new(Cache::new(KNOWN_MAX)),
        }
    }

    /// The customer that a booking for `customer` belongs to: the one with its address, created if
    /// there is none, or the one with its id; none if it is the caller's own id. Answered
    /// before the caller's `deadline`.
    ///
    /// # Errors
    ///
    /// If the database does not answer, or another session has the address locked.
    pub async fn of(
        &self,
        customer: &Customer,
        deadline: Instant,
    ) -> Result<Option<CustomerId>, CustomerError> {
        let Some(key) = CustomerKey::of(customer) else {
            return Ok(None);
        };
        if let Some(known) = self.known.get(customer) {
            if Instant::now() < known.until {
                return Ok(known.customer);
            }
            self.known.remove(customer);
        }
        // Callers that need the same customer at once wait for one of them, which may have more time
        // than they have.
        let give_up_at = give_up_at(deadline);
        let finding = self.find(key, deadline);
        let found = Box::pin(self.known.get_or_insert_async(customer, finding));
        let found = timeout_at(give_up_at, found).await;
        let found = found.map_err(|_| CustomerError::Contention)??;
        Ok(found.customer)
    }

    /// Forgets all answers, after a customer was erased: bookings must not be linked to it any more.
    pub fn forget_all(&self) {
        self.known.clear();
    }

    async fn find(&self, key: CustomerKey, deadline: Instant) -> Result<Known, CustomerError> {
        let found = self.store.customer(&key).await?;
        let customer = match (found.map(|customer| customer.id), key) {
            (None, CustomerKey::Email(email)) => Some(self.make(email, deadline).await?),
            (found, _) => found,
        };
        let until = Instant::now() + BELIEVED;
        Ok(Known { customer, until })
    }

    async fn make(&self, email: Email, deadline: Instant) -> Result<CustomerId, CustomerError> {
        let new = CustomerChange::Create(NewCustomer::by(email));
        let made = self.store.change_customer(&new, None, deadline).await?;
        Ok(made.customer.id)
    }
}
