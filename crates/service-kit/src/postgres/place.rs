//! A host that was connected to.

use std::fmt::{self, Write as _};
use std::net::IpAddr;
use std::os::unix::ffi::OsStrExt as _;

use rustls::ProtocolVersion;
use tokio_postgres::Config;
use tokio_postgres::config::Host as Named;

use super::failure::{ConnectError, Failed};
use super::host::PORT;
use super::tls::{Peer, TlsMode};

/// A host that was connected to, and how it is reached.
#[derive(Debug, Clone)]
pub struct Place {
    pub(super) host: usize,
    pub(super) address: Option<IpAddr>,
    pub(super) name: String,
    /// Names this host and address alone.
    pub(super) config: Config,
    /// What was asked of TLS.
    pub(super) peer: Peer,
    /// What TLS it came to, when it was connected to; none if the connection was plain.
    pub(super) tls: Option<ProtocolVersion>,
    /// The database's generation when it was connected to.
    pub(super) generation: u64,
}

impl Place {
    /// A URL that leads to it alone, without TLS, for another driver. It has the password in it.
    pub(super) fn url(&self) -> String {
        let config = &self.config;
        let mut url = "postgres://".to_owned();
        if let Some(user) = config.get_user() {
            url += &escape(user.as_bytes());
        }
        if let Some(password) = config.get_password() {
            url += &format!(":{}", escape(password));
        }
        if config.get_user().is_some() {
            url.push('@');
        }
        let host = match (self.address, config.get_hosts().first()) {
            (Some(IpAddr::V6(address)), _) => format!("[{address}]"),
            (Some(address), _) => address.to_string(),
            (None, Some(Named::Unix(folder))) => escape(folder.as_os_str().as_bytes()),
            (None, Some(Named::Tcp(name))) => name.clone(),
            (None, None) => String::new(),
        };
        let name = escape(config.get_dbname().unwrap_or_default().as_bytes());
        url += &format!("{host}:{}/{name}?sslmode=disable", self.port());
        let address = self.address.map(|address| address.to_string());
        for (parameter, value) in [
            // Not every driver understands an IPv6 address as a host.
            ("hostaddr", address.as_deref()),
            ("application_name", config.get_application_name()),
            ("options", config.get_options()),
        ] {
            if let Some(value) = value {
                url += &format!("&{parameter}={}", escape(value.as_bytes()));
            }
        }
        url
    }

    pub(super) fn port(&self) -> u16 {
        self.config.get_ports().first().copied().unwrap_or(PORT)
    }

    /// What TLS the connection to it had, as "TLSv1.3"; none if it was plain.
    #[must_use]
    pub fn tls_version(&self) -> Option<&'static str> {
        self.tls.map(|version| match version {
            ProtocolVersion::TLSv1_2 => "TLSv1.2",
            ProtocolVersion::TLSv1_3 => "TLSv1.3",
            // rustls has no others.
            _ => "TLS",
        })
    }

    /// What its URL asked of TLS there.
    #[must_use]
    pub fn tls_mode(&self) -> TlsMode {
        self.peer.mode
    }

    /// Whether what is sent to it never leaves the machine.
    #[must_use]
    pub fn is_local(&self) -> bool {
        self.address
            .is_none_or(|address| address.to_canonical().is_loopback())
    }

    /// Why it could not be connected to by another driver.
    #[must_use]
    pub fn failed(&self, reason: &str) -> ConnectError {
        self.failed_by(Failed::passing(reason))
    }

    pub(super) fn failed_by(&self, failed: Failed) -> ConnectError {
        let role = role(&self.config);
        let database = self.config.get_dbname().unwrap_or(role);
        ConnectError::new(database, role, vec![(self.name.clone(), failed)])
    }

    pub(super) fn is(&self, other: &Self) -> bool {
        (self.host, self.address) == (other.host, other.address)
    }
}

pub(super) fn role(config: &Config) -> &str {
    config.get_user().unwrap_or("the system's user")
}

/// Percent-encodes what may have a meaning in a URL.
fn escape(bytes: &[u8]) -> String {
    let mut escaped = String::with_capacity(bytes.len());
    for byte in bytes {
        if byte.is_ascii_alphanumeric() {
            escaped.push(char::from(*byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(escaped, "%{byte:02X}");
        }
    }
    escaped
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}
