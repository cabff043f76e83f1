//! GetBooking. The tests of the commands assert that it returns their bookings.

use proto::booking::v1::GetBookingRequest;
use test_harness::errors::{describe, fields, metadata};
use test_harness::system::get;
use tonic::Code;

use crate::stage::Stage;

/// UUIDs that no show and no booking can have.
const NIL: &str = "00000000-0000-0000-0000-000000000000";
const OTHER: &str = "6ba7b810-9dad-41d1-80b4-00c04fd430c8";

#[tokio::test]
async fn an_id_that_is_no_uuid_is_refused() {
    let mut stage = Stage::start().await;
    let show = stage.a_show(3).await;
    let held = stage.reserve(&show, &["A-1"]).await;
    let mut client = stage.client();
    let doubled = held.booking_id.repeat(2);
    for wrong in ["", "A-1", &held.booking_id[1..], &doubled] {
        let request = GetBookingRequest {
            booking_id: wrong.to_owned(),
        };
        let call = client.get_booking(request);
        let status = stage
            .refused(call, Code::InvalidArgument, "INVALID_FIELD")
            .await;
        assert_eq!(fields(&status), ["booking_id"], "{}", describe(&status));
    }
    stage.assert_sound().await;
}

#[tokio::test]
async fn a_booking_that_is_not_there_is_not_found() {
    let mut stage = Stage::start().await;
    let show = stage.a_show(3).await;
    let known: model::ShowId = show.parse().expect("a show's id");
    let mut client = stage.client();
    let held = stage.reserve(&show, &["A-1"]).await;
    let mut of_another_version = held.booking_id.clone();
    of_another_version.replace_range(14..15, "4");
    let mut nobodies = vec![show, NIL.to_owned(), OTHER.to_owned(), of_another_version];
    for show in [known, model::ShowId::generate()] {
        nobodies.push(model::BookingId::generate(show).to_string());
    }
    for nobody in nobodies {
        let call = get(&mut client, &nobody);
        let status = stage
            .refused(call, Code::NotFound, "BOOKING_NOT_FOUND")
            .await;
        assert_eq!(metadata(&status)["booking_id"], nobody);
    }
    stage.assert_sound().await;
}

#[tokio::test]
async fn an_id_may_be_written_in_any_way_a_uuid_is() {
    let mut stage = Stage::start().await;
    let show = stage.a_show(3).await;
    let held = stage.reserve(&show, &["A-1"]).await;
    let upper = held.booking_id.to_uppercase();
    assert_eq!(stage.get(&upper).await, held);
    stage.assert_sound().await;
}
