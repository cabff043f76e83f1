//! ExportCustomer: all that is known of a person, in pages.

use proto::booking::v1::export_customer_request::Customer as Named;
use proto::booking::v1::reserve_seats_request::Customer;
use proto::booking::v1::{BookingVerb, ExportCustomerRequest, ExportCustomerResponse};
use test_harness::errors::{assert_refused, describe, fields};
use test_harness::system::{confirm, reservation};
use tonic::Code;

use super::{Customers, ann, client_of, new};
use crate::stage::{Stage, all_reserve};

async fn export(client: &mut Customers, request: ExportCustomerRequest) -> ExportCustomerResponse {
    let page = client.export_customer(request).await;
    page.unwrap_or_else(|status| panic!("{}", describe(&status)))
        .into_inner()
}

#[tokio::test]
async fn all_that_is_known_of_a_person_is_exported_in_pages() {
    let mut stage = Stage::start().await;
    let show = stage.a_show(9).await;
    let mut customers = client_of(&stage.system.booking);
    let person = new(&mut customers, ann()).await;
    let mut bookings = Vec::new();
    for label in ["A-1", "A-2", "A-3"] {
        let mut request = reservation(&show, &[label], "");
        request.customer = Some(Customer::Email(person.email.clone()));
        let made = all_reserve(&[stage.client()], &request).await.remove(0);
        bookings.push(made.expect("a free seat"));
    }
    let confirmed = confirm(&mut stage.client(), &bookings[0].booking_id).await;
    bookings[0] = confirmed.expect("a ticket");
    stage.reserve(&show, &["A-4"]).await;

    let mut request = ExportCustomerRequest {
        customer: Some(Named::Email(person.email.to_uppercase())),
        page_size: 2,
        ..Default::default()
    };
    let first = export(&mut customers, request.clone()).await;
    request.page_token.clone_from(&first.next_page_token);
    let last = export(&mut customers, request.clone()).await;
    assert_eq!(
        (first.record.as_ref(), &last.record),
        (Some(&person), &None)
    );
    assert_eq!((first.bookings.len(), &*last.next_page_token), (2, ""));
    let exported: Vec<_> = [first.bookings, last.bookings].concat();
    let whole = exported.iter().map(|one| one.booking.clone());
    let whole: Vec<_> = whole.map(|booking| booking.expect("a booking")).collect();
    assert_eq!(whole, bookings);
    let verbs = exported[0].events.iter().map(|event| event.verb());
    assert_eq!(
        verbs.collect::<Vec<_>>(),
        [BookingVerb::Reserve, BookingVerb::Confirm]
    );
    assert!(exported.iter().all(|one| !one.has_more_events));

    // A token is for its customer; and who is unknown has nothing.
    request.customer = Some(Named::CustomerId("nobody".to_owned()));
    let refused = customers.export_customer(request.clone()).await;
    assert_refused(refused, Code::InvalidArgument, "INVALID_PAGE_TOKEN");
    request.page_token.clear();
    let nothing = export(&mut customers, request.clone()).await;
    assert_eq!(nothing, ExportCustomerResponse::default());
    request.customer = None;
    let refused = customers.export_customer(request).await;
    let refused = assert_refused(refused, Code::InvalidArgument, "INVALID_FIELD");
    assert_eq!(fields(&refused), ["customer"]);
    stage.assert_sound().await;
}
