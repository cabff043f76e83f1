//! Files with certificates and keys: PEM, read whole, and errors that name flag and file. Every use
//! of TLS reads them here, PostgreSQL's too.

use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use tokio_rustls::rustls::RootCertStore;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject as _};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// The largest file, in bytes. The bundle of all public CAs has about 250 KiB.
const FILE_BYTES_MAX: u64 = 1024 * 1024;
/// The most certificates of one file; the same bundle has about 150.
const CERTIFICATES_MAX: usize = 1_000;

/// What is wrong with a certificate, a key, or the flags that name them: one line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct TlsError(pub(super) String);

/// A file, and the flag or the parameter that names it.
#[derive(Debug, Clone)]
pub(crate) struct PemFile {
    pub(super) flag: &'static str,
    pub(super) path: PathBuf,
}

/// What was read, as far as it takes to see a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Digest([u8; 32]);

impl Digest {
    pub(super) fn of<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut hash = Sha256::new();
        for part in parts {
            // Without the lengths a part could move from one file to the next unseen.
            hash.update(part.len().to_be_bytes());
            hash.update(part);
        }
        Self(hash.finalize().into())
    }
}

impl PemFile {
    pub(crate) fn new(flag: &'static str, path: &Path) -> Self {
        let path = path.to_path_buf();
        Self { flag, path }
    }

    /// What is wrong with this file.
    pub(crate) fn error(&self, why: impl fmt::Display) -> TlsError {
        TlsError(format!("{} {}: {why}", self.flag, self.path.display()))
    }

    /// Its bytes.
    pub(crate) fn read(&self) -> Result<Vec<u8>, TlsError> {
        let mut bytes = Vec::new();
        File::open(&self.path)
            .and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes))
            .map_err(|error| self.error(format_args!("cannot be read: {error}")))?;
        if bytes.len() as u64 > FILE_BYTES_MAX {
            return Err(self.error("is larger than 1 MiB"));
        }
        Ok(bytes)
    }

    /// The certificates in `bytes`, one at least.
    pub(crate) fn certificates(
        &self,
        bytes: &[u8],
    ) -> Result<Vec<CertificateDer<'static>>, TlsError> {
        self.check_pem(bytes)?;
        let certificates = CertificateDer::pem_slice_iter(bytes);
        let certificates = certificates
            .take(CERTIFICATES_MAX + 1)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| self.bad_pem(&error))?;
        if certificates.is_empty() {
            return Err(self.error("has no certificate"));
        }
        if certificates.len() > CERTIFICATES_MAX {
            return Err(self.error("has more than 1,000 certificates"));
        }
        Ok(certificates)
    }

    /// The private key in `bytes`.
    pub(crate) fn private_key(&self, bytes: &[u8]) -> Result<PrivateKeyDer<'static>, TlsError> {
        self.check_pem(bytes)?;
        let text = String::from_utf8_lossy(bytes);
        // PKCS#8, and the way of older OpenSSL.
        if text.contains("BEGIN ENCRYPTED PRIVATE KEY") || text.contains("4,ENCRYPTED") {
            return Err(self.error(
                "has an encrypted key: store it without a passphrase (`openssl pkey -in FILE \
                 -out NEW`), readable by the service alone",
            ));
        }
        PrivateKeyDer::from_pem_slice(bytes).map_err(|error| match error {
            pem::Error::NoItemsFound => self.error("has no private key"),
            error => self.bad_pem(&error),
        })
    }

    fn check_pem(&self, bytes: &[u8]) -> Result<(), TlsError> {
        if bytes.windows(11).any(|part| part == b"-----BEGIN ") {
            return Ok(());
        }
        // A DER file is one SEQUENCE.
        Err(self.error(if bytes.first() == Some(&0x30) {
            "is not PEM but DER, as it seems: `openssl x509 -inform der -in FILE -out NEW` converts \
             a certificate"
        } else {
            "is not PEM: it has no line that begins with -----BEGIN"
        }))
    }

    fn bad_pem(&self, error: &pem::Error) -> TlsError {
        self.error(format_args!("is not PEM: {error}"))
    }
}

/// The CAs that the system trusts. Container images often have none. `SSL_CERT_FILE` and
/// `SSL_CERT_DIR` say where they are, if that is not where the system usually has them.
///
/// # Errors
///
/// If there are none: `hint` says what to do.
pub(crate) fn system_roots(
    hint: &str,
) -> Result<(RootCertStore, Vec<CertificateDer<'static>>), TlsError> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    // Systems have a few that no library reads.
    roots.add_parsable_certificates(found.certs.iter().cloned());
    if roots.is_empty() {
        let why = found.errors.first().map(|error| format!(" ({error})"));
        return Err(TlsError(format!(
            "the system has no CA certificates{}: {hint}",
            why.unwrap_or_default()
        )));
    }
    Ok((roots, found.certs))
}
