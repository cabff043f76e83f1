//! pgbench as the yardstick: the usual booking transaction, and the best single statements,
//! on the same cluster with no service in front of it.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tempfile::TempDir;
use tokio::process::Command;

use crate::stand::Stand;

/// The scripts of pgbench.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Script {
    /// (a): SELECT … FOR UPDATE, INSERT, UPDATE, COMMIT; then lock, UPDATE, UPDATE, COMMIT.
    Transaction,
    /// (b): one statement to reserve, one to confirm.
    Statement,
    /// The first half of (b), for latency.
    ReserveStatement,
    /// (a) for places: SELECT … FOR UPDATE of the counter, INSERT, UPDATE, COMMIT.
    CounterTransaction,
    /// (b) for places: one statement.
    CounterStatement,
    /// One statement for the nearest free seats that are not locked, next to each other
    /// or not.
    Best,
}

/// pgbench, and its scripts on disk.
pub(crate) struct Pgbench {
    program: PathBuf,
    scripts: TempDir,
}

/// The figures of one run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Measured {
    pub(crate) per_second: f64,
    pub(crate) latency: Duration,
}

impl Script {
    fn text(self) -> &'static str {
        match self {
            Self::Transaction => include_str!("pgbench/transaction.sql"),
            Self::Statement => include_str!("pgbench/statement.sql"),
            Self::ReserveStatement => include_str!("pgbench/reserve_statement.sql"),
            Self::CounterTransaction => include_str!("pgbench/counter_transaction.sql"),
            Self::CounterStatement => include_str!("pgbench/counter_statement.sql"),
            Self::Best => include_str!("pgbench/best.sql"),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Transaction => "transaction.sql",
            Self::Statement => "statement.sql",
            Self::ReserveStatement => "reserve_statement.sql",
            Self::CounterTransaction => "counter_transaction.sql",
            Self::CounterStatement => "counter_statement.sql",
            Self::Best => "best.sql",
        }
    }
}

impl Pgbench {
    /// Finds pgbench next to the server's binaries, or on the PATH.
    pub(crate) fn list_shows(stand: &Stand) -> Result<Self> {
        let on_path = std::env::var_os("PATH").unwrap_or_default();
        let folders = std::iter::once(stand.binaries_folder().to_owned())
            .chain(std::env::split_paths(&on_path));
        let program = folders
            .map(|folder| folder.join("pgbench"))
            .find(|program| program.is_file());
        let program = program.context(
            "pgbench was not found; install postgresql (Debian), postgresql-contrib (Fedora) or \
             postgresql@17 (Homebrew), and run with --postgres system",
        )?;
        let scripts = tempfile::tempdir()?;
        for script in [
            Script::Transaction,
            Script::Statement,
            Script::ReserveStatement,
            Script::CounterTransaction,
            Script::CounterStatement,
            Script::Best,
        ] {
            std::fs::write(scripts.path().join(script.name()), script.text())?;
        }
        Ok(Self { program, scripts })
    }

    /// Makes the usual tables, empty.
    pub(crate) async fn prepare(&self, stand: &Stand, shows: u32, seats: u32) -> Result<()> {
        let owner = stand.owner().await?;
        owner
            .batch_execute(include_str!("pgbench/tables.sql"))
            .await?;
        owner
            .batch_execute(&format!(
                "INSERT INTO usual.seats (show_id, seat_no)
                 SELECT show_id, seat_no
                 FROM generate_series(1, {shows}) AS show_id, generate_series(1, {seats}) AS seat_no"
            ))
            .await?;
        owner
            .batch_execute("VACUUM (FREEZE, ANALYZE) usual.seats")
            .await?;
        Ok(())
    }

    /// Makes the usual tables again, with an arena of this many free seats.
    pub(crate) async fn prepare_arena(&self, stand: &Stand, seats: u32) -> Result<()> {
        let owner = stand.owner().await?;
        let tables = include_str!("pgbench/tables.sql");
        let arena = include_str!("pgbench/arena.sql");
        owner.batch_execute(&format!("{tables}; {arena}")).await?;
        let insert = "INSERT INTO usual.arena (seat_no, place) SELECT n, n FROM generate_series(1, $1::bigint) AS n";
        owner.execute(insert, &[&i64::from(seats)]).await?;
        owner
            .batch_execute("VACUUM (FREEZE, ANALYZE) usual.arena")
            .await?;
        Ok(())
    }

    /// Runs a script so often by each client.
    pub(crate) async fn run_through(
        &self,
        stand: &Stand,
        script: Script,
        clients: u32,
        transactions: u32,
    ) -> Result<Measured> {
        let often = ["--transactions", &transactions.to_string()];
        self.measure(stand, script, clients, &often).await
    }

    /// Runs a script for a while.
    pub(crate) async fn run(
        &self,
        stand: &Stand,
        script: Script,
        clients: u32,
        length: Duration,
        (shows, seats): (u32, u32),
    ) -> Result<Measured> {
        let seconds = length.as_secs().max(1).to_string();
        let (shows, seats) = (format!("shows={shows}"), format!("seats={seats}"));
        let how = ["--time", &seconds, "--define", &shows, "--define", &seats];
        self.measure(stand, script, clients, &how).await
    }

    async fn measure(
        &self,
        stand: &Stand,
        script: Script,
        clients: u32,
        how: &[&str],
    ) -> Result<Measured> {
        let output = Command::new(&self.program)
            .args(["--no-vacuum", "--protocol=prepared"])
            .args([
                "--client",
                &clients.to_string(),
                "--jobs",
                &clients.min(2).to_string(),
            ])
            .args(how)
            .arg("--file")
            .arg(self.scripts.path().join(script.name()))
            .arg(stand.owner_url())
            .stdin(Stdio::null())
            .output()
            .await
            .with_context(|| format!("run {}", self.program.display()))?;
        let text = String::from_utf8_lossy(&output.stdout);
        if !output.status.success() {
            bail!(
                "pgbench failed: {}{}",
                text,
                String::from_utf8_lossy(&output.stderr)
            );
        }
        let figure = |before: &str| -> Option<f64> {
            let line = text.lines().find(|line| line.starts_with(before))?;
            line[before.len()..].split_whitespace().next()?.parse().ok()
        };
        Ok(Measured {
            per_second: figure("tps = ").context("pgbench printed no tps")?,
            latency: Duration::from_secs_f64(
                figure("latency average = ").context("pgbench printed no latency")? / 1_000.0,
            ),
        })
    }
}
