//! ConfirmBooking.

use proto::booking::v1::{BookingState, ConfirmBookingRequest, SeatStatus};
use proto::catalog::v1::CreateShowRequest;
use proto::money::v1::Money;
use test_harness::errors::{describe, fields, has_retry_info, metadata, subjects};
use test_harness::system::{cancel, confirm, show};
use tonic::Code;

use crate::stage::{Stage, text_of};

fn request(booking: &str) -> ConfirmBookingRequest {
    ConfirmBookingRequest {
        booking_id: booking.to_owned(),
        ..Default::default()
    }
}

#[tokio::test]
async fn it_sells_the_seats() {
    let mut stage = Stage::start().await;
    let show = stage.a_show(3).await;
    let held = stage.reserve(&show, &["A-3", "A-2"]).await;
    let mut request = request(&held.booking_id);
    request.etag.clone_from(&held.etag);
    let response = stage.client().confirm_booking(request).await;
    let booking = response.expect("a live hold").into_inner().booking;
    let booking = booking.expect("the answer has the booking");

    assert_eq!(booking.state(), BookingState::Confirmed);
    let confirmed = booking.confirm_time.expect("set");
    let (made, ends) = (
        held.create_time.expect("set"),
        held.expire_time.expect("set"),
    );
    let order = [made, confirmed, ends].map(|time| (time.seconds, time.nanos));
    assert!(order.is_sorted(), "{order:?}");
    assert_ne!(booking.etag, held.etag);
    let mut rest = booking.clone();
    rest.state = held.state;
    rest.confirm_time = None;
    rest.etag.clone_from(&held.etag);
    assert_eq!(rest, held, "nothing else has changed");

    assert_eq!(stage.get(&booking.booking_id).await, booking);
    let booked = stage.labels(&show, SeatStatus::Booked).await;
    assert_eq!(booked, ["A-2", "A-3"]);
    stage.assert_sound().await;
}

#[tokio::test]
async fn a_malformed_request_is_refused() {
    type Spoil = fn(&mut ConfirmBookingRequest);
    let cases: [(Spoil, &[&str]); 7] = [
        (|r| r.booking_id.clear(), &["booking_id"]),
        (|r| r.booking_id.truncate(35), &["booking_id"]),
        (|r| r.booking_id.push('0'), &["booking_id"]),
        (|r| r.request_id = "7".to_owned(), &["request_id"]),
        (|r| r.etag = "2".to_owned(), &["etag"]),
        (|r| r.etag = "v0".to_owned(), &["etag"]),
        (
            |r| {
                *r = ConfirmBookingRequest {
                    booking_id: "b".to_owned(),
                    request_id: "r".to_owned(),
                    etag: "e".to_owned(),
                    payment_reference: "\n".to_owned(),
                    payment_token: String::new(),
                }
            },
            &["booking_id", "etag", "payment_reference", "request_id"],
        ),
    ];
    let mut stage = Stage::start().await;
    let show = stage.a_show(3).await;
    let held = stage.reserve(&show, &["A-1"]).await;
    let mut client = stage.client();
    for (place, (spoil, wanted)) in cases.into_iter().enumerate() {
        let mut request = request(&held.booking_id);
        spoil(&mut request);
        let call = client.confirm_booking(request);
        let status = stage
            .refused(call, Code::InvalidArgument, "INVALID_FIELD")
            .await;
        assert_eq!(
            fields(&status),
            wanted,
            "case {place}: {}",
            describe(&status)
        );
    }
    stage.assert_sound().await;
}

#[tokio::test]
async fn a_booking_that_is_not_there_is_not_found() {
    let mut stage = Stage::start().await;
    let show = stage.a_show(3).await;
    let known: model::ShowId = show.parse().expect("a show's id");
    let mut client = stage.client();
    let mut nobodies = vec![show, uuid::Uuid::new_v4().to_string()];
    for show in [known, model::ShowId::generate()] {
        nobodies.push(model::BookingId::generate(show).to_string());
    }
    for nobody in nobodies {
        let call = confirm(&mut client, &nobody);
        let status = stage
            .refused(call, Code::NotFound, "BOOKING_NOT_FOUND")
            .await;
        assert_eq!(metadata(&status)["booking_id"], nobody);
    }
    stage.assert_sound().await;
}

#[tokio::test]
async fn a_booking_in_any_other_state_is_refused_with_it() {
    let mut stage = Stage::start().await;
    let show = stage.a_show(5).await;
    let mut client = stage.client();
    let confirmed = stage.buy(&show, &["A-1"]).await;
    let held = stage.reserve(&show, &["A-2"]).await;
    let given_up = cancel(&mut client, &held.booking_id).await.expect("live");
    let bought = stage.buy(&show, &["A-3"]).await;
    let returned = cancel(&mut client, &bought.booking_id).await.expect("live");
    let declined = stage.reserve(&show, &["A-4"]).await;
    // No verb of this release fails a booking for this reason.
    stage
        .run(&format!(
            "UPDATE booking.bookings SET state = 'FAILED', failure_reason = 'PAYMENT_DECLINED',
                 failed_at = clock_timestamp(), version = 2
             WHERE booking_id = '{0}';
             UPDATE booking.show_seats SET booking_id = NULL WHERE booking_id = '{0}'",
            declined.booking_id
        ))
        .await;
    let declined = stage.get(&declined.booking_id).await;
    assert_eq!(declined.state(), BookingState::Failed);

    for (booking, state, since) in [
        (&confirmed, "CONFIRMED", &confirmed.confirm_time),
        (&given_up, "CANCELLED", &given_up.cancel_time),
        (&returned, "CANCELLED", &returned.cancel_time),
        (&declined, "FAILED", &declined.fail_time),
    ] {
        let call = confirm(&mut client, &booking.booking_id);
        let reason = "BOOKING_STATE";
        let status = stage.refused(call, Code::FailedPrecondition, reason).await;
        let about = metadata(&status);
        assert_eq!(about["booking_id"], booking.booking_id);
        assert_eq!(about["state"], state);
        assert_eq!(about["since_time"], text_of(since.as_ref()));
        let why = about.get("failure_reason").map(String::as_str);
        assert_eq!(why, (state == "FAILED").then_some("PAYMENT_DECLINED"));
        assert_eq!(subjects(&status), [&*booking.booking_id]);
    }
    crate::stage::assert_quiet(&mut stage.system.booking);
}

#[tokio::test]
async fn an_etag_that_is_no_more_aborts() {
    let mut stage = Stage::start().await;
    let show = stage.a_show(3).await;
    let held = stage.reserve(&show, &["A-1"]).await;
    let mut client = stage.client();
    let mut stale = request(&held.booking_id);
    stale.etag = "v2".to_owned();
    let call = client.confirm_booking(stale);
    let status = stage.refused(call, Code::Aborted, "ETAG_MISMATCH").await;
    assert_eq!(metadata(&status)["etag"], held.etag);
    assert!(!has_retry_info(&status), "it would fail the same way again");
    // The state is checked first: a current etag does not help.
    let confirmed = confirm(&mut client, &held.booking_id).await.expect("live");
    let mut again = request(&held.booking_id);
    again.etag = held.etag;
    let call = client.confirm_booking(again);
    stage
        .refused(call, Code::FailedPrecondition, "BOOKING_STATE")
        .await;
    assert_eq!(stage.get(&held.booking_id).await, confirmed);
    stage.assert_sound().await;
}

#[tokio::test]
async fn a_hold_made_before_the_start_can_be_confirmed_after_it() {
    let mut stage = Stage::start().await;
    let show = stage.a_show(3).await;
    let held = stage.reserve(&show, &["A-1"]).await;
    stage
        .run("UPDATE booking.sales SET start_at = clock_timestamp()")
        .await;
    let confirmed = confirm(&mut stage.client(), &held.booking_id).await;
    assert!(confirmed.is_ok(), "{confirmed:?}");
    stage.assert_sound().await;
}

#[tokio::test]
async fn a_show_without_prices_is_free() {
    let mut stage = Stage::start().await;
    let free = CreateShowRequest {
        seat_price: None,
        ..show(3)
    };
    let show = stage.create(free).await;
    let nothing = Some(Money {
        minor_units: 0,
        currency_code: "XXX".to_owned(),
    });
    let held = stage.reserve(&show, &["A-1"]).await;
    assert_eq!((&held.total, &held.lines[0].price), (&nothing, &nothing));
    let bought = confirm(&mut stage.client(), &held.booking_id).await;
    let bought = bought.expect("a live hold");
    assert_eq!(
        (bought.state(), bought.total),
        (BookingState::Confirmed, nothing)
    );
    stage.assert_sound().await;
}
