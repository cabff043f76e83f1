//! A gRPC client with the least overhead: unary calls on a connection of
//! HTTP/2, without the layers between (queues, retries, balancing) that a client of tonic has, and
//! without decoding parts of an answer that the load does not need. The load generator must not be
//! what is measured. The frames are those of any gRPC client:
//! <https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md>.

use std::net::SocketAddr;

use anyhow::Result;
use bytes::{BufMut as _, Bytes, BytesMut};
use h2::client::{Builder, SendRequest};
use http::header::{CONTENT_TYPE, TE};
use http::{HeaderValue, Method, Request, Uri, Version};
use prost::Message;
use proto::booking::v1::{ConfirmBookingRequest, ReserveSeatsRequest, ReserveSeatsResponse};
use tokio::net::TcpStream;
use tonic::{Code, Status};

/// So much of an answer may be on its way before it is read.
const WINDOW: u32 = 4 << 20;
/// A message's own head: not compressed, and its length.
const HEAD: usize = 5;

/// A connection to booking-svc. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Wire {
    send: SendRequest<Bytes>,
    reserve: Uri,
    confirm: Uri,
}

impl Wire {
    pub(crate) async fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (send, connection) = Builder::new()
            .initial_window_size(WINDOW)
            .initial_connection_window_size(WINDOW)
            .enable_push(false)
            .handshake(stream)
            .await?;
        // It ends when the last clone is dropped; a call on it returns an earlier error.
        tokio::spawn(connection);
        let method =
            |name| format!("http://{address}/ticketing.booking.v1.BookingService/{name}").parse();
        Ok(Self {
            send,
            reserve: method("ReserveSeats")?,
            confirm: method("ConfirmBooking")?,
        })
    }

    /// The booking's id.
    pub(crate) async fn reserve_seats(
        &self,
        request: &ReserveSeatsRequest,
    ) -> Result<String, Status> {
        let answer = self.call(&self.reserve, request).await?;
        let message = answer.get(HEAD..).unwrap_or_default();
        let response = ReserveSeatsResponse::decode(message)
            .map_err(|error| Status::internal(error.to_string()))?;
        Ok(response.booking.unwrap_or_default().booking_id)
    }

    pub(crate) async fn confirm_booking(
        &self,
        request: &ConfirmBookingRequest,
    ) -> Result<(), Status> {
        self.call(&self.confirm, request).await.map(drop)
    }

    /// One call; the answer with its head.
    async fn call(&self, uri: &Uri, message: &impl Message) -> Result<Bytes, Status> {
        let mut head = Request::new(());
        *head.method_mut() = Method::POST;
        *head.uri_mut() = uri.clone();
        *head.version_mut() = Version::HTTP_2;
        let headers = head.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        headers.insert(TE, HeaderValue::from_static("trailers"));
        let length = message.encoded_len();
        let mut body = BytesMut::with_capacity(HEAD + length);
        body.put_u8(0);
        body.put_u32(u32::try_from(length).map_err(|_| Status::internal("too long"))?);
        message
            .encode(&mut body)
            .map_err(|error| Status::internal(error.to_string()))?;

        let mut send = self.send.clone().ready().await.map_err(lost)?;
        let (response, mut stream) = send.send_request(head, false).map_err(lost)?;
        stream.send_data(body.freeze(), true).map_err(lost)?;
        let response = response.await.map_err(lost)?;
        if let Some(status) = Status::from_header_map(response.headers()) {
            return ended(status).map(|()| Bytes::new());
        }
        let mut incoming = response.into_body();
        let mut answer = Bytes::new();
        while let Some(chunk) = incoming.data().await {
            let chunk = chunk.map_err(lost)?;
            let taken = incoming.flow_control().release_capacity(chunk.len());
            taken.map_err(lost)?;
            answer = if answer.is_empty() {
                chunk
            } else {
                [answer, chunk].concat().into()
            };
        }
        let trailers = incoming.trailers().await.map_err(lost)?;
        let status = trailers.as_ref().and_then(Status::from_header_map);
        ended(status.unwrap_or_else(|| Status::internal("an answer without a status")))?;
        Ok(answer)
    }
}

fn ended(status: Status) -> Result<(), Status> {
    match status.code() {
        Code::Ok => Ok(()),
        _ => Err(status),
    }
}

fn lost(error: h2::Error) -> Status {
    Status::unavailable(error.to_string())
}
