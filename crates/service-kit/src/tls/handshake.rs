//! Handshakes: each in the task of its connection, and bounded, so that peers which never finish
//! theirs keep nobody else from connecting.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::{Error, InvalidMessage};
use tokio_rustls::server::TlsStream;

use super::ServerTls;
use crate::tally;

/// How long a peer may take from the connection to the end of its handshake.
const HANDSHAKE_MAX: Duration = Duration::from_secs(5);
/// The same since its first byte, while others wait to begin theirs. Honest ones take two round
/// trips and some CPU.
const HANDSHAKE_WHEN_CROWDED_MAX: Duration = Duration::from_secs(1);
/// The handshakes at once of one listener. Each holds up to 64 KiB that its peer has sent. Silent
/// peers are not among them; further ones wait.
const HANDSHAKES_MAX: usize = 1_024;

/// The handshakes of one listener.
#[derive(Debug, Clone)]
pub(crate) struct Handshakes {
    tls: ServerTls,
    places: Arc<Semaphore>,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error("the handshake took too long")]
    Slow,
    #[error("the peer speaks plain text, or something else that is not TLS")]
    NotTls,
    #[error("{0}")]
    Io(std::io::Error),
}

impl Handshakes {
    pub(crate) fn new(tls: ServerTls) -> Self {
        Self {
            tls,
            places: Arc::new(Semaphore::new(HANDSHAKES_MAX)),
        }
    }

    /// Has the peer's handshake, with the certificates of now; none if nothing comes of it.
    pub(crate) async fn accept(
        &self,
        stream: TcpStream,
        peer: SocketAddr,
    ) -> Option<TlsStream<TcpStream>> {
        let accepting = timeout(HANDSHAKE_MAX, self.accept_one(stream)).await;
        match accepting.unwrap_or(Err(Failed::Slow)) {
            Ok(stream) => Some(stream),
            Err(error) => {
                // Anybody can cause it, so there is no line of its own in an ordinary log.
                tally::count("HANDSHAKE_FAILED");
                tracing::debug!(%peer, %error, "no TLS connection came about");
                None
            }
        }
    }

    async fn accept_one(&self, stream: TcpStream) -> Result<TlsStream<TcpStream>, Failed> {
        stream.ready(Interest::READABLE).await.map_err(Failed::Io)?;
        // It is closed with the last of its clones, of which this is one.
        let _place = self.places.acquire().await.map_err(|_| Failed::Slow)?;
        let acceptor = TlsAcceptor::from(self.tls.config());
        let mut accepting = pin!(acceptor.accept(stream));
        loop {
            tokio::select! {
                accepted = accepting.as_mut() => return accepted.map_err(Failed::of),
                () = sleep(HANDSHAKE_WHEN_CROWDED_MAX) => {
                    if self.places.available_permits() == 0 {
                        return Err(Failed::Slow);
                    }
                }
            }
        }
    }
}

impl Failed {
    fn of(error: std::io::Error) -> Self {
        let tls = error.get_ref().and_then(|error| error.downcast_ref());
        match tls {
            Some(Error::InvalidMessage(InvalidMessage::InvalidContentType)) => Self::NotTls,
            _ => Self::Io(error),
        }
    }
}
