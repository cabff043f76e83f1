//! Folders that the server's account can't reach: root's question alone.

use crate::support::{ask, binaries, pid, room};
use anyhow::Result;
use dev_postgres::{Cluster, ClusterOptions};
use std::{
    fs::{self, Permissions},
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::PathBuf,
};
use tempfile::TempDir;

/// A home that only its owner can enter, or `None` when that makes no difference.
fn closed_home(room: &TempDir) -> Result<Option<PathBuf>> {
    let home = room.path().join("home");
    fs::create_dir(&home)?;
    fs::set_permissions(&home, Permissions::from_mode(0o700))?;
    Ok((fs::metadata(&home)?.uid() == 0).then_some(home))
}

#[tokio::test]
async fn as_root_the_server_runs_under_an_ordinary_account() -> Result<()> {
    let room = room()?;
    if closed_home(&room)?.is_none() {
        return Ok(());
    }
    let options = ClusterOptions::ephemeral(binaries().await?, room.path().join("pg"));
    let cluster = Cluster::start(options).await?;
    assert_eq!(cluster.data_dir(), room.path().join("pg"));
    assert_ne!(fs::metadata(cluster.data_dir())?.uid(), 0);
    if let Ok(process) = fs::metadata(format!("/proc/{}", pid(&cluster)?)) {
        assert_ne!(process.uid(), 0);
    }
    cluster.stop().await
}

#[tokio::test]
async fn an_ephemeral_folder_out_of_reach_lies_elsewhere() -> Result<()> {
    let room = room()?;
    let Some(home) = closed_home(&room)? else {
        return Ok(());
    };
    let options = ClusterOptions::ephemeral(binaries().await?, home.join("pg"));
    let cluster = Cluster::start(options).await?;
    let folder = cluster.data_dir().to_owned();
    assert!(!folder.starts_with(&home), "{}", folder.display());
    assert_eq!(ask(&cluster, "SELECT 1").await?, "1");
    cluster.stop().await?;
    assert!(!folder.exists());
    Ok(())
}

#[tokio::test]
async fn a_durable_folder_out_of_reach_is_found_again() -> Result<()> {
    let room = room()?;
    let Some(home) = closed_home(&room)? else {
        return Ok(());
    };
    let options = ClusterOptions::durable(binaries().await?, home.join("pg"));
    let cluster = Cluster::start(options.clone()).await?;
    let folder = cluster.data_dir().to_owned();
    cluster.stop().await?;
    let again = Cluster::start(options).await?;
    assert_eq!(again.data_dir(), folder);
    again.stop().await?;
    fs::remove_dir_all(&folder)?;
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    fs::remove_file(folder.with_file_name(format!(".{name}.lock")))?;
    Ok(())
}
