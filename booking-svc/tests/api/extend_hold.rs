//! ExtendHold.

use std::time::Duration;

use proto::booking::v1::{Booking, ExtendHoldRequest};
use test_harness::errors::{describe, fields, metadata, subjects};
use tonic::{Code, Status};

use crate::stage::Stage;

fn request(booking: &str, hold: Duration) -> ExtendHoldRequest {
    ExtendHoldRequest {
        booking_id: booking.to_owned(),
        hold_duration: Some(hold.try_into().expect("short")),
        ..Default::default()
    }
}

async fn extend(stage: &Stage, request: ExtendHoldRequest) -> Result<Booking, Status> {
    let response = stage.client().extend_hold(request).await?.into_inner();
    Ok(response.booking.expect("set"))
}

fn micros(time: Option<prost_types::Timestamp>) -> i64 {
    let time = time.expect("set");
    time.seconds * 1_000_000 + i64::from(time.nanos) / 1_000
}

#[tokio::test]
async fn a_hold_ends_later_and_its_seats_stay_its_own() {
    let mut stage = Stage::start().await;
    let show = stage.a_show(2).await;
    let held = stage.reserve(&show, &["A-1"]).await;
    let mut longer = request(&held.booking_id, Duration::from_secs(600));
    longer.etag.clone_from(&held.etag);
    longer.request_id = uuid::Uuid::new_v4().to_string();
    let extended = extend(&stage, longer.clone()).await.expect("it may");
    let by = micros(extended.expire_time) - micros(held.expire_time);
    assert!((479_000_000..=500_000_000).contains(&by), "{by}");
    assert_ne!(extended.etag, held.etag);
    assert_eq!(stage.get(&held.booking_id).await, extended);

    let shorter = request(&held.booking_id, Duration::from_secs(10));
    let kept = extend(&stage, shorter).await.expect("it may");
    assert_eq!(kept.expire_time, extended.expire_time);
    // A replay gets the first reply, not the current state.
    assert_eq!(extend(&stage, longer).await.expect("a copy"), extended);
    let mut rest = extended;
    rest.expire_time = held.expire_time;
    rest.etag.clone_from(&held.etag);
    assert_eq!(rest, held, "nothing else has changed");
    stage.assert_sound().await;
}

#[tokio::test]
async fn a_hold_lives_for_so_long_only_and_the_refusal_says_how_long() {
    let mut stage = Stage::start().await;
    let show = stage.a_show(2).await;
    let held = stage.reserve(&show, &["A-1"]).await;
    // As long as the longest life: a moment of it has passed.
    let beyond = request(&held.booking_id, Duration::from_secs(1_800));
    let call = extend(&stage, beyond);
    let status = stage
        .refused(call, Code::FailedPrecondition, "HOLD_LIFETIME_EXCEEDED")
        .await;
    assert_eq!(subjects(&status), [&*held.booking_id]);
    let left: u64 = metadata(&status)["left_ms"].parse().expect("a number");
    assert!((1_700_000..1_800_000).contains(&left), "{left}");
    let now = request(&held.booking_id, Duration::from_millis(left - 60_000));
    extend(&stage, now)
        .await
        .expect("the time that the error named");
    stage.assert_sound().await;
}

#[tokio::test]
async fn what_has_ended_or_changed_is_not_extended() {
    let mut stage = Stage::start().await;
    let show = stage.a_show(3).await;
    let hold = Duration::from_secs(300);
    let lapsed = stage.reserve(&show, &["A-1"]).await.booking_id;
    stage.lapse(&lapsed).await;
    let call = extend(&stage, request(&lapsed, hold));
    stage
        .refused(call, Code::FailedPrecondition, "HOLD_EXPIRED")
        .await;
    let bought = stage.buy(&show, &["A-2"]).await.booking_id;
    let call = extend(&stage, request(&bought, hold));
    let status = stage
        .refused(call, Code::FailedPrecondition, "BOOKING_STATE")
        .await;
    assert_eq!(metadata(&status)["state"], "CONFIRMED");
    let held = stage.reserve(&show, &["A-3"]).await.booking_id;
    let mut stale = request(&held, hold);
    stale.etag = "v7".to_owned();
    let call = extend(&stage, stale);
    stage.refused(call, Code::Aborted, "ETAG_MISMATCH").await;
    let missing = request(&format!("{}1", &held[..held.len() - 1]), hold);
    if missing.booking_id != held {
        let call = extend(&stage, missing);
        stage
            .refused(call, Code::NotFound, "BOOKING_NOT_FOUND")
            .await;
    }
    stage.assert_sound().await;
}

#[tokio::test]
async fn a_malformed_request_is_refused() {
    let mut stage = Stage::start().await;
    let show = stage.a_show(1).await;
    let held = stage.reserve(&show, &["A-1"]).await.booking_id;
    let good = || request(&held, Duration::from_secs(60));
    let cases = [
        (request("b", Duration::from_secs(60)), vec!["booking_id"]),
        (
            request(&held, Duration::from_secs(9)),
            vec!["hold_duration"],
        ),
        (
            request(&held, Duration::from_secs(1_801)),
            vec!["hold_duration"],
        ),
        (
            ExtendHoldRequest {
                hold_duration: None,
                etag: "2".to_owned(),
                request_id: "7".to_owned(),
                ..good()
            },
            vec!["etag", "hold_duration", "request_id"],
        ),
    ];
    for (request, expected) in cases {
        let call = extend(&stage, request);
        let status = stage
            .refused(call, Code::InvalidArgument, "INVALID_FIELD")
            .await;
        let mut fields = fields(&status);
        fields.sort();
        assert_eq!(fields, expected, "{}", describe(&status));
    }
    stage.assert_sound().await;
}
