//! SwapSeats.

use proto::booking::v1::{Booking, SeatStatus, SwapSeatsRequest};
use test_harness::errors::{describe, fields, metadata, subjects};
use tonic::{Code, Status};
use uuid::Uuid;

use crate::stage::Stage;

fn request(booking: &str, from: &[&str], to: &[&str]) -> SwapSeatsRequest {
    let labels = |labels: &[&str]| labels.iter().map(ToString::to_string).collect();
    SwapSeatsRequest {
        booking_id: booking.to_owned(),
        from_seat_labels: labels(from),
        to_seat_labels: labels(to),
        ..Default::default()
    }
}

async fn swap(stage: &Stage, request: SwapSeatsRequest) -> Result<Booking, Status> {
    let response = stage.client().swap_seats(request).await?.into_inner();
    Ok(response.booking.expect("set"))
}

fn labels(booking: &Booking) -> Vec<&str> {
    let lines = booking.lines.iter();
    lines.map(|line| line.seat_label.as_str()).collect()
}

#[tokio::test]
async fn a_live_booking_gets_other_seats_for_its_own() {
    let mut stage = Stage::start().await;
    let show = stage.a_show(6).await;
    let held = stage.reserve(&show, &["A-1", "A-2"]).await;
    let bought = stage.buy(&show, &["A-3"]).await;
    let mut first = request(&held.booking_id, &["A-2"], &["A-5"]);
    first.request_id = Uuid::new_v4().to_string();
    first.etag.clone_from(&held.etag);
    let swapped = swap(&stage, first.clone()).await.expect("free");
    assert_eq!(labels(&swapped), ["A-1", "A-5"]);
    assert_eq!((swapped.state, &swapped.total), (held.state, &held.total));
    let both = swap(
        &stage,
        request(&held.booking_id, &["A-5", "A-1"], &["A-1", "A-2"]),
    );
    let status = both.await.expect_err("A-1 is its own still");
    assert_eq!(subjects(&status), ["A-1"]);
    let both = request(&held.booking_id, &["A-5", "A-1"], &["A-2", "A-6"]);
    let both = swap(&stage, both).await.expect("free");
    assert_eq!(labels(&both), ["A-2", "A-6"]);
    assert_eq!(swap(&stage, first).await.expect("a copy"), swapped);

    let moved = swap(&stage, request(&bought.booking_id, &["A-3"], &["A-4"])).await;
    let moved = moved.expect("as dear");
    assert_eq!(
        (labels(&moved), moved.refund_due.clone()),
        (vec!["A-4"], None)
    );
    assert_eq!(stage.get(&bought.booking_id).await, moved);
    let free = stage.labels(&show, SeatStatus::Available).await;
    assert_eq!(free, ["A-1", "A-3", "A-5"]);
    stage.assert_sound().await;
}

#[tokio::test]
async fn seats_that_cannot_be_had_or_given_are_named_and_nothing_is_swapped() {
    let mut stage = Stage::start().await;
    let show = stage.a_show(6).await;
    let held = stage.reserve(&show, &["A-1", "A-2"]).await.booking_id;
    stage.buy(&show, &["A-3"]).await;
    let cases = [
        (
            request(&held, &["A-1", "A-2"], &["A-3", "A-4"]),
            Code::FailedPrecondition,
            "SEATS_UNAVAILABLE",
            vec!["A-3"],
        ),
        (
            request(&held, &["A-1", "A-3", "A-9"], &["A-4", "A-5", "A-6"]),
            Code::FailedPrecondition,
            "SEATS_NOT_IN_BOOKING",
            vec!["A-3", "A-9"],
        ),
    ];
    for (request, code, reason, expected) in cases {
        let call = swap(&stage, request);
        let status = stage.refused(call, code, reason).await;
        assert_eq!(subjects(&status), expected);
    }
    let call = swap(&stage, request(&held, &["A-1"], &["Z-1"]));
    let status = stage
        .refused(call, Code::InvalidArgument, "UNKNOWN_SEATS")
        .await;
    assert_eq!(fields(&status), ["to_seat_labels[0]"]);
    stage.lapse(&held).await;
    let call = swap(&stage, request(&held, &["A-1"], &["A-4"]));
    stage
        .refused(call, Code::FailedPrecondition, "HOLD_EXPIRED")
        .await;
    stage.assert_sound().await;
}

#[tokio::test]
async fn the_seats_of_a_lapsed_hold_can_be_swapped_onto() {
    let mut stage = Stage::start().await;
    let show = stage.a_show(3).await;
    let lapsed = stage.reserve(&show, &["A-1"]).await.booking_id;
    stage.lapse(&lapsed).await;
    let held = stage.reserve(&show, &["A-2"]).await.booking_id;
    let swapped = swap(&stage, request(&held, &["A-2"], &["A-1"])).await;
    assert_eq!(labels(&swapped.expect("its hold has ended")), ["A-1"]);
    stage.assert_sound().await;
}

#[tokio::test]
async fn a_paid_booking_gets_the_difference_back_but_does_not_cost_more() {
    let mut stage = Stage::start().await;
    let show = stage.a_show(3).await;
    let bought = stage.buy(&show, &["A-1"]).await;
    // As if it had been bought for more, then for less, than the current price.
    for (paid, outcome) in [(2_000, Ok(750)), (1_000, Err("250"))] {
        stage
            .run(&format!(
                "UPDATE booking.bookings SET seat_prices = '{{{paid}}}', total = {paid},
                     released = NULL, refund_due = NULL"
            ))
            .await;
        let own = stage.get(&bought.booking_id).await.lines[0]
            .seat_label
            .clone();
        let call = swap(&stage, request(&bought.booking_id, &[&own], &["A-3"]));
        match outcome {
            Ok(difference) => {
                let swapped = call.await.expect("cheaper");
                let total = swapped.total.expect("set").minor_units;
                let refund = swapped.refund_due.expect("due").minor_units;
                assert_eq!((total, refund), (1_250, difference));
                let back = swap(&stage, request(&bought.booking_id, &["A-3"], &["A-2"])).await;
                back.expect("as dear");
            }
            Err(by) => {
                let status = stage
                    .refused(call, Code::FailedPrecondition, "SWAP_COSTS_MORE")
                    .await;
                assert_eq!(metadata(&status)["minor_units"], by);
                assert_eq!(metadata(&status)["currency_code"], "EUR");
            }
        }
        stage.assert_sound().await;
    }
}

#[tokio::test]
async fn a_malformed_request_is_refused() {
    let mut stage = Stage::start().await;
    let show = stage.a_show(4).await;
    let held = stage.reserve(&show, &["A-1", "A-2"]).await.booking_id;
    let many: Vec<String> = (0..101).map(|n| format!("A-{n}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let cases = [
        (request(&held, &[], &[]), vec!["from_seat_labels"]),
        (request(&held, &["A-1"], &[]), vec!["to_seat_labels"]),
        (request(&held, &many, &many), vec!["from_seat_labels"]),
        (
            request("b", &["A-1", "A-1"], &["A-3", "A-3"]),
            vec!["booking_id", "from_seat_labels[1]", "to_seat_labels[1]"],
        ),
    ];
    for (request, expected) in cases {
        let call = swap(&stage, request);
        let status = stage
            .refused(call, Code::InvalidArgument, "INVALID_FIELD")
            .await;
        let mut fields = fields(&status);
        fields.sort();
        assert_eq!(fields, expected, "{}", describe(&status));
    }
    stage.assert_sound().await;
}
