//! The most places of a show that one customer may have, over all of its live bookings.

use std::collections::HashMap;
use std::time::Duration;

use futures_util::future::join_all;
use proto::booking::v1::reserve_seats_request::Customer;
use proto::booking::v1::{Booking, CancelBookingRequest, ReserveSeatsRequest, SwapSeatsRequest};
use proto::catalog::v1::CreateShowRequest;
use test_harness::errors::{assert_error, describe, metadata, quota_subjects};
use test_harness::eventually;
use test_harness::system::{cancel, confirm, reservation, reserve};
use tonic::{Code, Status};
use uuid::Uuid;

use crate::customers::{by, client_of, new};
use crate::stage::{Bookings, Stage, assert_quiet};

const EXCEEDED: (Code, &str) = (Code::ResourceExhausted, "PLACES_PER_CUSTOMER_EXCEEDED");

/// How many of the services' transactions wait for another.
const WAITING: &str = "
    SELECT count(*) FROM pg_locks JOIN pg_stat_activity USING (pid)
    WHERE NOT granted AND datname = current_database()";
/// Less than a service waits for a lock.
const WAITING_MAX: Duration = Duration::from_secs(2);

/// A show that allows a customer this many places.
async fn a_show(stage: &Stage, seats: i32, limit: i32) -> String {
    let described = CreateShowRequest {
        places_per_customer_max: limit,
        ..test_harness::system::show(seats)
    };
    stage.create(described).await
}

/// Asserts that a customer has `taken` places, and may have `left` more.
fn assert_exceeded(status: &Status, taken: &str, left: &str) {
    assert_error(status, EXCEEDED.0, EXCEEDED.1);
    assert_eq!(quota_subjects(status), ["customer"]);
    let metadata: HashMap<_, _> = metadata(status);
    let quota = ["limit", "taken", "left"].map(|key| metadata[key].as_str());
    assert_eq!(quota, ["4", taken, left], "{}", describe(status));
}

fn wanted(show: &str, labels: &[&str], customer: &Customer) -> ReserveSeatsRequest {
    ReserveSeatsRequest {
        customer: Some(customer.clone()),
        request_id: Uuid::new_v4().to_string(),
        ..reservation(show, labels, "")
    }
}

async fn booked(client: &mut Bookings, request: ReserveSeatsRequest) -> Result<Booking, Status> {
    let response = client.reserve_seats(request).await?.into_inner();
    Ok(response.booking.expect("the answer has the booking"))
}

#[tokio::test]
async fn all_live_bookings_of_a_customer_count_under_every_name() {
    let mut stage = Stage::start().await;
    let show = a_show(&stage, 20, 4).await;
    let ann = new(&mut client_of(&stage.system.booking), by("ann@example.org")).await;
    let names = [
        Customer::Email("ann@example.org".to_owned()),
        Customer::CustomerId(ann.customer_id),
    ];
    let mut client = stage.client();
    let call = client.reserve_seats(wanted(
        &show,
        &["A-1", "A-2", "A-3", "A-4", "A-5"],
        &names[0],
    ));
    let status = stage.refused(call, EXCEEDED.0, EXCEEDED.1).await;
    assert_exceeded(&status, "0", "4");

    let first = booked(&mut client, wanted(&show, &["A-1", "A-2"], &names[0])).await;
    let first = first.expect("within the limit");
    confirm(&mut client, &first.booking_id).await.expect("live");
    let mut sold = wanted(&show, &["A-3"], &names[1]);
    sold.confirm = true;
    booked(&mut client, sold).await.expect("within the limit");
    for name in &names {
        let call = client.reserve_seats(wanted(&show, &["A-4", "A-5"], name));
        let status = stage.refused(call, EXCEEDED.0, EXCEEDED.1).await;
        assert_exceeded(&status, "3", "1");
    }
    // Another customer has a separate limit, and so has another show.
    let bob = Customer::CustomerId("bob".to_owned());
    let labels = ["A-11", "A-12", "A-13", "A-14"];
    let got = booked(&mut client, wanted(&show, &labels, &bob)).await;
    assert!(got.is_ok(), "{got:?}");
    let elsewhere = a_show(&stage, 4, 4).await;
    let labels = ["A-1", "A-2", "A-3", "A-4"];
    let got = booked(&mut client, wanted(&elsewhere, &labels, &names[0])).await;
    assert!(got.is_ok(), "{got:?}");

    // A swap for as many others adds none, and returned seats do not count.
    let swap = SwapSeatsRequest {
        booking_id: first.booking_id.clone(),
        from_seat_labels: vec!["A-1".to_owned()],
        to_seat_labels: vec!["A-9".to_owned()],
        ..Default::default()
    };
    client.swap_seats(swap).await.expect("as many");
    let released = CancelBookingRequest {
        booking_id: first.booking_id,
        seat_labels: vec!["A-9".to_owned()],
        ..Default::default()
    };
    client.cancel_booking(released).await.expect("a part of it");
    let got = booked(&mut client, wanted(&show, &["A-4", "A-5"], &names[0])).await;
    let got = got.expect("within the limit");
    let call = client.reserve_seats(wanted(&show, &["A-10"], &names[1]));
    let status = stage.refused(call, EXCEEDED.0, EXCEEDED.1).await;
    assert_exceeded(&status, "4", "0");

    // An expired hold does not count, even before the worker has failed it.
    stage.lapse(&got.booking_id).await;
    let got = booked(&mut client, wanted(&show, &["A-10", "A-8"], &names[1])).await;
    let got = got.expect("within the limit");
    cancel(&mut client, &got.booking_id).await.expect("live");
    stage.assert_sound().await;
}

#[tokio::test]
async fn fifty_reserves_of_one_customer_at_once_stay_within_the_limit() {
    const AT_ONCE: usize = 50;
    let mut stage = Stage::start().await;
    let show = a_show(&stage, 2 * 50, 4).await;
    let (mut process, other) = stage.another_with(&["--commit-workers", "4"]).await;
    for round in 0..4 {
        let address = format!("ann{round}@example.org");
        let ann = new(&mut client_of(&stage.system.booking), by(&address)).await;
        let own = format!("own {round}");
        let names = [
            Customer::Email(address),
            Customer::CustomerId(ann.customer_id),
        ];
        let base = 50 * (round % 2);
        let calls = (0..AT_ONCE).map(|place| {
            let mut client = if place % 4 < 2 {
                stage.client()
            } else {
                other.clone()
            };
            // Half of the rounds use a customer under the caller's own id.
            let name = if round < 2 {
                names[place % 2].clone()
            } else {
                Customer::CustomerId(own.clone())
            };
            let request = wanted(&show, &[&format!("A-{}", base + place + 1)], &name);
            async move { booked(&mut client, request).await }
        });
        let outcomes = join_all(calls).await;
        let (granted, refused): (Vec<_>, Vec<_>) = outcomes.into_iter().partition(Result::is_ok);
        assert_eq!(granted.len(), 4);
        for status in refused.into_iter().filter_map(Result::err) {
            assert_exceeded(&status, "4", "0");
        }
        for booking in granted.into_iter().flatten() {
            let mut client = stage.client();
            cancel(&mut client, &booking.booking_id)
                .await
                .expect("live");
        }
    }
    assert_quiet(&mut process);
    stage.assert_sound().await;
}

#[tokio::test]
async fn a_hold_that_was_extended_at_the_last_moment_counts() {
    let mut stage = Stage::that_waits_for_locks().await;
    let show = a_show(&stage, 5, 4).await;
    let mut client = stage.client();
    let labels = ["A-1", "A-2", "A-3", "A-4"];
    let held = reserve(&mut client, &show, &labels, "ann").await;
    let held = held.expect("within the limit");
    stage.end_hold(&held.booking_id, Duration::ZERO).await;
    // As an extension that was decided in time, and is not committed yet.
    let mut other = stage.system.database.owner().await;
    let extension = other.transaction().await.expect("a transaction");
    let extend = "UPDATE booking.bookings SET expires_at = expires_at + interval '60 s'";
    extension.batch_execute(extend).await.expect("a hold");
    let reserving = tokio::spawn(async move { reserve(&mut client, &show, &["A-5"], "ann").await });
    eventually(WAITING_MAX, "the reserve waits for it", async || {
        reserving.is_finished() || stage.count(WAITING).await == 1
    })
    .await;
    extension.commit().await.expect("it commits");
    let refused = reserving
        .await
        .expect("an answer")
        .expect_err("four are held");
    assert_exceeded(&refused, "4", "0");
    stage.assert_sound().await;
}
