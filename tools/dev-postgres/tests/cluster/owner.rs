//! A cluster whose owner is killed, without a chance to tidy up.
//!
//! The owner is the example of that name.

use crate::support::{alive, binaries, cache_dir, eventually, room};
use anyhow::{Context, Result};
use dev_postgres::{Cluster, ClusterOptions};
use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};
use tempfile::TempDir;

struct Owner {
    process: Child,
    folder: PathBuf,
}

impl Owner {
    fn start(room: &TempDir, kind: &str) -> Result<Self> {
        let folder = room.path().join("pg");
        // Cargo builds examples before tests, and puts them beside the tests' folder.
        let own = env::current_exe()?;
        let profile = own.parent().and_then(Path::parent).context("target")?;
        let process = Command::new(profile.join("examples").join("owner"))
            .arg(&folder)
            .arg(kind)
            .arg(cache_dir())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        Ok(Self { process, folder })
    }

    async fn postmaster(&mut self) -> Result<u32> {
        let pid_file = self.folder.with_extension("pid");
        eventually("the owner has a cluster", || {
            anyhow::ensure!(self.process.try_wait()?.is_none(), "the owner failed");
            Ok(pid_file.exists())
        })
        .await?;
        fs::read_to_string(pid_file)?.parse().context("the pid")
    }

    fn kill(mut self) -> Result<PathBuf> {
        self.process.kill()?;
        self.process.wait()?;
        Ok(self.folder)
    }
}

fn signal(name: &str, pid: u32) -> Result<()> {
    let status = Command::new("sh")
        .args(["-c", r#"kill -s "$1" "$2""#, "signal", name])
        .arg(pid.to_string())
        .status()?;
    anyhow::ensure!(status.success(), "no signal {name} to {pid}");
    Ok(())
}

async fn gone(folder: &Path) -> Result<()> {
    eventually("the folder is gone", || Ok(!folder.exists())).await
}

#[tokio::test]
async fn a_killed_owner_takes_server_and_folder_with_it() -> Result<()> {
    let room = room()?;
    let mut owner = Owner::start(&room, "ephemeral")?;
    let postmaster = owner.postmaster().await?;
    assert!(alive(postmaster)?);
    let folder = owner.kill()?;
    eventually("the postmaster is gone", || Ok(!alive(postmaster)?)).await?;
    gone(&folder).await
}

#[tokio::test]
async fn a_killed_owner_of_a_durable_cluster_leaves_it_well() -> Result<()> {
    let room = room()?;
    let mut owner = Owner::start(&room, "durable")?;
    let postmaster = owner.postmaster().await?;
    let folder = owner.kill()?;
    // At once: the next start waits for a server that is shutting down.
    let cluster = Cluster::start(ClusterOptions::durable(binaries().await?, &folder)).await?;
    assert!(!alive(postmaster)?);
    let log = fs::read_to_string(cluster.log_path())?;
    assert!(!log.contains("not properly shut down"), "{log}");
    cluster.stop().await?;
    assert!(folder.exists());
    Ok(())
}

#[tokio::test]
async fn an_owner_killed_while_it_makes_its_cluster_leaves_nothing() -> Result<()> {
    let room = room()?;
    let owner = Owner::start(&room, "ephemeral")?;
    let begun = owner.folder.join("PG_VERSION");
    eventually("the folder is being filled", || Ok(begun.exists())).await?;
    let folder = owner.kill()?;
    gone(&folder).await
}

#[tokio::test]
async fn an_owner_killed_between_crash_and_restart_leaves_nothing() -> Result<()> {
    let room = room()?;
    let folder = {
        let mut owner = Owner::start(&room, "ephemeral")?;
        let postmaster = owner.postmaster().await?;
        // Not the owner's doing this time: its server was killed from outside.
        signal("KILL", postmaster)?;
        eventually("the postmaster is gone", || Ok(!alive(postmaster)?)).await?;
        assert!(owner.folder.exists(), "the owner may start it again");
        owner.kill()?
    };
    gone(&folder).await
}

#[tokio::test]
async fn the_folder_stays_for_as_long_as_the_server_needs_it() -> Result<()> {
    let room = room()?;
    let mut owner = Owner::start(&room, "ephemeral")?;
    let postmaster = owner.postmaster().await?;
    let file = owner.folder.join("postmaster.pid");
    let line = |number: usize| -> Result<String> {
        let text = fs::read_to_string(&file).context("the folder was taken from under it")?;
        Ok(text.lines().nth(number - 1).unwrap_or_default().to_owned())
    };
    let url = format!("postgres://postgres@127.0.0.1:{}/postgres", line(4)?);
    let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await?;
    let connection = tokio::spawn(connection);
    let row = client.query_one("SELECT pg_backend_pid()", &[]).await?;
    let backend = u32::try_from(row.get::<_, i32>(0))?;
    // The shutdown waits for its backends, and this one does not move.
    signal("STOP", backend)?;
    let folder = owner.kill()?;
    eventually("the server was asked to stop", || {
        Ok(line(8)?.trim() == "stopping")
    })
    .await?;
    for _ in 0..10 {
        line(1)?;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(alive(postmaster)?);
    signal("CONT", backend)?;
    eventually("the postmaster is gone", || Ok(!alive(postmaster)?)).await?;
    drop(connection.await?);
    gone(&folder).await
}
