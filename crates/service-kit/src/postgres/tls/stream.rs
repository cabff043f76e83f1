//! TLS under tokio-postgres.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use futures_util::future::BoxFuture;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ProtocolVersion};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::Socket;
use tokio_postgres::tls::{ChannelBinding, MakeTlsConnect, TlsConnect};
use tokio_rustls::{TlsConnector, client};

use super::TlsMode;
use super::end_point::tls_server_end_point;
use super::words::{Peer, TlsError};

/// Makes one connection's TLS.
#[derive(Clone)]
pub(in super::super) struct Connector {
    peer: Peer,
    /// None if no TLS is asked for.
    config: Option<Arc<ClientConfig>>,
    version: Arc<OnceLock<ProtocolVersion>>,
}

/// A TLS connection. In a box: it is large, and most connections of a test or a laptop are plain.
pub(in super::super) struct TlsStream(Box<client::TlsStream<Socket>>);

impl Connector {
    /// Reads the files that the settings name.
    ///
    /// # Errors
    ///
    /// Which of them cannot be used, and why.
    pub(in super::super) async fn new(peer: Peer) -> Result<Self, TlsError> {
        let config = match peer.mode {
            TlsMode::Disable => None,
            mode => {
                let settings = peer.settings.clone();
                // Files are read, and the system's are many.
                let reading = tokio::task::spawn_blocking(move || settings.client_config(mode));
                // It is not done only if the process ends.
                let config = reading.await.map_err(TlsError::passing)?;
                Some(Arc::new(config?))
            }
        };
        Ok(Self {
            peer,
            config,
            version: Arc::default(),
        })
    }

    pub(in super::super) fn peer(&self) -> &Peer {
        &self.peer
    }

    /// What TLS was agreed on; none if the connection is plain.
    pub(in super::super) fn version(&self) -> Option<ProtocolVersion> {
        self.version.get().copied()
    }

    /// Makes TLS on a stream.
    pub(in super::super) async fn connect_on<S>(
        self,
        stream: S,
    ) -> Result<client::TlsStream<S>, TlsError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let Some(config) = self.config else {
            return Err(TlsError::lasting("no TLS was asked for".to_owned()));
        };
        let name = ServerName::try_from(self.peer.name.clone()).map_err(|_| {
            TlsError::lasting(format!(
                "no certificate can be for {}: connect by a host's name or address",
                self.peer.name
            ))
        })?;
        let connecting = TlsConnector::from(config).connect(name, stream);
        let stream = connecting.await.map_err(|why| self.peer.failed(&why))?;
        if let Some(version) = stream.get_ref().1.protocol_version() {
            // It is set once: a connector makes one connection.
            let _ = self.version.set(version);
        }
        Ok(stream)
    }
}

impl MakeTlsConnect<Socket> for Connector {
    type Stream = TlsStream;
    type TlsConnect = Self;
    type Error = TlsError;

    fn make_tls_connect(&mut self, _domain: &str) -> Result<Self, TlsError> {
        // The name is known already, for Unix sockets too.
        Ok(self.clone())
    }
}

impl TlsConnect<Socket> for Connector {
    type Stream = TlsStream;
    type Error = TlsError;
    type Future = BoxFuture<'static, Result<TlsStream, TlsError>>;

    fn connect(self, socket: Socket) -> Self::Future {
        Box::pin(async move {
            let stream = self.connect_on(socket).await?;
            Ok(TlsStream(Box::new(stream)))
        })
    }
}

impl tokio_postgres::tls::TlsStream for TlsStream {
    fn channel_binding(&self) -> ChannelBinding {
        let (_, session) = self.0.get_ref();
        let certificate = session.peer_certificates().and_then(<[_]>::first);
        certificate
            .and_then(|certificate| tls_server_end_point(certificate))
            .map_or_else(ChannelBinding::none, ChannelBinding::tls_server_end_point)
    }
}

impl AsyncRead for TlsStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl AsyncWrite for TlsStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}
