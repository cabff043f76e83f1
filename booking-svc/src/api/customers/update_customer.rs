//! UpdateCustomer.

use proto::booking::v1 as pb;
use service_kit::call::Deadline;
use service_kit::fingerprint::fingerprint;
use service_kit::{ApiError, FieldViolations};
use tonic::Request;

use super::{Customers, fields};
use crate::api::parse;
use crate::domain::{CustomerUpdate, Email, Line, Phone};
use crate::store::{CustomerChange, RequestKey};

impl Customers {
    pub(super) async fn handle_update_customer(
        &self,
        request: Request<pb::UpdateCustomerRequest>,
    ) -> Result<pb::UpdateCustomerResponse, ApiError> {
        let deadline = Deadline::of(&request);
        let (update, key) = parse(request.into_inner())?;
        let change = CustomerChange::Update(update);
        let changed = self
            .bookings
            .store
            .change_customer(&change, key, deadline)
            .await?;
        Ok(pb::UpdateCustomerResponse {
            customer: Some(changed.customer.into()),
        })
    }
}

pub(in crate::api) fn parse(
    request: pb::UpdateCustomerRequest,
) -> Result<(CustomerUpdate, Option<RequestKey>), ApiError> {
    let mut violations = FieldViolations::default();
    let request_id = parse::request_id(&request.request_id, &mut violations);
    let Some(customer) = request.customer else {
        violations.add("customer", "must be set");
        return Err(violations.into_error());
    };
    let id = violations.take("customer.customer_id", customer.customer_id.parse());
    let version = parse::etag("customer.etag", &customer.etag, &mut violations);
    let paths = request.update_mask.unwrap_or_default().paths;
    let patch = fields::patch(&paths, &customer, &mut violations);
    let Some(id) = id else {
        return Err(violations.into_error());
    };
    violations.check()?;
    let update = CustomerUpdate { id, version, patch };
    let key = request_id.map(|id| RequestKey {
        id,
        fingerprint: fingerprint_of(&update, &customer.etag),
    });
    Ok((update, key))
}

/// Neither the order of the paths in the mask matters, nor fields outside of it.
fn fingerprint_of(update: &CustomerUpdate, etag: &str) -> i64 {
    let patch = &update.patch;
    let values = [
        ("email", patch.email.as_ref().map(Email::as_str)),
        (
            "display_name",
            patch.display_name.as_ref().map(Line::as_str),
        ),
        ("phone", patch.phone.as_ref().map(Phone::as_str)),
        (
            "external_reference",
            patch.external_reference.as_ref().map(Line::as_str),
        ),
    ];
    let set = values
        .into_iter()
        .filter_map(|(field, value)| Some([field.as_bytes(), value?.as_bytes()]));
    let id = update.id.uuid();
    let head = [id.as_bytes().as_slice(), etag.as_bytes()];
    fingerprint("update_customer", head.into_iter().chain(set.flatten()))
}
