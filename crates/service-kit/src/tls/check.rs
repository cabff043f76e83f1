//! What rustls does not check when it loads a certificate: when it is valid, and whether a CA's
//! may sign others.

use std::net::IpAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio_rustls::rustls::RootCertStore;
use tokio_rustls::rustls::crypto::CryptoProvider;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::{Error, InconsistentKeys};
use x509_cert::Certificate;
use x509_cert::der::Decode as _;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{BasicConstraints, KeyUsage, SubjectAltName};

use super::files::{PemFile, TlsError};

/// A certificate with its chain and its key, all of which fit each other and are valid now.
pub(super) fn certified_key(
    (cert, cert_bytes): (&PemFile, &[u8]),
    (key, key_bytes): (&PemFile, &[u8]),
    provider: &CryptoProvider,
) -> Result<CertifiedKey, TlsError> {
    let chain = cert.certificates(cert_bytes)?;
    let private = key.private_key(key_bytes)?;
    let signing = provider.key_provider.load_private_key(private);
    let signing = signing
        .map_err(|error| key.error(format_args!("has a key that cannot be used: {error}")))?;
    let leaf = parse(cert, &chain[0])?;
    check_valid(&leaf).map_err(|why| cert.error(why))?;
    let certified = CertifiedKey::new(chain, signing);
    match certified.keys_match() {
        // A key that cannot say its public half is none of ring's.
        Ok(()) | Err(Error::InconsistentKeys(InconsistentKeys::Unknown)) => Ok(certified),
        Err(Error::InconsistentKeys(_)) => Err(key.error(format_args!(
            "does not match the certificate of {} {}",
            cert.flag,
            cert.path.display()
        ))),
        Err(error) => Err(cert.error(format_args!(
            "has a certificate that cannot be used: {error}"
        ))),
    }
}

/// The CAs of a file. Those whose time is over or has not come are left out, as a bundle may have
/// some; one must be left.
pub(crate) fn roots(file: &PemFile, bytes: &[u8]) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    let mut outdated = None;
    for der in file.certificates(bytes)? {
        let certificate = parse(file, &der)?;
        check_ca(&certificate).map_err(|why| file.error(why))?;
        if let Err(why) = check_valid(&certificate) {
            outdated = Some(why);
            continue;
        }
        let added = roots.add(der);
        added.map_err(|error| file.error(format_args!("has a CA that cannot be used: {error}")))?;
    }
    match outdated {
        Some(why) if roots.is_empty() => Err(file.error(why)),
        _ => Ok(roots),
    }
}

/// The first name that a certificate is for, as a client asks for it.
pub(super) fn first_name(der: &CertificateDer<'_>) -> Option<String> {
    let certificate = Certificate::from_der(der).ok()?;
    let names = certificate.tbs_certificate.get::<SubjectAltName>().ok()??.1;
    names.0.into_iter().find_map(|name| match name {
        // Any label fits a wildcard.
        GeneralName::DnsName(name) => Some(name.as_str().replacen('*', "health", 1)),
        GeneralName::IpAddress(bytes) => {
            let bytes = bytes.as_bytes();
            let v4 = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
            let ip = v4.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from));
            ip.ok().map(|ip| ip.to_string())
        }
        _ => None,
    })
}

fn parse(file: &PemFile, der: &CertificateDer<'_>) -> Result<Certificate, TlsError> {
    Certificate::from_der(der).map_err(|error| {
        file.error(format_args!(
            "has a certificate that cannot be read: {error}"
        ))
    })
}

fn check_valid(certificate: &Certificate) -> Result<(), String> {
    let validity = &certificate.tbs_certificate.validity;
    let (from, to) = (&validity.not_before, &validity.not_after);
    let now = now();
    if now < from.to_unix_duration() {
        Err(format!("has a certificate that is not valid before {from}"))
    } else if now > to.to_unix_duration() {
        Err(format!("has a certificate that expired at {to}"))
    } else {
        Ok(())
    }
}

fn check_ca(certificate: &Certificate) -> Result<(), String> {
    let tbs = &certificate.tbs_certificate;
    let is_ca =
        matches!(tbs.get::<BasicConstraints>(), Ok(Some((_, constraints))) if constraints.ca);
    let may_sign = match tbs.get::<KeyUsage>() {
        Ok(Some((_, usage))) => usage.key_cert_sign(),
        // Without the extension it may be used for anything.
        Ok(None) => true,
        Err(_) => false,
    };
    let subject = &tbs.subject;
    if !is_ca {
        Err(format!(
            "has a certificate that is not a CA's: \"{subject}\" has no basic constraint CA:TRUE"
        ))
    } else if !may_sign {
        Err(format!(
            "has a CA that may not sign certificates: the key usage of \"{subject}\" lacks \
             keyCertSign"
        ))
    } else {
        Ok(())
    }
}

fn now() -> Duration {
    // A clock before 1970 finds every certificate not valid yet.
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}
