//! One caller wants to hold all seats of a show: it holds no more than it may, and others buy.

use std::sync::Arc;
use std::time::Duration;

use proto::booking::v1::booking_service_client::BookingServiceClient;
use proto::booking::v1::{ConfirmBookingRequest, ReserveSeatsRequest};
use tempfile::TempDir;
use test_harness::errors::{assert_error, has_retry_info, metadata, quota_subjects};
use test_harness::eventually;
use test_harness::issuer::{AUDIENCE, ISSUER, Issuer, claims, jwks};
use test_harness::postgres;
use test_harness::process::Process;
use test_harness::system::{catalog_client_of, reservation, show, start_catalog};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request};

const SOON: Duration = Duration::from_secs(60);
const SEATS: i32 = 1_000;
const HELD_MAX: usize = 3;
const ATTEMPTS_AT_ONCE: usize = 8;
const ATTEMPTS: usize = 2_000;
const BUYERS: usize = 50;

type Bookings = BookingServiceClient<Channel>;

fn by<T>(token: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    let bearer = format!("Bearer {token}").parse().expect("a header");
    request.metadata_mut().insert("authorization", bearer);
    request
}

fn seat(show: &str, number: usize, customer: &str) -> ReserveSeatsRequest {
    reservation(show, &[&format!("A-{number}")], customer)
}

/// Reserves until it has tried often enough, each time another seat.
async fn hoard(mut bookings: Bookings, show: String, token: String, first: usize) -> usize {
    let mut held = 0;
    for attempt in 0..ATTEMPTS / ATTEMPTS_AT_ONCE {
        // The seats of the buyers are others.
        let number =
            BUYERS + 1 + (first + attempt * ATTEMPTS_AT_ONCE) % (SEATS as usize - BUYERS - 10);
        let answer = bookings.reserve_seats(by(&token, seat(&show, number, "mallory")));
        match answer.await {
            Ok(_) => held += 1,
            Err(status) if status.code() == Code::FailedPrecondition => {}
            Err(status) => {
                assert_error(&status, Code::ResourceExhausted, "HOLD_LIMIT_EXCEEDED");
                assert_eq!(quota_subjects(&status), ["caller"]);
                assert!(has_retry_info(&status));
                let metadata = metadata(&status);
                assert_eq!(metadata["limit"], HELD_MAX.to_string());
                assert_eq!(metadata["scope"], "show");
            }
        }
    }
    held
}

#[tokio::test]
async fn one_caller_holds_no_more_than_it_may_while_others_buy() {
    let (issuer, files) = (Issuer::new("one"), TempDir::new().expect("a folder"));
    let keys = files.path().join("keys.json");
    std::fs::write(&keys, jwks(&[issuer.jwk()])).expect("a file of ours");
    let database = postgres::database().await;
    let catalog = start_catalog(&database).await;
    let arguments = [
        "--database-url",
        &database.url("booking_svc"),
        "--catalog-url",
        &catalog.internal_url(),
        "--confirm-unpaid",
        "true",
        "--auth-issuer",
        ISSUER,
        "--auth-audience",
        AUDIENCE,
        "--auth-keys",
        keys.to_str().expect("a name of ASCII"),
        "--holds-per-caller-and-show-max",
        &HELD_MAX.to_string(),
    ];
    let service = Process::start("booking-svc", &arguments).await;
    let endpoint = Endpoint::from_shared(service.url()).expect("a URL");
    let bookings = Bookings::new(endpoint.timeout(SOON).connect_lazy());
    let created = catalog_client_of(&catalog).create_show(show(SEATS)).await;
    let show = created.expect("a show").into_inner().show;
    let show = show.expect("the answer has the show").show_id;
    let token = |subject: &str| issuer.token(&claims(subject, &["customer"]));
    let staff = issuer.token(&claims("sue", &["staff"]));
    eventually(SOON, "the show is sold", async || {
        let request = by(&staff, seat(&show, SEATS as usize, "sam"));
        bookings.clone().reserve_seats(request).await.is_ok()
    })
    .await;

    let mut hoarders = JoinSet::new();
    for first in 0..ATTEMPTS_AT_ONCE {
        hoarders.spawn(hoard(
            bookings.clone(),
            show.clone(),
            token("mallory"),
            first,
        ));
    }
    let done = Arc::new(Notify::new());
    let owner = database.owner().await;
    let watch = tokio::spawn({
        let done = Arc::clone(&done);
        async move {
            let mut most = 0;
            loop {
                let row = owner.query_one(
                    "SELECT count(*) FROM booking.bookings_now \
                     WHERE state = 'PENDING' AND customer_id = 'mallory'",
                    &[],
                );
                most = most.max(row.await.expect("a count").get::<_, i64>(0));
                tokio::select! {
                    () = done.notified() => return most,
                    () = tokio::time::sleep(Duration::from_millis(20)) => {}
                }
            }
        }
    });

    for number in 1..=BUYERS {
        let (mut bookings, customer) = (bookings.clone(), format!("buyer-{number}"));
        let token = token(&customer);
        let held = bookings.reserve_seats(by(&token, seat(&show, number, &customer)));
        let booking = held
            .await
            .expect("another caller holds")
            .into_inner()
            .booking;
        let confirm = ConfirmBookingRequest {
            booking_id: booking.expect("the answer has it").booking_id,
            ..Default::default()
        };
        let bought = bookings.confirm_booking(by(&token, confirm)).await;
        bought.expect("another caller buys");
    }
    let mut held = 0;
    while let Some(of_one) = hoarders.join_next().await {
        held += of_one.expect("it ended");
    }
    done.notify_one();
    assert_eq!(held, HELD_MAX, "it got what it may");
    let most = watch.await.expect("it ended");
    assert_eq!(usize::try_from(most), Ok(HELD_MAX), "at any time");

    // By staff, who act for many, there is no such limit.
    let mut bookings = bookings.clone();
    for number in 1..=HELD_MAX + 1 {
        let request = seat(&show, SEATS as usize - number, "mallory");
        let held = bookings.reserve_seats(by(&staff, request)).await;
        held.expect("staff hold for anybody");
    }
}
