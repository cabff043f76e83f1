//! Rows of the tables: each test locks another one.

use std::cell::Cell;

use proto::booking::v1::ReserveSeatsRequest;

use super::*;
use crate::areas::{places, show_of};

/// A stage with two shows of [`SEATS`] seats and the area "Floor".
async fn begin() -> (Stage, String, String) {
    let stage = Stage::start().await;
    let described = || show_of(SEATS, &[("Floor", 1_000)]);
    let (show, other) = (
        stage.create(described()).await,
        stage.create(described()).await,
    );
    (stage, show, other)
}

/// The request that reserves a place in the area.
fn place(show: &str) -> ReserveSeatsRequest {
    ReserveSeatsRequest {
        places: places(&[("Floor", 1)]),
        ..reservation(show, &[], "ann")
    }
}

#[tokio::test]
async fn a_booking() {
    let (mut stage, show, other) = begin().await;
    let held = stage.reserve(&show, &["A-1"]).await;
    let holder = Holder::of(&stage, "SELECT FROM booking.bookings FOR UPDATE").await;
    let call = async |client, deadline| send_confirm(client, deadline, &held.booking_id).await;
    assert_isolated(
        &stage.client(),
        (holder, "a booking"),
        &[&show, &other],
        call,
    )
    .await;
    stage.assert_sound().await;
}

#[tokio::test]
async fn a_seat() {
    let (mut stage, show, other) = begin().await;
    stage.reserve(&show, &["A-1"]).await;
    let lock = format!(
        "SELECT FROM booking.show_seats WHERE show_id = '{show}' AND ordinal = 1 FOR UPDATE"
    );
    let holder = Holder::of(&stage, &lock).await;
    let call = async |client, deadline| send_reserve(client, deadline, seat(&show, "A-2")).await;
    assert_isolated(&stage.client(), (holder, "a seat"), &[&show, &other], call).await;
    stage.assert_sound().await;
}

/// Each request finds the row locked again.
#[tokio::test]
async fn all_seats_of_a_show() {
    let (mut stage, show, other) = begin().await;
    stage.reserve(&show, &["A-1"]).await;
    let lock = format!("SELECT FROM booking.show_seats WHERE show_id = '{show}' FOR UPDATE");
    let holder = Holder::of(&stage, &lock).await;
    let next = Cell::new(1);
    let call = async |client, deadline| {
        next.set(next.get() + 1);
        let label = format!("A-{}", next.get());
        send_reserve(client, deadline, seat(&show, &label)).await
    };
    assert_isolated(
        &stage.client(),
        (holder, "all seats of a show"),
        &[&other],
        call,
    )
    .await;
    stage.assert_sound().await;
}

#[tokio::test]
async fn an_area() {
    let (mut stage, show, other) = begin().await;
    stage.reserve(&show, &["A-1"]).await;
    let lock = format!("SELECT FROM booking.show_areas WHERE show_id = '{show}' FOR UPDATE");
    let holder = Holder::of(&stage, &lock).await;
    let call = async |client, deadline| send_reserve(client, deadline, place(&show)).await;
    assert_isolated(&stage.client(), (holder, "an area"), &[&show, &other], call).await;
    stage.assert_sound().await;
}

#[tokio::test]
async fn a_sale() {
    let (mut stage, show, other) = begin().await;
    stage.reserve(&show, &["A-1"]).await;
    let lock = format!("SELECT FROM booking.sales WHERE show_id = '{show}' FOR UPDATE");
    let holder = Holder::of(&stage, &lock).await;
    let call = async |client, deadline| send_reserve(client, deadline, seat(&show, "A-2")).await;
    assert_isolated(&stage.client(), (holder, "a sale"), &[&other], call).await;
    stage.assert_sound().await;
}

/// Its order does not name it: only the row of its booking does.
#[tokio::test]
async fn a_seat_that_a_cancel_gives_back() {
    let (mut stage, show, other) = begin().await;
    let held = stage.buy(&show, &["A-1", "A-2"]).await;
    let lock = format!(
        "SELECT FROM booking.show_seats WHERE show_id = '{show}' AND ordinal = 1 FOR UPDATE"
    );
    let holder = Holder::of(&stage, &lock).await;
    let call = async |client, deadline| send_cancel(client, deadline, &held.booking_id).await;
    let what = "a seat that a cancel gives back";
    assert_isolated(&stage.client(), (holder, what), &[&show, &other], call).await;
    stage.assert_sound().await;
}

#[tokio::test]
async fn an_area_of_which_a_cancel_gives_back_places() {
    let (mut stage, show, other) = begin().await;
    let answer = stage.client().reserve_seats(place(&show)).await;
    let held = answer.expect("free").into_inner().booking.expect("set");
    let holder = Holder::of(&stage, "SELECT FROM booking.show_areas FOR UPDATE").await;
    let call = async |client, deadline| send_cancel(client, deadline, &held.booking_id).await;
    let what = "an area of which a cancel gives back places";
    assert_isolated(&stage.client(), (holder, what), &[&show, &other], call).await;
    stage.assert_sound().await;
}

/// Its hold has ended, so it must be failed before its seat is available.
#[tokio::test]
async fn a_booking_whose_hold_has_ended() {
    let (mut stage, show, other) = begin().await;
    let held = stage.reserve(&show, &["A-1"]).await;
    stage.lapse(&held.booking_id).await;
    let holder = Holder::of(&stage, "SELECT FROM booking.bookings FOR UPDATE").await;
    let call = async |client, deadline| send_reserve(client, deadline, seat(&show, "A-1")).await;
    let what = "a booking whose hold has ended";
    assert_isolated(&stage.client(), (holder, what), &[&show, &other], call).await;
    stage.assert_sound().await;
}
