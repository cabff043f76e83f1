//! A server that is killed, and started again.

use crate::support::{alive, ask, connect, durable, ephemeral, pid, room};
use anyhow::Result;
use dev_postgres::Cluster;

#[tokio::test]
async fn it_comes_back_on_the_same_port_with_committed_data() -> Result<()> {
    let room = room()?;
    let mut cluster = Cluster::start(durable(&room).await?).await?;
    let (port, first) = (cluster.port(), pid(&cluster)?);
    let (client, task) = connect(&cluster).await?;
    client
        .simple_query("CREATE TABLE kept AS SELECT 42 AS answer")
        .await?;
    cluster.crash().await?;
    assert!(!alive(first)?);
    assert_eq!(cluster.postmaster_pid(), None);
    task.await?; // The client is cut off.

    cluster.restart().await?;
    assert_eq!(cluster.port(), port);
    assert_ne!(pid(&cluster)?, first);
    assert_eq!(ask(&cluster, "SELECT answer FROM kept").await?, "42");
    let log = std::fs::read_to_string(cluster.log_path())?;
    assert!(log.contains("not properly shut down"), "no crash: {log}");
    cluster.stop().await
}

#[tokio::test]
async fn a_busy_backend_of_the_killed_server_is_waited_for() -> Result<()> {
    let room = room()?;
    let mut cluster = Cluster::start(ephemeral(&room).await?).await?;
    let (client, task) = connect(&cluster).await?;
    // It spins for two seconds without checking whether its postmaster lives.
    let busy = "DO $$ DECLARE start timestamptz := clock_timestamp(); BEGIN \
                WHILE clock_timestamp() < start + interval '2 s' LOOP END LOOP; END $$";
    client.simple_query("SELECT 1").await?;
    let query = tokio::spawn(async move { client.simple_query(busy).await.is_ok() });
    let active = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'DO $$%'";
    while ask(&cluster, active).await? != "1" {}
    cluster.crash().await?;
    cluster.restart().await?;
    assert_eq!(ask(&cluster, "SELECT 1").await?, "1");
    query.await?;
    task.await?;
    cluster.stop().await
}

#[tokio::test]
async fn an_ephemeral_folder_lives_through_a_crash_and_goes_at_the_end() -> Result<()> {
    let room = room()?;
    let mut cluster = Cluster::start(ephemeral(&room).await?).await?;
    let folder = cluster.data_dir().to_owned();
    cluster.crash().await?;
    cluster.crash().await?; // Twice is once.
    assert!(folder.exists());
    cluster.restart().await?;
    cluster.restart().await?; // In good order this time.
    let last = pid(&cluster)?;
    cluster.crash().await?;
    drop(cluster);
    assert!(!alive(last)? && !folder.exists());
    Ok(())
}
