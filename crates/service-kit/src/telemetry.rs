//! Structured logs on standard error, as text or JSON.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::io::IsTerminal as _;
use std::panic::PanicHookInfo;
use std::time::Duration;

use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _};

use crate::args::LogArgs;
use crate::log_limit::LogLimit;
use crate::{log_id, tally};

/// At level debug the driver logs each statement with its parameters, and these are customers'
/// names and addresses.
const WITHOUT_PARAMETERS: &str = "tokio_postgres::query=off";
/// These warn of peers' mistakes, which a stranger can cause at any rate. Name the targets in the
/// filter to see them.
const WITHOUT_PEERS_DOINGS: &str = "h2=error,hyper=error";

const MINUTE: Duration = Duration::from_secs(60);

/// How logs are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// A line for people.
    Text,
    /// A JSON object a line.
    Json,
}

/// Sends the process's logs to standard error, panics of its tasks included. Call it on the
/// runtime: it starts a task that logs once a minute how many lines were left out.
///
/// # Errors
///
/// If logging was set up before.
pub fn init(args: &LogArgs) -> Result<(), tracing_subscriber::util::TryInitError> {
    // Of two directives for the same target the later one applies.
    let filter = format!("{WITHOUT_PEERS_DOINGS},{},{WITHOUT_PARAMETERS}", args.log);
    let lines = tracing_subscriber::fmt::layer()
        // A log without a reader must not take the service down: the fallback
        // for a line that cannot be written is a print that panics.
        .log_internal_errors(false)
        .with_writer(std::io::stderr);
    let lines = match args.log_format {
        LogFormat::Text => lines.with_ansi(std::io::stderr().is_terminal()).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    let limit = LogLimit::default();
    tracing_subscriber::registry()
        .with(EnvFilter::new(filter))
        .with(limit.clone())
        .with(lines)
        .try_init()?;
    std::panic::set_hook(Box::new(log_panic));
    tokio::spawn(sum_up(limit));
    Ok(())
}

async fn sum_up(limit: LogLimit) {
    loop {
        tokio::time::sleep(MINUTE).await;
        limit.begin_minute();
        if let Some(spoiled) = tally::take() {
            tracing::info!(spoiled, "calls were spoiled by their callers");
        }
    }
}

/// One line, with a backtrace only if RUST_BACKTRACE asks for it.
fn log_panic(panic: &PanicHookInfo<'_>) {
    let message = panic.payload_as_str().unwrap_or_default();
    let location = panic.location().map(ToString::to_string);
    let backtrace = Backtrace::capture();
    let backtrace = (backtrace.status() == BacktraceStatus::Captured).then_some(backtrace);
    tracing::error!(
        log_id = log_id::current(),
        message_of_panic = message,
        location,
        backtrace = backtrace.map(tracing::field::display),
        "panicked"
    );
}
