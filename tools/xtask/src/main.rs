//! The repository's own tools: `cargo xtask up`, `token`, `race`, `check`, `affected`, `sqlx`, `bench`
//! and `metrics-check`.

mod affected;
mod bench;
mod build;
mod check;
mod clients;
mod dev_issuer;
mod metrics_check;
mod race;
mod running;
mod say;
mod sqlx;
mod up;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::{Parser, Subcommand};
use service_kit::args::{exit_with, parse_or_exit};

/// Ticketing's own tools
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Up(up::UpArgs),
    Token(dev_issuer::TokenArgs),
    Race(race::RaceArgs),
    /// Check the dependency rules in ARCHITECTURE.md, unused dependencies, and the names in documents
    Check,
    Affected(affected::AffectedArgs),
    Sqlx(sqlx::SqlxArgs),
    Bench(bench::BenchArgs),
    MetricsCheck(metrics_check::MetricsCheckArgs),
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Arguments = parse_or_exit();
    let done = match arguments.verb {
        Verb::Up(args) => up::up(args).await,
        Verb::Token(args) => dev_issuer::token(&args),
        Verb::Race(args) => race::race(args).await,
        Verb::Check => check::check(root()),
        Verb::Affected(args) => affected::affected(&args),
        Verb::Sqlx(args) => sqlx::sqlx(args).await,
        Verb::Bench(args) => bench::bench(args).await,
        Verb::MetricsCheck(args) => metrics_check::metrics_check(args).await,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => exit_with(1, &format!("error: {error:#}")),
    }
}

/// The repository.
fn root() -> &'static Path {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.ancestors().nth(2).unwrap_or(own)
}

/// `target`, whatever it is called: cargo has put this program into a profile's folder there.
fn target() -> Result<PathBuf> {
    let own = std::env::current_exe().context("find this program")?;
    let target = own.parent().and_then(Path::parent);
    Ok(target.context("this program lies in no folder")?.to_owned())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Arguments::command().debug_assert();
    }
}
