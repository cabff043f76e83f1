//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser};
use service_kit::args::{Command, DatabaseArgs, HostPort, LogArgs, ServerArgs, file};
use service_kit::postgres::DatabaseUrl;

use crate::api::WatchLimits;

/// An idle stream sends a bookmark within 15 s, time on the network included.
const BOOKMARK_INTERVAL: Duration = Duration::from_secs(14);
/// A reader that takes nothing for this long is dropped.
const READER_PATIENCE: Duration = Duration::from_secs(30);

/// Serves the catalog: shows, their seat layouts and prices, and the feed of their revisions.
///
/// Serves gRPC, and needs a PostgreSQL database that `migrate up` has prepared. Any number of
/// instances can run at once.
#[derive(Debug, Parser)]
#[command(name = "catalog-svc", version, subcommand_negates_reqs = true)]
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
        default_value = "127.0.0.1:50051",
        value_name = "HOST:PORT"
    )]
    pub listen: HostPort,

    /// Where to serve the internal gRPC service, which booking-svc follows the catalog by. Whoever
    /// reaches it is trusted, unless it asks for tokens, so let nobody else
    #[arg(
        long,
        env = "TICKETING_INTERNAL_LISTEN",
        default_value = "127.0.0.1:50056",
        value_name = "HOST:PORT"
    )]
    pub internal_listen: HostPort,

    /// The most WatchShows streams open at once; further ones are refused with UNAVAILABLE.
    /// booking-svc's are not among them
    #[arg(long, env = "TICKETING_WATCH_STREAMS_MAX", default_value_t = 100, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=10_000))]
    pub watch_streams_max: u16,

    /// How long a stream may be silent before it sends a bookmark. The contract has it.
    #[arg(skip = BOOKMARK_INTERVAL)]
    pub watch_bookmark_interval: Duration,

    /// How long a reader may take nothing before its stream ends. The contract has it.
    #[arg(skip = READER_PATIENCE)]
    pub watch_reader_patience: Duration,

    /// How it serves.
    #[command(flatten)]
    pub server: ServerArgs,

    /// The CAs of who may call the internal service, as PEM; if not said, those of --tls-client-ca
    #[arg(long, env = "TICKETING_INTERNAL_TLS_CLIENT_CA", value_name = "FILE", value_parser = file, requires = "tls_cert", help_heading = "TLS")]
    pub internal_tls_client_ca: Option<PathBuf>,

    /// How it reaches the database.
    #[command(flatten)]
    pub database: DatabaseArgs,

    /// A streaming replica of that database, which GetShow and ListShows read from while it
    /// has replayed all revisions that the instance knows; else they read from the database itself
    #[arg(long, env = "TICKETING_READ_DATABASE_URL", value_name = "URL", value_parser = DatabaseUrl::parse, help_heading = "Database")]
    pub read_database_url: Option<DatabaseUrl>,

    /// How it logs.
    #[command(flatten)]
    pub log: LogArgs,
}

impl Config {
    /// The limits of WatchShows streams.
    #[must_use]
    pub fn watch_limits(&self) -> WatchLimits {
        WatchLimits {
            streams_max: self.watch_streams_max,
            bookmark_interval: self.watch_bookmark_interval,
            reader_patience: self.watch_reader_patience,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    const DATABASE: [&str; 3] = ["catalog-svc", "--database-url", "postgres://x@localhost/y"];

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn serving_needs_no_command() {
        let cli = Cli::try_parse_from(DATABASE).expect("arguments");
        assert!(cli.command.is_none());
        assert_eq!(
            cli.config.watch_limits().bookmark_interval,
            BOOKMARK_INTERVAL
        );
    }

    #[test]
    fn limits_are_not_passed() {
        let too_many = ["--watch-streams-max", "10001"];
        assert!(Cli::try_parse_from([&DATABASE[..], &too_many].concat()).is_err());
    }
}
