//! Quota holders: whose bookings count together for a show's limit per customer.

use super::booking::{Booking, Customer};
use super::customer::CustomerId;

/// One customer, however it is named.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum QuotaHolder {
    /// A customer of `CustomerService`, by its id or its e-mail address.
    Linked(CustomerId),
    /// A customer under the caller's own id.
    Own(Customer),
}

impl QuotaHolder {
    /// The one that a booking is counted for.
    #[must_use]
    pub fn of(customer: &Customer, linked: Option<CustomerId>) -> Self {
        linked.map_or_else(|| Self::Own(customer.clone()), Self::Linked)
    }
}

impl Booking {
    /// The quota holder of a booking.
    #[must_use]
    pub fn holder(&self) -> QuotaHolder {
        QuotaHolder::of(&self.customer, self.linked_customer)
    }
}
