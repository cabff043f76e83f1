//! `cargo xtask bench`: what the services do a second, beside what PostgreSQL's own benchmark
//! does with the usual booking transaction, on the same machine in the same run.
//!
//! Claims are ratios from one run. Nothing here is a test, and nothing times a test.

mod cpu;
mod cycle;
mod load;
mod pgbench;
mod report;
mod stand;
mod stats;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};
use dev_postgres::Source;
use service_kit::args::{exit_with, parse_or_exit};

use crate::report::Report;
use crate::stand::Stand;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measures the services on a private PostgreSQL, beside pgbench. Reports as text, JSON and SVG
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

    /// How many lanes booking-svc has, if not its default
    #[arg(long, global = true)]
    lanes: Option<u16>,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Reserve two adjacent random seats and confirm, with 64 and 256 clients
    Cycle(cycle::CycleArgs),
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Arguments = parse_or_exit();
    match run(arguments).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => exit_with(1, &format!("error: {error:#}")),
    }
}

async fn run(arguments: Arguments) -> Result<()> {
    let stand = Stand::start(arguments.postgres, arguments.lanes).await?;
    let mut report = Report::default();
    report.machine(&stand.postgres_version());
    let name = match arguments.what {
        What::Cycle(args) => {
            cycle::run(&stand, args, &mut report).await?;
            "cycle"
        }
    };
    report.write(stand.folder(), name)
}
