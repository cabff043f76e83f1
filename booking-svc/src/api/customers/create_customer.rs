//! CreateCustomer.

use proto::booking::v1 as pb;
use service_kit::call::Deadline;
use service_kit::fingerprint::fingerprint_of_body;
use service_kit::{ApiError, FieldViolations};
use tonic::Request;

use super::Customers;
use crate::api::parse;
use crate::domain::NewCustomer;
use crate::store::{CustomerChange, RequestKey};

impl Customers {
    pub(super) async fn handle_create_customer(
        &self,
        request: Request<pb::CreateCustomerRequest>,
    ) -> Result<pb::CreateCustomerResponse, ApiError> {
        let deadline = Deadline::of(&request);
        let (new, key) = parse_create(request.get_ref())?;
        let change = CustomerChange::Create(new);
        let changed = self
            .bookings
            .store
            .change_customer(&change, key, deadline)
            .await?;
        Ok(pb::CreateCustomerResponse {
            customer: Some(changed.customer.into()),
            created: changed.created,
        })
    }
}

fn parse_create(
    request: &pb::CreateCustomerRequest,
) -> Result<(NewCustomer, Option<RequestKey>), ApiError> {
    let mut violations = FieldViolations::default();
    let id = parse::request_id(&request.request_id, &mut violations);
    let email = violations.take("email", request.email.parse());
    let display_name = violations.take("display_name", request.display_name.parse());
    let phone = violations.take("phone", request.phone.parse());
    let external_reference =
        violations.take("external_reference", request.external_reference.parse());
    let (Some(email), Some(display_name), Some(phone), Some(external_reference)) =
        (email, display_name, phone, external_reference)
    else {
        return Err(violations.into_error());
    };
    violations.check()?;
    let new = NewCustomer {
        email,
        display_name,
        phone,
        external_reference,
    };
    let key = id.map(|id| RequestKey {
        id,
        fingerprint: fingerprint_of(&new),
    });
    Ok((new, key))
}

fn fingerprint_of(new: &NewCustomer) -> i64 {
    let body = pb::CreateCustomerRequest {
        email: new.email.as_str().to_owned(),
        display_name: new.display_name.as_str().to_owned(),
        phone: new.phone.as_str().to_owned(),
        external_reference: new.external_reference.as_str().to_owned(),
        request_id: String::new(),
    };
    fingerprint_of_body("create_customer", &body)
}
