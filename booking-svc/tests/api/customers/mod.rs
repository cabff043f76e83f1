//! CustomerService, a file for each RPC.

mod create_customer;
mod erase_customer;
mod export_customer;
mod get_customer;
mod list_customers;
mod logs;
mod once;
mod one_mailbox;
mod sweep;
mod update_customer;

use std::time::Duration;

use proto::booking::v1::customer_service_client::CustomerServiceClient;
use proto::booking::v1::{
    CreateCustomerRequest, CreateCustomerResponse, Customer, GetCustomerRequest,
    UpdateCustomerRequest, get_customer_request,
};
use test_harness::errors::describe;
use test_harness::process::Process;
use tonic::transport::{Channel, Endpoint};

/// A limit on calls, far above their usual duration.
const CALL_MAX: Duration = Duration::from_secs(20);

pub(crate) const CUSTOMERS: &str = "SELECT count(*) FROM booking.customers";

pub(crate) type Customers = CustomerServiceClient<Channel>;

/// A client on its own connection.
pub(crate) fn client_of(process: &Process) -> Customers {
    let endpoint = Endpoint::from_shared(process.url()).expect("an address makes a URL");
    CustomerServiceClient::new(endpoint.timeout(CALL_MAX).connect_lazy())
}

/// The request that creates a customer with all fields.
fn ann() -> CreateCustomerRequest {
    CreateCustomerRequest {
        email: "Ann@Example.org".to_owned(),
        display_name: "Ann Ü. O'Neill".to_owned(),
        phone: "+49 (89) 1234-5".to_owned(),
        external_reference: "crm/17".to_owned(),
        ..Default::default()
    }
}

/// The same for another address, and nothing else.
pub(crate) fn by(email: &str) -> CreateCustomerRequest {
    CreateCustomerRequest {
        email: email.to_owned(),
        ..Default::default()
    }
}

pub(crate) async fn create(
    client: &mut Customers,
    request: CreateCustomerRequest,
) -> CreateCustomerResponse {
    let created = client.create_customer(request).await;
    created
        .unwrap_or_else(|status| panic!("{}", describe(&status)))
        .into_inner()
}

/// A customer that was not there before.
pub(crate) async fn new(client: &mut Customers, request: CreateCustomerRequest) -> Customer {
    let made = create(client, request).await;
    assert!(made.created);
    made.customer.expect("the answer has the customer")
}

pub(crate) async fn get(client: &mut Customers, id: &str) -> Customer {
    let request = GetCustomerRequest {
        key: Some(get_customer_request::Key::CustomerId(id.to_owned())),
    };
    let found = client.get_customer(request).await;
    let found = found.unwrap_or_else(|status| panic!("{}", describe(&status)));
    let customer = found.into_inner().customer;
    customer.expect("the answer has the customer")
}

/// The request that changes these fields of a customer to the values given here.
pub(crate) fn changing(customer: &Customer, fields: &[&str]) -> UpdateCustomerRequest {
    let paths = fields.iter().map(ToString::to_string).collect();
    UpdateCustomerRequest {
        customer: Some(customer.clone()),
        update_mask: Some(prost_types::FieldMask { paths }),
        ..Default::default()
    }
}

pub(crate) async fn update(client: &mut Customers, request: UpdateCustomerRequest) -> Customer {
    let updated = client.update_customer(request).await;
    let updated = updated.unwrap_or_else(|status| panic!("{}", describe(&status)));
    let customer = updated.into_inner().customer;
    customer.expect("the answer has the customer")
}
