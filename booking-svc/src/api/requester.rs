//! Who makes a request, and what it may name.

use std::sync::Arc;

use proto::errors::v1::ErrorReason;
use service_kit::ApiError;
use service_kit::auth::Caller;
use tonic::{Code, Request};

use crate::domain::{Buyer, Customer, Requester};

/// Who makes a request.
pub(super) fn of<T>(request: &Request<T>) -> Arc<Requester> {
    match buyer_of(request) {
        None => Requester::unnamed(),
        buyer => Arc::new(Requester {
            buyer,
            subject: None,
        }),
    }
}

/// The same, with whose holds its holds are counted with.
pub(super) fn counted<T>(request: &Request<T>) -> Arc<Requester> {
    let mut requester = of(request);
    if let Some(subject) = Caller::subject_of(request) {
        Arc::make_mut(&mut requester).subject = Some(subject.into());
    }
    requester
}

/// The customer that makes a request; none if the caller may act for any customer.
fn buyer_of<T>(request: &Request<T>) -> Option<Buyer> {
    let identity = Caller::customer_of(request)?;
    // An address that is none here was surely never booked by.
    let email = identity.email.as_deref().and_then(|it| it.parse().ok());
    Some(Buyer::new(identity.customer_id.as_deref(), email.as_ref()))
}

/// Whether the caller may name a customer.
pub(super) fn check(requester: &Requester, customer: &Customer) -> Result<(), ApiError> {
    match &requester.buyer {
        Some(buyer) if !buyer.is(customer) => Err(other_customer(match customer {
            Customer::Id(_) => "customer_id",
            Customer::Email(_) => "email",
        })),
        _ => Ok(()),
    }
}

/// PERMISSION_DENIED, as the field names what is not the customer's own.
pub(super) fn other_customer(field: &'static str) -> ApiError {
    let message = format!("{field}: a customer's token is for that customer's own bookings");
    let error = ApiError::new(Code::PermissionDenied, ErrorReason::OtherCustomer, message);
    error.with("field", field)
}
