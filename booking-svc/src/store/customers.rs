//! Customers: reading them, and the results of changing one.

use service_kit::postgres::{self, DbError};
use tokio_postgres::Row;
use uuid::Uuid;

use super::bookings::Page;
use super::{Store, StoreError};
use crate::domain::{
    Customer, CustomerId, CustomerRecord, CustomerRefusal, CustomerUpdate, Email, NewCustomer,
};

/// How a customer is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CustomerKey {
    /// By its id.
    Id(CustomerId),
    /// By its e-mail address.
    Email(Email),
}

/// The changes of a customer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CustomerChange {
    /// Find it, or create it.
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
    Rejected(CustomerRefusal),
    /// Another session holds a lock that it needs.
    #[error("another session holds a lock that it needs")]
    Contention,
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

impl CustomerKey {
    /// The key of the customer that a booking was made for. None if it is the caller's own id.
    #[must_use]
    pub fn of(customer: &Customer) -> Option<Self> {
        match customer {
            Customer::Email(email) => email.parse().ok().map(Self::Email),
            // No other UUIDs are given to customers.
            Customer::Id(id) => Uuid::try_parse(id)
                .ok()
                .filter(|id| id.get_version_num() == 7)
                .map(|id| Self::Id(id.into())),
        }
    }
}

impl Store {
    /// A customer, if there is one of that key.
    ///
    /// # Errors
    ///
    /// If the database does not answer.
    pub async fn customer(&self, key: &CustomerKey) -> Result<Option<CustomerRecord>, StoreError> {
        let client = postgres::get(&self.pool).await?;
        let row = match key {
            CustomerKey::Id(id) => {
                let statement = include_str!("sql/customer_by_id.sql");
                let statement = client.prepare_cached(statement).await?;
                client.query_opt(&statement, &[&id.uuid()]).await?
            }
            CustomerKey::Email(email) => {
                let statement = include_str!("sql/customer_by_email.sql");
                let statement = client.prepare_cached(statement).await?;
                client.query_opt(&statement, &[&email.as_str()]).await?
            }
        };
        Ok(row.as_ref().map(customer))
    }

    /// A page of customers by id, after `after`.
    ///
    /// # Errors
    ///
    /// If the database does not answer.
    pub async fn customers(
        &self,
        after: Option<CustomerId>,
        page_size: u16,
    ) -> Result<Page<CustomerRecord, CustomerId>, StoreError> {
        let after = after.map_or(Uuid::nil(), CustomerId::uuid);
        let limit = i64::from(page_size) + 1;
        let client = postgres::get(&self.pool).await?;
        let statement = client
            .prepare_cached(include_str!("sql/list_customers.sql"))
            .await?;
        let found = client.query(&statement, &[&after, &limit]).await?;
        let more = found.len() > usize::from(page_size);
        let items: Vec<_> = found.iter().take(page_size.into()).map(customer).collect();
        let next = items.last().filter(|_| more).map(|last| last.id);
        Ok(Page { items, next })
    }
}

/// Reads the first eight columns of a row as a customer, in the order that every statement of
/// this room selects them.
pub(super) fn customer(row: &Row) -> CustomerRecord {
    CustomerRecord {
        id: row.get::<_, Uuid>(0).into(),
        version: row.get(1),
        email: row.get(2),
        display_name: row.get(3),
        phone: row.get(4),
        external_reference: row.get(5),
        created_at: row.get(6),
        updated_at: row.get(7),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_possible_customer_ids_are_looked_up() {
        let id = |text: &str| CustomerKey::of(&Customer::Id(text.to_owned()));
        let made = CustomerId::generate();
        assert_eq!(id(&made.to_string()), Some(CustomerKey::Id(made)));
        assert_eq!(id("customer-17"), None);
        assert_eq!(id(&Uuid::new_v4().to_string()), None);
        let email = CustomerKey::of(&Customer::Email("ann@example.org".to_owned()));
        assert!(matches!(email, Some(CustomerKey::Email(_))));
    }
}
