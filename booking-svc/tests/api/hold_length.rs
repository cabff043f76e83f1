//! How long a caller may hold seats: as long as the show does.

use proto::booking::v1::{ExtendHoldRequest, ReserveSeatsRequest};
use proto::catalog::v1::{Show, UpdateShowRequest};
use test_harness::errors::fields;
use test_harness::system::{reservation, show};
use tonic::Code;
use uuid::Uuid;

use crate::stage::Stage;

#[tokio::test]
async fn nobody_holds_seats_for_longer_than_the_show_does() {
    let mut stage = Stage::start().await;
    let of = |seconds| prost_types::Duration { seconds, nanos: 0 };
    let mut described = show(10);
    described.hold_duration = Some(of(60));
    let show = stage.create(described).await;
    let mut client = stage.client();
    let asking = |label: &str, seconds| ReserveSeatsRequest {
        hold_duration: Some(of(seconds)),
        request_id: Uuid::new_v4().to_string(),
        ..reservation(&show, &[label], "ann")
    };
    let as_long = client.reserve_seats(asking("A-1", 60)).await;
    let held = as_long.expect("a hold").into_inner().booking.expect("set");
    let longer = ExtendHoldRequest {
        booking_id: held.booking_id.clone(),
        hold_duration: Some(of(61)),
        ..Default::default()
    };
    for status in [
        client.reserve_seats(asking("A-2", 61)).await.err(),
        client.extend_hold(longer).await.err(),
    ] {
        let status = status.expect("too long");
        assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
        assert_eq!(fields(&status), ["hold_duration"]);
        assert!(status.message().contains("60s"), "{status:?}");
    }
    // A booking that is sold at once has no hold.
    let mut sold = asking("A-3", 1_800);
    sold.confirm = true;
    client.reserve_seats(sold).await.expect("a sale");

    // A first result stays, though such a long hold is not allowed any more.
    let (first, mut update) = (asking("A-4", 50), Show::default());
    let answer = client.reserve_seats(first.clone()).await.expect("a hold");
    update.show_id.clone_from(&show);
    update.hold_duration = Some(of(30));
    let update = UpdateShowRequest {
        show: Some(update),
        update_mask: Some(prost_types::FieldMask {
            paths: vec!["hold_duration".to_owned()],
        }),
        ..Default::default()
    };
    let updated = stage.system.catalog_client().update_show(update).await;
    updated.expect("a changed show");
    stage.follow_feed().await;
    let copy = client.reserve_seats(first).await.expect("the first result");
    assert_eq!(copy.into_inner(), answer.into_inner());
    let refused = client.reserve_seats(asking("A-5", 50)).await;
    assert_eq!(fields(&refused.expect_err("too long")), ["hold_duration"]);
    stage.assert_sound().await;
}
