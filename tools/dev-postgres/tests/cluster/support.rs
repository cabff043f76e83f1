//! Helpers of these tests.

use anyhow::{Context, Result, bail};
use dev_postgres::{Binaries, Cluster, ClusterOptions, Source, find_binaries};
use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};
use tempfile::TempDir;
use tokio::{task::JoinHandle, time::sleep};
use tokio_postgres::{Client, NoTls};

pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

/// A folder that the server's account can enter, as the usual temporary one is not.
pub(crate) fn room() -> Result<TempDir> {
    let room = tempfile::tempdir()?;
    fs::set_permissions(room.path(), Permissions::from_mode(0o755))?;
    Ok(room)
}

pub(crate) fn cache_dir() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("postgres")
}

pub(crate) async fn binaries() -> Result<Binaries> {
    find_binaries(Source::from_env()?, &cache_dir()).await
}

pub(crate) async fn ephemeral(room: &TempDir) -> Result<ClusterOptions> {
    Ok(ClusterOptions::ephemeral(
        binaries().await?,
        room.path().join("pg"),
    ))
}

pub(crate) async fn durable(room: &TempDir) -> Result<ClusterOptions> {
    Ok(ClusterOptions::durable(
        binaries().await?,
        room.path().join("pg"),
    ))
}

/// A connection as the superuser; the task ends with the client or the server.
pub(crate) async fn connect(cluster: &Cluster) -> Result<(Client, JoinHandle<()>)> {
    let url = cluster.url("postgres", "postgres");
    let (client, connection) = tokio_postgres::connect(&url, NoTls).await?;
    let task = tokio::spawn(async move {
        // Some tests end the server on purpose.
        let _ = connection.await;
    });
    Ok((client, task))
}

/// One value, as text.
pub(crate) async fn ask(cluster: &Cluster, query: &str) -> Result<String> {
    let (client, _task) = connect(cluster).await?;
    let rows = client.simple_query(query).await?;
    let value = rows.iter().find_map(|message| match message {
        tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
        _ => None,
    });
    value.with_context(|| format!("no answer to {query}"))
}

/// Waits until `holds` does.
pub(crate) async fn eventually(what: &str, mut holds: impl FnMut() -> Result<bool>) -> Result<()> {
    let deadline = Instant::now() + DEADLINE;
    while !holds()? {
        if Instant::now() >= deadline {
            bail!("not within {DEADLINE:?}: {what}");
        }
        sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

pub(crate) fn alive(pid: u32) -> Result<bool> {
    let status = Command::new("sh")
        .args(["-c", r#"kill -0 "$1" 2>/dev/null"#, "alive"])
        .arg(pid.to_string())
        .status()?;
    Ok(status.success())
}

pub(crate) fn pid(cluster: &Cluster) -> Result<u32> {
    cluster.postmaster_pid().context("no postmaster")
}

/// The text of the error that `start` must end in.
pub(crate) async fn refusal(options: ClusterOptions) -> Result<String> {
    match Cluster::start(options).await {
        Ok(_) => bail!("it started"),
        Err(error) => Ok(format!("{error:#}")),
    }
}
