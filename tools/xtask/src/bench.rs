//! `cargo xtask bench`: the package `bench` and the services, built with optimisations.

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use anyhow::{Context as _, Result};
use clap::Args;

use crate::build::{SERVICES, build};

/// Measure the services against PostgreSQL's own benchmark; see `cargo xtask bench --help`
#[derive(Debug, Args)]
#[command(disable_help_flag = true)]
pub(crate) struct BenchArgs {
    /// For the benchmark
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<OsString>,
}

impl BenchArgs {
    /// Whether it is asked for more than its help.
    fn measures(&self) -> bool {
        let is_help = |argument: &OsString| {
            ["help", "-h", "--help"]
                .map(Some)
                .contains(&argument.to_str())
        };
        !self.arguments.is_empty() && !self.arguments.iter().any(is_help)
    }
}

/// Becomes the benchmark; returns only if it cannot.
pub(crate) async fn bench(args: BenchArgs) -> Result<()> {
    let folder = if args.measures() {
        let binaries: Vec<&str> = SERVICES.into_iter().chain(["bench"]).collect();
        // It looks for the services in its own folder.
        build(&binaries, true).await?
    } else {
        // Optimising takes minutes, for a help text.
        build(&["bench"], false).await?
    };
    let failed = Command::new(folder.join("bench"))
        .args(args.arguments)
        .exec();
    Err(failed).context("run the benchmark")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn for_help_nothing_is_measured() {
        let measures = |arguments: &[&str]| {
            let arguments = arguments.iter().map(OsString::from).collect();
            BenchArgs { arguments }.measures()
        };
        for help in [&[][..], &["--help"], &["help", "cycle"], &["cycle", "-h"]] {
            assert!(!measures(help), "{help:?}");
        }
        assert!(measures(&["cycle", "--commit-workers", "2"]));
    }
}
