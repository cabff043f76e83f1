//! UpdateCustomer.

use futures_util::future::join_all;
use proto::booking::v1::UpdateCustomerRequest;
use test_harness::errors::{assert_error, describe, fields, metadata, reason, subjects};
use tonic::Code;
use uuid::Uuid;

use super::{ann, by, changing, client_of, create, get, new, update};
use crate::stage::Stage;

#[tokio::test]
async fn what_the_mask_names_is_changed_and_nothing_else() {
    let mut stage = Stage::start().await;
    let mut client = client_of(&stage.system.booking);
    let made = new(&mut client, ann()).await;
    let mut wanted = made.clone();
    wanted.email = "Anna@Example.org".to_owned();
    wanted.display_name = "Anna".to_owned();
    wanted.phone = String::new();
    wanted.external_reference = "crm/18".to_owned();

    let renamed = update(&mut client, changing(&wanted, &["display_name"])).await;
    assert_eq!(renamed.display_name, "Anna");
    assert_eq!(renamed.phone, made.phone);
    assert_eq!((&*renamed.email, &*renamed.etag), ("ann@example.org", "v2"));
    assert_eq!(renamed.create_time, made.create_time);
    assert!(
        renamed.update_time.map(|at| (at.seconds, at.nanos))
            > made.update_time.map(|at| (at.seconds, at.nanos))
    );
    assert_eq!(get(&mut client, &made.customer_id).await, renamed);

    wanted.etag.clone_from(&renamed.etag);
    let fields = ["email", "phone", "external_reference"];
    let moved = update(&mut client, changing(&wanted, &fields)).await;
    assert_eq!((&*moved.email, &*moved.phone), ("anna@example.org", ""));
    assert_eq!((&*moved.external_reference, &*moved.etag), ("crm/18", "v3"));
    // The old address is free.
    assert!(!create(&mut client, by("anna@example.org")).await.created);
    assert!(create(&mut client, by("ann@example.org")).await.created);
    // Its own address is not another's.
    let same = update(&mut client, changing(&moved, &["email"])).await;
    assert_eq!(same.etag, "v4");
    stage.assert_sound().await;
}

#[tokio::test]
async fn a_taken_address_a_stale_etag_and_an_unknown_customer_are_refused() {
    let mut stage = Stage::start().await;
    let mut client = client_of(&stage.system.booking);
    let made = new(&mut client, ann()).await;
    new(&mut client, by("bob@example.org")).await;

    let mut wanted = made.clone();
    wanted.email = "BOB@example.org".to_owned();
    let call = client.update_customer(changing(&wanted, &["email"]));
    let taken = (Code::FailedPrecondition, "CUSTOMER_EMAIL_TAKEN");
    let status = stage.refused(call, taken.0, taken.1).await;
    assert_eq!(metadata(&status)["customer_id"], made.customer_id);
    assert_eq!(subjects(&status), ["customer.email"]);
    assert!(!describe(&status).to_lowercase().contains("bob@"));

    let mut stale = made.clone();
    stale.etag = "v7".to_owned();
    let call = client.update_customer(changing(&stale, &["phone"]));
    let status = stage.refused(call, Code::Aborted, "ETAG_MISMATCH").await;
    assert_eq!(metadata(&status)["etag"], "v1");

    let mut nobody = made;
    nobody.customer_id = Uuid::now_v7().to_string();
    let call = client.update_customer(changing(&nobody, &["phone"]));
    let status = stage
        .refused(call, Code::NotFound, "CUSTOMER_NOT_FOUND")
        .await;
    assert_eq!(metadata(&status)["customer_id"], nobody.customer_id);
    stage.assert_sound().await;
}

#[tokio::test]
async fn every_field_that_is_wrong_is_named() {
    type Change = fn(&mut UpdateCustomerRequest);
    fn paths(request: &mut UpdateCustomerRequest, paths: &[&str]) {
        let paths = paths.iter().map(ToString::to_string).collect();
        request.update_mask = Some(prost_types::FieldMask { paths });
    }
    let cases: [(Change, &[&str]); 9] = [
        (|r| r.customer = None, &["customer"]),
        (|r| r.update_mask = None, &["update_mask"]),
        (|r| paths(r, &["etag"]), &["update_mask"]),
        (
            |r| paths(r, &["name", "customer_id", "phone"]),
            &["update_mask", "update_mask"],
        ),
        (
            |r| r.customer.get_or_insert_default().customer_id.clear(),
            &["customer.customer_id"],
        ),
        (
            |r| r.customer.get_or_insert_default().etag = "7".to_owned(),
            &["customer.etag"],
        ),
        (
            |r| {
                paths(r, &["email", "phone"]);
                let customer = r.customer.get_or_insert_default();
                (customer.email, customer.phone) = (String::new(), "-".to_owned());
            },
            &["customer.email", "customer.phone"],
        ),
        (
            |r| {
                paths(r, &["external_reference"]);
                let customer = r.customer.get_or_insert_default();
                customer.external_reference = "x".repeat(129);
            },
            &["customer.external_reference"],
        ),
        (|r| r.request_id = "1".to_owned(), &["request_id"]),
    ];
    let mut stage = Stage::start().await;
    let mut client = client_of(&stage.system.booking);
    let made = new(&mut client, ann()).await;
    for (change, wrong) in cases {
        let mut request = changing(&made, &["display_name"]);
        change(&mut request);
        let call = client.update_customer(request);
        let status = stage
            .refused(call, Code::InvalidArgument, "INVALID_FIELD")
            .await;
        assert_eq!(fields(&status), wrong, "{}", describe(&status));
    }
    stage.assert_sound().await;
}

#[tokio::test]
async fn of_many_concurrent_changes_to_one_address_one_succeeds() {
    let mut stage = Stage::start().await;
    let (mut process, _) = stage.another().await;
    let mut client = client_of(&stage.system.booking);
    let there = client_of(&process);
    let mut customers = Vec::new();
    for n in 0..20 {
        customers.push(new(&mut client, by(&format!("c{n}@example.org"))).await);
    }
    for round in 0..5 {
        let calls = customers.iter().enumerate().map(|(n, customer)| {
            let mut client = if n % 2 == 0 { &client } else { &there }.clone();
            let mut wanted = customer.clone();
            wanted.email = format!("wanted{round}@example.org");
            wanted.etag.clear();
            let request = changing(&wanted, &["email"]);
            async move { client.update_customer(request).await }
        });
        // And one that is made with it.
        let mut creating = client.clone();
        let creation = create(&mut creating, by(&format!("wanted{round}@example.org")));
        let (outcomes, created) = futures_util::join!(join_all(calls), creation);
        let mut got_it = usize::from(created.created);
        for outcome in outcomes {
            match outcome {
                Ok(_) => got_it += 1,
                Err(status) if reason(&status) == "CUSTOMER_EMAIL_TAKEN" => {}
                Err(status) => panic!("{}", describe(&status)),
            }
        }
        assert_eq!(got_it, 1, "round {round}");
    }
    crate::stage::assert_quiet(&mut process);
    stage.assert_sound().await;
}

#[tokio::test]
async fn of_two_changes_of_one_version_one_is_made() {
    let mut stage = Stage::start().await;
    let mut client = client_of(&stage.system.booking);
    let mut customer = new(&mut client, ann()).await;
    for round in 0..10 {
        let change = |name: &str| {
            let mut wanted = customer.clone();
            wanted.display_name = format!("{name} {round}");
            let (mut client, request) = (client.clone(), changing(&wanted, &["display_name"]));
            async move { client.update_customer(request).await }
        };
        let (refused, made) = match futures_util::join!(change("left"), change("right")) {
            (Ok(made), Err(refused)) | (Err(refused), Ok(made)) => (refused, made),
            both => panic!("not exactly one: {both:?}"),
        };
        assert_error(&refused, Code::Aborted, "ETAG_MISMATCH");
        customer = made.into_inner().customer.expect("it has one");
        assert_eq!(get(&mut client, &customer.customer_id).await, customer);
    }
    assert_eq!(customer.etag, "v11");
    stage.assert_sound().await;
}
