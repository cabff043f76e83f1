//! Reads of a booking while it is paid and refunded.

use futures_util::future::join_all;
use proto::booking::v1::{
    Booking, BookingState, CancelBookingRequest, ListBookingsRequest, PaymentState,
};
use test_harness::system::get;

use super::till::{Till, granted, state};

const ROUNDS: usize = 40;
/// How many readers read a booking while it changes.
const READERS: usize = 4;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_booking_and_its_payment_are_of_the_same_moment() {
    let mut till = Till::open().await;
    let show = till.stage.a_show(1).await;
    for _ in 0..ROUNDS {
        let held = till.stage.reserve(&show, &["A-1"]).await;
        let id = &*held.booking_id;
        let change = async {
            let paid = granted(till.pay(id, "approve").await);
            let cancel = CancelBookingRequest {
                booking_id: paid.booking_id,
                ..Default::default()
            };
            let cancelled = till.client.clone().cancel_booking(cancel).await;
            cancelled.expect("what is paid can be cancelled");
        };
        let readers = join_all((0..READERS).map(|reader| look_until_cancelled(&till, id, reader)));
        futures_util::join!(change, readers);
    }
    till.assert_sound().await;
}

/// Reads a booking until it is cancelled, alone or in a list.
async fn look_until_cancelled(till: &Till, id: &str, reader: usize) {
    let mut client = till.stage.client();
    let mut seen = BookingState::Pending;
    while seen != BookingState::Cancelled {
        let booking = match reader % 2 {
            0 => get(&mut client, id).await.expect("a booking"),
            _ => listed(till, id).await,
        };
        let payment = state(&booking);
        let fits = match booking.state() {
            BookingState::Pending => {
                [PaymentState::Unspecified, PaymentState::Started].contains(&payment)
            }
            BookingState::Confirmed => payment == PaymentState::Captured,
            BookingState::Cancelled => {
                [PaymentState::RefundRequired, PaymentState::Refunded].contains(&payment)
            }
            _ => false,
        };
        assert!(fits, "{:?} and {payment:?}", booking.state());
        seen = booking.state();
    }
}

async fn listed(till: &Till, id: &str) -> Booking {
    let request = ListBookingsRequest {
        page_size: 1_000,
        ..Default::default()
    };
    let page = till.stage.client().list_bookings(request).await;
    let mut bookings = page.expect("a page").into_inner().bookings.into_iter();
    let found = bookings.find(|booking| booking.booking_id == id);
    found.expect("the booking is listed")
}
