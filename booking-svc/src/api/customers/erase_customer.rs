//! EraseCustomer.

use proto::booking::v1 as pb;
use proto::booking::v1::erase_customer_request::Customer as Named;
use service_kit::call::Deadline;
use service_kit::{ApiError, FieldViolations};
use tonic::Request;

use super::Customers;
use crate::api::parse;
use crate::domain::Customer;

impl Customers {
    pub(super) async fn handle_erase_customer(
        &self,
        request: Request<pb::EraseCustomerRequest>,
    ) -> Result<pb::EraseCustomerResponse, ApiError> {
        let deadline = Deadline::of(&request);
        let request = request.into_inner();
        let include_upcoming = request.include_upcoming;
        let customer = parse_customer(request.customer)?;

        let erased = self
            .bookings
            .store
            .erase_customer(&customer, include_upcoming, deadline)
            .await;
        // The record may be erased, whatever became of the bookings.
        self.bookings.commands.forget_customers();
        let erased = erased?;

        Ok(pb::EraseCustomerResponse {
            bookings_erased: i32::try_from(erased.bookings).unwrap_or(i32::MAX),
            record_erased: erased.record,
            complete: erased.complete,
        })
    }
}

fn parse_customer(named: Option<Named>) -> Result<Customer, ApiError> {
    let mut violations = FieldViolations::default();
    let customer = match named {
        Some(Named::CustomerId(id)) => parse::customer_id(id, &mut violations),
        Some(Named::Email(email)) => parse::email(&email, &mut violations),
        None => {
            violations.add("customer", "must be set: customer_id or email");
            None
        }
    };
    customer.ok_or_else(|| violations.into_error())
}
