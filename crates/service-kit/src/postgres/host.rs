//! One of the hosts that a URL names, and an attempt to connect to it.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use rustls::ProtocolVersion;
use tokio::net::lookup_host;
use tokio_postgres::config::{Host as Named, SslMode};
use tokio_postgres::{Client, Config, Connection, Socket};

use super::failure::Failed;
use super::tls::{Connector, Peer, TlsMode, TlsSettings, TlsStream};
use super::url::DatabaseUrl;

/// The most addresses of one host's name that are tried.
const ADDRESSES_MAX: usize = 4;

/// A peer that vanished is noticed within 4 s: by keepalives while we wait for an answer, by
/// the user timeout while we send.
pub(super) const KEEPALIVE: Duration = Duration::from_secs(1);
pub(super) const KEEPALIVE_RETRIES: u32 = 3;
pub(super) const TCP_USER_TIMEOUT: Duration = Duration::from_secs(3);
pub(super) const PORT: u16 = 5432;

#[derive(Debug)]
pub(super) struct Host {
    /// Names this host alone, and no address.
    pub(super) config: Config,
    pub(super) way: Way,
    pub(super) port: u16,
    /// What the server's certificate must be for, where it is verified.
    pub(super) server_name: String,
    pub(super) tls: TlsSettings,
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

/// A connection that nobody drives yet.
pub(super) struct Connected {
    pub(super) client: Client,
    pub(super) connection: Connection<Socket, TlsStream>,
    /// Names this host and address alone.
    pub(super) config: Config,
    pub(super) peer: Peer,
    /// None if it is not encrypted.
    pub(super) tls: Option<ProtocolVersion>,
}

impl Host {
    /// One of the hosts of a URL.
    pub(super) fn of(url: &DatabaseUrl, number: usize, application_name: &str) -> Self {
        let DatabaseUrl { config: url, tls } = url;
        let mut config = Config::new();
        config
            .application_name(application_name)
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
        let server_name = match (url.get_hosts().get(number), &way) {
            (Some(Named::Tcp(name)), _) | (_, Way::Name(name)) => name.clone(),
            (_, Way::Address(address)) => address.to_string(),
            // There is no TLS in a socket.
            (_, Way::Socket(_)) => String::new(),
        };
        Self {
            config,
            way,
            port,
            server_name,
            tls: tls.clone(),
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
                let found = found.map_err(Failed::passing)?;
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

    /// One attempt at an address. What is only preferred is done without TLS if that is what is in
    /// the way, as libpq does.
    pub(super) async fn connect(&self, address: Option<IpAddr>) -> Result<Connected, Failed> {
        let mode = self.tls.mode_at(address);
        match self.connect_as(address, mode).await {
            Err(first) if mode == TlsMode::Prefer && first.is_about_tls => {
                let second = self.connect_as(address, TlsMode::Disable).await;
                second.map_err(|second| first.and_without_tls(second))
            }
            done => done,
        }
    }

    async fn connect_as(
        &self,
        address: Option<IpAddr>,
        mode: TlsMode,
    ) -> Result<Connected, Failed> {
        let mut config = self.config.clone();
        config.ssl_mode(match mode {
            TlsMode::Disable => SslMode::Disable,
            TlsMode::Prefer => SslMode::Prefer,
            TlsMode::Require | TlsMode::VerifyCa | TlsMode::VerifyFull => SslMode::Require,
        });
        if let Some(address) = address {
            // The driver does no TLS without a name, though it connects to the address.
            config.host(&self.server_name).hostaddr(address);
        }
        let peer = Peer {
            name: self.server_name.clone(),
            mode,
            settings: self.tls.clone(),
        };
        let connector = Connector::new(peer).await;
        let connector = connector.map_err(|error| Failed::of_files(&error))?;
        let connecting = config.connect(connector.clone()).await;
        let (tls, peer) = (connector.version(), connector.peer().clone());
        match connecting {
            Ok((client, connection)) => Ok(Connected {
                client,
                connection,
                config,
                peer,
                tls,
            }),
            Err(error) => Err(Failed::of(&error, &peer, tls.is_some())),
        }
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
