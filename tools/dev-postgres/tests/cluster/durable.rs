//! A durable cluster.

use crate::support::{ask, connect, durable, pid, refusal, room};
use anyhow::Result;
use dev_postgres::Cluster;
use std::fs;

#[tokio::test]
async fn data_are_there_again_at_the_next_start_and_gone_when_fresh() -> Result<()> {
    let room = room()?;
    let cluster = Cluster::start(durable(&room).await?).await?;
    assert_eq!(ask(&cluster, "SHOW fsync").await?, "on");
    let (client, _task) = connect(&cluster).await?;
    client
        .simple_query("CREATE TABLE kept AS SELECT 42 AS answer")
        .await?;
    drop(cluster);

    let cluster = Cluster::start(durable(&room).await?).await?;
    assert_eq!(ask(&cluster, "SELECT answer FROM kept").await?, "42");
    cluster.stop().await?;

    let mut options = durable(&room).await?;
    options.fresh = true;
    let cluster = Cluster::start(options).await?;
    let there = ask(&cluster, "SELECT to_regclass('kept') IS NOT NULL").await?;
    assert_eq!(there, "f");
    cluster.stop().await
}

#[tokio::test]
async fn a_cluster_of_another_release_is_refused() -> Result<()> {
    let room = room()?;
    let options = durable(&room).await?;
    fs::create_dir(&options.data_dir)?;
    fs::write(options.data_dir.join("PG_VERSION"), "12\n")?;
    let folder = options.data_dir.clone();
    let said = refusal(options).await?;
    assert!(said.contains("is a cluster of PostgreSQL 12"), "{said}");
    assert!(said.contains("--fresh"), "{said}");
    assert!(folder.join("PG_VERSION").exists());
    Ok(())
}

#[tokio::test]
async fn a_folder_of_something_else_is_refused_even_when_fresh() -> Result<()> {
    let room = room()?;
    let mut options = durable(&room).await?;
    options.fresh = true;
    let precious = options.data_dir.join("precious");
    fs::create_dir(&options.data_dir)?;
    fs::write(&precious, "mine")?;
    let said = refusal(options).await?;
    assert!(
        said.contains("neither empty nor a PostgreSQL cluster"),
        "{said}"
    );
    assert!(precious.exists());
    Ok(())
}

#[tokio::test]
async fn a_server_already_running_there_is_named() -> Result<()> {
    let room = room()?;
    let cluster = Cluster::start(durable(&room).await?).await?;
    let mut options = durable(&room).await?;
    options.fresh = true;
    let said = refusal(options).await?;
    let who = format!("process {}, port {}", pid(&cluster)?, cluster.port());
    assert!(said.contains(&who), "{said}");
    assert_eq!(ask(&cluster, "SELECT 1").await?, "1", "it was left alone");
    cluster.stop().await
}

#[tokio::test]
async fn a_process_id_in_use_again_does_not_bar_the_way() -> Result<()> {
    let room = room()?;
    let cluster = Cluster::start(durable(&room).await?).await?;
    let file = cluster.data_dir().join("postmaster.pid");
    let text = fs::read_to_string(&file)?;
    let (_, rest) = text.split_once('\n').unwrap_or_default();
    cluster.stop().await?;
    fs::write(&file, format!("{}\n{rest}", std::process::id()))?;
    let cluster = Cluster::start(durable(&room).await?).await?;
    cluster.stop().await
}
