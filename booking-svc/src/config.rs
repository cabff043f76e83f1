//! The command line.

mod tls;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser};
use service_kit::args::{
    Command, DatabaseArgs, HostPort, LogArgs, ServerArgs, ServiceUrl, duration_of, file,
};
use service_kit::auth::Bearer;

pub use self::tls::{CatalogTlsArgs, PaymentProviderTlsArgs, Tls};
use crate::api::{Limits, SEATS_PER_BOOKING_MAX};
use crate::catalog::{CatalogUrls, StaleCatalog, StalenessTerms};
use crate::commands::HoldTerms;
use crate::hold_limits::{HoldLimitTerms, HoldLimits, UnsoldTerms};
use crate::payments::PaymentTerms;
use crate::store::{GroupCommitConfig, RejectionLimits};

/// Sells seats: holds, confirms and cancels bookings in locked transactions.
///
/// Needs a PostgreSQL database that `migrate up` has prepared, and a catalog-svc to copy shows
/// from. Any number of instances can run at once.
#[derive(Debug, Parser)]
#[command(name = "booking-svc", version, subcommand_negates_reqs = true)]
pub struct Cli {
    /// What to do; without it, serve.
    #[command(subcommand)]
    pub command: Option<Command>,

    /// How to serve.
    #[command(flatten)]
    pub config: Config,
}

/// The settings of a running instance.
#[derive(Debug, Clone, Args)]
pub struct Config {
    /// Where to serve gRPC
    #[arg(
        long,
        env = "TICKETING_LISTEN",
        default_value = "127.0.0.1:50052",
        value_name = "HOST:PORT"
    )]
    pub listen: HostPort,

    /// The internal service of the catalog-svc to learn of shows from, as http://host:port, or
    /// https://host:port by TLS; or several, with commas between them. Every address of every name
    /// is tried
    #[arg(
        long,
        env = "TICKETING_CATALOG_URL",
        default_value = "http://127.0.0.1:50056",
        value_name = "URL[,URL]"
    )]
    pub catalog_url: CatalogUrls,

    /// A file with the token that is shown to that service, if it asks for one; it is read again
    /// every few seconds
    #[arg(long, env = "TICKETING_CATALOG_TOKEN_FILE", value_name = "FILE", value_parser = file)]
    pub catalog_token_file: Option<PathBuf>,

    /// How old what is known of the catalog may be: 3 s to 1 h. A show that was cancelled, or has
    /// other prices, is not sold as it was for longer than that
    #[arg(long, env = "TICKETING_CATALOG_STALENESS_MAX", default_value = "10s", value_name = "DURATION", value_parser = duration_of::<3, 3600>)]
    pub catalog_staleness_max: Duration,

    /// What to do beyond that: refuse to reserve, swap and confirm, or sell from the last copy
    #[arg(
        long,
        env = "TICKETING_STALE_CATALOG",
        default_value = "refuse",
        value_name = "WHAT"
    )]
    pub stale_catalog: StaleCatalog,

    /// How long seats are held if the caller does not say: 10 s to 30 min
    #[arg(long, env = "TICKETING_HOLD", default_value = "120s", value_name = "DURATION", value_parser = duration_of::<10, 1800>)]
    pub hold: Duration,

    /// The longest that a hold can last since it was made, however often it is extended: 10 s
    /// to 2 h
    #[arg(long, env = "TICKETING_HOLD_LIFETIME_MAX", default_value = "1800s", value_name = "DURATION", value_parser = duration_of::<10, 7200>)]
    pub hold_lifetime_max: Duration,

    /// The most open holds of one show that one caller may have: 1 to 1,000. A caller is the subject
    /// of a customer's token; without authentication, an address. Default: no limit
    #[arg(long, env = "TICKETING_HOLDS_PER_CALLER_AND_SHOW_MAX", value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub holds_per_caller_and_show_max: Option<u32>,

    /// The most open holds that one caller may have: 1 to 1,000. Default: no limit
    #[arg(long, env = "TICKETING_HOLDS_PER_CALLER_MAX", value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub holds_per_caller_max: Option<u32>,

    /// How long one caller may hold without buying, all its holds within the window added up: 1 min to
    /// 1,000 h. Default: no limit
    #[arg(long, env = "TICKETING_UNSOLD_HOLD_TIME_MAX", value_name = "DURATION", value_parser = duration_of::<60, 3_600_000>)]
    pub unsold_hold_time_max: Option<Duration>,

    /// That window: 1 min to 24 h
    #[arg(long, env = "TICKETING_UNSOLD_HOLD_WINDOW", default_value = "1h", value_name = "DURATION", value_parser = duration_of::<60, 86_400>)]
    pub unsold_hold_window: Duration,

    /// The most seats of one booking: 1 to 100
    #[arg(long, env = "TICKETING_SEATS_PER_BOOKING_MAX", default_value_t = SEATS_PER_BOOKING_MAX, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=100))]
    pub seats_per_booking_max: u16,

    /// The payment provider, as http://host:port, or https://host:port by TLS, that takes the money
    /// of who confirms with a payment token, and gives it back. Without it nothing is paid here
    #[arg(long, env = "TICKETING_PAYMENT_PROVIDER", value_name = "URL")]
    pub payment_provider: Option<ServiceUrl>,

    /// A file with the token that is shown to the payment provider, if it asks for one; it is read
    /// again every few seconds
    #[arg(
        long,
        env = "TICKETING_PAYMENT_PROVIDER_TOKEN_FILE",
        value_name = "FILE",
        value_parser = file,
        requires = "payment_provider"
    )]
    pub payment_provider_token_file: Option<PathBuf>,

    /// How long a payment may take: 1 s to 10 min. It is called off then, and the hold goes on
    /// for what was left of it
    #[arg(long, env = "TICKETING_PAYMENT_TIMEOUT", default_value = "20s", value_name = "DURATION", value_parser = duration_of::<1, 600>)]
    pub payment_timeout: Duration,

    /// Allow confirming a priced booking without a payment here, because the money is taken
    /// elsewhere. Default: true only without a payment provider
    #[arg(long, env = "TICKETING_CONFIRM_UNPAID", value_name = "BOOL")]
    pub confirm_unpaid: Option<bool>,

    /// The most concurrent transactions, each on its own connection. Requests that wait for one are
    /// committed together; another transaction begins only when many wait. There is one more
    /// connection, for requests that wait for a lock
    #[arg(long, env = "TICKETING_COMMIT_WORKERS", default_value_t = 2, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    pub commit_workers: u16,

    /// How long a transaction waits for a lock that another session holds: 1 ms to 10 s. Then its
    /// requests are decided one by one, as far as their locks are free; the others wait apart, for 5 s
    /// at most, and hold up no other request
    #[arg(long, env = "TICKETING_LOCK_WAIT_MAX", default_value = "25ms", value_name = "DURATION", value_parser = lock_wait_of)]
    pub lock_wait_max: Duration,

    /// Whether requests that will most likely be granted are written without having been locked
    /// first, which saves the database a round trip. False decides all of them over locked rows
    #[arg(long, env = "TICKETING_OPTIMISTIC_WRITES", default_value_t = true, action = clap::ArgAction::Set, value_name = "BOOL")]
    pub optimistic_writes: bool,

    /// How it serves.
    #[command(flatten)]
    pub server: ServerArgs,

    /// TLS to the catalog.
    #[command(flatten)]
    pub catalog_tls: CatalogTlsArgs,

    /// TLS to the payment provider.
    #[command(flatten)]
    pub payment_provider_tls: PaymentProviderTlsArgs,

    /// How it reaches the database.
    #[command(flatten)]
    pub database: DatabaseArgs,

    /// How it logs.
    #[command(flatten)]
    pub log: LogArgs,
}

impl Config {
    /// How long holds last.
    #[must_use]
    pub fn hold_terms(&self) -> HoldTerms {
        HoldTerms {
            default: self.hold,
            lifetime_max: self.hold_lifetime_max,
        }
    }

    /// How much one caller may hold; none if that is not limited.
    #[must_use]
    pub fn hold_limits(&self) -> Option<HoldLimits> {
        let terms = HoldLimitTerms {
            per_show_max: self.holds_per_caller_and_show_max,
            open_max: self.holds_per_caller_max,
            unsold: self.unsold_hold_time_max.map(|time_max| UnsoldTerms {
                time_max,
                window: self.unsold_hold_window,
            }),
        };
        terms.is_any().then(|| HoldLimits::new(terms))
    }

    /// The allowed age of the copy of the catalog.
    #[must_use]
    pub fn staleness_terms(&self) -> StalenessTerms {
        StalenessTerms {
            max: self.catalog_staleness_max,
            beyond: self.stale_catalog,
        }
    }

    /// How payments are tried.
    #[must_use]
    pub fn payment_terms(&self) -> PaymentTerms {
        PaymentTerms {
            timeout: self.payment_timeout,
            lifetime_max: self.hold_lifetime_max,
        }
    }

    /// What is shown to the catalog.
    ///
    /// # Errors
    ///
    /// If the file has no token.
    pub fn catalog_bearer(&self) -> Result<Bearer, String> {
        Bearer::from_file("--catalog-token-file", self.catalog_token_file.as_deref())
    }

    /// What is shown to the payment provider.
    ///
    /// # Errors
    ///
    /// If the file has no token.
    pub fn payment_bearer(&self) -> Result<Bearer, String> {
        let file = self.payment_provider_token_file.as_deref();
        Bearer::from_file("--payment-provider-token-file", file)
    }

    /// How the commit workers work.
    #[must_use]
    pub fn group_commit_config(&self) -> GroupCommitConfig {
        GroupCommitConfig {
            count: self.commit_workers,
            lock_wait_max: self.lock_wait_max,
            optimistic_writes: self.optimistic_writes,
            rejections: RejectionLimits::default(),
        }
    }

    /// Whether a priced booking can be confirmed without a payment here.
    #[must_use]
    pub fn is_unpaid_allowed(&self) -> bool {
        self.confirm_unpaid
            .unwrap_or(self.payment_provider.is_none())
    }

    /// The settings of bookings.
    #[must_use]
    pub fn limits(&self) -> Limits {
        Limits {
            seats_per_booking_max: self.seats_per_booking_max,
        }
    }
}

fn lock_wait_of(text: &str) -> Result<Duration, String> {
    let wait = duration_of::<0, 10>(text)?;
    if wait < Duration::from_millis(1) {
        return Err("must be 1 ms to 10 s".to_owned());
    }
    Ok(wait)
}
