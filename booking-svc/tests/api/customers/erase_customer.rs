//! EraseCustomer: nothing that names a person is left, and all else is.

use std::time::Duration;

use proto::booking::v1::erase_customer_request::Customer as Named;
use proto::booking::v1::list_bookings_request::Customer as Listed;
use proto::booking::v1::reserve_seats_request::Customer;
use proto::booking::v1::{
    Booking, EraseCustomerRequest, EraseCustomerResponse, GetCustomerRequest, ListBookingsRequest,
    ListCustomersRequest, get_customer_request,
};
use test_harness::errors::{assert_error, assert_refused, describe, fields, metadata};
use test_harness::system::{cancel, confirm, reservation, reserve};
use tonic::{Code, Request};
use uuid::Uuid;

use super::{Customers, ann, by, changing, client_of, create, get, new, update};
use crate::stage::{Bookings, Stage, all_reserve, assert_quiet};

const OLD_ADDRESS: &str = "ann@example.org";
const ADDRESS: &str = "anna@elsewhere.example";

fn by_email(address: &str) -> EraseCustomerRequest {
    EraseCustomerRequest {
        customer: Some(Named::Email(address.to_owned())),
        ..Default::default()
    }
}

fn by_id(id: &str) -> EraseCustomerRequest {
    EraseCustomerRequest {
        customer: Some(Named::CustomerId(id.to_owned())),
        ..Default::default()
    }
}

fn all_of(request: &EraseCustomerRequest) -> EraseCustomerRequest {
    EraseCustomerRequest {
        include_upcoming: true,
        ..request.clone()
    }
}

async fn erase(client: &mut Customers, request: EraseCustomerRequest) -> EraseCustomerResponse {
    let erased = client.erase_customer(request).await;
    erased
        .unwrap_or_else(|status| panic!("{}", describe(&status)))
        .into_inner()
}

fn erased(bookings_erased: i32, record_erased: bool) -> EraseCustomerResponse {
    EraseCustomerResponse {
        bookings_erased,
        record_erased,
        complete: true,
    }
}

async fn reserve_for(client: Bookings, show: &str, label: &str, customer: Customer) -> Booking {
    let mut request = reservation(show, &[label], "");
    request.customer = Some(customer);
    let outcome = all_reserve(&[client], &request).await.remove(0);
    outcome.unwrap_or_else(|status| panic!("{}", describe(&status)))
}

async fn listed(stage: &Stage, customer: Listed) -> usize {
    let request = ListBookingsRequest {
        customer: Some(customer),
        ..Default::default()
    };
    let page = stage.client().list_bookings(request).await;
    page.expect("a page").into_inner().bookings.len()
}

/// The tables of the schema that have a text somewhere, in whatever column.
async fn tables_with(stage: &Stage, text: &str) -> Vec<String> {
    let tables = "SELECT c.relname::text FROM pg_class AS c
        WHERE c.relnamespace = 'booking'::regnamespace AND c.relkind = 'r'";
    let tables = stage.owner.query(tables, &[]).await.expect("tables");
    assert!(tables.len() > 10);
    let text = text.replace('\'', "''");
    let mut found = Vec::new();
    for table in tables {
        let table: String = table.get(0);
        let query = format!(
            "SELECT count(*) FROM booking.{table} AS t
             WHERE position(lower('{text}') IN lower(t::text)) > 0"
        );
        if stage.count(&query).await > 0 {
            found.push(table);
        }
    }
    found
}

/// The rows of a person's bookings and of its log.
async fn rows_of(stage: &Stage, booking: &str) -> String {
    let query = format!(
        "SELECT concat(
            (SELECT string_agg(b::text, '|') FROM booking.bookings AS b
             WHERE booking_id = '{booking}'),
            (SELECT string_agg(t::text, '|' ORDER BY version) FROM booking.transitions AS t
             WHERE booking_id = '{booking}'))"
    );
    let row = stage.owner.query_one(&query, &[]).await;
    row.expect("its rows").get(0)
}

#[tokio::test]
async fn nothing_that_names_an_erased_person_is_left() {
    let mut stage = Stage::start().await;
    let show = stage.a_show(20).await;
    let mut customers = client_of(&stage.system.booking);
    let mut creation = ann();
    creation.request_id = Uuid::new_v4().to_string();
    let made = create(&mut customers, creation.clone()).await.customer;
    let mut person = made.expect("a customer");
    let id = person.customer_id.clone();
    let email = |address: &str| Customer::Email(address.to_owned());
    let held = reserve_for(stage.client(), &show, "A-1", email(OLD_ADDRESS)).await;
    let ticket = confirm(&mut stage.client(), &held.booking_id).await;
    let ticket = ticket.expect("a ticket");
    person.email = ADDRESS.to_owned();
    update(&mut customers, changing(&person, &["email"])).await;
    let ended = reserve_for(stage.client(), &show, "A-2", email(ADDRESS)).await;
    let ended = cancel(&mut stage.client(), &ended.booking_id).await;
    let ended = ended.expect("a cancelled booking");
    let named = Customer::CustomerId(id.to_uppercase());
    let hold = reserve_for(stage.client(), &show, "A-3", named).await;
    let other = reserve(&mut stage.client(), &show, &["A-4"], "ann").await;
    let other = other.expect("a free seat");
    let somebody = new(&mut customers, by("annabel@example.org")).await;
    stage
        .run(&format!(
            "UPDATE booking.transitions SET actor = CASE version
                WHEN 1 THEN '{id} (web-shop)' ELSE '{ADDRESS}' END
             WHERE booking_id IN ('{}', '{}');
             UPDATE booking.transitions SET actor = 'annabel' WHERE booking_id = '{}'",
            ticket.booking_id, ended.booking_id, other.booking_id
        ))
        .await;

    // Nothing is erased while something can be done with it.
    let request = by_email(ADDRESS);
    for request in [request.clone(), all_of(&request)] {
        let call = customers.erase_customer(request);
        let reason = "CUSTOMER_HAS_BOOKINGS";
        stage.refused(call, Code::FailedPrecondition, reason).await;
    }
    let gone = cancel(&mut stage.client(), &hold.booking_id).await;
    gone.expect("a cancelled booking");
    let refused = customers.erase_customer(request.clone()).await;
    let refused = assert_refused(refused, Code::FailedPrecondition, "CUSTOMER_HAS_BOOKINGS");
    assert_eq!(metadata(&refused)["booking_id"], ticket.booking_id);

    let untouched = rows_of(&stage, &other.booking_id).await;
    let answer = erase(&mut customers, all_of(&request)).await;
    assert_eq!(answer, erased(3, true));
    for text in [OLD_ADDRESS, ADDRESS, "O'Neill", "1234-5", "crm/17"] {
        assert_eq!(tables_with(&stage, text).await, [""; 0], "{text}");
    }
    // Its id is only where a UUID is meant: it names nobody any more.
    let of_id = "SELECT (SELECT count(*) FROM booking.transitions WHERE actor ILIKE '%' || $1 || '%')
        + (SELECT count(*) FROM booking.bookings WHERE concat(customer_id, email) ILIKE '%' || $1 || '%')
        + (SELECT count(*) FROM booking.erasures)";
    assert_eq!(
        stage.count(&of_id.replace("$1", &format!("'{id}'"))).await,
        0
    );
    assert_eq!(rows_of(&stage, &other.booking_id).await, untouched);
    assert_eq!(get(&mut customers, &somebody.customer_id).await, somebody);
    stage.assert_sound().await;

    // The bookings are as they were, and still one person's.
    let kept = stage.get(&ticket.booking_id).await;
    assert_eq!((&kept.lines, &kept.total), (&ticket.lines, &ticket.total));
    assert_eq!((&kept.etag, kept.state), (&ticket.etag, ticket.state));
    let other_of_it = stage.get(&ended.booking_id).await;
    assert!(kept.email.starts_with("erased-"), "{}", kept.email);
    assert_eq!(kept.email, other_of_it.email);
    assert_eq!(kept.customer_id, other_of_it.customer_id);
    let distinct =
        "SELECT count(DISTINCT actor) FROM booking.transitions WHERE actor LIKE 'erased-%'";
    assert_eq!(stage.count(distinct).await, 1);

    // Nobody is found by what was erased, and a replay shows the tombstone.
    let key = Some(get_customer_request::Key::CustomerId(id.clone()));
    let found = customers.get_customer(GetCustomerRequest { key }).await;
    assert_refused(found, Code::NotFound, "CUSTOMER_NOT_FOUND");
    let renaming = changing(&person, &["email"]);
    let found = customers.update_customer(renaming).await;
    assert_refused(found, Code::NotFound, "CUSTOMER_NOT_FOUND");
    assert_eq!(listed(&stage, Listed::Email(ADDRESS.to_owned())).await, 0);
    assert_eq!(listed(&stage, Listed::CustomerId(id.clone())).await, 0);
    let all = customers
        .list_customers(ListCustomersRequest::default())
        .await;
    assert_eq!(all.expect("a page").into_inner().customers, [somebody]);
    let replay = create(&mut customers, creation).await;
    assert!(replay.created);
    assert_eq!(replay.customer.expect("a customer").email, kept.email);

    // A repeat has nothing to do, by whatever name.
    let digest = stage.digest().await;
    for request in [by_email(ADDRESS), by_email(OLD_ADDRESS), by_id(&id)] {
        assert_eq!(erase(&mut customers, request).await, erased(0, false));
    }
    assert_eq!(stage.digest().await, digest);

    // Who books with the address from now on is somebody else.
    let later = reserve_for(stage.client(), &show, "A-5", email(ADDRESS)).await;
    assert_ne!(later.customer_id, id);
    let (mut process, client) = stage.another().await;
    let same = reserve_for(client, &show, "A-6", email(ADDRESS)).await;
    assert_eq!(same.customer_id, later.customer_id);
    assert_quiet(&mut process);
    stage.assert_sound().await;
}

#[tokio::test]
async fn the_callers_own_id_is_erased_in_batches_and_no_other() {
    let mut stage = Stage::start().await;
    let show = stage.a_show(9).await;
    let mut customers = client_of(&stage.system.booking);
    let first = reserve(&mut stage.client(), &show, &["A-1"], "kunde-4711").await;
    let first = first.expect("a free seat").booking_id;
    cancel(&mut stage.client(), &first)
        .await
        .expect("cancelled");
    let other = reserve(&mut stage.client(), &show, &["A-2"], "kunde-47").await;
    let other = other.expect("a free seat").booking_id;
    let untouched = rows_of(&stage, &other).await;
    // Copies of its row, as many as need three transactions, and of its log.
    stage
        .run(&format!(
            "CREATE TEMPORARY TABLE copies AS
             SELECT n, (left('{first}', 24) || lpad(to_hex(n), 12, '0'))::uuid AS id
             FROM generate_series(1, 1100) AS n;
             INSERT INTO booking.bookings
             SELECT (jsonb_populate_record(b, jsonb_build_object('booking_id', copies.id))).*
             FROM booking.bookings AS b, copies WHERE b.booking_id = '{first}';
             INSERT INTO booking.transitions
             SELECT (jsonb_populate_record(t, jsonb_build_object(
                 'booking_id', copies.id, 'request_id', gen_random_uuid(),
                 'actor', 'kunde-4711 (web-shop)'))).*
             FROM booking.transitions AS t, copies WHERE t.booking_id = '{first}'"
        ))
        .await;
    let answer = erase(&mut customers, by_id("kunde-4711")).await;
    assert_eq!(answer, erased(1101, false));
    assert_eq!(tables_with(&stage, "kunde-4711").await, [""; 0]);
    let distinct = "SELECT count(DISTINCT customer_id) FROM booking.bookings
        WHERE customer_id ~ '^erased-[0-9a-f-]{36}$'";
    assert_eq!(
        stage.count(distinct).await,
        1,
        "they are still one person's"
    );
    assert_eq!(rows_of(&stage, &other).await, untouched);
    assert_eq!(
        erase(&mut customers, by_id("kunde-4711")).await,
        erased(0, false)
    );
    stage.assert_sound().await;
}

#[tokio::test]
async fn an_erasure_that_was_stopped_goes_on_as_the_same_person() {
    let mut stage = Stage::start().await;
    let show = stage.a_show(9).await;
    let mut customers = client_of(&stage.system.booking);
    new(&mut customers, ann()).await;
    for label in ["A-1", "A-2"] {
        let email = Customer::Email(OLD_ADDRESS.to_owned());
        let booking = reserve_for(stage.client(), &show, label, email).await;
        let ended = cancel(&mut stage.client(), &booking.booking_id).await;
        ended.expect("a cancelled booking");
    }
    stage
        .run("BEGIN; SELECT FROM booking.bookings FOR UPDATE")
        .await;
    let mut request = Request::new(by_email(OLD_ADDRESS));
    request.set_timeout(Duration::from_secs(1));
    let stopped = customers.erase_customer(request).await;
    let stopped = stopped.expect_err("the bookings are locked");
    assert_error(&stopped, Code::Aborted, "CONTENTION");
    stage.run("ROLLBACK").await;
    let begun = "SELECT count(*) FROM booking.customers AS c
        JOIN booking.erasures AS e ON e.tombstone = c.erased_as";
    assert_eq!(stage.count(begun).await, 1);

    // By the address, which the record has no more.
    let answer = erase(&mut customers, by_email(OLD_ADDRESS)).await;
    assert_eq!((answer.bookings_erased, answer.complete), (2, false));
    assert_eq!(
        erase(&mut customers, by_email(OLD_ADDRESS)).await,
        erased(0, false)
    );
    assert_eq!(tables_with(&stage, OLD_ADDRESS).await, [""; 0]);
    let same = "SELECT count(*) FROM booking.customers AS c
        JOIN booking.bookings AS b ON b.email = c.email AND b.linked_customer_id = c.customer_id";
    assert_eq!(stage.count(same).await, 2);
    stage.assert_sound().await;
}

#[tokio::test]
async fn no_copy_of_an_expired_hold_brings_the_address_back() {
    let mut stage = Stage::start().await;
    let show = stage.a_show(9).await;
    let mut customers = client_of(&stage.system.booking);
    let mut held = Vec::new();
    // The service remembers a hold that it made.
    for label in ["A-1", "A-2"] {
        let email = Customer::Email(ADDRESS.to_owned());
        held.push(reserve_for(stage.client(), &show, label, email).await);
        stage.lapse(&held[held.len() - 1].booking_id).await;
    }
    // While the outcome of a payment is not known, money that comes late may reinstate it.
    let paying = "UPDATE booking.bookings SET payment_key = gen_random_uuid(),
        payment_state = 'STARTED'";
    stage.run(paying).await;
    let call = customers.erase_customer(all_of(&by_email(ADDRESS)));
    let reason = "CUSTOMER_HAS_BOOKINGS";
    stage.refused(call, Code::FailedPrecondition, reason).await;
    let settled = "UPDATE booking.bookings SET payment_key = NULL, payment_state = NULL";
    stage.run(settled).await;
    let answer = erase(&mut customers, by_email(ADDRESS)).await;
    assert_eq!(answer, erased(2, true));
    let late = confirm(&mut stage.client(), &held[0].booking_id).await;
    assert_refused(late, Code::FailedPrecondition, "HOLD_EXPIRED");
    let late = cancel(&mut stage.client(), &held[1].booking_id).await;
    late.expect_err("it has expired");
    // Its seats are sold again, which fails it.
    let email = Customer::Email("bob@example.org".to_owned());
    reserve_for(stage.client(), &show, "A-1", email).await;
    assert_eq!(tables_with(&stage, ADDRESS).await, [""; 0]);
    let found = stage.get(&held[0].booking_id).await;
    assert!(found.email.starts_with("erased-"), "{}", found.email);
    stage.assert_sound().await;
}

#[tokio::test]
async fn a_person_must_be_named() {
    let mut stage = Stage::start().await;
    let mut customers = client_of(&stage.system.booking);
    for (request, field) in [
        (EraseCustomerRequest::default(), "customer"),
        (by_email("ann"), "email"),
        (by_id(""), "customer_id"),
    ] {
        let call = customers.erase_customer(request);
        let refused = stage
            .refused(call, Code::InvalidArgument, "INVALID_FIELD")
            .await;
        assert_eq!(fields(&refused), [field]);
    }
    stage.assert_sound().await;
}
