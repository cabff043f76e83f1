//! TLS to PostgreSQL: what the parameters `sslmode`, `sslrootcert`, `sslcert` and `sslkey` of a URL
//! ask for.
//!
//! They mean what libpq means by them; `docs/postgres-tls.md` has where we are stricter. One rustls
//! configuration is made of them, and both drivers connect by it. The files are read for each
//! connection, so certificates are rotated without a restart.

mod end_point;
mod files;
mod stream;
mod verify;
mod words;

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::client::Resumption;
use rustls::crypto::ring;

use self::files::{read_certificates, read_key, system_roots};
use self::verify::{Roots, ServerVerifier};
use super::parameters::TlsParameters;

pub(super) use self::stream::{Connector, TlsStream};
pub(super) use self::words::{Peer, TlsError};

/// How much TLS is asked for; in ascending order of what it protects from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TlsMode {
    /// None at all.
    Disable,
    /// TLS if the server has it; whoever it is.
    Prefer,
    /// TLS, whoever the server is.
    Require,
    /// TLS, and the server's certificate is one of a trusted CA.
    VerifyCa,
    /// The same, and the certificate has the host's name.
    VerifyFull,
}

/// What a URL asks of TLS.
#[derive(Debug, Clone)]
pub(super) struct TlsSettings(Arc<Asked>);

#[derive(Debug)]
struct Asked {
    /// None if the URL says nothing: see [`TlsSettings::mode_at`].
    mode: Option<TlsMode>,
    trusted: Trusted,
    identity: Option<Identity>,
}

/// Whose certificates are believed, where they are verified.
#[derive(Debug, PartialEq, Eq)]
enum Trusted {
    /// The CAs that the system trusts.
    System,
    /// Those of this file, and no others.
    File(PathBuf),
}

/// The files of a client certificate.
#[derive(Debug)]
struct Identity {
    certificate: PathBuf,
    key: PathBuf,
}

impl TlsMode {
    fn parse(text: &str) -> Result<Self, String> {
        let all = [
            Self::Disable,
            Self::Prefer,
            Self::Require,
            Self::VerifyCa,
            Self::VerifyFull,
        ];
        match all.into_iter().find(|mode| mode.to_string() == text) {
            Some(mode) => Ok(mode),
            None if text == "allow" => Err(
                "must not ask for sslmode=allow, which tries without TLS first: ask for prefer, \
                 require, verify-ca or verify-full"
                    .to_owned(),
            ),
            None => Err(
                "must have an sslmode of disable, prefer, require, verify-ca or verify-full"
                    .to_owned(),
            ),
        }
    }

    /// Whether it is made sure who the server is.
    #[must_use]
    pub fn verifies(self) -> bool {
        self >= Self::VerifyCa
    }
}

impl fmt::Display for TlsMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Disable => "disable",
            Self::Prefer => "prefer",
            Self::Require => "require",
            Self::VerifyCa => "verify-ca",
            Self::VerifyFull => "verify-full",
        })
    }
}

impl TlsSettings {
    /// Reads them, and the files that they name, so that a bad one is known at the start.
    ///
    /// # Errors
    ///
    /// What must be otherwise, as the end of a sentence about the URL.
    pub(super) fn new(parameters: TlsParameters) -> Result<Self, String> {
        let mode = parameters.mode.as_deref().map(TlsMode::parse).transpose()?;
        let (mode, trusted) = combine(mode, parameters.root_certificate)?;
        let identity = match (parameters.certificate, parameters.key) {
            (None, None) => None,
            (Some(certificate), Some(key)) => Some(Identity {
                certificate: certificate.into(),
                key: key.into(),
            }),
            _ => return Err("must have both sslcert and sslkey, or neither".to_owned()),
        };
        let settings = Self(Arc::new(Asked {
            mode,
            trusted,
            identity,
        }));
        let mode = mode.unwrap_or(TlsMode::Prefer);
        if mode > TlsMode::Disable {
            let checked = settings.client_config(mode);
            checked.map_err(|why| format!("must name files for TLS that can be used: {why}"))?;
        }
        Ok(settings)
    }

    /// What is asked for at an address, or at a socket in a folder if there is none. libpq never
    /// encrypts the latter either. Where the URL says nothing it prefers TLS; we do so but on
    /// loopback, where TLS protects from nobody, and costs a part of each round trip.
    pub(super) fn mode_at(&self, address: Option<IpAddr>) -> TlsMode {
        match (self.0.mode, address) {
            (_, None) => TlsMode::Disable,
            (Some(mode), _) => mode,
            (None, Some(address)) if address.to_canonical().is_loopback() => TlsMode::Disable,
            (None, Some(_)) => TlsMode::Prefer,
        }
    }

    /// The configuration of one connection, from the files as they are now.
    ///
    /// # Errors
    ///
    /// Which file cannot be used, and why.
    pub(super) fn client_config(&self, mode: TlsMode) -> Result<ClientConfig, TlsError> {
        let provider = Arc::new(ring::default_provider());
        let roots = match mode {
            TlsMode::Disable | TlsMode::Prefer | TlsMode::Require => None,
            TlsMode::VerifyCa | TlsMode::VerifyFull => Some(self.roots()?),
        };
        let checks_name = mode == TlsMode::VerifyFull;
        let verifier = ServerVerifier::new(roots, checks_name, &provider);
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("ring has what TLS 1.2 and 1.3 need")
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        let mut config = match &self.0.identity {
            None => builder.with_no_client_auth(),
            Some(Identity { certificate, key }) => {
                let chain = read_certificates("sslcert", certificate)?;
                let secret = read_key("sslkey", key)?;
                let built = builder.with_client_auth_cert(chain, secret);
                built.map_err(|why| files::unusable_key(key, certificate, &why))?
            }
        };
        // Each connection has a configuration of its own, and PostgreSQL resumes nothing.
        config.resumption = Resumption::disabled();
        Ok(config)
    }

    fn roots(&self) -> Result<Roots, TlsError> {
        match &self.0.trusted {
            Trusted::System => system_roots(),
            Trusted::File(path) => Roots::of_file(path),
        }
    }

    /// Whose certificates are believed, in words.
    fn trusted(&self) -> String {
        match &self.0.trusted {
            Trusted::System => "the system's".to_owned(),
            Trusted::File(path) => format!("sslrootcert {}", path.display()),
        }
    }

    fn has_identity(&self) -> bool {
        self.0.identity.is_some()
    }
}

/// What a mode and a root certificate mean together, by libpq's rules.
fn combine(
    mode: Option<TlsMode>,
    root_certificate: Option<String>,
) -> Result<(Option<TlsMode>, Trusted), String> {
    match (mode, root_certificate.as_deref()) {
        (None | Some(TlsMode::VerifyFull), Some("system")) => {
            Ok((Some(TlsMode::VerifyFull), Trusted::System))
        }
        (Some(_), Some("system")) => Err(
            "must ask for sslmode=verify-full with sslrootcert=system: anybody can have a \
             certificate of one of those CAs, for a name of their own"
                .to_owned(),
        ),
        (None | Some(TlsMode::Prefer), Some(_)) => Err(
            "must ask for sslmode=verify-full (or verify-ca) with sslrootcert: as it is, nothing \
             would be verified"
                .to_owned(),
        ),
        // For compatibility with its own past, libpq says.
        (Some(TlsMode::Require), Some(file)) => {
            Ok((Some(TlsMode::VerifyCa), Trusted::File(file.into())))
        }
        (Some(mode), Some(file)) => Ok((Some(mode), Trusted::File(file.into()))),
        (Some(TlsMode::VerifyCa), None) => Err(
            "must name the file of the server's CA in sslrootcert for sslmode=verify-ca".to_owned(),
        ),
        (mode, None) => Ok((mode, Trusted::System)),
    }
}

#[cfg(test)]
mod tests;
