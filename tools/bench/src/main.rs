//! `cargo xtask bench`: the throughput of the services, compared with PostgreSQL's own benchmark
//! with the usual booking transaction, on the same machine in the same run.
//!
//! Claims are ratios from one run. Nothing here is a test, and nothing times a test.

mod best;
mod cpu;
mod cycle;
mod expire;
mod ga;
mod growth;
mod list_shows;
mod load;
mod pgbench;
mod read;
mod report;
mod stampede;
mod stand;
mod stats;
mod wire;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, bail};
use clap::{Parser, Subcommand};
use dev_postgres::Source;
use service_kit::args::{exit_with, parse_or_exit};
use tokio::signal::unix::{SignalKind, signal};

use crate::report::Report;
use crate::stand::Stand;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measures the services on a private PostgreSQL, against pgbench. Reports as text, JSON and SVG
/// under target/bench
#[derive(Debug, Parser)]
#[command(name = "cargo xtask bench", bin_name = "cargo xtask bench")]
struct Arguments {
    /// What to measure
    #[command(subcommand)]
    what: What,

    /// Where PostgreSQL comes from: auto, system or download
    #[arg(long, global = true, default_value = "auto")]
    postgres: Source,

    /// How many commit workers booking-svc has, if not its default
    #[arg(long, global = true)]
    commit_workers: Option<u16>,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Reserve two adjacent random seats and confirm, with 64 and 256 clients
    Cycle(cycle::CycleArgs),
    /// 1,000 clients at once for one show of 10,000 seats, until it is sold out
    Stampede(stampede::StampedeArgs),
    /// 1,000 clients at once for 50,000 places of one area, until it is sold out
    Ga(ga::GaArgs),
    /// Best available for parties of one to six, until an arena of 20,000 seats is full
    Best(best::BestArgs),
    /// GetBooking, ListSeats, ListShows; one client that reserves alone; ListShows of 10,000
    /// shows with each filter
    Read,
    /// Drain 100,000 stale holds, alone and during a cycle load
    Expire,
    /// The cycle with 10^5, 10^6 and 10^7 seats and bookings in the tables
    Growth(growth::GrowthArgs),
    /// Memory and CPU of the services when nothing happens
    Idle,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments: Arguments = parse_or_exit();
    match run_until_terminated(arguments).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => exit_with(1, &format!("error: {error:#}")),
    }
}

/// Runs until the end, or until SIGTERM or SIGINT: the services that it has started are dropped then,
/// which ends them.
async fn run_until_terminated(arguments: Arguments) -> Result<()> {
    let mut terminated = signal(SignalKind::terminate())?;
    let mut interrupted = signal(SignalKind::interrupt())?;
    tokio::select! {
        run = run(arguments) => run,
        _ = terminated.recv() => bail!("terminated"),
        _ = interrupted.recv() => bail!("interrupted"),
    }
}

async fn run(arguments: Arguments) -> Result<()> {
    let settings = match arguments.what {
        What::Growth(_) => &growth::SETTINGS[..],
        _ => &[],
    };
    let mut stand = Stand::start(arguments.postgres, arguments.commit_workers, settings).await?;
    let mut report = Report::default();
    report.machine(&stand.postgres_version());
    let name = match arguments.what {
        What::Cycle(args) => {
            cycle::run(&mut stand, args, &mut report).await?;
            "cycle"
        }
        What::Stampede(args) => {
            stampede::run(&stand, args, &mut report).await?;
            "stampede"
        }
        What::Ga(args) => {
            ga::run(&stand, args, &mut report).await?;
            "ga"
        }
        What::Best(args) => {
            best::run(&stand, args, &mut report).await?;
            "best"
        }
        What::Read => {
            read::run(&stand, &mut report).await?;
            "read"
        }
        What::Expire => {
            expire::run(&mut stand, &mut report).await?;
            "expire"
        }
        What::Growth(args) => {
            growth::run(&mut stand, args, &mut report).await?;
            "growth"
        }
        What::Idle => {
            idle(&stand, &mut report).await?;
            "idle"
        }
    };
    report.write(stand.folder(), name)
}

/// The CPU of the idle services.
async fn idle(stand: &Stand, report: &mut Report) -> Result<()> {
    const LENGTH: Duration = Duration::from_secs(20);
    let worker = stand.start_worker().await?;
    cpu::settle().await;
    let before = (stand.cpu().service_s, worker.cpu_s());
    tokio::time::sleep(LENGTH).await;
    let used = (stand.cpu().service_s - before.0, worker.cpu_s() - before.1);
    let (booking, catalog) = stand.resident_mib();
    let percent = |seconds: f64| 100.0 * seconds / LENGTH.as_secs_f64();
    report.line(format!(
        "booking-svc: {booking:.0} MiB, {:.2} % of a core",
        percent(used.0)
    ));
    report.line(format!("catalog-svc: {catalog:.0} MiB"));
    report.line(format!(
        "expiry-worker: {:.0} MiB, {:.2} % of a core",
        worker.resident_mib(),
        percent(used.1)
    ));
    Ok(())
}
