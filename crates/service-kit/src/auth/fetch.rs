//! Getting the issuer's keys over HTTP.
//!
//! Whoever controls these keys can make tokens. So they are fetched from the server that the flag
//! names and from no other: by TLS or from this host, without redirects.

use std::fmt;
use std::net::IpAddr;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, HOST};
use http::{Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_util::task::AbortOnDropHandle;

use crate::tls::{self, PemFile};

/// The longest that getting a document may take, from the look-up of the name to its last byte.
const FETCH_MAX: Duration = Duration::from_secs(5);
/// The largest document, in bytes: keys of an issuer have a few KiB.
const DOCUMENT_BYTES_MAX: usize = 256 * 1024;

/// Where keys are published: by https, or by http on this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeysUrl(Uri);

impl FromStr for KeysUrl {
    type Err = &'static str;

    /// The error does not repeat the text, which may have a password in it.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const FORM: &str = "must be a URL as https://host/path";
        let uri: Uri = text.parse().map_err(|_| FORM)?;
        let authority = uri.authority().ok_or(FORM)?;
        if authority.as_str().contains('@') {
            return Err("must have no user name and no password");
        }
        match uri.scheme_str() {
            Some("https") => Ok(Self(uri)),
            Some("http") if is_this_host(authority.host()) => Ok(Self(uri)),
            Some("http") => Err(
                "must begin with https://: over http:// anybody on the way could put in keys of \
                 their own; http:// is for this host alone",
            ),
            _ => Err(FORM),
        }
    }
}

impl fmt::Display for KeysUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl KeysUrl {
    fn host(&self) -> &str {
        bare(self.0.host().unwrap_or_default())
    }

    fn is_tls(&self) -> bool {
        self.0.scheme_str() == Some("https")
    }

    fn port(&self) -> u16 {
        let default = if self.is_tls() { 443 } else { 80 };
        self.0.port_u16().unwrap_or(default)
    }
}

/// An address of IPv6 without its brackets.
fn bare(host: &str) -> &str {
    let inner = host.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
    inner.unwrap_or(host)
}

fn is_this_host(host: &str) -> bool {
    let address = bare(host).parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

/// Why a document did not come.
#[derive(Debug, thiserror::Error)]
pub(super) enum FetchError {
    #[error("{0} has not answered within {FETCH_MAX:?}")]
    TooSlow(KeysUrl),
    #[error("{0} cannot be reached")]
    Unreachable(KeysUrl, #[source] std::io::Error),
    #[error("{0} broke off")]
    BrokenOff(KeysUrl, #[source] hyper::Error),
    #[error("{0} answers {1}")]
    Status(KeysUrl, StatusCode),
    #[error("the document at {0} does not come, or is larger than {DOCUMENT_BYTES_MAX} bytes")]
    Body(KeysUrl, #[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Gets documents.
#[derive(Clone)]
pub(super) struct Fetcher(TlsConnector);

impl fmt::Debug for Fetcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fetcher").finish_non_exhaustive()
    }
}

impl Fetcher {
    /// One for `url` that trusts the CA certificates in the file `ca`, or else those of the system.
    ///
    /// # Errors
    ///
    /// If there are no certificates that can be used, and `url` needs them.
    pub(super) fn new(url: &KeysUrl, ca: Option<&Path>) -> Result<Self, String> {
        let roots = match ca {
            Some(path) => {
                let file = PemFile::new("--auth-ca", path);
                file.read().and_then(|bytes| tls::roots(&file, &bytes))
            }
            None if !url.is_tls() => Ok(RootCertStore::empty()),
            None => tls::system_roots("name a file with --auth-ca").map(|(roots, _)| roots),
        };
        let roots = roots.map_err(|error| error.to_string())?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self(TlsConnector::from(Arc::new(config))))
    }

    /// Gets a document.
    pub(super) async fn get(&self, url: &KeysUrl) -> Result<Bytes, FetchError> {
        let getting = async {
            let unreachable = |error| FetchError::Unreachable(url.clone(), error);
            let stream = TcpStream::connect((url.host(), url.port()));
            let stream = stream.await.map_err(unreachable)?;
            if !url.is_tls() {
                return ask(url, stream).await;
            }
            let name = ServerName::try_from(url.host().to_owned());
            let name = name.map_err(|error| unreachable(std::io::Error::other(error)))?;
            let stream = self.0.connect(name, stream).await.map_err(unreachable)?;
            ask(url, stream).await
        };
        let got = timeout(FETCH_MAX, getting).await;
        got.unwrap_or_else(|_| Err(FetchError::TooSlow(url.clone())))
    }
}

/// Asks for the document, on a connection of its own: there is one in ten minutes.
async fn ask<S>(url: &KeysUrl, stream: S) -> Result<Bytes, FetchError>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let broken = |error| FetchError::BrokenOff(url.clone(), error);
    let connected = http1::handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = connected.map_err(broken)?;
    let _connection = AbortOnDropHandle::new(tokio::spawn(connection));
    let path = url.0.path_and_query();
    let host = url.0.authority().map_or("", |it| it.as_str());
    let request = Request::get(path.map_or("/", |path| path.as_str()))
        .header(HOST, host)
        .header(ACCEPT, "application/json")
        .body(Empty::<Bytes>::new())
        .expect("its parts were a URI's");
    let response = sender.send_request(request).await.map_err(broken)?;
    if response.status() != StatusCode::OK {
        return Err(FetchError::Status(url.clone(), response.status()));
    }
    let body = Limited::new(response.into_body(), DOCUMENT_BYTES_MAX);
    let body = body.collect().await;
    let body = body.map_err(|error| FetchError::Body(url.clone(), error))?;
    Ok(body.to_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_by_tls_or_from_this_host() {
        for good in [
            "https://id.example/realms/a/certs?x=y",
            "http://127.0.0.1:8080/keys",
            "http://[::1]/keys",
            "http://localhost/keys",
        ] {
            let url = good.parse::<KeysUrl>().expect(good);
            assert_eq!(url.to_string(), good);
        }
        let url: KeysUrl = "http://[::1]/keys".parse().expect("a URL");
        assert_eq!((url.host(), url.port()), ("::1", 80));
        for bad in [
            "",
            "secret",
            "ftp://secret/",
            "http://secret/keys",
            "http://localhost.secret/keys",
            "https://user:secret@host/keys",
        ] {
            let error = bad.parse::<KeysUrl>().expect_err(bad);
            assert!(
                error.starts_with("must ") && !error.contains("secret"),
                "{error}"
            );
        }
    }
}
