//! Where PostgreSQL is, and the one way to connect to it.
//!
//! A URL may name several hosts, as a primary and its standbys. They are tried one after another,
//! and each attempt is bounded as a whole: name, TCP, authentication and the question whether the
//! host takes writes. A server that hangs still accepts connections, so a bound on TCP alone would
//! never leave it.

use std::fmt::{self, Write as _};
use std::net::{IpAddr, SocketAddr};
use std::os::unix::ffi::OsStrExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::net::lookup_host;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_postgres::config::{Host as Named, SslMode, TargetSessionAttrs};
use tokio_postgres::{Client, Config, NoTls};

use super::driver::{self, Loan};
use super::failure::{ConnectError, Failed};
use super::metrics::connected;
use super::url::DatabaseUrl;

/// The longest that one attempt at one address may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// The same for a host that gave no answer the last time, if there are others.
const SILENT_HOST_TIMEOUT: Duration = Duration::from_secs(1);
/// The most addresses of one host's name that are tried.
const ADDRESSES_MAX: usize = 4;

/// A peer that vanished is noticed within 4 s: by keepalives while we wait for an answer, by
/// the user timeout while we send.
const KEEPALIVE: Duration = Duration::from_secs(1);
const KEEPALIVE_RETRIES: u32 = 3;
const TCP_USER_TIMEOUT: Duration = Duration::from_secs(3);
const PORT: u16 = 5432;

/// A database, on whichever of its hosts it is. Clones share what is known of the hosts.
#[derive(Debug, Clone)]
pub struct Database(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    hosts: Vec<Host>,
    /// Its name and the role, for errors.
    name: String,
    role: String,
    /// The host that was connected to last: where the next attempt begins.
    last: AtomicUsize,
    /// The host that has the primary, as far as readiness has found out.
    primary: watch::Sender<Option<Place>>,
    /// How often the database was seen to take writes again.
    generation: AtomicU64,
}

/// A host that was connected to, and how it is reached.
#[derive(Debug, Clone)]
pub struct Place {
    host: usize,
    address: Option<IpAddr>,
    name: String,
    /// Names this host and address alone.
    config: Config,
    /// The database's generation when it was connected to.
    generation: u64,
}

impl Place {
    /// A URL that leads to it alone, for another driver. It has the password in it.
    #[must_use]
    pub fn url(&self) -> String {
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
        let ssl_mode = match config.get_ssl_mode() {
            SslMode::Disable => "disable",
            _ => "prefer",
        };
        let ports = config.get_ports();
        let port = ports.first().copied().unwrap_or(PORT);
        let name = escape(config.get_dbname().unwrap_or_default().as_bytes());
        url += &format!("{host}:{port}/{name}?sslmode={ssl_mode}");
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

    /// Why it could not be connected to by another driver.
    #[must_use]
    pub fn failed(&self, reason: &str) -> ConnectError {
        let role = role(&self.config);
        let failed = Failed {
            reason: reason.to_owned(),
            may_pass: true,
        };
        let database = self.config.get_dbname().unwrap_or(role);
        ConnectError::new(database, role, vec![(self.name.clone(), failed)])
    }

    fn is(&self, other: &Self) -> bool {
        (self.host, self.address) == (other.host, other.address)
    }
}

fn role(config: &Config) -> &str {
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

/// A connection whose task runs.
pub(super) struct Opened {
    pub(super) client: Client,
    pub(super) driver: JoinHandle<()>,
    pub(super) place: Place,
}

#[derive(Debug)]
struct Host {
    /// Names this host alone, and no address.
    config: Config,
    way: Way,
    port: u16,
    /// Whether the last attempt got no answer in time.
    is_silent: AtomicBool,
}

#[derive(Debug, Clone)]
enum Way {
    Name(String),
    Address(IpAddr),
    /// In this folder.
    Socket(String),
}

impl Database {
    /// The database of a URL. Nothing is connected to yet.
    #[must_use]
    pub fn new(url: &DatabaseUrl, application_name: &str) -> Self {
        let DatabaseUrl(config) = url;
        let count = config.get_hosts().len().max(config.get_hostaddrs().len());
        let hosts = (0..count).map(|number| Host::of(config, number, application_name));
        let role = role(config);
        let name = config.get_dbname().unwrap_or(role).to_owned();
        Self::of(hosts.collect(), name, role.to_owned())
    }

    fn of(hosts: Vec<Host>, name: String, role: String) -> Self {
        Self(Arc::new(Shared {
            hosts,
            name,
            role,
            last: AtomicUsize::new(0),
            primary: watch::Sender::new(None),
            generation: AtomicU64::new(0),
        }))
    }

    /// Each of its hosts by itself, whether it takes writes or not.
    #[must_use]
    pub fn hosts(&self) -> Vec<Self> {
        let Shared {
            hosts, name, role, ..
        } = &*self.0;
        let alone = hosts.iter().map(|host| {
            let mut config = host.config.clone();
            config.target_session_attrs(TargetSessionAttrs::Any);
            let host = Host {
                config,
                way: host.way.clone(),
                port: host.port,
                is_silent: AtomicBool::new(false),
            };
            Self::of(vec![host], name.clone(), role.clone())
        });
        alone.collect()
    }

    /// The role that is connected as.
    #[must_use]
    pub fn role(&self) -> &str {
        &self.0.role
    }

    /// Whether only a host that takes writes will do.
    #[must_use]
    pub fn wants_writes(&self) -> bool {
        let mut hosts = self.0.hosts.iter();
        hosts.all(|host| host.config.get_target_session_attrs() == TargetSessionAttrs::ReadWrite)
    }

    /// A connection outside of a pool; a task drives it until the client is dropped.
    ///
    /// # Errors
    ///
    /// If no host can be connected to; the error says why for each.
    pub async fn connect(&self) -> Result<Client, ConnectError> {
        self.open(&Loan::default())
            .await
            .map(|opened| opened.client)
    }

    /// A host that can be connected to, for another driver.
    ///
    /// # Errors
    ///
    /// As [`Self::connect`].
    pub async fn find(&self) -> Result<Place, ConnectError> {
        self.open(&Loan::default()).await.map(|opened| opened.place)
    }

    /// Where the primary is, as far as [`super::follow_readiness`] has found out.
    #[must_use]
    pub fn primary(&self) -> watch::Receiver<Option<Place>> {
        self.0.primary.subscribe()
    }

    pub(super) async fn open(&self, loan: &Loan) -> Result<Opened, ConnectError> {
        let mut tried = Vec::new();
        for number in self.order() {
            if let Some(opened) = self.open_host(number, loan, &mut tried).await {
                connected(true);
                return Ok(opened);
            }
        }
        connected(false);
        Err(ConnectError::new(&self.0.name, &self.0.role, tried))
    }

    async fn open_host(
        &self,
        number: usize,
        loan: &Loan,
        tried: &mut Vec<(String, Failed)>,
    ) -> Option<Opened> {
        let host = &self.0.hosts[number];
        let patience = self.patience(host);
        let found = timeout(patience, host.addresses()).await;
        let addresses = match found.unwrap_or_else(|_| Err(Failed::no_answer(patience))) {
            Ok(addresses) => addresses,
            Err(failed) => {
                tried.push((host.name(None), failed));
                return None;
            }
        };
        let mut is_silent = false;
        for address in addresses {
            let config = host.config_at(address);
            let failed = match timeout(patience, config.connect(NoTls)).await {
                Ok(Ok((client, connection))) => {
                    host.is_silent.store(false, Ordering::Relaxed);
                    self.0.last.store(number, Ordering::Relaxed);
                    let place = Place {
                        host: number,
                        address,
                        name: host.name(address),
                        config,
                        generation: self.0.generation.load(Ordering::Relaxed),
                    };
                    let (database, loan) = (self.clone(), loan.clone());
                    let driving = driver::drive(connection, database, place.clone(), loan);
                    return Some(Opened {
                        client,
                        driver: tokio::spawn(driving),
                        place,
                    });
                }
                Ok(Err(error)) => Failed::of(&error),
                Err(_) => {
                    is_silent = true;
                    Failed::no_answer(patience)
                }
            };
            tried.push((host.name(address), failed));
        }
        host.is_silent.store(is_silent, Ordering::Relaxed);
        None
    }

    /// The hosts as they are to be tried: the one that worked last first, and those that were
    /// silent last.
    fn order(&self) -> Vec<usize> {
        let (hosts, last) = (&self.0.hosts, self.0.last.load(Ordering::Relaxed));
        let mut order: Vec<_> = (0..hosts.len()).map(|n| (last + n) % hosts.len()).collect();
        order.sort_by_key(|number| hosts[*number].is_silent.load(Ordering::Relaxed));
        order
    }

    fn patience(&self, host: &Host) -> Duration {
        if self.0.hosts.len() > 1 && host.is_silent.load(Ordering::Relaxed) {
            SILENT_HOST_TIMEOUT
        } else {
            CONNECT_TIMEOUT
        }
    }

    /// Notes that the primary was found, and where.
    pub(super) fn primary_is_at(&self, place: &Place) {
        self.0.primary.send_if_modified(|known| {
            let is_news = known.as_ref().is_none_or(|known| !known.is(place));
            if is_news {
                *known = Some(place.clone());
            }
            is_news
        });
    }

    /// Notes that the database takes writes again. Sessions that were begun while it was read-only
    /// may be so for ever: `default_transaction_read_only` counts from a session's beginning.
    pub(super) fn takes_writes_again(&self) {
        let generation = self.0.generation.fetch_add(1, Ordering::Relaxed) + 1;
        self.0.primary.send_if_modified(|known| {
            if let Some(place) = known {
                place.generation = generation;
            }
            false
        });
    }

    /// Whether a connection to `place` should not be lent any more: the primary is elsewhere, or
    /// the database was read-only since.
    #[must_use]
    pub fn is_outdated(&self, place: &Place) -> bool {
        place.generation != self.0.generation.load(Ordering::Relaxed) || self.has_left(place)
    }

    /// Whether the primary was found elsewhere since. Never if any host would do: then all lead
    /// to it.
    #[must_use]
    pub(super) fn has_left(&self, place: &Place) -> bool {
        let attributes = place.config.get_target_session_attrs();
        let primary = self.0.primary.borrow();
        attributes == TargetSessionAttrs::ReadWrite
            && primary.as_ref().is_some_and(|primary| !primary.is(place))
    }
}

impl fmt::Display for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Shared {
            hosts, name, role, ..
        } = &*self.0;
        for (n, host) in hosts.iter().enumerate() {
            let comma = if n == 0 { "" } else { "," };
            write!(f, "{comma}{}", host.name(None))?;
        }
        write!(f, " database {name} as {role}")
    }
}

impl Host {
    /// One of the hosts of a URL.
    fn of(url: &Config, number: usize, application_name: &str) -> Self {
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
    async fn addresses(&self) -> Result<Vec<Option<IpAddr>>, Failed> {
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

    fn config_at(&self, address: Option<IpAddr>) -> Config {
        let mut config = self.config.clone();
        if let Some(address) = address {
            config.hostaddr(address);
        }
        config
    }

    /// As errors name it.
    fn name(&self, address: Option<IpAddr>) -> String {
        let port = self.port;
        match (&self.way, address) {
            (Way::Socket(folder), _) => format!("{folder}:{port}"),
            (Way::Address(address), _) => SocketAddr::new(*address, port).to_string(),
            (Way::Name(name), None) => format!("{name}:{port}"),
            (Way::Name(name), Some(address)) => format!("{name}:{port} ({address})"),
        }
    }
}
