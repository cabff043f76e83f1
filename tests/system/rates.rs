//! How many calls a caller may make in a minute, on the real binaries.

use std::net::IpAddr;
use std::time::Duration;

use proto::booking::v1::booking_service_client::BookingServiceClient;
use proto::booking::v1::{ListSeatsRequest, ReserveSeatsRequest};
use test_harness::errors::{assert_refused, metadata, quota_subjects, retry_after};
use test_harness::eventually;
use test_harness::postgres;
use test_harness::process::Process;
use test_harness::system::{System, reservation};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};

use crate::auth::Guarded;

const SOON: Duration = Duration::from_secs(30);
/// Two at once, and then one in half a minute.
const TWO_HOLDS: [&str; 2] = ["--holds-per-minute", "2"];

/// A client that calls from this address of the loopback network.
fn client_at(address: [u8; 4], booking: &Process) -> BookingServiceClient<Channel> {
    let endpoint = Endpoint::from_shared(booking.url()).expect("a URL");
    let endpoint = endpoint.local_address(Some(IpAddr::from(address)));
    BookingServiceClient::new(endpoint.connect_lazy())
}

/// That a hold was refused because its caller, told apart by `by`, had made too many.
fn assert_limited(outcome: Result<impl std::fmt::Debug, Status>, by: &str) {
    let status = assert_refused(outcome, Code::ResourceExhausted, "RATE_LIMITED");
    let metadata = metadata(&status);
    let said = ["class", "calls_per_minute", "counted_by"].map(|key| metadata[key].as_str());
    assert_eq!(said, ["hold", "2", by]);
    assert_eq!(quota_subjects(&status), ["hold"]);
    let retry = retry_after(&status).expect("when the next call passes");
    let half_a_minute = Duration::from_secs(30);
    assert!(retry <= half_a_minute && !retry.is_zero(), "{retry:?}");
}

#[tokio::test]
async fn an_address_that_holds_too_much_is_refused_and_another_one_still_buys() {
    let database = postgres::database().await;
    let system = System::start_with(database, 0, &TWO_HOLDS).await;
    let show = system.a_show(3).await;
    let [greedy, other] = [1, 2].map(|last| client_at([127, 0, 0, last], &system.booking));
    let hold = |label: &str| -> ReserveSeatsRequest { reservation(&show, &[label], "ann") };
    for label in ["A-1", "A-2"] {
        let held = greedy.clone().reserve_seats(hold(label)).await;
        held.expect("it has not made too many");
    }
    assert_limited(greedy.clone().reserve_seats(hold("A-3")).await, "address");
    let list = ListSeatsRequest {
        show_id: show.clone(),
        ..Default::default()
    };
    let listed = greedy.clone().list_seats(list).await;
    listed.expect("reads are another class, which has no limit");
    let held = other.clone().reserve_seats(hold("A-3")).await;
    held.expect("it has made none yet, and the seat is free");
}

#[tokio::test]
async fn a_customer_is_counted_by_its_token_and_staff_is_not() {
    let system = Guarded::start_with(&TWO_HOLDS).await;
    let show = system.a_show().await;
    let reserve = async |customer: &str, role: &str, label: &str| {
        let request = system.by(customer, role, reservation(&show, &[label], customer));
        system.bookings().reserve_seats(request).await
    };
    // The show is known from then on. Until then calls may fail, and customers' would be counted.
    eventually(SOON, "seats are reserved", async || {
        reserve("sue", "staff", "A-1").await.is_ok()
    })
    .await;
    for label in ["A-2", "A-3"] {
        let held = reserve("ann", "customer", label).await;
        held.expect("she has not made too many");
    }
    assert_limited(reserve("ann", "customer", "A-4").await, "token");
    let held = reserve("bob", "customer", "A-4").await;
    held.expect("he has made none, at the same address");
    for label in ["A-5", "A-6", "A-7"] {
        let held = reserve("sue", "staff", label).await;
        held.expect("staff has no limit");
    }
}
