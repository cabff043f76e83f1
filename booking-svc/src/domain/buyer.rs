//! A customer that acts for itself, and what is its own.

use super::booking::{Booking, Customer};
use super::customer::CustomerId;
use super::email::Email;

/// A caller that is a customer and nothing else: it sees and changes what is its own alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Buyer {
    id: Option<String>,
    email: Option<String>,
    /// The customer of `CustomerService` that its id is the id of, if it is one's.
    linked: Option<CustomerId>,
}

impl Buyer {
    /// The one with this customer id, and this e-mail address, which surely is its own.
    #[must_use]
    pub fn new(id: Option<&str>, email: Option<&Email>) -> Self {
        Self {
            id: id.map(ToOwned::to_owned),
            email: email.map(|email| email.as_str().to_owned()),
            linked: id.and_then(|id| id.parse().ok()),
        }
    }

    /// What its bookings are asked for by, if nothing else is said.
    #[must_use]
    pub fn customer(&self) -> Option<Customer> {
        let by_id = self.id.clone().map(Customer::Id);
        by_id.or_else(|| self.email.clone().map(Customer::Email))
    }

    /// Whether it is the customer that a call names.
    #[must_use]
    pub fn is(&self, customer: &Customer) -> bool {
        match customer {
            Customer::Id(id) => self.id.as_ref() == Some(id),
            Customer::Email(email) => self.email.as_ref() == Some(email),
        }
    }

    /// Whether a booking is its own.
    #[must_use]
    pub fn owns(&self, booking: &Booking) -> bool {
        let is_linked = booking.linked_customer.is_some() && booking.linked_customer == self.linked;
        is_linked || self.is(&booking.customer)
    }
}
