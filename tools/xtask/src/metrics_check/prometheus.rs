//! A Prometheus of our own, which scrapes the services for as long as the check takes.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use test_harness::lifeline::{Ending, Lifeline};
use test_harness::process::free_address;
use test_harness::scrape;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};

use super::Query;

/// How often it scrapes, and evaluates the rules.
const SCRAPE_INTERVAL: Duration = Duration::from_secs(1);
/// What is said of an expression that has no series.
const NOTHING: &str = "nothing";
const READY_MAX: Duration = Duration::from_secs(20);
const LOOK: Duration = Duration::from_millis(100);
/// How much of an answer is shown.
const SHOWN_SERIES_MAX: usize = 3;

/// The programs of Prometheus.
pub(super) struct Programs {
    prometheus: PathBuf,
    promtool: PathBuf,
}

impl Programs {
    /// Finds them in `folder`, else in PATH.
    pub(super) async fn find(folder: Option<&Path>) -> Result<Self> {
        let program = |name: &str| folder.map_or_else(|| name.into(), |folder| folder.join(name));
        let programs = Self {
            prometheus: program("prometheus"),
            promtool: program("promtool"),
        };
        for program in [&programs.prometheus, &programs.promtool] {
            let asked = Command::new(program).arg("--version").output().await;
            asked.with_context(|| {
                format!(
                    "run {}: install Prometheus (Debian's package `prometheus`), or name its folder \
                     with --prometheus",
                    program.display()
                )
            })?;
        }
        Ok(programs)
    }

    /// Has promtool look at every rule file in a folder.
    pub(super) async fn check_rules(&self, folder: &Path) -> Result<()> {
        for entry in std::fs::read_dir(folder).with_context(|| folder.display().to_string())? {
            let path = entry?.path();
            let mut command = Command::new(&self.promtool);
            let checked = command.args(["check", "rules"]).arg(&path).output().await?;
            if !checked.status.success() {
                let told = String::from_utf8_lossy(&checked.stderr).into_owned();
                bail!("{}: {told}", path.display());
            }
        }
        Ok(())
    }
}

/// A running Prometheus. Killed when dropped, and when this process ends.
pub(super) struct Prometheus {
    address: SocketAddr,
    child: Child,
    _lifeline: Lifeline,
    _folder: tempfile::TempDir,
}

impl Prometheus {
    /// Starts it with the rules of a folder, to scrape these jobs; it is ready when this returns.
    pub(super) async fn start(
        programs: &Programs,
        rules: &Path,
        jobs: &[(&str, SocketAddr)],
    ) -> Result<Self> {
        let folder = tempfile::tempdir().context("a folder for Prometheus")?;
        let config = folder.path().join("prometheus.yaml");
        tokio::fs::write(&config, config_of(rules, jobs)).await?;
        let address = free_address();
        let mut child = Command::new(&programs.prometheus)
            .arg(format!("--config.file={}", config.display()))
            .arg(format!(
                "--storage.tsdb.path={}",
                folder.path().join("data").display()
            ))
            .arg(format!("--web.listen-address={address}"))
            .arg("--log.level=error")
            .stdin(Stdio::null())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .context("start Prometheus")?;
        let id = child.id().context("a child has an id until it has ended")?;
        let lifeline = Lifeline::tie(id, Ending::Kill).context("run `sh`")?;
        let deadline = Instant::now() + READY_MAX;
        while let Err(error) = scrape::get(address, "/-/ready").await {
            if let Some(status) = child.try_wait()? {
                bail!("Prometheus ended by itself ({status}): see its log above");
            }
            if Instant::now() >= deadline {
                bail!("Prometheus is not ready within {READY_MAX:?}: {error:#}");
            }
            sleep(LOOK).await;
        }
        Ok(Self {
            address,
            child,
            _lifeline: lifeline,
            _folder: folder,
        })
    }

    pub(super) async fn stop(mut self) -> Result<()> {
        self.child.kill().await.context("end Prometheus")
    }

    /// Waits until an expression has a series.
    pub(super) async fn until(&self, expression: &str, longest: Duration) -> Result<()> {
        let deadline = Instant::now() + longest;
        while self.ask(expression).await? == NOTHING {
            if Instant::now() >= deadline {
                bail!("not within {longest:?}: {expression}");
            }
            sleep(LOOK).await;
        }
        Ok(())
    }

    /// The present value of an expression, in words.
    pub(super) async fn ask(&self, expression: &str) -> Result<String> {
        let path = format!("/api/v1/query?query={}", escape(expression));
        let data = self.data(&path).await?;
        let series = match data["resultType"].as_str() {
            Some("vector") => data["result"].as_array().cloned().unwrap_or_default(),
            // A number by itself.
            _ => return Ok(data["result"][1].as_str().unwrap_or_default().to_owned()),
        };
        let shown = series.iter().take(SHOWN_SERIES_MAX).map(in_words);
        let shown: Vec<String> = shown.collect();
        let rest = series.len().saturating_sub(SHOWN_SERIES_MAX);
        Ok(match (shown.is_empty(), rest) {
            (true, _) => NOTHING.to_owned(),
            (false, 0) => shown.join(", "),
            (false, _) => format!("{} and {rest} more", shown.join(", ")),
        })
    }

    /// The names of all series.
    pub(super) async fn names(&self) -> Result<Vec<String>> {
        let names = self.data("/api/v1/label/__name__/values").await?;
        Ok(serde_json::from_value(names)?)
    }

    /// The expressions of all rules, as Prometheus has read them.
    pub(super) async fn rules(&self) -> Result<Vec<Query>> {
        let data = self.data("/api/v1/rules").await?;
        let mut queries = Vec::new();
        for group in data["groups"].as_array().into_iter().flatten() {
            for rule in group["rules"].as_array().into_iter().flatten() {
                let name = rule["name"].as_str().unwrap_or_default();
                if rule["health"] != "ok" {
                    bail!("the rule {name} is not well: {}", rule["lastError"]);
                }
                let query = rule["query"].as_str().context("a rule without a query")?;
                queries.push(Query {
                    place: format!("{} / {name}", rule["type"].as_str().unwrap_or_default()),
                    expression: query.to_owned(),
                });
            }
        }
        if queries.is_empty() {
            bail!("Prometheus has no rules");
        }
        Ok(queries)
    }

    async fn data(&self, path: &str) -> Result<Value> {
        let body = scrape::get(self.address, path).await?;
        let mut answer: Value = serde_json::from_str(&body)?;
        Ok(answer["data"].take())
    }
}

/// A series of an answer.
fn in_words(series: &Value) -> String {
    let labels = series["metric"].as_object();
    let labels = labels.into_iter().flatten();
    let labels = labels.filter(|(name, _)| !["__name__", "instance"].contains(&name.as_str()));
    let labels: Vec<_> = labels
        .map(|(name, value)| format!("{name}={}", value.as_str().unwrap_or_default()))
        .collect();
    let value = series["value"][1].as_str().unwrap_or_default();
    if labels.is_empty() {
        value.to_owned()
    } else {
        format!("{{{}}} {value}", labels.join(","))
    }
}

fn config_of(rules: &Path, jobs: &[(&str, SocketAddr)]) -> String {
    let interval = SCRAPE_INTERVAL.as_secs();
    let mut config = format!(
        "global: {{scrape_interval: {interval}s, evaluation_interval: {interval}s}}\n\
         rule_files: [\"{}/*.yaml\"]\n\
         scrape_configs:\n",
        rules.display()
    );
    for (job, address) in jobs {
        config +=
            &format!("  - {{job_name: {job}, static_configs: [{{targets: [\"{address}\"]}}]}}\n");
    }
    config
}

/// An expression as a part of a URL.
fn escape(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}
