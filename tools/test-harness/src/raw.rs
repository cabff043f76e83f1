//! HTTP/2 connections by hand, for requests that no well-behaved gRPC client makes: unread answers,
//! incomplete bodies, other methods and content types.

use std::net::SocketAddr;

use bytes::{BufMut as _, Bytes, BytesMut};
use h2::client::{Builder, ResponseFuture, SendRequest};
use h2::{RecvStream, SendStream};
use http::header::{CONTENT_TYPE, TE};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Uri, Version};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

/// A connection. Answers use none of its window except for headers, unless a test reads
/// them. Dropped, it is closed.
#[derive(Debug)]
pub struct Raw {
    address: SocketAddr,
    send: SendRequest<Bytes>,
    connection: JoinHandle<Result<(), h2::Error>>,
}

/// A whole answer.
#[derive(Debug)]
pub struct Answer {
    /// HTTP's status.
    pub http: StatusCode,
    /// gRPC's, from the headers or the trailers.
    pub grpc: Option<tonic::Status>,
    /// The headers.
    pub headers: HeaderMap,
    /// The bytes between headers and trailers.
    pub body: Bytes,
}

impl Raw {
    /// A connection with the windows that HTTP/2 has by default, 64 KiB.
    ///
    /// # Errors
    ///
    /// If the server does not take it.
    pub async fn connect(address: SocketAddr) -> anyhow::Result<Self> {
        Self::connect_with(address, &Builder::new()).await
    }

    /// A connection with windows of other sizes.
    ///
    /// # Errors
    ///
    /// If the server does not take it.
    pub async fn connect_with(address: SocketAddr, builder: &Builder) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (send, connection) = builder.handshake(stream).await?;
        Ok(Self {
            address,
            send,
            connection: tokio::spawn(connection),
        })
    }

    /// Whether either side has ended the connection.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.connection.is_finished()
    }

    /// The head of a call.
    ///
    /// # Panics
    ///
    /// If the path is invalid.
    #[must_use]
    pub fn head(&self, path: &str) -> Request<()> {
        let mut head = Request::new(());
        *head.method_mut() = Method::POST;
        *head.version_mut() = Version::HTTP_2;
        let uri = format!("http://{}{path}", self.address);
        *head.uri_mut() = uri.parse::<Uri>().expect("a path");
        let headers = head.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        headers.insert(TE, HeaderValue::from_static("trailers"));
        head
    }

    /// Begins a request, whose body is sent by hand.
    ///
    /// # Errors
    ///
    /// If the connection accepts no more requests.
    pub async fn begin(
        &self,
        head: Request<()>,
    ) -> Result<(ResponseFuture, SendStream<Bytes>), h2::Error> {
        self.send.clone().ready().await?.send_request(head, false)
    }

    /// A call with one message, whose answer waits to be read.
    ///
    /// # Errors
    ///
    /// If the connection accepts no more requests.
    pub async fn ask(&self, path: &str, message: &[u8]) -> Result<ResponseFuture, h2::Error> {
        let (answer, mut body) = self.begin(self.head(path)).await?;
        body.send_data(framed(message), true)?;
        Ok(answer)
    }

    /// A call with one message, to its end.
    ///
    /// # Errors
    ///
    /// If the stream is reset, or the connection ends.
    pub async fn call(&self, path: &str, message: &[u8]) -> Result<Answer, h2::Error> {
        read(self.ask(path, message).await?).await
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

/// Reads an answer to its end.
///
/// # Errors
///
/// If the stream is reset, or the connection ends.
pub async fn read(answer: ResponseFuture) -> Result<Answer, h2::Error> {
    let (head, mut stream) = answer.await?.into_parts();
    let mut body = BytesMut::new();
    while let Some(data) = next(&mut stream).await? {
        body.extend_from_slice(&data);
    }
    let trailers = stream.trailers().await?;
    let in_trailers = trailers.as_ref().and_then(tonic::Status::from_header_map);
    Ok(Answer {
        http: head.status,
        grpc: in_trailers.or_else(|| tonic::Status::from_header_map(&head.headers)),
        headers: head.headers,
        body: body.freeze(),
    })
}

/// The next piece of an answer's body, for which the window is opened again.
///
/// # Errors
///
/// If the stream is reset, or the connection ends.
pub async fn next(stream: &mut RecvStream) -> Result<Option<Bytes>, h2::Error> {
    let Some(data) = stream.data().await.transpose()? else {
        return Ok(None);
    };
    stream.flow_control().release_capacity(data.len())?;
    Ok(Some(data))
}

/// A message as gRPC frames it.
///
/// # Panics
///
/// If it is longer than gRPC's limit.
#[must_use]
pub fn framed(message: &[u8]) -> Bytes {
    let length = u32::try_from(message.len()).expect("a length");
    let mut body = BytesMut::with_capacity(5 + message.len());
    body.put_slice(&prefix(length));
    body.put_slice(message);
    body.freeze()
}

/// The gRPC frame header of a message of this many bytes.
#[must_use]
pub fn prefix(length: u32) -> [u8; 5] {
    let [a, b, c, d] = length.to_be_bytes();
    [0, a, b, c, d]
}
