//! A cluster from its start to its end.

use crate::support::{DEADLINE, alive, ask, ephemeral, eventually, pid, refusal, room};
use anyhow::Result;
use dev_postgres::Cluster;
use std::{fs, time::Instant};

#[tokio::test]
async fn it_answers_and_is_gone_after_drop() -> Result<()> {
    let room = room()?;
    let cluster = Cluster::start(ephemeral(&room).await?).await?;
    let version = ask(&cluster, "SHOW server_version").await?;
    assert!(
        version.starts_with(&cluster.version().to_string()),
        "{version} is not {}",
        cluster.version()
    );
    let (pid, folder) = (pid(&cluster)?, cluster.data_dir().to_owned());
    assert!(alive(pid)? && folder.exists());
    drop(cluster);
    assert!(!alive(pid)?, "the server outlived its cluster");
    assert!(!folder.exists(), "the folder outlived its cluster");
    Ok(())
}

#[tokio::test]
async fn stop_ends_it_even_with_a_client_connected() -> Result<()> {
    let room = room()?;
    let cluster = Cluster::start(ephemeral(&room).await?).await?;
    let (client, task) = crate::support::connect(&cluster).await?;
    client.simple_query("BEGIN").await?;
    let (pid, folder) = (pid(&cluster)?, cluster.data_dir().to_owned());
    let start = Instant::now();
    cluster.stop().await?;
    assert!(start.elapsed() < DEADLINE);
    assert!(!alive(pid)? && !folder.exists());
    task.await?;
    Ok(())
}

#[tokio::test]
async fn settings_reach_the_server_over_the_defaults() -> Result<()> {
    let room = room()?;
    let mut options = ephemeral(&room).await?;
    options.settings = vec![
        ("work_mem".to_owned(), "7MB".to_owned()),
        (
            "application_name".to_owned(),
            "a name with spaces".to_owned(),
        ),
        ("listen_addresses".to_owned(), "*".to_owned()),
    ];
    let cluster = Cluster::start(options).await?;
    for (name, want) in [
        ("work_mem", "7MB"),
        ("max_connections", "300"),
        ("fsync", "off"),
        ("listen_addresses", "127.0.0.1"),
        ("unix_socket_directories", ""),
        ("server_encoding", "UTF8"),
        ("TimeZone", "UTC"),
    ] {
        assert_eq!(
            ask(&cluster, &format!("SHOW {name}")).await?,
            want,
            "{name}"
        );
    }
    cluster.stop().await
}

#[tokio::test]
async fn a_server_that_does_not_come_up_says_why_and_leaves_nothing() -> Result<()> {
    let room = room()?;
    let mut options = ephemeral(&room).await?;
    options.settings = vec![("no_such_setting".to_owned(), "1".to_owned())];
    let folder = options.data_dir.clone();
    let said = refusal(options).await?;
    assert!(said.contains("no_such_setting"), "{said}");
    eventually("the folder is gone", || Ok(!folder.exists())).await
}

#[tokio::test]
async fn an_ephemeral_cluster_never_takes_a_folder_with_files() -> Result<()> {
    let room = room()?;
    let options = ephemeral(&room).await?;
    let precious = options.data_dir.join("precious");
    fs::create_dir(&options.data_dir)?;
    fs::write(&precious, "mine")?;
    let said = refusal(options).await?;
    assert!(said.contains("is not empty"), "{said}");
    assert!(precious.exists());
    Ok(())
}

#[tokio::test]
async fn a_standby_replays_the_writes_of_its_primary() -> Result<()> {
    let room = room()?;
    let mut primary = Cluster::start(ephemeral(&room).await?).await?;
    ask(&primary, "CREATE TABLE kept (n integer); SELECT 1").await?;
    let standby = primary.start_standby(room.path().join("standby")).await?;
    assert_eq!(ask(&standby, "SELECT pg_is_in_recovery()").await?, "t");
    ask(&primary, "INSERT INTO kept VALUES (7) RETURNING n").await?;
    let deadline = Instant::now() + DEADLINE;
    while ask(&standby, "SELECT count(*) FROM kept").await? != "1" {
        assert!(Instant::now() < deadline, "the row is not replayed");
    }
    let folder = standby.data_dir().to_owned();
    drop(standby);
    assert!(!folder.exists(), "the folder outlived its standby");
    assert_eq!(ask(&primary, "SELECT n FROM kept").await?, "7");
    Ok(())
}
