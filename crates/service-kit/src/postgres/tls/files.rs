//! Reading certificates and keys.

use std::path::Path;

use rustls::Error;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::verify::Roots;
use super::words::TlsError;
use crate::tls::{self, PemFile};

/// The certificates of a PEM file; at least one.
pub(super) fn read_certificates(
    parameter: &'static str,
    path: &Path,
) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let file = PemFile::new(parameter, path);
    let certificates = file.read().and_then(|bytes| file.certificates(&bytes));
    certificates.map_err(lasting)
}

/// The private key of a PEM file: PKCS #8, PKCS #1 or SEC 1.
pub(super) fn read_key(
    parameter: &'static str,
    path: &Path,
) -> Result<PrivateKeyDer<'static>, TlsError> {
    let file = PemFile::new(parameter, path);
    let key = file.read().and_then(|bytes| file.private_key(&bytes));
    key.map_err(lasting)
}

/// The CAs that the system trusts.
pub(super) fn system_roots() -> Result<Roots, TlsError> {
    let hint = "name the file of the server's CA in sslrootcert, or the system's in SSL_CERT_FILE";
    let (store, certificates) = tls::system_roots(hint).map_err(lasting)?;
    Ok(Roots {
        store,
        certificates,
    })
}

/// A key that cannot be used with a certificate.
pub(super) fn unusable_key(key: &Path, certificate: &Path, why: &Error) -> TlsError {
    let file = PemFile::new("sslkey", key);
    let certificate = certificate.display();
    lasting(match why {
        Error::InconsistentKeys(_) => file.error(format_args!(
            "is not the key of sslcert {certificate}: name a pair"
        )),
        other => file.error(format_args!("cannot be used with {certificate}: {other}")),
    })
}

fn lasting(why: tls::TlsError) -> TlsError {
    TlsError::lasting(why.to_string())
}
