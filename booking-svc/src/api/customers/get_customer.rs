//! GetCustomer.

use proto::booking::v1 as pb;
use proto::booking::v1::get_customer_request::Key;
use service_kit::{ApiError, FieldViolations};

use super::Customers;
use crate::domain::CustomerRefusal;
use crate::store::CustomerKey;

impl Customers {
    pub(super) async fn handle_get_customer(
        &self,
        request: pb::GetCustomerRequest,
    ) -> Result<pb::GetCustomerResponse, ApiError> {
        let key = parse_key(request.key)?;
        let found = self.bookings.store.customer(&key).await?;
        let asked = match key {
            CustomerKey::Id(id) => Some(id),
            // It is not repeated: errors may be logged on their way.
            CustomerKey::Email(_) => None,
        };
        let customer = found.ok_or(CustomerRefusal::NotFound(asked))?;
        Ok(pb::GetCustomerResponse {
            customer: Some(customer.into()),
        })
    }
}

fn parse_key(key: Option<Key>) -> Result<CustomerKey, ApiError> {
    let mut violations = FieldViolations::default();
    let key = match key {
        Some(Key::CustomerId(id)) => violations
            .take("customer_id", id.parse())
            .map(CustomerKey::Id),
        Some(Key::Email(email)) => violations
            .take("email", email.parse())
            .map(CustomerKey::Email),
        None => {
            violations.add("key", "must be set: customer_id or email");
            None
        }
    };
    key.ok_or_else(|| violations.into_error())
}
