//! One customer for each mailbox, however its address is spelled.

use proto::booking::v1::list_bookings_request::Customer as Listed;
use proto::booking::v1::reserve_seats_request::Customer as Wanted;
use proto::booking::v1::{GetCustomerRequest, ListBookingsRequest, get_customer_request};
use test_harness::errors::{describe, fields};
use test_harness::system::reservation;
use tonic::Code;

use super::{CUSTOMERS, by, changing, client_of, create, new, update};
use crate::stage::Stage;

const KEPT: &str = "zoë@bücher.example";
const SPELLINGS: [&str; 7] = [
    KEPT,
    "ZOË@BÜCHER.EXAMPLE",
    "zoe\u{308}@bu\u{308}cher.example",
    "zoë@xn--bcher-kva.example",
    "Zoë@XN--bcher-KVA.example.",
    "zoë@bücher．example",
    "zoë@bücher。example。",
];

#[tokio::test]
async fn every_spelling_finds_the_same_customer_wherever_it_is_typed() {
    let mut stage = Stage::start().await;
    let show = stage.a_show(20).await;
    let mut customers = client_of(&stage.system.booking);
    let zoe = new(&mut customers, by(SPELLINGS[2])).await;
    assert_eq!(zoe.email, KEPT);
    let bob = new(&mut customers, by("bob@example.org")).await;
    let mut bookings = Vec::new();
    for (n, spelling) in (1..).zip(SPELLINGS) {
        let again = create(&mut customers, by(spelling)).await;
        assert_eq!((again.created, again.customer), (false, Some(zoe.clone())));
        let key = Some(get_customer_request::Key::Email(spelling.to_owned()));
        let found = customers.get_customer(GetCustomerRequest { key }).await;
        let found = found.unwrap_or_else(|status| panic!("{spelling}: {}", describe(&status)));
        assert_eq!(found.into_inner().customer.as_ref(), Some(&zoe));

        let mut request = reservation(&show, &[&format!("A-{n}")], "");
        request.customer = Some(Wanted::Email(spelling.to_owned()));
        let reserved = stage.client().reserve_seats(request).await;
        let reserved = reserved.unwrap_or_else(|status| panic!("{}", describe(&status)));
        let booking = reserved.into_inner().booking.expect("set");
        assert_eq!(booking.customer_id, zoe.customer_id, "{spelling}");
        bookings.push(booking.booking_id);
        let request = ListBookingsRequest {
            customer: Some(Listed::Email(spelling.to_owned())),
            ..Default::default()
        };
        let page = stage.client().list_bookings(request).await.expect("a page");
        let page = page.into_inner().bookings.into_iter();
        assert!(
            page.map(|booking| booking.booking_id).eq(bookings.clone()),
            "{spelling}"
        );

        let mut taken = bob.clone();
        taken.email = spelling.to_owned();
        let call = customers.update_customer(changing(&taken, &["email"]));
        let code = Code::FailedPrecondition;
        stage.refused(call, code, "CUSTOMER_EMAIL_TAKEN").await;
    }
    let mut same = zoe.clone();
    same.email = SPELLINGS[3].to_owned();
    let updated = update(&mut customers, changing(&same, &["email"])).await;
    assert_eq!(updated.email, KEPT, "her own address in another spelling");
    assert_eq!(stage.count(CUSTOMERS).await, 2);
    stage.assert_sound().await;
}

#[tokio::test]
async fn an_invalid_address_is_refused_in_every_field() {
    let mut stage = Stage::start().await;
    let show = stage.a_show(3).await;
    let mut customers = client_of(&stage.system.booking);
    let ann = new(&mut customers, by("ann@example.org")).await;
    let digest = stage.digest().await;
    let long_label = format!("a@{}", "b".repeat(64));
    let long_local = format!("{}@b", "a".repeat(65));
    for wrong in [
        "mailto:a@x",
        "a@@x",
        "a@x,b@x",
        "a@x b",
        "\"a b\"@x",
        "a@x..y",
        "a@xn--ascii-",
        "a\0@x",
        "a\u{202e}@x",
        &long_label,
        &long_local,
    ] {
        let invalid = "INVALID_FIELD";
        let call = customers.create_customer(by(wrong));
        let status = stage.refused(call, Code::InvalidArgument, invalid).await;
        assert_eq!(fields(&status), ["email"], "{wrong}");
        let mut other = ann.clone();
        other.email = wrong.to_owned();
        let call = customers.update_customer(changing(&other, &["email"]));
        let status = stage.refused(call, Code::InvalidArgument, invalid).await;
        assert_eq!(fields(&status), ["customer.email"], "{wrong}");
        let mut request = reservation(&show, &["A-1"], "");
        request.customer = Some(Wanted::Email(wrong.to_owned()));
        let mut client = stage.client();
        let status = stage.refused(
            client.reserve_seats(request),
            Code::InvalidArgument,
            invalid,
        );
        assert_eq!(fields(&status.await), ["email"], "{wrong}");
    }
    assert_eq!(stage.digest().await, digest);
    stage.assert_sound().await;
}
