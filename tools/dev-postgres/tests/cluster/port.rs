//! The port.

use crate::support::{ask, ephemeral, refusal, room};
use anyhow::Result;
use dev_postgres::Cluster;
use std::net::TcpListener;

#[tokio::test]
async fn a_taken_port_is_named() -> Result<()> {
    let room = room()?;
    let other = TcpListener::bind("127.0.0.1:0")?;
    let port = other.local_addr()?.port();
    let mut options = ephemeral(&room).await?;
    options.port = Some(port);
    let folder = options.data_dir.clone();
    let said = refusal(options).await?;
    assert!(
        said.contains(&format!("port {port} on 127.0.0.1 is taken")),
        "{said}"
    );
    assert!(!folder.exists(), "nothing is left of the attempt");
    Ok(())
}

#[tokio::test]
async fn a_port_taken_while_the_server_was_down_is_named() -> Result<()> {
    let room = room()?;
    let mut cluster = Cluster::start(ephemeral(&room).await?).await?;
    cluster.crash().await?;
    let other = TcpListener::bind(("127.0.0.1", cluster.port()))?;
    let said = cluster
        .restart()
        .await
        .map_err(|error| format!("{error:#}"));
    let want = format!("port {} on 127.0.0.1 is taken", cluster.port());
    assert!(
        matches!(&said, Err(text) if text.contains(&want)),
        "{said:?}"
    );
    drop(other);
    cluster.restart().await?;
    assert_eq!(ask(&cluster, "SELECT 1").await?, "1");
    cluster.stop().await
}

#[tokio::test]
async fn a_chosen_port_is_the_one() -> Result<()> {
    let room = room()?;
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let mut options = ephemeral(&room).await?;
    options.port = Some(port);
    let cluster = Cluster::start(options).await?;
    assert_eq!(ask(&cluster, "SHOW port").await?, port.to_string());
    assert!(cluster.url("a", "b").ends_with(&format!(":{port}/b")));
    cluster.stop().await
}
