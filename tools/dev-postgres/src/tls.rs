//! A server that takes connections over TLS alone.

use crate::launch::Launch;
use anyhow::{Context, Result};
use std::{fmt, fs::File, io::Write, os::unix::fs::OpenOptionsExt};

/// Who is let in, unless [`ServerTls::hba`] says otherwise.
const HBA: &str = "\
hostssl all all 127.0.0.1/32 trust
hostssl replication all 127.0.0.1/32 trust
";

/// By what a server proves who it is, and whom it lets in.
#[derive(Clone)]
pub struct ServerTls {
    /// Its certificate, as PEM, with those of the CAs between it and the root, if there are any.
    pub certificate: String,
    /// Its private key, as PEM.
    pub key: String,
    /// The CAs, as PEM, that may sign client certificates; whether a client needs one is for
    /// `pg_hba.conf` to say.
    pub client_ca: Option<String>,
    /// `pg_hba.conf`; `None` trusts whoever comes over TLS from this machine.
    pub hba: Option<String>,
}

impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ServerTls(hidden)")
    }
}

impl Launch {
    /// Writes what the server reads when it starts, and again when it is reloaded.
    pub(crate) fn write_tls(&self, tls: &ServerTls) -> Result<()> {
        let client_ca = tls.client_ca.as_deref().map(|ca| ("client-ca.crt", ca));
        let files = [
            ("server.crt", tls.certificate.as_str()),
            ("server.key", &tls.key),
            ("pg_hba.conf", tls.hba.as_deref().unwrap_or(HBA)),
        ];
        for (name, text) in files.into_iter().chain(client_ca) {
            self.write_private(name, text)?;
        }
        Ok(())
    }

    /// The server refuses a key that others can read. A new file takes the old one's place, so
    /// that a reload finds one or the other.
    fn write_private(&self, name: &str, text: &str) -> Result<()> {
        let path = self.data_dir.join(name);
        let new = self.data_dir.join(format!("{name}.new"));
        let mut options = File::options();
        options.write(true).create(true).truncate(true).mode(0o600);
        let mut file = options
            .open(&new)
            .with_context(|| format!("make {}", new.display()))?;
        file.write_all(text.as_bytes())
            .with_context(|| format!("write {}", new.display()))?;
        self.binaries.account().give(&new)?;
        std::fs::rename(&new, &path).with_context(|| format!("rename to {}", path.display()))
    }

    /// The settings that go with it. `ssl_cert_file` and `ssl_key_file` have these names already.
    pub(crate) fn tls_settings(tls: &ServerTls) -> Vec<(String, String)> {
        let mut settings = vec![("ssl".to_owned(), "on".to_owned())];
        if tls.client_ca.is_some() {
            settings.push(("ssl_ca_file".to_owned(), "client-ca.crt".to_owned()));
        }
        settings
    }
}
