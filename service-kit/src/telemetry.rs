//! Structured logs on standard error, as text or JSON.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::args::LogArgs;

/// At level debug the driver tells each statement with its parameters, and these are customers'
/// names and addresses.
const WITHOUT_PARAMETERS: &str = "tokio_postgres::query=off";

/// How logs are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// A line for people.
    Text,
    /// A JSON object a line.
    Json,
}

/// Sends the process's logs to standard error.
///
/// # Errors
///
/// If logging was set up before.
pub fn init(args: &LogArgs) -> Result<(), tracing_subscriber::util::TryInitError> {
    let filter = EnvFilter::new(format!("{},{WITHOUT_PARAMETERS}", args.log));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        // A log that nobody reads any more must not take the service with it: the fallback
        // for a line that cannot be written is a print that panics.
        .log_internal_errors(false)
        .with_writer(std::io::stderr);
    match args.log_format {
        LogFormat::Text => builder
            .with_ansi(std::io::stderr().is_terminal())
            .finish()
            .try_init(),
        LogFormat::Json => builder.json().flatten_event(true).finish().try_init(),
    }
}
