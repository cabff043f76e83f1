//! Personal data of customers stays out of the service's log, whatever its level.

use proto::booking::v1::get_customer_request::Key;
use proto::booking::v1::{
    EraseCustomerRequest, ExportCustomerRequest, GetCustomerRequest, erase_customer_request,
    export_customer_request,
};
use test_harness::errors::assert_error;
use tonic::Code;
use uuid::Uuid;

use super::{ann, by, changing, client_of, new, update};
use crate::stage::Stage;

#[tokio::test]
async fn nothing_personal_is_logged() {
    let stage = Stage::start().await;
    let (process, _) = stage.another_with(&["--log", "trace"]).await;
    let mut client = client_of(&process);
    let mut request = ann();
    request.request_id = Uuid::new_v4().to_string();
    let mut customer = new(&mut client, request).await;
    new(&mut client, by("bob@example.org")).await;
    customer.phone = "+49 89 999".to_owned();
    let mut customer = update(&mut client, changing(&customer, &["phone"])).await;

    let key = Some(Key::Email("nobody@example.org".to_owned()));
    let nobody = client.get_customer(GetCustomerRequest { key }).await;
    nobody.expect_err("nobody has it");
    customer.email = "bob@example.org".to_owned();
    let taken = client
        .update_customer(changing(&customer, &["email"]))
        .await;
    taken.expect_err("it is Bob's");
    customer.email = "no address".to_owned();
    let wrong = client
        .update_customer(changing(&customer, &["email"]))
        .await;
    wrong.expect_err("it is none");

    let named = export_customer_request::Customer::Email("ann@example.org".to_owned());
    let exporting = ExportCustomerRequest {
        customer: Some(named),
        ..Default::default()
    };
    let exported = client.export_customer(exporting).await;
    let exported = exported.expect("a page").into_inner();
    assert!(exported.record.is_some());
    let named = erase_customer_request::Customer::Email("ann@example.org".to_owned());
    let erasing = EraseCustomerRequest {
        customer: Some(named),
        ..Default::default()
    };
    let erased = client.erase_customer(erasing).await;
    assert!(
        erased
            .expect("nothing forbids it")
            .into_inner()
            .record_erased
    );

    // A fault whose PostgreSQL details would contain the refused row.
    let rule = "ALTER TABLE booking.customers ADD CONSTRAINT short CHECK (char_length(email) < 12)";
    stage.run("TRUNCATE booking.customers").await;
    stage.run(rule).await;
    let fault = client.create_customer(ann()).await;
    assert_error(&fault.expect_err("too long"), Code::Internal, "INTERNAL");

    let log = process.log();
    assert!(
        log.contains("check constraint"),
        "the fault is logged:\n{log}"
    );
    assert!(log.contains("TRACE"), "so is much else");
    let lower = log.to_lowercase();
    for personal in [
        "example.org",
        "o'neill",
        "1234-5",
        "89 999",
        "crm/17",
        "no address",
    ] {
        assert!(!lower.contains(personal), "{personal:?} in the log");
    }
}
