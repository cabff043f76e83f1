//! TLS: of this service, and to the catalog and the payment provider, with the same flags for each.

use std::path::PathBuf;

use anyhow::bail;
use clap::Args;
use service_kit::args::{file, no_url};
use service_kit::tls::{Certificates, ClientTls, ClientTlsFiles, Connector, ServerTls};

use super::Config;

/// The certificates of all connections.
#[derive(Debug)]
pub struct Tls {
    /// Reads their files again.
    pub certificates: Certificates,
    /// This service's.
    pub server: Option<ServerTls>,
    /// For the catalog; none if it is asked in plain text.
    pub catalog: Option<ClientTls>,
    /// For the payment provider; none if there is none, or in plain text.
    pub provider: Option<Connector>,
}

/// TLS to the catalog.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "TLS")]
pub struct CatalogTlsArgs {
    /// The CAs of the catalog's certificates, as PEM, for a --catalog-url with https://; if not
    /// said, those of the system
    #[arg(long, env = "TICKETING_CATALOG_TLS_CA", value_name = "FILE", value_parser = file)]
    pub catalog_tls_ca: Option<PathBuf>,

    /// The certificate to show to the catalog, as PEM, followed by those between it and its CA
    #[arg(long, env = "TICKETING_CATALOG_TLS_CERT", value_name = "FILE", value_parser = file, requires = "catalog_tls_key")]
    pub catalog_tls_cert: Option<PathBuf>,

    /// Its private key, as PEM, not encrypted
    #[arg(long, env = "TICKETING_CATALOG_TLS_KEY", value_name = "FILE", value_parser = file, requires = "catalog_tls_cert")]
    pub catalog_tls_key: Option<PathBuf>,

    /// The name that the catalog's certificates must have; if not said, the host's of the URL
    #[arg(long, env = "TICKETING_CATALOG_TLS_SERVER_NAME", value_name = "NAME", value_parser = no_url)]
    pub catalog_tls_server_name: Option<String>,
}

/// TLS to the payment provider.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "TLS")]
pub struct PaymentProviderTlsArgs {
    /// The CAs of the payment provider's certificate, as PEM, for a --payment-provider with
    /// https://; if not said, those of the system
    #[arg(long, env = "TICKETING_PAYMENT_PROVIDER_TLS_CA", value_name = "FILE", value_parser = file)]
    pub payment_provider_tls_ca: Option<PathBuf>,

    /// The certificate to show to the payment provider, as PEM, followed by those between it and
    /// its CA
    #[arg(long, env = "TICKETING_PAYMENT_PROVIDER_TLS_CERT", value_name = "FILE", value_parser = file, requires = "payment_provider_tls_key")]
    pub payment_provider_tls_cert: Option<PathBuf>,

    /// Its private key, as PEM, not encrypted
    #[arg(long, env = "TICKETING_PAYMENT_PROVIDER_TLS_KEY", value_name = "FILE", value_parser = file, requires = "payment_provider_tls_cert")]
    pub payment_provider_tls_key: Option<PathBuf>,

    /// The name that the payment provider's certificate must have; if not said, the host's of the
    /// URL
    #[arg(long, env = "TICKETING_PAYMENT_PROVIDER_TLS_SERVER_NAME", value_name = "NAME", value_parser = no_url)]
    pub payment_provider_tls_server_name: Option<String>,
}

impl CatalogTlsArgs {
    fn files(&self) -> ClientTlsFiles {
        ClientTlsFiles {
            flags: [
                "--catalog-tls-ca",
                "--catalog-tls-cert",
                "--catalog-tls-key",
                "--catalog-tls-server-name",
            ],
            ca: self.catalog_tls_ca.clone(),
            cert: self.catalog_tls_cert.clone(),
            key: self.catalog_tls_key.clone(),
            server_name: self.catalog_tls_server_name.clone(),
        }
    }
}

impl PaymentProviderTlsArgs {
    fn files(&self) -> ClientTlsFiles {
        ClientTlsFiles {
            flags: [
                "--payment-provider-tls-ca",
                "--payment-provider-tls-cert",
                "--payment-provider-tls-key",
                "--payment-provider-tls-server-name",
            ],
            ca: self.payment_provider_tls_ca.clone(),
            cert: self.payment_provider_tls_cert.clone(),
            key: self.payment_provider_tls_key.clone(),
            server_name: self.payment_provider_tls_server_name.clone(),
        }
    }
}

impl Config {
    /// Loads all certificates.
    ///
    /// # Errors
    ///
    /// If a file cannot be used, or is given for a URL that is not https://.
    pub fn tls(&self) -> anyhow::Result<Tls> {
        let mut certificates = Certificates::default();
        let server = certificates.server(&self.server.tls)?;
        let mut catalog = None;
        if self.catalog_url.any_by_tls() {
            catalog = Some(certificates.client("catalog", self.catalog_tls.files())?);
        } else {
            refuse(&self.catalog_tls.files(), "--catalog-url")?;
        }
        let mut provider = None;
        let files = self.payment_provider_tls.files();
        match self.payment_provider.as_ref().filter(|url| url.is_tls()) {
            Some(url) => {
                let client = certificates.client("payment provider", files)?;
                provider = Some(client.connector(url.host())?);
            }
            None => refuse(&files, "--payment-provider")?,
        }
        Ok(Tls {
            certificates,
            server,
            catalog,
            provider,
        })
    }
}

/// Whoever names files and forgets the `s` would have everything sent in plain text.
fn refuse(files: &ClientTlsFiles, url_flag: &str) -> anyhow::Result<()> {
    match files.first_given() {
        Some(flag) => bail!("{flag} is given, but {url_flag} is not https://: write https://"),
        None => Ok(()),
    }
}
