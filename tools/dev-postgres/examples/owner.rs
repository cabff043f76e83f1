//! Owns a cluster in the given folder until it is killed: `owner FOLDER
//! ephemeral|durable CACHE`. The tests run it, kill it, and check what is left. Writes the server's process id to
//! FOLDER.pid once it serves.

use std::path::PathBuf;
use std::time::Duration;
use std::{env, fs};

use anyhow::{Context as _, Result};
use dev_postgres::{Cluster, ClusterOptions, Source, find_binaries};

/// A run whose killer failed must end as well.
const LIFE_MAX: Duration = Duration::from_secs(180);

#[tokio::main]
async fn main() -> Result<()> {
    let mut arguments = env::args_os().skip(1);
    let folder = PathBuf::from(arguments.next().context("which folder?")?);
    let kind = arguments.next().context("ephemeral or durable?")?;
    let cache = PathBuf::from(arguments.next().context("which cache?")?);
    let binaries = find_binaries(Source::from_env()?, &cache).await?;
    let options = if kind == "ephemeral" {
        ClusterOptions::ephemeral(binaries, &folder)
    } else {
        ClusterOptions::durable(binaries, &folder)
    };
    let cluster = Cluster::start(options).await?;
    let pid = cluster.postmaster_pid().context("it has just started")?;
    let pid_file = folder.with_extension("pid");
    fs::write(pid_file.with_extension("part"), pid.to_string())?;
    fs::rename(pid_file.with_extension("part"), pid_file)?;
    tokio::time::sleep(LIFE_MAX).await;
    Ok(())
}
