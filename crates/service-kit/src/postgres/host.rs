//! One of the hosts that a URL names.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use tokio::net::lookup_host;
use tokio_postgres::Config;
use tokio_postgres::config::Host as Named;

use super::failure::Failed;

/// The most addresses of one host's name that are tried.
const ADDRESSES_MAX: usize = 4;

/// A peer that vanished is noticed within 4 s: by keepalives while we wait for an answer, by
/// the user timeout while we send.
const KEEPALIVE: Duration = Duration::from_secs(1);
const KEEPALIVE_RETRIES: u32 = 3;
const TCP_USER_TIMEOUT: Duration = Duration::from_secs(3);
pub(super) const PORT: u16 = 5432;

#[derive(Debug)]
pub(super) struct Host {
    /// Names this host alone, and no address.
    pub(super) config: Config,
    pub(super) way: Way,
    pub(super) port: u16,
    /// Whether the last attempt got no answer in time.
    pub(super) is_silent: AtomicBool,
}

#[derive(Debug, Clone)]
pub(super) enum Way {
    Name(String),
    Address(IpAddr),
    /// In this folder.
    Socket(String),
}

impl Host {
    /// One of the hosts of a URL.
    pub(super) fn of(url: &Config, number: usize, application_name: &str) -> Self {
        let mut config = Config::new();
        config
            .application_name(application_name)
            .ssl_mode(url.get_ssl_mode())
            .channel_binding(url.get_channel_binding())
            .target_session_attrs(url.get_target_session_attrs())
            .keepalives(true)
            .keepalives_idle(KEEPALIVE)
            .keepalives_interval(KEEPALIVE)
            .keepalives_retries(KEEPALIVE_RETRIES)
            .tcp_user_timeout(TCP_USER_TIMEOUT);
        if let Some(user) = url.get_user() {
            config.user(user);
        }
        if let Some(password) = url.get_password() {
            config.password(password);
        }
        if let Some(name) = url.get_dbname() {
            config.dbname(name);
        }
        if let Some(options) = url.get_options() {
            config.options(options);
        }
        let ports = url.get_ports();
        let port = ports.get(number).or(ports.first()).copied().unwrap_or(PORT);
        config.port(port);
        let way = match (url.get_hosts().get(number), url.get_hostaddrs().get(number)) {
            (_, Some(address)) => Way::Address(*address),
            (Some(Named::Unix(folder)), None) => {
                config.host_path(folder);
                Way::Socket(folder.display().to_string())
            }
            (Some(Named::Tcp(name)), None) => match name.parse() {
                Ok(address) => Way::Address(address),
                Err(_) => Way::Name(name.clone()),
            },
            // A URL that names neither was refused.
            (None, None) => Way::Name(String::new()),
        };
        Self {
            config,
            way,
            port,
            is_silent: AtomicBool::new(false),
        }
    }

    /// The addresses that its name has now; none for a socket in a folder.
    pub(super) async fn addresses(&self) -> Result<Vec<Option<IpAddr>>, Failed> {
        match &self.way {
            Way::Socket(_) => Ok(vec![None]),
            Way::Address(address) => Ok(vec![Some(*address)]),
            Way::Name(name) => {
                let found = lookup_host((name.as_str(), self.port)).await;
                let found = found.map_err(|error| Failed::passing(&error))?;
                let mut addresses = Vec::new();
                for address in found.map(|found| Some(found.ip())) {
                    if !addresses.contains(&address) && addresses.len() < ADDRESSES_MAX {
                        addresses.push(address);
                    }
                }
                Ok(addresses)
            }
        }
    }

    pub(super) fn config_at(&self, address: Option<IpAddr>) -> Config {
        let mut config = self.config.clone();
        if let Some(address) = address {
            config.hostaddr(address);
        }
        config
    }

    /// As errors name it.
    pub(super) fn name(&self, address: Option<IpAddr>) -> String {
        let port = self.port;
        match (&self.way, address) {
            (Way::Socket(folder), _) => format!("{folder}:{port}"),
            (Way::Address(address), _) => SocketAddr::new(*address, port).to_string(),
            (Way::Name(name), None) => format!("{name}:{port}"),
            (Way::Name(name), Some(address)) => format!("{name}:{port} ({address})"),
        }
    }
}
