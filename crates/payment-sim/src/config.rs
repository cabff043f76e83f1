//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser};
use service_kit::args::{Command, HostPort, LogArgs, ServerArgs, file};

/// A payment provider without a bank behind it: takes and returns imaginary money.
///
/// The payment token of an Authorize selects the behaviour: `approve`, `decline`,
/// `slow:<duration>`, `timeout`, `lost-answer`, `decline-capture`, `decline-refund`, `nonsense`
/// or `nonsense-refund`. For development and tests.
#[derive(Debug, Parser)]
#[command(name = "payment-sim", version)]
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
        default_value = "127.0.0.1:50055",
        value_name = "HOST:PORT"
    )]
    pub listen: HostPort,

    /// The file that keeps every payment, made if it is not there; one instance at a time can
    /// use it. Without it all is forgotten at the end
    #[arg(long, env = "TICKETING_STATE", value_name = "FILE", value_parser = file)]
    pub state: Option<PathBuf>,

    /// The most payments to keep; none is ever deleted, and further ones are refused
    #[arg(long, env = "TICKETING_PAYMENTS_MAX", default_value_t = 1_000_000, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pub payments_max: u32,

    /// How it serves.
    #[command(flatten)]
    pub server: ServerArgs,

    /// How it logs.
    #[command(flatten)]
    pub log: LogArgs,
}
