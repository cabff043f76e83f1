//! `cargo xtask metrics-check`: what dashboards and alerts ask for, put to a real Prometheus.
//!
//! Nothing here stands in for a part: the real binaries on a real PostgreSQL, a short sale, and a
//! Prometheus that has the rules of `deploy/monitoring`.

mod prometheus;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use clap::Args;
use serde_json::Value;
use service_kit::args::file;
use test_harness::metered::Metered;
use test_harness::promql::names_in;

use self::prometheus::Prometheus;
use crate::root;
use crate::say::say;

const DASHBOARDS: &str = "deploy/monitoring/dashboards";
const RULES: &str = "deploy/monitoring/rules";
/// What Grafana puts in for its own variable, at the least.
const RATE_INTERVAL: (&str, &str) = ("$__rate_interval", "1m");
/// True once every binary was scraped twice: what is sold then is seen as an increase.
const SCRAPED: &str = "min(count_over_time(up[1m])) >= 2";
/// True once the rules have seen that.
const RECORDED: &str = "ticketing:reserve_seconds:p50_5m > 0";
/// Prometheus takes 5 s to its first scrape.
const SEEN_MAX: Duration = Duration::from_secs(60);

/// Put every query of dashboards and alerts to a real Prometheus, after a short sale
///
/// Starts the services on a database of their own, sells a few seats twice, and prints each query with its
/// present value. Fails if a query is wrong or names a metric that nothing exports. Needs `prometheus`
/// and `promtool`, as of Debian's package `prometheus`; takes a minute beside the build
#[derive(Debug, Args)]
pub(crate) struct MetricsCheckArgs {
    /// The folder that `prometheus` and `promtool` are in; if not said, they are looked for in PATH
    #[arg(long, value_name = "FOLDER", value_parser = file)]
    prometheus: Option<PathBuf>,
}

/// An expression, and where it stands.
struct Query {
    place: String,
    expression: String,
}

/// Runs the check.
pub(crate) async fn metrics_check(args: MetricsCheckArgs) -> Result<()> {
    let programs = prometheus::Programs::find(args.prometheus.as_deref()).await?;
    programs.check_rules(&root().join(RULES)).await?;
    let dashboards = dashboard_queries(&root().join(DASHBOARDS))?;
    say("building and starting the services");
    let system = Metered::start().await;
    say(
        "selling a few seats, and waiting for a hold to end; then again, before the eyes of Prometheus",
    );
    system.sale().await;
    let prometheus = Prometheus::start(&programs, &root().join(RULES), &system.metrics).await?;
    prometheus.until(SCRAPED, SEEN_MAX).await?;
    system.sale().await;
    prometheus.until(RECORDED, SEEN_MAX).await?;
    let rules = prometheus.rules().await?;
    let known: BTreeSet<String> = prometheus.names().await?.into_iter().collect();
    let mut wrong = Vec::new();
    for query in dashboards.iter().chain(&rules) {
        let expression = query.expression.replace(RATE_INTERVAL.0, RATE_INTERVAL.1);
        let told = match prometheus.ask(&expression).await {
            Ok(value) => value,
            Err(error) => {
                wrong.push(format!("{}: {error:#}", query.place));
                format!("{error:#}")
            }
        };
        say(format_args!("{:<60} {told}", query.place));
        for name in names_in(&expression) {
            if !known.contains(&name) {
                wrong.push(format!("{}: nothing exports {name}", query.place));
            }
        }
    }
    prometheus.stop().await?;
    if !wrong.is_empty() {
        bail!("{} queries are wrong:\n{}", wrong.len(), wrong.join("\n"));
    }
    say(format_args!(
        "{} queries of dashboards and {} of rules are answered",
        dashboards.len(),
        rules.len()
    ));
    Ok(())
}

/// Every query of the dashboards in a folder.
fn dashboard_queries(folder: &Path) -> Result<Vec<Query>> {
    let mut queries = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        let about = || path.display().to_string();
        let text = fs::read(&path).with_context(about)?;
        let dashboard: Value = serde_json::from_slice(&text).with_context(about)?;
        let title = dashboard["title"].as_str().unwrap_or_default();
        let panels = dashboard["panels"].as_array().with_context(about)?;
        for panel in panels {
            let of_panel = panel["title"].as_str().unwrap_or_default();
            for target in panel["targets"].as_array().into_iter().flatten() {
                let expression = target["expr"].as_str().with_context(about)?;
                queries.push(Query {
                    place: format!("{title} / {of_panel}"),
                    expression: expression.to_owned(),
                });
            }
        }
    }
    if queries.is_empty() {
        bail!("{} has no dashboard with a query", folder.display());
    }
    Ok(queries)
}
