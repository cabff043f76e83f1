//! CreateCustomer.

use std::collections::HashSet;

use futures_util::future::join_all;
use proto::booking::v1::CreateCustomerRequest;
use test_harness::errors::{describe, fields};
use tonic::Code;
use uuid::Uuid;

use super::{CUSTOMERS, ann, by, client_of, create, get, new};
use crate::stage::{Stage, assert_quiet};

#[tokio::test]
async fn an_address_has_one_customer_created_by_the_first_call() {
    let mut stage = Stage::start().await;
    let mut client = client_of(&stage.system.booking);
    let made = new(&mut client, ann()).await;
    assert_eq!(made.email, "ann@example.org");
    assert_eq!(made.display_name, "Ann Ü. O'Neill");
    assert_eq!(made.phone, "+49 (89) 1234-5");
    assert_eq!(made.external_reference, "crm/17");
    assert_eq!(made.etag, "v1");
    assert_eq!(made.create_time, made.update_time);
    let id: Uuid = made.customer_id.parse().expect("a UUID");
    assert_eq!(id.get_version_num(), 7);
    assert_eq!(get(&mut client, &made.customer_id).await, made);

    // The same address finds it, whatever the other fields, and changes nothing.
    let digest = stage.digest().await;
    for email in ["ann@example.org", "ANN@EXAMPLE.ORG"] {
        let again = create(&mut client, by(email)).await;
        assert!(!again.created);
        assert_eq!(again.customer.as_ref(), Some(&made));
    }
    assert_eq!(stage.digest().await, digest);

    let bob = new(&mut client, by("bob@example.org")).await;
    assert_eq!((&*bob.display_name, &*bob.phone), ("", ""));
    assert_ne!(bob.customer_id, made.customer_id);
    assert_eq!(stage.count(CUSTOMERS).await, 2);
    stage.assert_sound().await;
}

#[tokio::test]
async fn fifty_at_once_with_one_address_are_one_customer() {
    let mut stage = Stage::start().await;
    let (mut process, _) = stage.another().await;
    let (here, there) = (client_of(&stage.system.booking), client_of(&process));
    for round in 0..10 {
        let calls = (0..50).map(|n| {
            let mut client = if n % 2 == 0 { &here } else { &there }.clone();
            let request = by(&format!("Party{round}@example.org"));
            async move { create(&mut client, request).await }
        });
        let answers = join_all(calls).await;
        let made = answers.iter().filter(|answer| answer.created).count();
        assert_eq!(made, 1, "round {round}");
        let customers = answers.into_iter().map(|answer| answer.customer);
        let ids: HashSet<_> = customers
            .map(|customer| customer.expect("it has one").customer_id)
            .collect();
        assert_eq!(ids.len(), 1, "round {round}");
    }
    assert_eq!(stage.count(CUSTOMERS).await, 10);
    assert_quiet(&mut process);
    stage.assert_sound().await;
}

#[tokio::test]
async fn every_field_that_is_wrong_is_named_and_nothing_is_made() {
    type Change = fn(&mut CreateCustomerRequest);
    let cases: [(Change, &[&str]); 9] = [
        (|r| r.email.clear(), &["email"]),
        (|r| r.email = "ann".to_owned(), &["email"]),
        (|r| r.email = format!("{}@b", "a".repeat(253)), &["email"]),
        (|r| r.display_name = "x".repeat(201), &["display_name"]),
        (|r| r.display_name = " Ann".to_owned(), &["display_name"]),
        (|r| r.phone = "call me".to_owned(), &["phone"]),
        (
            |r| r.external_reference = "a\0b".to_owned(),
            &["external_reference"],
        ),
        (|r| r.request_id = "1".to_owned(), &["request_id"]),
        (
            |r| (r.email, r.phone) = ("@".to_owned(), "-".to_owned()),
            &["email", "phone"],
        ),
    ];
    let mut stage = Stage::start().await;
    let mut client = client_of(&stage.system.booking);
    for (change, wrong) in cases {
        let mut request = ann();
        change(&mut request);
        let call = client.create_customer(request);
        let status = stage
            .refused(call, Code::InvalidArgument, "INVALID_FIELD")
            .await;
        assert_eq!(fields(&status), wrong, "{}", describe(&status));
    }
    stage.assert_sound().await;
}
