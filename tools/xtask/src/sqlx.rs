//! `cargo xtask sqlx`: the cache of the queries that catalog-svc checks while it is compiled.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::Path;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result, bail};
use clap::Args;
use dev_postgres::{Cluster, ClusterOptions, Source, find_binaries};
use migrations::Passwords;
use tokio::process::Command;

use crate::build::{cargo, run};
use crate::say::say;
use crate::{root, target};

/// The committed cache, so that the crate compiles without a database.
const CACHE: &str = "catalog-svc/.sqlx";
const ANSWER_MAX: Duration = Duration::from_secs(60);

/// Rewrite the cache of catalog-svc's checked queries (catalog-svc/.sqlx), on a private
/// PostgreSQL
#[derive(Debug, Args)]
pub(crate) struct SqlxArgs {
    /// Write nothing; fail if the cache is out of date
    #[arg(long)]
    check: bool,
}

pub(crate) async fn sqlx(args: SqlxArgs) -> Result<()> {
    let target = target()?;
    let binaries = find_binaries(Source::from_env()?, &target.join("postgres")).await?;
    let options = ClusterOptions::ephemeral(binaries, target.join("sqlx-postgres"));
    let cluster = Cluster::start(options).await?;
    let fresh = target.join("sqlx-cache");
    let made = make(&cluster.url("postgres", "postgres"), &fresh).await;
    cluster.stop().await?;
    made?;
    let (old, new) = (queries(&root().join(CACHE))?, queries(&fresh)?);
    if old == new {
        say(format_args!(
            "{CACHE} is as it should be: {} queries",
            new.len()
        ));
        return Ok(());
    }
    if args.check {
        bail!("{CACHE} is out of date: run `cargo xtask sqlx`, and commit it");
    }
    write(&root().join(CACHE), &new)?;
    say(format_args!("{CACHE} has {} queries now", new.len()));
    Ok(())
}

/// Compiles catalog-svc against a migrated database, which writes the cache into `folder`.
async fn make(url: &str, folder: &Path) -> Result<()> {
    let database = migrations::database(url)?;
    migrations::up(&database, &Passwords::unchanged(), ANSWER_MAX).await?;
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    fs::create_dir_all(folder)?;
    // Else nothing would be compiled, and nothing written.
    let source = root().join("catalog-svc/src/lib.rs");
    File::open(&source)?.set_modified(SystemTime::now())?;
    let mut command = Command::new(cargo());
    command
        .args(["check", "--workspace"])
        .env("SQLX_OFFLINE", "false")
        .env("SQLX_OFFLINE_DIR", folder)
        .env("DATABASE_URL", url);
    run(command).await
}

/// The files of a cache, by name.
fn queries(folder: &Path) -> Result<BTreeMap<String, String>> {
    let mut queries = BTreeMap::new();
    let entries = fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with("query-") {
            queries.insert(name, fs::read_to_string(entry.path())?);
        }
    }
    Ok(queries)
}

/// Makes a folder have these files, and none that was there before.
fn write(folder: &Path, files: &BTreeMap<String, String>) -> Result<()> {
    for name in queries(folder)?.into_keys() {
        fs::remove_file(folder.join(name))?;
    }
    for (name, text) in files {
        fs::write(folder.join(name), text)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cache_is_replaced_as_a_whole() {
        let folder = tempfile::tempdir().expect("a folder");
        let put = |name: &str| fs::write(folder.path().join(name), "{}").expect("a file");
        put("query-old.json");
        put("README");
        let new = BTreeMap::from([("query-new.json".to_owned(), "[]".to_owned())]);
        write(folder.path(), &new).expect("a folder");
        assert_eq!(queries(folder.path()).expect("a folder"), new);
        assert!(folder.path().join("README").exists());
    }
}
