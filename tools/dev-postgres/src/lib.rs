//! A private PostgreSQL server for development and tests.
//!
//! This crate owns two things: finding PostgreSQL's server programs (those of the machine, or
//! a downloaded copy), and running a private cluster that never outlives its owner.
//!
//! ```no_run
//! # async fn example() -> anyhow::Result<()> {
//! use dev_postgres::{Cluster, ClusterOptions, Source, find_binaries};
//!
//! let binaries = find_binaries(Source::from_env()?, "target/postgres".as_ref()).await?;
//! let cluster = Cluster::start(ClusterOptions::ephemeral(binaries, "target/pg-1")).await?;
//! let url = cluster.url("postgres", "postgres");
//! # drop(url);
//! cluster.stop().await?;
//! # Ok(())
//! # }
//! ```
//!
//! What must always hold:
//!
//! - The server ends with the process that started it, even when that process is killed
//!   without a chance to tidy up. A small shell process ensures that (`guard.sh`).
//! - An ephemeral cluster's folder goes with it; a durable one's stays as it was.
//! - Only a folder that this crate made, or that is a PostgreSQL cluster, is ever deleted.
//! - The server listens on 127.0.0.1 alone, and trusts every connection from there: it is for
//!   development and tests, never for data that matters.
//! - PostgreSQL refuses to run as root: started by root, it runs under an ordinary account.
//!
//! Unix only: it leans on process groups, signals and `sh`.

mod account;
mod cluster;
mod data_dir;
mod download;
mod find;
mod guard;
mod launch;
mod pidfile;
mod source;
mod tls;
mod version;

pub use cluster::{Cluster, ClusterOptions};
pub use find::{Binaries, find_binaries};
pub use source::{Source, external_url};
pub use tls::ServerTls;
pub use version::Version;

use anyhow::Context;

/// Runs blocking work (processes, files) off the runtime's own threads.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> anyhow::Result<T> + Send + 'static,
) -> anyhow::Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .context("a blocking task did not finish")?
}
