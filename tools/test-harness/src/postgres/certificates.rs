//! CAs and certificates, made for a test.

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use time::{Duration, OffsetDateTime};

/// A CA.
#[derive(Debug)]
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

/// A certificate and its key, as PEM.
#[derive(Clone)]
pub struct Pair {
    /// The certificate.
    pub certificate: String,
    /// Its private key, in PKCS #8.
    pub key: String,
}

/// When a certificate is valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Valid {
    /// Since yesterday, until tomorrow.
    Now,
    /// It was, until yesterday.
    Before,
    /// From tomorrow on.
    Later,
}

impl Authority {
    /// A new CA of a name.
    ///
    /// # Panics
    ///
    /// If it cannot be made.
    #[must_use]
    pub fn new(name: &str) -> Self {
        let mut params = params(name, &[], Valid::Now);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().expect("a key");
        let pem = params.self_signed(&key).expect("a certificate").pem();
        let issuer = Issuer::new(params, key);
        Self { issuer, pem }
    }

    /// Its own certificate, as PEM.
    #[must_use]
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// A certificate of a server with these names and addresses.
    #[must_use]
    pub fn server(&self, names: &[&str], valid: Valid) -> Pair {
        self.sign("server", names, valid, ExtendedKeyUsagePurpose::ServerAuth)
    }

    /// A certificate of a client of this common name.
    #[must_use]
    pub fn client(&self, name: &str) -> Pair {
        self.sign(name, &[], Valid::Now, ExtendedKeyUsagePurpose::ClientAuth)
    }

    fn sign(
        &self,
        name: &str,
        names: &[&str],
        valid: Valid,
        purpose: ExtendedKeyUsagePurpose,
    ) -> Pair {
        let mut params = params(name, names, valid);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![purpose];
        let key = KeyPair::generate().expect("a key");
        let signed = params.signed_by(&key, &self.issuer);
        Pair {
            certificate: signed.expect("a certificate").pem(),
            key: key.serialize_pem(),
        }
    }
}

/// A certificate that signs itself, as `openssl req -x509` makes it: a CA's, with names.
///
/// # Panics
///
/// If it cannot be made.
#[must_use]
pub fn self_signed(names: &[&str], valid: Valid) -> Pair {
    let mut params = params("self-signed", names, valid);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().expect("a key");
    let certificate = params.self_signed(&key).expect("a certificate");
    Pair {
        certificate: certificate.pem(),
        key: key.serialize_pem(),
    }
}

fn params(name: &str, names: &[&str], valid: Valid) -> CertificateParams {
    let names: Vec<_> = names.iter().map(ToString::to_string).collect();
    let mut params = CertificateParams::new(names).expect("names");
    params.distinguished_name.push(DnType::CommonName, name);
    let (now, day) = (OffsetDateTime::now_utc(), Duration::days(1));
    (params.not_before, params.not_after) = match valid {
        Valid::Now => (now - day, now + day),
        Valid::Before => (now - day * 2, now - day),
        Valid::Later => (now + day, now + day * 2),
    };
    params
}
