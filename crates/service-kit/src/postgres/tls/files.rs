//! Reading certificates and keys.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{Error, RootCertStore};

use super::verify::Roots;
use super::words::TlsError;

/// The most bytes of a file. The CAs of all the world are a quarter of that.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// What stands in the file of a key that is encrypted: PKCS #8's way, and the older one.
const ENCRYPTED: [&str; 2] = ["BEGIN ENCRYPTED PRIVATE KEY", "Proc-Type: 4,ENCRYPTED"];

/// The certificates of a PEM file; at least one.
pub(super) fn read_certificates(
    parameter: &str,
    path: &Path,
) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let bytes = read(parameter, path)?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    match certificates {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        Ok(_) => Err(unusable(parameter, path, no_section(&bytes, "CERTIFICATE"))),
        Err(why) => Err(unusable(parameter, path, damaged(&why))),
    }
}

/// The private key of a PEM file: PKCS #8, PKCS #1 or SEC 1.
pub(super) fn read_key(parameter: &str, path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    let bytes = read(parameter, path)?;
    if ENCRYPTED.iter().any(|words| has(&bytes, words)) {
        return Err(unusable(parameter, path, encrypted(path)));
    }
    PrivateKeyDer::from_pem_slice(&bytes).map_err(|why| {
        let words = match why {
            pem::Error::NoItemsFound => no_section(&bytes, "PRIVATE KEY"),
            why => damaged(&why),
        };
        unusable(parameter, path, words)
    })
}

/// The CAs that the system trusts. `SSL_CERT_FILE` and `SSL_CERT_DIR` say where they are, if that
/// is not where the system usually has them.
pub(super) fn system_roots() -> Result<Roots, TlsError> {
    let found = rustls_native_certs::load_native_certs();
    let mut store = RootCertStore::empty();
    // Systems have some that are not understood.
    let (usable, _) = store.add_parsable_certificates(found.certs.iter().cloned());
    if usable == 0 {
        let why = found.errors.first();
        let why = why.map(|why| format!(" ({why})")).unwrap_or_default();
        return Err(TlsError::lasting(format!(
            "the system has no CA certificates{why}: name the file of the server's CA in \
             sslrootcert, or the system's in SSL_CERT_FILE"
        )));
    }
    Ok(Roots {
        store,
        certificates: found.certs,
    })
}

/// A key that cannot be used with a certificate.
pub(super) fn unusable_key(key: &Path, certificate: &Path, why: &Error) -> TlsError {
    let words = match why {
        Error::InconsistentKeys(_) => {
            format!(
                "is not the key of sslcert {}: name a pair",
                certificate.display()
            )
        }
        other => format!("cannot be used with {}: {other}", certificate.display()),
    };
    unusable("sslkey", key, words)
}

fn read(parameter: &str, path: &Path) -> Result<Vec<u8>, TlsError> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| {
        let mut file = file.take(FILE_BYTES_MAX + 1);
        file.read_to_end(&mut bytes)
    });
    match read {
        Ok(count) if count as u64 > FILE_BYTES_MAX => {
            let words = format!("is larger than {FILE_BYTES_MAX} bytes: name a PEM file");
            Err(unusable(parameter, path, words))
        }
        Ok(_) => Ok(bytes),
        Err(why) => Err(unusable(parameter, path, format!("cannot be read: {why}"))),
    }
}

fn unusable(parameter: &str, path: &Path, words: impl AsRef<str>) -> TlsError {
    let (path, words) = (path.display(), words.as_ref());
    TlsError::lasting(format!("{parameter} {path} {words}"))
}

fn encrypted(path: &Path) -> String {
    let path = path.display();
    format!(
        "is encrypted, and there is nobody to ask for its passphrase: decrypt it, by `openssl pkey \
         -in {path} -out FILE`, and let nobody but the service read the file"
    )
}

fn no_section(bytes: &[u8], label: &str) -> String {
    // A DER file is one SEQUENCE.
    let is_der = bytes.first() == Some(&0x30);
    let hint = if is_der {
        ": it seems to be DER; `openssl` turns it into PEM, with -inform der"
    } else {
        ": name a PEM file"
    };
    format!("has no -----BEGIN {label}-----{hint}")
}

fn damaged(why: &pem::Error) -> String {
    format!("is damaged PEM: {why}")
}

fn has(bytes: &[u8], words: &str) -> bool {
    let mut parts = bytes.windows(words.len());
    parts.any(|part| part == words.as_bytes())
}
