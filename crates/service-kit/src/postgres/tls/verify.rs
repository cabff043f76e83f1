//! Whether the server is who it should be.

use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, DigitallySignedStruct, Error, OtherError, RootCertStore, SignatureScheme,
};

use super::files::read_certificates;
use super::words::TlsError;

/// The certificates that are believed.
#[derive(Debug)]
pub(super) struct Roots {
    pub(super) store: RootCertStore,
    /// The same, as they stand in the file.
    pub(super) certificates: Vec<CertificateDer<'static>>,
}

impl Roots {
    /// Those of a file, and no others.
    pub(super) fn of_file(path: &Path) -> Result<Self, TlsError> {
        let certificates = read_certificates("sslrootcert", path)?;
        let mut store = RootCertStore::empty();
        for certificate in &certificates {
            store.add(certificate.clone()).map_err(|why| {
                let path = path.display();
                TlsError::lasting(format!(
                    "sslrootcert {path}: has a certificate that cannot be read: {why}"
                ))
            })?;
        }
        Ok(Self {
            store,
            certificates,
        })
    }
}

/// Verifies the server's certificate as far as the mode asks. What the server signs with it is
/// verified in every mode.
#[derive(Debug)]
pub(super) struct ServerVerifier {
    /// None if any certificate will do.
    roots: Option<Roots>,
    checks_name: bool,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerVerifier {
    pub(super) fn new(
        roots: Option<Roots>,
        checks_name: bool,
        provider: &Arc<CryptoProvider>,
    ) -> Self {
        Self {
            roots,
            checks_name,
            algorithms: provider.signature_verification_algorithms,
        }
    }

    fn verify_chain(
        &self,
        roots: &Roots,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), Error> {
        let parsed = ParsedCertificate::try_from(end_entity)?;
        let verified = verify_server_cert_signed_by_trust_anchor(
            &parsed,
            &roots.store,
            intermediates,
            now,
            self.algorithms.all,
        );
        match verified {
            // A certificate that signs itself, and stands in the file as it is. Its dates have been
            // looked at before this is found.
            Err(error) if is_self_signed(&error) && roots.certificates.contains(end_entity) => {
                Ok(())
            }
            other => other,
        }
    }
}

/// Whether a certificate was refused as it is a CA's own. `openssl req -x509` makes such.
pub(super) fn is_self_signed(error: &Error) -> bool {
    is_webpki(error, webpki::Error::CaUsedAsEndEntity)
}

/// Whether it was refused as it is of X.509 version 1.
pub(super) fn is_version_1(error: &Error) -> bool {
    is_webpki(error, webpki::Error::UnsupportedCertVersion)
}

fn is_webpki(error: &Error, kind: webpki::Error) -> bool {
    let Error::InvalidCertificate(CertificateError::Other(OtherError(inner))) = error else {
        return false;
    };
    inner.downcast_ref::<webpki::Error>() == Some(&kind)
}

impl ServerCertVerifier for ServerVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if let Some(roots) = &self.roots {
            self.verify_chain(roots, end_entity, intermediates, now)?;
            if self.checks_name {
                verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
            }
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
