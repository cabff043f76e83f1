//! Bookings belong to customers of CustomerService, by address or by id.

use futures_util::future::join_all;
use proto::booking::v1::list_bookings_request::Customer as Listed;
use proto::booking::v1::reserve_seats_request::Customer;
use proto::booking::v1::{Booking, ListBookingsRequest};
use test_harness::errors::describe;
use test_harness::system::{reservation, reserve};
use uuid::Uuid;

use crate::customers::{CUSTOMERS, by, changing, client_of, create, new, update};
use crate::stage::{Stage, all_reserve, assert_quiet};

fn email(address: &str) -> Customer {
    Customer::Email(address.to_owned())
}

/// Reserves seats for a customer.
async fn reserve_for(stage: &Stage, show: &str, label: &str, customer: Customer) -> Booking {
    let mut request = reservation(show, &[label], "");
    request.customer = Some(customer);
    let mut outcomes = all_reserve(&[stage.client()], &request).await;
    let outcome = outcomes.remove(0);
    outcome.unwrap_or_else(|status| panic!("{}", describe(&status)))
}

async fn listed(stage: &Stage, customer: Listed) -> Vec<String> {
    let request = ListBookingsRequest {
        customer: Some(customer),
        ..Default::default()
    };
    let page = stage.client().list_bookings(request).await;
    let page = page.unwrap_or_else(|status| panic!("{}", describe(&status)));
    let bookings = page.into_inner().bookings.into_iter();
    bookings.map(|booking| booking.booking_id).collect()
}

#[tokio::test]
async fn a_booking_belongs_to_the_customer_with_its_address_or_id() {
    let mut stage = Stage::start().await;
    let show = stage.a_show(9).await;
    let mut customers = client_of(&stage.system.booking);
    let ann = new(&mut customers, by("ann@example.org")).await;
    let by_email = reserve_for(&stage, &show, "A-1", email("Ann@Example.ORG")).await;
    let id = Customer::CustomerId(ann.customer_id.to_uppercase());
    let by_id = reserve_for(&stage, &show, "A-2", id).await;
    for booking in [&by_email, &by_id] {
        assert_eq!(booking.customer_id, ann.customer_id);
        assert_eq!(stage.get(&booking.booking_id).await, *booking);
    }
    let both = [by_email.booking_id.clone(), by_id.booking_id.clone()];
    let found = listed(&stage, Listed::CustomerId(ann.customer_id.clone())).await;
    assert_eq!(found, both);
    let found = listed(&stage, Listed::Email("ann@Example.org".to_owned())).await;
    assert_eq!(found, both, "also what was made by her id");

    // Another address changes no earlier booking, and the old address is no longer hers.
    let mut moved = ann.clone();
    moved.email = "ann@elsewhere.example".to_owned();
    let moved = update(&mut customers, changing(&moved, &["email"])).await;
    let (mut process, mut other) = stage.another().await;
    let after = reserve_for(&stage, &show, "A-3", email(&moved.email)).await;
    assert_eq!(after.customer_id, ann.customer_id);
    let mut request = reservation(&show, &["A-4"], "");
    request.customer = Some(email("ann@example.org"));
    let somebody = other.reserve_seats(request).await.expect("a free seat");
    let somebody = somebody.into_inner().booking.expect("a booking");
    assert_ne!(somebody.customer_id, ann.customer_id);
    let found = listed(&stage, Listed::CustomerId(ann.customer_id.clone())).await;
    assert_eq!(found.len(), 3);
    let found = listed(&stage, Listed::Email("ann@example.org".to_owned())).await;
    assert_eq!(found, [somebody.booking_id], "it is somebody else's now");
    let mut moved = moved;
    moved.email = "ann@third.example".to_owned();
    update(&mut customers, changing(&moved, &["email"])).await;
    let found = listed(&stage, Listed::Email("ann@elsewhere.example".to_owned())).await;
    assert_eq!(
        found,
        [after.booking_id],
        "what was made with it, as nobody has it"
    );
    assert_eq!(stage.get(&both[0]).await, by_email);
    assert_quiet(&mut process);
    stage.assert_sound().await;
}

#[tokio::test]
async fn whoever_books_by_an_unknown_address_is_a_customer_from_then_on() {
    let mut stage = Stage::start().await;
    let show = stage.a_show(20).await;
    let (mut process, other) = stage.another().await;
    let clients = [vec![stage.client(); 10], vec![other; 10]].concat();
    let calls = clients.iter().enumerate().map(|(place, client)| {
        let mut request = reservation(&show, &[&format!("A-{}", place + 1)], "");
        request.customer = Some(email("new@example.org"));
        let clients = [client.clone()];
        async move { all_reserve(&clients, &request).await.remove(0) }
    });
    let outcomes = join_all(calls).await;
    assert_eq!(stage.count(CUSTOMERS).await, 1);
    let mut customers = client_of(&stage.system.booking);
    let made = create(&mut customers, by("new@example.org")).await;
    assert!(!made.created);
    let id = made.customer.expect("a customer").customer_id;
    for outcome in outcomes {
        let booking = outcome.unwrap_or_else(|status| panic!("{}", describe(&status)));
        assert_eq!(
            (&booking.customer_id, &*booking.email),
            (&id, "new@example.org")
        );
    }
    assert_quiet(&mut process);
    stage.assert_sound().await;
}

#[tokio::test]
async fn the_callers_own_ids_have_no_customer_record() {
    let mut stage = Stage::start().await;
    let show = stage.a_show(9).await;
    let mut client = stage.client();
    let own = [
        "ann".to_owned(),
        Uuid::new_v4().to_string(),
        Uuid::now_v7().to_string(),
    ];
    for (place, id) in own.iter().enumerate() {
        let label = format!("A-{}", place + 1);
        let booking = reserve(&mut client, &show, &[&label], id).await;
        let booking = booking.expect("a free seat");
        assert_eq!((&booking.customer_id, &*booking.email), (id, ""));
        let found = listed(&stage, Listed::CustomerId(id.clone())).await;
        assert_eq!(found, [booking.booking_id]);
    }
    assert_eq!(stage.count(CUSTOMERS).await, 0);
    stage.assert_sound().await;
}
