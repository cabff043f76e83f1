//! Calls that do not reach a handler, or not in one piece, and how the server takes them.

use std::str::FromStr as _;

use proto::booking::v1::{Booking, GetBookingRequest, GetBookingResponse, ReserveSeatsRequest};
use proto::catalog::v1::WatchShowsRequest;
use test_harness::errors::{assert_error, describe, metadata};
use test_harness::system::{get, reservation};
use tonic::client::Grpc;
use tonic::codec::Codec;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::metadata::MetadataValue;
use tonic::transport::Endpoint;
use tonic::{Code, Request, Status};
use tonic_prost::ProstCodec;

use crate::stage::Stage;

const GET_BOOKING: &str = "/ticketing.booking.v1.BookingService/GetBooking";

/// Sends a message to a method that need not take it.
async fn send<M>(stage: &Stage, path: &'static str, message: M) -> Result<Booking, Status>
where
    M: Send + Sync + 'static,
    ProstCodec<M, GetBookingResponse>: Codec<Encode = M, Decode = GetBookingResponse>,
{
    let endpoint = Endpoint::from_shared(stage.system.booking.url()).expect("a URL");
    let mut grpc = Grpc::new(endpoint.connect_lazy());
    grpc.ready().await.expect("the service listens");
    let codec: ProstCodec<M, GetBookingResponse> = ProstCodec::default();
    let path = PathAndQuery::from_static(path);
    let response = grpc.unary(Request::new(message), path, codec).await?;
    Ok(response.into_inner().booking.unwrap_or_default())
}

#[tokio::test]
async fn a_method_that_is_not_there_is_unimplemented() {
    let mut stage = Stage::start().await;
    for path in [
        "/ticketing.booking.v1.BookingService/SellSeats",
        "/ticketing.booking.v1.NoService/GetBooking",
        "/ticketing.catalog.v1.CatalogService/GetShow",
    ] {
        let call = send(&stage, path, GetBookingRequest::default());
        stage
            .refused(call, Code::Unimplemented, "UNKNOWN_METHOD")
            .await;
    }
    stage.assert_sound().await;
}

#[tokio::test]
async fn a_message_of_another_type_is_malformed() {
    let mut stage = Stage::start().await;
    // A number where a text is expected.
    let message = WatchShowsRequest { after_revision: 5 };
    let call = send(&stage, GET_BOOKING, message);
    stage
        .refused(call, Code::InvalidArgument, "MALFORMED_MESSAGE")
        .await;
    stage.assert_sound().await;
}

#[tokio::test]
async fn a_message_over_the_limit_is_refused_and_one_below_is_read() {
    let mut stage = Stage::start().await;
    let show = stage.a_show(3).await;
    let held = stage.reserve(&show, &["A-1"]).await;
    let mut client = stage.client();
    let mut request = reservation(&show, &["A-2"], "ann");
    request.seat_labels = vec!["x".repeat(500); 132];
    let call = client.reserve_seats(request.clone());
    stage
        .refused(call, Code::InvalidArgument, "MESSAGE_TOO_LARGE")
        .await;
    request.seat_labels.truncate(128);
    let call = client.reserve_seats(request);
    let reason = "SEATS_PER_BOOKING_EXCEEDED";
    stage.refused(call, Code::ResourceExhausted, reason).await;
    // The connection still works.
    assert_eq!(stage.get(&held.booking_id).await, held);
    stage.assert_sound().await;
}

#[tokio::test]
async fn an_expired_deadline_is_deadline_exceeded_and_the_server_keeps_serving() {
    let mut stage = Stage::start().await;
    let show = stage.a_show(3).await;
    let mut client = stage.client();
    let with_timeout = |timeout| {
        let mut request = Request::new(reservation(&show, &["A-1"], "ann"));
        let value = MetadataValue::from_str(timeout).expect("ASCII");
        request.metadata_mut().insert("grpc-timeout", value);
        request
    };
    // Nine digits are one more than tonic reads: else our own side would hang up first, and
    // we would not see the server's answer.
    for timeout in ["000000001m", "000000000S", "000000001n"] {
        let call = client.reserve_seats(with_timeout(timeout));
        stage
            .refused(call, Code::DeadlineExceeded, "DEADLINE_EXCEEDED")
            .await;
    }
    // As a client does it, both sides' timers run; whichever is first, nothing is held.
    let before = stage.digest().await;
    for _ in 0..20 {
        let mut request = Request::new(reservation(&show, &["A-1"], "ann"));
        request.set_timeout(std::time::Duration::from_millis(1));
        let outcome = client.reserve_seats(request).await;
        outcome.expect_err("a millisecond is less than the server keeps for the way back");
    }
    assert_eq!(stage.digest().await, before);
    stage.reserve(&show, &["A-1"]).await;
    stage.assert_sound().await;
}

#[tokio::test]
async fn the_callers_own_log_id_comes_back_in_errors() {
    let mut stage = Stage::start().await;
    let mut client = stage.client();
    for (sent, comes_back) in [("order-4711/x", true), ("two words", false)] {
        let mut request = Request::new(ReserveSeatsRequest::default());
        let value = MetadataValue::from_str(sent).expect("ASCII");
        request.metadata_mut().insert("x-request-id", value);
        let status = client
            .reserve_seats(request)
            .await
            .expect_err("nothing set");
        assert_error(&status, Code::InvalidArgument, "INVALID_FIELD");
        let id = &metadata(&status)["log_id"];
        assert_eq!(id == sent, comes_back, "{}", describe(&status));
    }
    let status = get(&mut client, "").await.expect_err("no id");
    assert!(uuid::Uuid::from_str(&metadata(&status)["log_id"]).is_ok());
    stage.assert_sound().await;
}
