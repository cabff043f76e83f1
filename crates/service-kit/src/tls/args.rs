//! The flags of TLS that all services share.

use std::path::PathBuf;

use clap::Args;

use super::client::{ClientTls, ClientTlsFiles};
use super::files::{PemFile, TlsError};
use super::{Certificates, check};
use crate::args::{file, no_url};

/// The certificates of a server, and what it asks of its clients.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "TLS")]
pub struct ServerTlsArgs {
    /// The certificate to serve with, as PEM, followed by those between it and its CA. All calls
    /// are then by TLS. It is read again with its key when one of them changes, and on SIGHUP
    #[arg(long, env = "TICKETING_TLS_CERT", value_name = "FILE", value_parser = file, requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,

    /// Its private key, as PEM, not encrypted
    #[arg(long, env = "TICKETING_TLS_KEY", value_name = "FILE", value_parser = file, requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,

    /// The CAs of clients, as PEM: who has no certificate of one of them is refused (mTLS)
    #[arg(long, env = "TICKETING_TLS_CLIENT_CA", value_name = "FILE", value_parser = file, requires = "tls_cert")]
    pub tls_client_ca: Option<PathBuf>,

    /// Serve without TLS on addresses that other hosts reach. For what stands behind something
    /// that has TLS, in a network where nobody else listens
    #[arg(long, env = "TICKETING_INSECURE")]
    pub insecure: bool,
}

/// How the `health` subcommand asks an instance that serves by TLS.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "TLS")]
pub struct HealthTlsArgs {
    /// The CAs of the instance's certificate, as PEM; if not said, those of the system
    #[arg(long, env = "TICKETING_HEALTH_TLS_CA", value_name = "FILE", value_parser = file)]
    tls_ca: Option<PathBuf>,

    /// The client's certificate, for an instance that asks for one, as PEM; if not said, the
    /// service's own
    #[arg(long, env = "TICKETING_HEALTH_TLS_CERT", value_name = "FILE", value_parser = file, requires = "tls_key")]
    tls_cert: Option<PathBuf>,

    /// Its private key, as PEM
    #[arg(long, env = "TICKETING_HEALTH_TLS_KEY", value_name = "FILE", value_parser = file, requires = "tls_cert")]
    tls_key: Option<PathBuf>,

    /// The name that the instance's certificate must have; if not said, the first name of the
    /// service's own certificate
    #[arg(long, env = "TICKETING_HEALTH_TLS_SERVER_NAME", value_name = "NAME", value_parser = no_url)]
    tls_server_name: Option<String>,
}

impl ServerTlsArgs {
    /// The files of the certificate and its key, if there are any.
    pub(super) fn pair(&self) -> Result<Option<(PemFile, PemFile)>, TlsError> {
        pair([("--tls-cert", &self.tls_cert), ("--tls-key", &self.tls_key)])
    }
}

impl HealthTlsArgs {
    /// How to ask an instance with the settings of `server`: none if by plain text.
    ///
    /// # Errors
    ///
    /// If a file cannot be used.
    pub(crate) fn client(&self, server: &ServerTlsArgs) -> Result<Option<ClientTls>, TlsError> {
        let own = server.pair()?;
        let is_given = self.tls_ca.is_some() || self.tls_cert.is_some();
        if own.is_none() && !is_given && self.tls_server_name.is_none() {
            return Ok(None);
        }
        let server_name = match (&self.tls_server_name, &own) {
            (Some(name), _) => Some(name.clone()),
            (None, None) => None,
            (None, Some((cert, _))) => {
                let chain = cert.certificates(&cert.read()?)?;
                check::first_name(&chain[0])
            }
        };
        let (cert, key) = match &self.tls_cert {
            Some(_) => (self.tls_cert.clone(), self.tls_key.clone()),
            None => own.map(|(cert, key)| (cert.path, key.path)).unzip(),
        };
        let files = ClientTlsFiles {
            flags: ["--tls-ca", "--tls-cert", "--tls-key", "--tls-server-name"],
            ca: self.tls_ca.clone(),
            cert,
            key,
            server_name,
        };
        Certificates::default().client("health", files).map(Some)
    }
}

/// A certificate and its key, or neither.
pub(super) fn pair(
    [(cert_flag, cert), (key_flag, key)]: [(&'static str, &Option<PathBuf>); 2],
) -> Result<Option<(PemFile, PemFile)>, TlsError> {
    let lonely = |given, lacking| {
        Err(TlsError(format!(
            "{given} is given without {lacking}: give both, or neither"
        )))
    };
    match (cert, key) {
        (None, None) => Ok(None),
        (Some(_), None) => lonely(cert_flag, key_flag),
        (None, Some(_)) => lonely(key_flag, cert_flag),
        (Some(cert), Some(key)) => Ok(Some((
            PemFile::new(cert_flag, cert),
            PemFile::new(key_flag, key),
        ))),
    }
}
