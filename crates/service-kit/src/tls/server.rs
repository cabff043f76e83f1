//! A server's side: its certificate, and the CAs of its clients.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::watch;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::sign::SingleCertAndKey;

use super::args::ServerTlsArgs;
use super::files::{Digest, PemFile, TlsError};
use super::{ALPN_HTTP2, check, provider};

/// What a server answers handshakes with, now.
#[derive(Debug, Clone)]
pub struct ServerTls {
    config: watch::Receiver<Arc<ServerConfig>>,
}

impl ServerTls {
    pub(super) fn new(config: watch::Receiver<Arc<ServerConfig>>) -> Self {
        Self { config }
    }

    pub(super) fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.config.borrow())
    }
}

/// The files of a server.
#[derive(Debug, Clone)]
pub(super) struct ServerFiles {
    cert: PemFile,
    key: PemFile,
    client_ca: Option<PemFile>,
}

impl ServerFiles {
    /// Those that the flags name; none without TLS.
    pub(super) fn of(
        args: &ServerTlsArgs,
        client_ca: (&'static str, &Option<PathBuf>),
    ) -> Result<Option<Self>, TlsError> {
        let (flag, path) = client_ca;
        let client_ca = path.as_ref().map(|path| PemFile::new(flag, path));
        match (args.pair()?, client_ca) {
            (Some((cert, key)), client_ca) => Ok(Some(Self {
                cert,
                key,
                client_ca,
            })),
            (None, None) => Ok(None),
            (None, Some(_)) => Err(TlsError(format!(
                "{flag} is given without --tls-cert: clients show certificates to a server that \
                 has one"
            ))),
        }
    }

    /// Reads all of them, and checks that they fit.
    pub(super) fn load(&self) -> Result<(Digest, Arc<ServerConfig>), TlsError> {
        let (cert, key) = (self.cert.read()?, self.key.read()?);
        let client_ca = self.client_ca.as_ref();
        let client_ca = client_ca.map(|file| Ok((file, file.read()?))).transpose()?;
        let ca_bytes = client_ca.as_ref().map(|(_, bytes)| bytes.as_slice());
        let digest = Digest::of([cert.as_slice(), &key].into_iter().chain(ca_bytes));

        let provider = provider();
        let certified = check::certified_key((&self.cert, &cert), (&self.key, &key), &provider)?;
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| self.cert.error(error))?;
        let builder = match client_ca {
            None => builder.with_no_client_auth(),
            Some((file, bytes)) => {
                let roots = Arc::new(check::roots(file, &bytes)?);
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider).build();
                builder.with_client_cert_verifier(verifier.map_err(|error| file.error(error))?)
            }
        };
        let resolver = Arc::new(SingleCertAndKey::from(certified));
        let mut config = builder.with_cert_resolver(resolver);
        config.alpn_protocols = vec![ALPN_HTTP2.to_vec()];
        Ok((digest, Arc::new(config)))
    }
}
