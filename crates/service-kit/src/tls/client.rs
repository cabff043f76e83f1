//! A client's side: whom it trusts, and who it is.

use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use http::Uri;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::sign::SingleCertAndKey;
use tonic::transport::{Channel, Endpoint};
use tower::Service;

use super::args::pair;
use super::files::{Digest, PemFile, TlsError, system_roots};
use super::{ALPN_HTTP2, check, provider};

/// The files of a client, and the flags that name them.
#[derive(Debug, Clone)]
pub struct ClientTlsFiles {
    /// The flags of the fields below, in their order, for errors.
    pub flags: [&'static str; 4],
    /// The CAs that it trusts; none: those of the system.
    pub ca: Option<PathBuf>,
    /// Its own certificate, with those between it and its CA.
    pub cert: Option<PathBuf>,
    /// The key of that.
    pub key: Option<PathBuf>,
    /// The name that servers' certificates must have; none: the host's of the URL.
    pub server_name: Option<String>,
}

/// What a client begins handshakes with, now.
#[derive(Debug, Clone)]
pub struct ClientTls {
    config: watch::Receiver<Arc<ClientConfig>>,
    server_name: Option<ServerName<'static>>,
}

impl ClientTls {
    pub(super) fn new(
        config: watch::Receiver<Arc<ClientConfig>>,
        server_name: Option<ServerName<'static>>,
    ) -> Self {
        Self {
            config,
            server_name,
        }
    }

    /// What connects to a service of this host.
    ///
    /// # Errors
    ///
    /// If no certificate could have that name.
    pub fn connector(&self, host: &str) -> Result<Connector, TlsError> {
        let server_name = match &self.server_name {
            Some(name) => name.clone(),
            None => server_name(host)?,
        };
        Ok(Connector {
            config: self.config.clone(),
            server_name,
        })
    }

    /// The same, for which what is in force now is not new.
    #[must_use]
    pub fn of_now(&self) -> Self {
        let mut now = self.clone();
        now.config.mark_unchanged();
        now
    }

    /// Waits until other certificates are in force than at the last call, or at [`Self::of_now`].
    pub async fn changed(&mut self) {
        if self.config.changed().await.is_err() {
            // Nobody looks at the files any more: the process ends.
            std::future::pending().await
        }
    }
}

/// Connects a channel by TLS, each time with the certificates of now. Its URI says where to; for
/// whom, the name of the certificate.
#[derive(Debug, Clone)]
pub struct Connector {
    config: watch::Receiver<Arc<ClientConfig>>,
    server_name: ServerName<'static>,
}

impl Connector {
    async fn connect(self, uri: Uri) -> io::Result<TokioIo<TlsStream<TcpStream>>> {
        let invalid =
            || io::Error::new(io::ErrorKind::InvalidInput, "the URI has no host and port");
        let host = uri.host().ok_or_else(invalid)?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let port = uri.port_u16().ok_or_else(invalid)?;
        let stream = TcpStream::connect((host, port)).await?;
        // Requests are written whole: nothing is gained by waiting for more.
        stream.set_nodelay(true)?;
        let config = Arc::clone(&self.config.borrow());
        let stream = TlsConnector::from(config)
            .connect(self.server_name, stream)
            .await?;
        if stream.get_ref().1.alpn_protocol() != Some(ALPN_HTTP2) {
            return Err(io::Error::other(
                "the server does not speak HTTP/2 by TLS (ALPN h2)",
            ));
        }
        Ok(TokioIo::new(stream))
    }
}

impl Service<Uri> for Connector {
    type Response = TokioIo<TlsStream<TcpStream>>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        Box::pin(self.clone().connect(uri))
    }
}

/// A channel to one service, which is made anew when other certificates are in force. Calls under
/// way end on the one before.
#[derive(Debug)]
pub struct Channels {
    endpoint: Endpoint,
    current: Mutex<Current>,
}

#[derive(Debug)]
struct Current {
    /// It knows which certificates it has seen.
    connector: Option<Connector>,
    channel: Channel,
}

impl Channels {
    /// Channels to `endpoint`, by TLS if there is a connector. They connect when they are used.
    #[must_use]
    pub fn new(endpoint: Endpoint, connector: Option<Connector>) -> Self {
        let channel = channel(&endpoint, connector.as_ref());
        Self {
            endpoint,
            current: Mutex::new(Current { connector, channel }),
        }
    }

    /// The channel of now.
    #[must_use]
    pub fn current(&self) -> Channel {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(connector) = &mut current.connector
            // Without a sender there is nothing new.
            && connector.config.has_changed().unwrap_or(false)
        {
            connector.config.mark_unchanged();
            let connector = connector.clone();
            current.channel = channel(&self.endpoint, Some(&connector));
        }
        current.channel.clone()
    }
}

fn channel(endpoint: &Endpoint, connector: Option<&Connector>) -> Channel {
    match connector {
        None => endpoint.connect_lazy(),
        Some(connector) => endpoint.connect_with_connector_lazy(connector.clone()),
    }
}

impl ClientTlsFiles {
    /// The first flag that says something, if one does.
    #[must_use]
    pub fn first_given(&self) -> Option<&'static str> {
        let [ca, cert, key, server_name] = self.flags;
        let given = [
            (ca, self.ca.is_some()),
            (cert, self.cert.is_some()),
            (key, self.key.is_some()),
            (server_name, self.server_name.is_some()),
        ];
        given
            .into_iter()
            .find_map(|(flag, is_given)| is_given.then_some(flag))
    }

    pub(super) fn checked_server_name(&self) -> Result<Option<ServerName<'static>>, TlsError> {
        let [.., flag] = self.flags;
        let name = self.server_name.as_deref().map(server_name).transpose();
        name.map_err(|error| TlsError(format!("{flag}: {error}")))
    }

    /// Reads all of them, and checks that they fit.
    pub(super) fn load(&self) -> Result<(Digest, Arc<ClientConfig>), TlsError> {
        let [ca_flag, cert_flag, key_flag, _] = self.flags;
        let mut parts = Vec::new();
        let roots = match &self.ca {
            Some(path) => {
                let file = PemFile::new(ca_flag, path);
                parts.push(file.read()?);
                check::roots(&file, &parts[0])?
            }
            None => {
                let (roots, certificates) = system_roots(&format!("name a file with {ca_flag}"))?;
                parts.extend(certificates.iter().map(|der| der.to_vec()));
                roots
            }
        };
        let provider = provider();
        let own = match pair([(cert_flag, &self.cert), (key_flag, &self.key)])? {
            None => None,
            Some((cert, key)) => {
                let (cert_bytes, key_bytes) = (cert.read()?, key.read()?);
                let own =
                    check::certified_key((&cert, &cert_bytes), (&key, &key_bytes), &provider)?;
                parts.extend([cert_bytes, key_bytes]);
                Some(own)
            }
        };
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| TlsError(error.to_string()))?
            .with_root_certificates(roots);
        let mut config = match own {
            None => builder.with_no_client_auth(),
            Some(own) => builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(own))),
        };
        config.alpn_protocols = vec![ALPN_HTTP2.to_vec()];
        let digest = Digest::of(parts.iter().map(Vec::as_slice));
        Ok((digest, Arc::new(config)))
    }
}

fn server_name(host: &str) -> Result<ServerName<'static>, TlsError> {
    ServerName::try_from(host.to_owned()).map_err(|_| {
        TlsError("must be a DNS name or an IP address, as certificates have it".into())
    })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use tokio::net::TcpListener;
    use tokio_rustls::rustls::RootCertStore;
    use tonic_health::pb::HealthCheckRequest;
    use tonic_health::pb::health_client::HealthClient;

    use super::*;

    fn config() -> Arc<ClientConfig> {
        let builder = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .expect("versions of TLS");
        let builder = builder.with_root_certificates(RootCertStore::empty());
        Arc::new(builder.with_no_client_auth())
    }

    #[tokio::test]
    async fn a_channel_is_made_anew_for_other_certificates_and_for_nothing_else() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let connections = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&connections);
        // It says nothing, so that each channel stays at its first handshake.
        tokio::spawn(async move {
            let mut held = Vec::new();
            while let Ok((stream, _)) = listener.accept().await {
                held.push(stream);
                count.fetch_add(1, Ordering::SeqCst);
            }
        });
        let (in_force, receiver) = watch::channel(config());
        let tls = ClientTls::new(receiver, None);
        let connector = tls.connector("localhost").expect("a name");
        let endpoint = Endpoint::from_shared(format!("http://{address}")).expect("a URL");
        let channels = Channels::new(endpoint, Some(connector));
        let call = || {
            let mut client = HealthClient::new(channels.current());
            tokio::spawn(async move { client.check(HealthCheckRequest::default()).await });
        };
        let connected = async |wanted| {
            test_harness::eventually(Duration::from_secs(10), "a connection", async || {
                connections.load(Ordering::SeqCst) >= wanted
            })
            .await;
            assert_eq!(connections.load(Ordering::SeqCst), wanted);
        };
        call();
        connected(1).await;
        call();
        in_force.send_replace(config());
        call();
        connected(2).await;
        call();
        in_force.send_replace(config());
        call();
        connected(3).await;
    }

    #[test]
    fn a_name_that_no_certificate_can_have_is_refused() {
        let (_in_force, receiver) = watch::channel(config());
        let tls = ClientTls::new(receiver, None);
        for good in ["localhost", "catalog-svc.ticketing", "127.0.0.1", "::1"] {
            assert!(tls.connector(good).is_ok(), "{good}");
        }
        for bad in ["", "a b", "a..b", "https://a"] {
            assert!(tls.connector(bad).is_err(), "{bad}");
        }
    }
}
