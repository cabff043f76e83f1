//! `cargo xtask bench`: the package `bench` and the services, built with optimisations.

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use anyhow::{Context as _, Result};
use clap::Args;

use crate::build::{SERVICES, build};

/// Measure the services, beside PostgreSQL's own benchmark; `cargo xtask bench --help` says how
#[derive(Debug, Args)]
#[command(disable_help_flag = true)]
pub(crate) struct BenchArgs {
    /// For the benchmark
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<OsString>,
}

/// Becomes the benchmark; returns only if it cannot.
pub(crate) async fn bench(args: BenchArgs) -> Result<()> {
    let binaries: Vec<&str> = SERVICES.into_iter().chain(["bench"]).collect();
    // It looks for the services beside itself.
    let folder = build(&binaries, true).await?;
    let failed = Command::new(folder.join("bench"))
        .args(args.arguments)
        .exec();
    Err(failed).context("run the benchmark")
}
