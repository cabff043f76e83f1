//! Builds the binaries that the tools run.

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use tokio::process::Command;

use crate::say::say;
use crate::{root, target};

/// The services' binaries.
pub(crate) const SERVICES: [&str; 3] = ["catalog-svc", "booking-svc", "expiry-worker"];

/// Builds binaries, showing cargo's progress; the folder that they are in.
pub(crate) async fn build(binaries: &[&str], release: bool) -> Result<PathBuf> {
    let profile = if release { "release" } else { "dev" };
    let target = target()?;
    let names = binaries.join(", ");
    say(format_args!(
        "building {names}: minutes the first time, seconds later"
    ));
    // With the features of the whole workspace: so tests do not build all of it once more.
    let mut command = Command::new(cargo());
    command
        .args(["build", "--workspace", "--profile", profile])
        .args(binaries.iter().flat_map(|binary| ["--bin", binary]));
    run(command).await?;
    Ok(target.join(if release { "release" } else { "debug" }))
}

/// The cargo that runs this program.
pub(crate) fn cargo() -> OsString {
    env::var_os("CARGO").unwrap_or("cargo".into())
}

/// Runs a command of cargo in the repository, with the target folder of this program.
pub(crate) async fn run(mut command: Command) -> Result<()> {
    let status = command
        .arg("--target-dir")
        .arg(target()?)
        .current_dir(root())
        .kill_on_drop(true)
        .status()
        .await
        .context("run cargo")?;
    if !status.success() {
        bail!("it does not build: see cargo's errors above");
    }
    Ok(())
}
