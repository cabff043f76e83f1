//! Arguments that the binaries share. Each has an environment variable, so that a container
//! needs no command line.

mod host_port;
mod line;

use std::num::NonZeroU16;
use std::str::FromStr;
use std::time::Duration;

use clap::{Args, Subcommand};
use http::Uri;
use http::uri::Scheme;
use tonic::transport::Endpoint;

pub use self::host_port::HostPort;
pub use self::line::{exit_with, file, no_url, parse_or_exit};
use crate::auth::AuthArgs;
use crate::postgres::{Database, DatabaseUrl};
use crate::rates::RateArgs;
use crate::telemetry::LogFormat;
use crate::tls::{HealthTlsArgs, ServerTlsArgs};

/// The ports of `http://` and `https://` where a URL has none.
const HTTP_PORT: u16 = 80;
const HTTPS_PORT: u16 = 443;

/// What every gRPC server can be told.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Server")]
pub struct ServerArgs {
    /// Serve gRPC reflection (v1 and v1alpha), which grpcurl and other tools ask for the contract
    #[arg(long, env = "TICKETING_REFLECTION", default_value_t = true, action = clap::ArgAction::Set, value_name = "BOOL")]
    pub reflection: bool,

    /// The most calls under way at once; further ones are refused with UNAVAILABLE.
    /// Health checks and reflection are not counted. Streams beyond one and a half times as many
    /// are reset
    #[arg(long, env = "TICKETING_CALLS_MAX", default_value_t = 10_000, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub calls_max: u32,

    /// The longest a call may take; a caller's own deadline counts if it is shorter
    #[arg(long, env = "TICKETING_CALL_TIMEOUT", default_value = "30s", value_name = "DURATION", value_parser = duration_of::<1, 3600>)]
    pub call_timeout: Duration,

    /// How many threads serve calls; half of the cores if not said, one at least
    #[arg(long, env = "TICKETING_THREADS", value_name = "N")]
    pub threads: Option<NonZeroU16>,

    /// The most connections at once. Fewer if the process may not open as many files; what is
    /// over it can ask for health and nothing else
    #[arg(long, env = "TICKETING_CONNECTIONS_MAX", default_value_t = 10_000, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub connections_max: u32,

    /// The most connections at once from one address, or from one network of IPv6 (/64).
    /// A proxy counts as one address, with all clients behind it
    #[arg(long, env = "TICKETING_CONNECTIONS_PER_PEER_MAX", default_value_t = 64, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub connections_per_peer_max: u32,

    /// The most MiB of requests that have not come whole; what is over it is refused with
    /// UNAVAILABLE
    #[arg(long, env = "TICKETING_REQUEST_MIB_MAX", default_value_t = 16, value_name = "N", value_parser = clap::value_parser!(u16).range(10..=10_000))]
    pub request_mib_max: u16,

    /// The most MiB of answers that clients have not read; large ones wait for it, others are
    /// refused with UNAVAILABLE
    #[arg(long, env = "TICKETING_ANSWER_MIB_MAX", default_value_t = 24, value_name = "N", value_parser = clap::value_parser!(u16).range(12..=10_000))]
    pub answer_mib_max: u16,

    /// How long a connection may be without a call before it is closed
    #[arg(long, env = "TICKETING_CONNECTION_IDLE_MAX", default_value = "15m", value_name = "DURATION", value_parser = duration_of::<1, 86_400>)]
    pub connection_idle_max: Duration,

    /// How long a connection may be used before its client is asked to open another one, give
    /// or take a tenth, so that clients spread over new instances
    #[arg(long, env = "TICKETING_CONNECTION_AGE_MAX", default_value = "1h", value_name = "DURATION", value_parser = duration_of::<1, 2_592_000>)]
    pub connection_age_max: Duration,

    /// How long after SIGTERM calls are still taken, while health says NOT_SERVING: the time
    /// that balancers need to hear of it
    #[arg(long, env = "TICKETING_SHUTDOWN_DELAY", default_value = "0s", value_name = "DURATION", value_parser = duration_of::<0, 600>)]
    pub shutdown_delay: Duration,

    /// How long calls under way may go on once no more are taken
    #[arg(long, env = "TICKETING_SHUTDOWN_GRACE", default_value = "20s", value_name = "DURATION", value_parser = duration_of::<0, 3600>)]
    pub shutdown_grace: Duration,

    /// Its certificates.
    #[command(flatten)]
    pub tls: ServerTlsArgs,
    /// Where to serve metrics for Prometheus: GET /metrics, in plain HTTP. Not served if not said.
    /// Whoever reaches it sees how much is sold, so let only Prometheus
    #[arg(
        long,
        env = "TICKETING_METRICS_LISTEN",
        value_name = "HOST:PORT",
        help_heading = "Metrics"
    )]
    pub metrics_listen: Option<HostPort>,
    /// Whether callers are asked for a token.
    #[command(flatten)]
    pub auth: AuthArgs,
    /// How many calls a caller may make.
    #[command(flatten)]
    pub rates: RateArgs,
}

/// How the process writes its log.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Log")]
pub struct LogArgs {
    /// What to log: a level (error, warn, info, debug, trace), or directives as "info,tower=debug"
    #[arg(long, env = "TICKETING_LOG", default_value = "info", value_name = "FILTER", value_parser = log_filter)]
    pub log: String,

    /// How to write it: for people or as JSON
    #[arg(
        long,
        env = "TICKETING_LOG_FORMAT",
        default_value = "text",
        value_name = "FORMAT"
    )]
    pub log_format: LogFormat,
}

/// How the process reaches PostgreSQL.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Database")]
pub struct DatabaseArgs {
    /// PostgreSQL, as postgres://user:password@host:port/database. Several hosts can be named, as
    /// host:port,host:port, with target_session_attrs=read-write to find the primary among them.
    /// sslmode=verify-full and sslrootcert=FILE encrypt, and verify the server
    #[arg(long, env = "DATABASE_URL", value_name = "URL", value_parser = DatabaseUrl::parse, required = true)]
    database_url: Option<DatabaseUrl>,

    /// The most connections that this process opens for single statements
    #[arg(long, env = "TICKETING_DATABASE_CONNECTIONS_MAX", default_value_t = 8, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1_000))]
    pub database_connections_max: u16,

    /// The longest a call waits for one of them before it is answered UNAVAILABLE
    #[arg(long, env = "TICKETING_DATABASE_WAIT_MAX", default_value = "2s", value_name = "DURATION", value_parser = duration_of::<0, 60>)]
    pub database_wait_max: Duration,
}

/// What else the binary of a service does.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Ask a running instance for its health: exit code 0 if it serves, 1 if not
    Health(HealthArgs),
}

/// Whom to ask for health, and what for.
#[derive(Debug, Clone, Args)]
pub struct HealthArgs {
    /// The instance's address; if not said, where one with the same settings listens
    #[arg(long, env = "TICKETING_HEALTH_ADDRESS", value_name = "HOST:PORT")]
    address: Option<HostPort>,

    /// What to ask for: a service's full name, "liveness", or nothing for the whole
    #[arg(long, default_value = "", value_name = "NAME", value_parser = service_name)]
    pub service: String,

    /// How long to wait for the answer
    #[arg(long, default_value = "2s", value_name = "DURATION", value_parser = duration_of::<0, 60>)]
    pub timeout: Duration,

    /// How it is asked if it serves by TLS.
    #[command(flatten)]
    pub tls: HealthTlsArgs,
}

impl DatabaseArgs {
    /// The database, to be connected to under this name.
    ///
    /// # Errors
    ///
    /// If its URL was not given, which only a subcommand that needs no database may do without.
    pub fn database(&self, application_name: &str) -> Result<Database, String> {
        let url = self.database_url.as_ref();
        let url = url.ok_or("there is no database URL")?;
        Ok(Database::new(url, application_name))
    }
}

impl HealthArgs {
    /// Whom to ask: the address that was given, or else an instance on this host that listens
    /// as `listen` says.
    #[must_use]
    pub fn address(&self, listen: &HostPort) -> HostPort {
        let given = self.address.clone();
        given.unwrap_or_else(|| listen.from_here())
    }
}

/// Parses a duration of `MIN` to `MAX` seconds, as "90s", "1m 30s" or "500ms".
///
/// # Errors
///
/// A text that says what it must be.
pub fn duration_of<const MIN: u64, const MAX: u64>(text: &str) -> Result<Duration, String> {
    let parsed = humantime::parse_duration(text)
        .map_err(|_| "must be a duration, as \"90s\" or \"500ms\"".to_owned())?;
    if (Duration::from_secs(MIN)..=Duration::from_secs(MAX)).contains(&parsed) {
        Ok(parsed)
    } else {
        Err(format!("must be {MIN} to {MAX} seconds"))
    }
}

/// Where a gRPC service is reached: `http://HOST:PORT`, or `https://HOST:PORT` by TLS. It carries
/// nothing else, so that nothing that somebody writes into a URL is left out without a word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceUrl {
    is_tls: bool,
    host: String,
    port: u16,
}

impl ServiceUrl {
    /// The host's name or address; of an IPv6 address without its brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        let host = self.host.strip_prefix('[');
        host.and_then(|host| host.strip_suffix(']'))
            .unwrap_or(&self.host)
    }

    /// The port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Whether it is reached by TLS.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        self.is_tls
    }

    /// The same as a URI, as a proxy goes by it.
    ///
    /// # Panics
    ///
    /// Never: it was parsed from one.
    #[must_use]
    pub fn uri(&self) -> Uri {
        self.uri_with(self.scheme())
    }

    /// What its host is connected to by. TLS is the connector's ([`crate::tls::Connector`]): the
    /// endpoint's own is another one, which reads its files once.
    #[must_use]
    pub fn endpoint(&self) -> Endpoint {
        Endpoint::from(self.uri_with(Scheme::HTTP)).origin(self.uri())
    }

    fn scheme(&self) -> Scheme {
        if self.is_tls {
            Scheme::HTTPS
        } else {
            Scheme::HTTP
        }
    }

    fn uri_with(&self, scheme: Scheme) -> Uri {
        let uri = Uri::builder()
            .scheme(scheme)
            .authority(format!("{}:{}", self.host, self.port))
            .path_and_query("/");
        uri.build().expect("its parts were a URI's")
    }
}

impl std::fmt::Display for ServiceUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}://{}:{}", self.scheme(), self.host, self.port)
    }
}

impl FromStr for ServiceUrl {
    type Err = &'static str;

    /// The error does not repeat the text, which may have a password in it.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const FORM: &str = "must be a URL as http://host:port or https://host:port";
        let uri: Uri = text.parse().map_err(|_| FORM)?;
        let authority = uri.authority().ok_or(FORM)?;
        let (is_tls, usual_port) = match uri.scheme_str() {
            Some("http") => (false, HTTP_PORT),
            Some("https") => (true, HTTPS_PORT),
            _ => return Err(FORM),
        };
        if authority.as_str().contains('@') {
            return Err("must have no user name and no password");
        }
        if uri.path() != "/" || uri.query().is_some() || text.contains(['?', '#']) {
            return Err("must end with the port: no path, no query, no fragment");
        }
        let host = authority.host();
        // Without this a port that is none would count as not given.
        let has_port = authority.as_str().len() > host.len();
        match authority.port_u16() {
            _ if host.is_empty() => Err("must name a host"),
            Some(0) => Err("must have a port of 1 to 65535"),
            None if has_port => Err("must have a port of 1 to 65535"),
            port => Ok(Self {
                is_tls,
                host: host.to_owned(),
                port: port.unwrap_or(usual_port),
            }),
        }
    }
}

fn log_filter(text: &str) -> Result<String, &'static str> {
    // A URL can be read as the name of something that logs.
    let filter = no_url(text).ok();
    filter
        .filter(|filter| tracing_subscriber::EnvFilter::try_new(filter).is_ok())
        .ok_or("must be a level, or directives as info,tower=debug")
}

fn service_name(text: &str) -> Result<String, &'static str> {
    let may_be = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if text.bytes().all(may_be) {
        Ok(text.to_owned())
    } else {
        Err("must be the full name of a service")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_bounded() {
        assert_eq!(duration_of::<10, 1800>("2m"), Ok(Duration::from_secs(120)));
        assert!(duration_of::<10, 1800>("9s").is_err());
        assert!(duration_of::<10, 1800>("31m").is_err());
        assert!(duration_of::<10, 1800>("soon").is_err());
    }

    #[test]
    fn health_asks_whom_it_is_told_to_or_where_the_instance_listens() {
        let asks = |address: Option<&str>| {
            let args = HealthArgs {
                address: address.map(|address| address.parse().expect("an address")),
                service: String::new(),
                timeout: Duration::from_secs(2),
                tls: HealthTlsArgs::default(),
            };
            let listen = "0.0.0.0:7".parse().expect("an address");
            args.address(&listen).to_string()
        };
        assert_eq!(asks(None), "127.0.0.1:7");
        assert_eq!(asks(Some("localhost:8")), "localhost:8");
    }

    #[test]
    fn the_url_of_a_service_is_a_host_and_a_port() {
        let parsed = |text: &str| text.parse::<ServiceUrl>().map(|url| url.to_string());
        for whole in [
            "http://127.0.0.1:50051",
            "http://catalog-svc.ticketing:1",
            "http://[::1]:65535",
            "https://catalog-svc.ticketing:1",
        ] {
            assert_eq!(parsed(whole).as_deref(), Ok(whole));
            assert_eq!(parsed(&format!("{whole}/")).as_deref(), Ok(whole));
        }
        assert_eq!(parsed("http://host").as_deref(), Ok("http://host:80"));
        let url: ServiceUrl = "http://[::1]:7".parse().expect("a URL");
        assert_eq!((url.host(), url.port()), ("::1", 7));
        assert_eq!(url.uri().to_string(), "http://[::1]:7/");
        let tls: ServiceUrl = "HTTPS://host".parse().expect("a URL");
        assert!(tls.is_tls() && !url.is_tls());
        assert_eq!(tls.uri().to_string(), "https://host:443/");
        // By plain text only as far as the connector, which has TLS.
        assert_eq!(tls.endpoint().uri().to_string(), "http://host:443/");
    }

    #[test]
    fn what_a_services_url_cannot_say_is_refused_and_not_repeated() {
        for text in [
            "",
            "127.0.0.1:50051",
            "catalog-svc",
            "/secret",
            "ftp://secret:50051",
            "http://",
            "http://:50051",
            "http://secret:",
            "http://secret:0",
            "http://secret:65536",
            "http://secret:x",
            "http://user@secret:50051",
            "http://user:secret@host:50051",
            "http://host:50051/secret",
            "http://host:50051?secret",
            "http://host:50051/?",
            "http://host:50051#secret",
            "http://host:50051/#secret",
            " http://secret:50051",
            "http://a:1,http://b:2",
            "https://user:secret@host:1",
            "https://host:50051/secret",
        ] {
            let error = text.parse::<ServiceUrl>().expect_err(text);
            assert!(
                error.starts_with("must ") && !error.contains("secret"),
                "{error}"
            );
        }
    }
}
