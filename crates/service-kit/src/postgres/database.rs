//! Where PostgreSQL is, and the one way to connect to it.
//!
//! A URL may name several hosts, as a primary and its standbys. They are tried one after another,
//! and each attempt is bounded as a whole: name, TCP, TLS, authentication and the question whether
//! the host takes writes. A server that hangs still accepts connections, so a bound on TCP alone would
//! never leave it.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_postgres::Client;
use tokio_postgres::config::{ChannelBinding, TargetSessionAttrs};

use super::driver::{self, Loan};
use super::failure::{ConnectError, Failed};
use super::host::{Connected, Host};
use super::metrics::connected;
use super::place::{Place, role};
use super::url::DatabaseUrl;

/// The longest that one attempt at one address may take.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// The same for a host that gave no answer the last time, if there are others.
const SILENT_HOST_TIMEOUT: Duration = Duration::from_secs(1);
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

/// A connection whose task runs.
pub(super) struct Opened {
    pub(super) client: Client,
    pub(super) driver: JoinHandle<()>,
    pub(super) place: Place,
}

impl Database {
    /// The database of a URL. Nothing is connected to yet.
    #[must_use]
    pub fn new(url: &DatabaseUrl, application_name: &str) -> Self {
        let config = &url.config;
        let count = config.get_hosts().len().max(config.get_hostaddrs().len());
        let hosts = (0..count).map(|number| Host::of(url, number, application_name));
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
                server_name: host.server_name.clone(),
                tls: host.tls.clone(),
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
        self.connect_somewhere().await.map(|(client, _)| client)
    }

    /// The same, and where it leads.
    ///
    /// # Errors
    ///
    /// As [`Self::connect`].
    pub async fn connect_somewhere(&self) -> Result<(Client, Place), ConnectError> {
        let opened = self.open(&Loan::default()).await?;
        Ok((opened.client, opened.place))
    }

    /// Whether sqlx can do what the URL asks for, which it has no part in reading.
    ///
    /// # Errors
    ///
    /// What the URL must not ask for, as the end of a sentence about it.
    pub fn check_for_sqlx(&self) -> Result<(), String> {
        let mut hosts = self.0.hosts.iter();
        if hosts.any(|host| host.config.get_channel_binding() == ChannelBinding::Require) {
            return Err(
                "must not ask for channel_binding=require: sqlx, the driver of catalog-svc and \
                 migrate, has none. sslmode=verify-full protects from the same"
                    .to_owned(),
            );
        }
        Ok(())
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
            let failed = match timeout(patience, host.connect(address)).await {
                Ok(Ok(connected)) => {
                    host.is_silent.store(false, Ordering::Relaxed);
                    self.0.last.store(number, Ordering::Relaxed);
                    return Some(self.opened(number, address, connected, loan));
                }
                Ok(Err(failed)) => failed,
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

    /// Lets a task drive a connection.
    fn opened(
        &self,
        number: usize,
        address: Option<IpAddr>,
        connected: Connected,
        loan: &Loan,
    ) -> Opened {
        let place = Place {
            host: number,
            address,
            name: self.0.hosts[number].name(address),
            config: connected.config,
            peer: connected.peer,
            tls: connected.tls,
            generation: self.0.generation.load(Ordering::Relaxed),
        };
        let (database, loan) = (self.clone(), loan.clone());
        let driving = driver::drive(connected.connection, database, place.clone(), loan);
        Opened {
            client: connected.client,
            driver: tokio::spawn(driving),
            place,
        }
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
            // Whoever connects there needs to know whether it has TLS, too.
            let is_news = known
                .as_ref()
                .is_none_or(|known| !known.is(place) || known.tls != place.tls);
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
