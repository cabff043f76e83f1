//! Reading metrics as Prometheus does.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long an answer may take.
const ANSWER_MAX: Duration = Duration::from_secs(10);

/// Metrics of one name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Family {
    /// `counter`, `gauge` or `histogram`.
    pub kind: String,
    /// The names of the labels that any of its series has, but a histogram's bounds.
    pub labels: BTreeSet<String>,
    /// How many samples there are, a histogram's buckets among them.
    pub samples: usize,
}

/// The body of an answer 200 to `GET path`.
///
/// # Errors
///
/// If there is no such answer in time.
pub async fn get(address: SocketAddr, path: &str) -> anyhow::Result<String> {
    let asking = async {
        let mut stream = TcpStream::connect(address).await?;
        // Of HTTP 1.0, so that the body comes in one piece and ends with the connection.
        let request = format!("GET {path} HTTP/1.0\r\nhost: {address}\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        let (head, body) = answer.split_once("\r\n\r\n").context("no HTTP")?;
        if !head.contains(" 200 ") {
            bail!(
                "{path}: {}: {body}",
                head.lines().next().unwrap_or_default()
            );
        }
        Ok(body.to_owned())
    };
    let asked = timeout(ANSWER_MAX, asking).await;
    asked.with_context(|| format!("http://{address}{path}: no answer within {ANSWER_MAX:?}"))?
}

/// The families of a page by their names, those of counters with their `_total`.
#[must_use]
pub fn families(page: &str) -> BTreeMap<String, Family> {
    let mut families: BTreeMap<String, Family> = BTreeMap::new();
    for line in page.lines() {
        if let Some(described) = line.strip_prefix("# TYPE ") {
            let (stem, kind) = described.split_once(' ').unwrap_or((described, ""));
            let name = match kind {
                "counter" => format!("{stem}_total"),
                _ => stem.to_owned(),
            };
            families.entry(name).or_default().kind = kind.to_owned();
        } else if let Some((name, labels)) = sample(line)
            && let Some(family) = families.get_mut(family_of(name))
        {
            family.samples += 1;
            family.labels.extend(labels);
        }
    }
    families
}

/// The sum of the samples whose line begins so, as `ticketing_seats_sold_total` or
/// `ticketing_queue_orders{queue="commit"}`.
#[must_use]
pub fn sum(page: &str, series: &str) -> f64 {
    let lines = page.lines().filter_map(|line| line.strip_prefix(series));
    let values = lines.filter(|rest| rest.starts_with([' ', '{', ',']));
    let values = values.filter_map(|rest| rest.rsplit(' ').next()?.parse::<f64>().ok());
    values.sum()
}

/// The family of a sample, or of what an expression names.
#[must_use]
pub fn family_of(name: &str) -> &str {
    ["_bucket", "_sum", "_count"]
        .into_iter()
        .find_map(|suffix| name.strip_suffix(suffix))
        .unwrap_or(name)
}

/// The name of a sample and the names of its labels.
fn sample(line: &str) -> Option<(&str, Vec<String>)> {
    if line.is_empty() || line.starts_with('#') {
        return None;
    }
    let name = &line[..line.find(['{', ' '])?];
    let Some((_, labels)) = line.split_once('{') else {
        return Some((name, Vec::new()));
    };
    let (labels, _) = labels.rsplit_once('}')?;
    let mut names = Vec::new();
    // Our values have no `="`.
    for part in labels.split("=\"") {
        let name = part.rsplit(['"', ',']).next().unwrap_or_default();
        names.push(name.to_owned());
    }
    // Behind the last one is its value.
    names.pop();
    names.retain(|name| name != "le");
    Some((name, names))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "\
# HELP a As
# TYPE a counter
a_total{kind=\"x, y\",of=\"z\"} 3.0
a_total{kind=\"w\"} 4.0
# TYPE b_seconds histogram
b_seconds_sum{of=\"x\"} 2.25
b_seconds_count{of=\"x\"} 2
b_seconds_bucket{le=\"+Inf\",of=\"x\"} 2
# TYPE c gauge
c 1.5
# EOF
";

    #[test]
    fn a_page_is_read() {
        let families = families(PAGE);
        let names: Vec<_> = families.keys().map(String::as_str).collect();
        assert_eq!(names, ["a_total", "b_seconds", "c"]);
        let labels = |name: &str| families[name].labels.iter().cloned().collect::<Vec<_>>();
        assert_eq!(labels("a_total"), ["kind", "of"]);
        assert_eq!(labels("b_seconds"), ["of"]);
        assert_eq!(families["b_seconds"].samples, 3);
        assert_eq!((sum(PAGE, "a_total"), sum(PAGE, "c")), (7.0, 1.5));
        assert_eq!(sum(PAGE, "a_total{kind=\"w\"}"), 4.0);
        assert_eq!(sum(PAGE, "a"), 0.0);
    }
}
