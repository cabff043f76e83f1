//! The command line.

use std::time::Duration;

use clap::{Args, Parser};
use service_kit::args::{Command, DatabaseArgs, HostPort, LogArgs, ServerArgs, duration_of};

/// Fails PENDING bookings whose hold has ended, and frees their seats.
///
/// Needs a PostgreSQL database that `migrate up` has prepared. Any number of instances can
/// run at once: each stale booking is failed by one of them.
#[derive(Debug, Parser)]
#[command(name = "expiry-worker", version, subcommand_negates_reqs = true)]
pub struct Cli {
    /// What to do; without it, work.
    #[command(subcommand)]
    pub command: Option<Command>,

    /// How to work.
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
        default_value = "127.0.0.1:50053",
        value_name = "HOST:PORT"
    )]
    pub listen: HostPort,

    /// Work until nothing is stale, print how many bookings were failed, and end
    #[arg(long)]
    pub once: bool,

    /// How long to sleep between two scans for holds that have ended
    #[arg(long, env = "TICKETING_POLL_INTERVAL", default_value = "500ms", value_name = "DURATION", value_parser = duration_of::<0, 60>)]
    pub poll_interval: Duration,

    /// The most bookings that one transaction fails
    #[arg(long, env = "TICKETING_BATCH_MAX", default_value_t = 500, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=5_000))]
    pub batch_max: u16,

    /// How it serves.
    #[command(flatten)]
    pub server: ServerArgs,

    /// How it reaches the database.
    #[command(flatten)]
    pub database: DatabaseArgs,

    /// How it logs.
    #[command(flatten)]
    pub log: LogArgs,
}
