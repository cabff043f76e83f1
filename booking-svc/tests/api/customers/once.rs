//! Request ids: a mutation of a customer can be repeated, at once or later, and is done once.

use futures_util::future::join_all;
use proto::booking::v1::UpdateCustomerRequest;
use test_harness::errors::{describe, fields};
use tonic::Code;
use uuid::Uuid;

use super::{CUSTOMERS, ann, by, changing, client_of, create, get, new, update};
use crate::lost_commit::behind_a_line;
use crate::stage::{Stage, assert_quiet};

const REQUESTS: &str = "SELECT count(*) FROM booking.customer_requests";

fn an_id() -> String {
    Uuid::new_v4().to_string()
}

#[tokio::test]
async fn a_repeated_call_gets_the_first_result_after_later_changes() {
    let mut stage = Stage::start().await;
    let mut client = client_of(&stage.system.booking);
    let mut creation = ann();
    creation.request_id = an_id();
    let first = create(&mut client, creation.clone()).await;
    assert!(first.created);
    let made = first.customer.clone().expect("it has one");
    let mut wanted = made.clone();
    wanted.email = "anna@example.org".to_owned();
    wanted.phone = "112".to_owned();
    let renaming = UpdateCustomerRequest {
        request_id: an_id(),
        ..changing(&wanted, &["email", "phone"])
    };
    let renamed = update(&mut client, renaming.clone()).await;
    wanted = renamed.clone();
    wanted.display_name = "Anna".to_owned();
    let last = update(&mut client, changing(&wanted, &["display_name"])).await;

    let digest = stage.digest().await;
    assert_eq!(create(&mut client, creation.clone()).await, first);
    // Letters of an address have no case, nor the fields of a mask an order.
    let mut same = creation;
    same.email = "ANN@example.org".to_owned();
    same.request_id = same.request_id.to_uppercase();
    assert_eq!(create(&mut client, same).await, first);
    let mut same = renaming.clone();
    same.update_mask.get_or_insert_default().paths.reverse();
    for request in [renaming, same] {
        assert_eq!(update(&mut client, request).await, renamed);
    }
    assert_eq!(stage.digest().await, digest, "nothing was written again");
    assert_eq!(get(&mut client, &made.customer_id).await, last);

    // A replay of a find returns the same customer, even if the address has moved.
    let mut finding = by("anna@example.org");
    finding.request_id = an_id();
    let found = create(&mut client, finding.clone()).await;
    assert!(!found.created);
    wanted.phone = "113".to_owned();
    wanted.etag.clear();
    update(&mut client, changing(&wanted, &["phone"])).await;
    assert_eq!(create(&mut client, finding).await, found);
    stage.assert_sound().await;
}

#[tokio::test]
async fn an_id_that_was_used_for_another_body_is_refused() {
    let mut stage = Stage::start().await;
    let mut client = client_of(&stage.system.booking);
    let mut creation = ann();
    creation.request_id = an_id();
    let made = create(&mut client, creation.clone()).await.customer;
    let made = made.expect("it has one");
    let reused = (Code::InvalidArgument, "REQUEST_ID_REUSED");

    let mut others = vec![creation.clone(); 4];
    others[0].email = "bob@example.org".to_owned();
    others[1].display_name.clear();
    others[2].phone.clear();
    others[3].external_reference.clear();
    for other in others {
        let call = client.create_customer(other);
        let status = stage.refused(call, reused.0, reused.1).await;
        assert_eq!(fields(&status), ["request_id"]);
    }

    let renaming = UpdateCustomerRequest {
        request_id: an_id(),
        ..changing(&made, &["display_name"])
    };
    update(&mut client, renaming.clone()).await;
    let mut others = vec![renaming; 4];
    others[0].request_id = creation.request_id;
    others[1].customer.get_or_insert_default().display_name = "Bob".to_owned();
    others[2].customer.get_or_insert_default().etag.clear();
    others[3].update_mask = changing(&made, &["display_name", "phone"]).update_mask;
    for other in others {
        let call = client.update_customer(other);
        let status = stage.refused(call, reused.0, reused.1).await;
        assert_eq!(fields(&status), ["request_id"]);
    }
    stage.assert_sound().await;
}

#[tokio::test]
async fn a_rejected_call_is_decided_again() {
    let mut stage = Stage::start().await;
    let mut client = client_of(&stage.system.booking);
    let made = new(&mut client, ann()).await;
    let mut bob = new(&mut client, by("bob@example.org")).await;
    let mut wanted = made;
    wanted.email = "bob@example.org".to_owned();
    let request = UpdateCustomerRequest {
        request_id: an_id(),
        ..changing(&wanted, &["email"])
    };
    let call = client.update_customer(request.clone());
    let taken = (Code::FailedPrecondition, "CUSTOMER_EMAIL_TAKEN");
    stage.refused(call, taken.0, taken.1).await;
    bob.email = "bobby@example.org".to_owned();
    update(&mut client, changing(&bob, &["email"])).await;
    let moved = update(&mut client, request).await;
    assert_eq!(moved.email, "bob@example.org");
    stage.assert_sound().await;
}

#[tokio::test]
async fn twenty_replays_at_once_make_one_customer_in_two_processes() {
    let mut stage = Stage::start().await;
    let (mut process, _) = stage.another().await;
    let (here, there) = (client_of(&stage.system.booking), client_of(&process));
    for round in 0..5 {
        let mut request = by(&format!("c{round}@example.org"));
        request.request_id = an_id();
        let calls = (0..20).map(|n| {
            let mut client = if n % 2 == 0 { &here } else { &there }.clone();
            let request = request.clone();
            async move { create(&mut client, request).await }
        });
        let mut answers = join_all(calls).await;
        answers.dedup();
        assert_eq!(answers.len(), 1, "all are answered alike");
        assert!(answers[0].created);
        let mut wanted = answers.remove(0).customer.expect("it has one");
        wanted.display_name = "Ann".to_owned();
        let renaming = UpdateCustomerRequest {
            request_id: an_id(),
            ..changing(&wanted, &["display_name"])
        };
        let calls = (0..20).map(|n| {
            let mut client = if n % 2 == 0 { &here } else { &there }.clone();
            let request = renaming.clone();
            async move { update(&mut client, request).await }
        });
        let mut answers = join_all(calls).await;
        answers.dedup();
        assert_eq!(answers.len(), 1, "all are answered alike");
        assert_eq!(answers[0].etag, "v2");
    }
    assert_eq!(stage.count(CUSTOMERS).await, 5);
    assert_eq!(stage.count(REQUESTS).await, 10);
    assert_quiet(&mut process);
    stage.assert_sound().await;
}

#[tokio::test]
async fn a_lost_commit_is_resolved_by_its_request_id() {
    let mut stage = Stage::start().await;
    let (mut process, _, line) = behind_a_line(&stage).await;
    let mut client = client_of(&process);
    let mut request = ann();
    request.request_id = an_id();
    line.lose(1);
    let first = create(&mut client, request.clone()).await;
    assert_eq!(line.still_to_lose(), 0);
    assert!(first.created);
    assert_eq!(create(&mut client, request).await, first);
    assert_eq!(stage.count(CUSTOMERS).await, 1);

    // Without an id the caller has to read.
    line.lose(1);
    let status = client.create_customer(by("bob@example.org")).await;
    let status = status.expect_err("nobody knows what was done");
    let unavailable = (Code::Unavailable, "DATABASE_UNAVAILABLE");
    test_harness::errors::assert_error(&status, unavailable.0, unavailable.1);
    let again = create(&mut client, by("bob@example.org")).await;
    assert!(!again.created, "{}", describe(&status));
    assert_quiet(&mut process);
    stage.assert_sound().await;
}
