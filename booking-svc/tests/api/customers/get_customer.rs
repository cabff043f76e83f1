//! GetCustomer.

use proto::booking::v1::GetCustomerRequest;
use proto::booking::v1::get_customer_request::Key;
use test_harness::errors::{fields, metadata};
use tonic::Code;
use uuid::Uuid;

use super::{ann, client_of, new};
use crate::stage::Stage;

fn id(text: &str) -> Option<Key> {
    Some(Key::CustomerId(text.to_owned()))
}

fn email(text: &str) -> Option<Key> {
    Some(Key::Email(text.to_owned()))
}

#[tokio::test]
async fn a_customer_is_found_by_id_and_by_any_spelling_of_the_address() {
    let mut stage = Stage::start().await;
    let mut client = client_of(&stage.system.booking);
    let made = new(&mut client, ann()).await;
    let upper = made.customer_id.to_uppercase();
    for key in [
        id(&made.customer_id),
        id(&upper),
        email("ann@example.org"),
        email("aNN@example.ORG"),
    ] {
        let found = client.get_customer(GetCustomerRequest { key }).await;
        let found = found.expect("the customer exists").into_inner();
        assert_eq!(found.customer.as_ref(), Some(&made));
    }
    stage.assert_sound().await;
}

#[tokio::test]
async fn one_that_is_not_there_is_not_found_and_no_key_is_refused() {
    let mut stage = Stage::start().await;
    let mut client = client_of(&stage.system.booking);
    new(&mut client, ann()).await;
    let nobody = Uuid::now_v7().to_string();
    let not_found = (Code::NotFound, "CUSTOMER_NOT_FOUND");
    let call = client.get_customer(GetCustomerRequest { key: id(&nobody) });
    let status = stage.refused(call, not_found.0, not_found.1).await;
    assert_eq!(metadata(&status)["customer_id"], nobody);
    let key = email("nobody@example.org");
    let call = client.get_customer(GetCustomerRequest { key });
    let status = stage.refused(call, not_found.0, not_found.1).await;
    assert!(!metadata(&status).contains_key("customer_id"));
    assert!(!status.message().contains("nobody@"));

    for (key, field) in [
        (None, "key"),
        (id(""), "customer_id"),
        (id("ann@example.org"), "customer_id"),
        (email(""), "email"),
        (email("ann"), "email"),
    ] {
        let call = client.get_customer(GetCustomerRequest { key });
        let status = stage
            .refused(call, Code::InvalidArgument, "INVALID_FIELD")
            .await;
        assert_eq!(fields(&status), [field]);
    }
    stage.assert_sound().await;
}
