//! Certificates of a CA of the test's own.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    date_time_ymd,
};
use service_kit::tls::{Certificates, ClientTls, ClientTlsFiles};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

/// A CA, with its files in a folder that is gone when this is dropped.
#[derive(Debug)]
pub struct Authority {
    folder: TempDir,
    issuer: Issuer<'static, KeyPair>,
}

/// The files of a certificate and its key.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The certificate, as PEM.
    pub cert: String,
    /// The key, as PEM.
    pub key: String,
}

impl Authority {
    /// A CA, whose certificate is the file [`Self::ca`].
    ///
    /// # Panics
    ///
    /// If the file cannot be written.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self::with(name, |params| {
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        })
    }

    /// What may not sign, though its file is where a CA's should be.
    ///
    /// # Panics
    ///
    /// If the file cannot be written.
    #[must_use]
    pub fn without_right_to_sign(is_ca: bool) -> Self {
        Self::with("Not a CA", |params| {
            if is_ca {
                params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            }
            params.key_usages = vec![KeyUsagePurpose::CrlSign];
        })
    }

    fn with(name: &str, set: impl FnOnce(&mut CertificateParams)) -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut params = params(name);
        set(&mut params);
        let certificate = params.self_signed(&key).expect("a certificate");
        let folder = tempfile::tempdir().expect("a folder");
        write(&folder.path().join("ca.pem"), &certificate.pem());
        let issuer = Issuer::new(params, key);
        Self { folder, issuer }
    }

    /// The file of its certificate.
    #[must_use]
    pub fn ca(&self) -> String {
        text(&self.folder.path().join("ca.pem"))
    }

    /// A file of its folder, which need not be there.
    #[must_use]
    pub fn file(&self, name: &str) -> String {
        text(&self.folder.path().join(name))
    }

    /// A certificate for `name`, `localhost` and 127.0.0.1, valid now.
    ///
    /// # Panics
    ///
    /// If its files cannot be written.
    #[must_use]
    pub fn issue(&self, name: &str) -> Identity {
        self.issue_within(name, [1975, 4096])
    }

    /// The same, valid from the first day of one year to the first day of another.
    ///
    /// # Panics
    ///
    /// If its files cannot be written.
    #[must_use]
    pub fn issue_within(&self, name: &str, years: [i32; 2]) -> Identity {
        let identity = Identity {
            cert: self.file(&format!("{name}.pem")),
            key: self.file(&format!("{name}.key")),
        };
        self.renew(name, &identity, years);
        identity
    }

    /// Writes another certificate with another key into the files of `identity`, each whole at
    /// once, the certificate first.
    ///
    /// # Panics
    ///
    /// If they cannot be written.
    pub fn renew(&self, name: &str, identity: &Identity, [from, to]: [i32; 2]) {
        let key = KeyPair::generate().expect("a key");
        let mut params = params(name);
        let names = [name, "localhost", "127.0.0.1"].map(str::to_owned);
        let named = CertificateParams::new(names).expect("names");
        params.subject_alt_names = named.subject_alt_names;
        params.not_before = date_time_ymd(from, 1, 1);
        params.not_after = date_time_ymd(to, 1, 1);
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        write(Path::new(&identity.cert), &certificate.pem());
        write(Path::new(&identity.key), &key.serialize_pem());
    }

    /// A client that trusts this CA, with a certificate or without.
    ///
    /// # Panics
    ///
    /// If the files cannot be used.
    #[must_use]
    pub fn client(&self, identity: Option<&Identity>) -> ClientTls {
        let files = ClientTlsFiles {
            flags: ["ca", "cert", "key", "server name"],
            ca: Some(self.ca().into()),
            cert: identity.map(|identity| PathBuf::from(&identity.cert)),
            key: identity.map(|identity| PathBuf::from(&identity.key)),
            server_name: Some("localhost".to_owned()),
        };
        let client = Certificates::default().client("test", files);
        client.expect("files that fit")
    }

    /// The certificate that a server shows to a new connection.
    ///
    /// # Errors
    ///
    /// If it shows none of this CA.
    ///
    /// # Panics
    ///
    /// If the CA's own file cannot be read.
    pub async fn shown_by(&self, address: SocketAddr) -> std::io::Result<Vec<u8>> {
        let mut roots = RootCertStore::empty();
        let ca = CertificateDer::from_pem_file(self.ca()).expect("the CA's file");
        roots.add(ca).expect("a CA");
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions of TLS")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from("localhost").expect("a name");
        let stream = TcpStream::connect(address).await?;
        let stream = TlsConnector::from(Arc::new(config))
            .connect(name, stream)
            .await?;
        let shown = stream.get_ref().1.peer_certificates();
        Ok(shown.expect("a server shows one")[0].to_vec())
    }
}

impl Identity {
    /// The certificate that is in the file.
    ///
    /// # Panics
    ///
    /// If there is none.
    #[must_use]
    pub fn der(&self) -> Vec<u8> {
        let der = CertificateDer::from_pem_file(&self.cert);
        der.expect("a certificate").to_vec()
    }

    /// The flags of a server with it.
    #[must_use]
    pub fn server(&self) -> [&str; 4] {
        ["--tls-cert", &self.cert, "--tls-key", &self.key]
    }
}

fn params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

/// As what rotates certificates does it: a reader sees all of it, or what was there before.
fn write(path: &Path, pem: &str) {
    let next = path.with_extension("next");
    std::fs::write(&next, pem).expect("a file of our own");
    std::fs::rename(&next, path).expect("a file of our own");
}

fn text(path: &Path) -> String {
    path.to_str().expect("a path of text").to_owned()
}
