//! Commands that change a part of a booking, in two processes.

use proto::booking::v1::{Booking, BookingState, CancelBookingRequest, SwapSeatsRequest};
use test_harness::errors::{assert_error, subjects};
use test_harness::system::{confirm, get, reserve};
use tonic::{Code, Status};

use super::{ROUNDS, assert_both, granted, rounds, swap};
use crate::stage::{Bookings, Stage, assert_quiet};

fn labels(booking: &Booking) -> Vec<&str> {
    let lines = booking.lines.iter();
    lines.map(|line| line.seat_label.as_str()).collect()
}

async fn swap_seat(
    client: &mut Bookings,
    booking: &Booking,
    from: &str,
    to: &str,
) -> Result<Booking, Status> {
    let request = SwapSeatsRequest {
        booking_id: booking.booking_id.clone(),
        from_seat_labels: vec![from.to_owned()],
        to_seat_labels: vec![to.to_owned()],
        ..Default::default()
    };
    let swapped = client.swap_seats(request).await?.into_inner();
    Ok(swapped.booking.expect("the answer has the booking"))
}

async fn release(client: &mut Bookings, booking: &Booking, label: &str) -> Result<Booking, Status> {
    let request = CancelBookingRequest {
        booking_id: booking.booking_id.clone(),
        seat_labels: vec![label.to_owned()],
        ..Default::default()
    };
    let released = client.cancel_booking(request).await?.into_inner();
    Ok(released.booking.expect("the answer has the booking"))
}

#[tokio::test]
async fn swap_against_reserve_of_the_same_seats() {
    let mut stage = Stage::start().await;
    let show = stage
        .a_show(i32::try_from(3 * ROUNDS).expect("small"))
        .await;
    let (mut process, other) = stage.another().await;
    let seen = rounds(async |number| {
        let (mut here, mut there) = swap(number, stage.client(), other.clone());
        let [own, common, third] = [1, 2, 3].map(|seat| format!("A-{}", 3 * number + seat));
        let held = granted(reserve(&mut here, &show, &[&own], "ann").await);
        let wanted = [&*third, &*common];
        let (swapped, reserved) = futures_util::join!(
            swap_seat(&mut here, &held, &own, &common),
            reserve(&mut there, &show, &wanted, "bob"),
        );
        let now = granted(get(&mut here, &held.booking_id).await);
        let (lost, outcome) = match (swapped, reserved) {
            (Ok(swapped), Err(lost)) => {
                assert_eq!(labels(&swapped), [&*common]);
                assert_eq!(now, swapped);
                (lost, "swapped")
            }
            (Err(lost), Ok(reserved)) => {
                assert_eq!(labels(&reserved), [&*common, &*third]);
                assert_eq!(now, held, "a swap that is refused gives nothing away");
                (lost, "reserved")
            }
            both => panic!("not exactly one: {both:?}"),
        };
        assert_error(&lost, Code::FailedPrecondition, "SEATS_UNAVAILABLE");
        assert_eq!(subjects(&lost), [&*common]);
        outcome
    })
    .await;
    assert_both(&seen);
    let owned = "SELECT count(*) FROM booking.show_seats WHERE booking_id IS NOT NULL";
    let wanted = seen["swapped"] + 3 * seen["reserved"];
    assert_eq!(usize::try_from(stage.count(owned).await), Ok(wanted));
    assert_quiet(&mut process);
    stage.assert_sound().await;
}

#[tokio::test]
async fn release_against_confirm() {
    let mut stage = Stage::start().await;
    let show = stage
        .a_show(i32::try_from(2 * ROUNDS).expect("small"))
        .await;
    let (mut process, other) = stage.another().await;
    let seen = rounds(async |number| {
        let (mut here, mut there) = swap(number, stage.client(), other.clone());
        let [given, kept] = [1, 2].map(|seat| format!("A-{}", 2 * number + seat));
        let held = granted(reserve(&mut here, &show, &[&given, &kept], "ann").await);
        let (released, confirmed) = futures_util::join!(
            release(&mut here, &held, &given),
            confirm(&mut there, &held.booking_id),
        );
        // Each is legal before the other and after it.
        let (released, confirmed) = (granted(released), granted(confirmed));
        assert_eq!(labels(&released), [&*kept]);
        assert_eq!(confirmed.state(), BookingState::Confirmed);
        let now = granted(get(&mut here, &held.booking_id).await);
        let price = held.lines[0].price.clone();
        if released.state() == BookingState::Confirmed {
            assert_eq!(
                (&confirmed.total, &confirmed.refund_due),
                (&held.total, &None)
            );
            assert_eq!((&now, &now.refund_due), (&released, &price));
            "confirmed first"
        } else {
            assert_eq!((&released.total, &released.refund_due), (&price, &None));
            assert_eq!((&now, &now.refund_due), (&confirmed, &None));
            assert_eq!(labels(&now), [&*kept]);
            "released first"
        }
    })
    .await;
    assert_both(&seen);
    let owned = "SELECT count(*) FROM booking.show_seats WHERE booking_id IS NOT NULL";
    assert_eq!(usize::try_from(stage.count(owned).await), Ok(ROUNDS));
    assert_quiet(&mut process);
    stage.assert_sound().await;
}
