//! What a scrape brings: families of series by name, each series once, in a fixed order.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::exemplar::Exemplar;
use prometheus_client::registry::Registry;

use super::value::{Counter, CounterBy, Gauge, Histogram, Snapshot};

/// What the name of every counter ends with.
const TOTAL: &str = "_total";

type Labels = Vec<(&'static str, Cow<'static, str>)>;

/// The metrics as they are at one time. A series that is written twice counts as written last.
#[derive(Debug, Default)]
pub struct Page {
    families: BTreeMap<&'static str, Family>,
}

#[derive(Debug)]
struct Family {
    help: &'static str,
    kind: MetricType,
    series: BTreeMap<Labels, Value>,
}

#[derive(Debug)]
enum Value {
    Counter(f64),
    Gauge(f64),
    Histogram(Snapshot),
}

impl Page {
    /// A counter, whose name ends with `_total`.
    pub fn counter(
        &mut self,
        name: &'static str,
        help: &'static str,
        labels: &[(&'static str, &'static str)],
        counter: &Counter,
    ) {
        self.count(name, help, fixed(labels), counter.get());
    }

    /// Counters by their labels' values; `keys` names the labels.
    pub fn counter_by<const N: usize>(
        &mut self,
        name: &'static str,
        help: &'static str,
        keys: [&'static str; N],
        counters: &CounterBy<N>,
    ) {
        for (values, count) in counters.counts() {
            let labels = keys.into_iter().zip(values.map(Cow::Borrowed));
            self.count(name, help, labels.collect(), count);
        }
    }

    /// A counter that is kept elsewhere.
    #[expect(clippy::cast_precision_loss, reason = "exact up to 2^53")]
    pub(crate) fn count(
        &mut self,
        name: &'static str,
        help: &'static str,
        labels: Labels,
        count: u64,
    ) {
        self.add(name, help, labels, Value::Counter(count as f64));
    }

    /// A counter of seconds that is kept elsewhere.
    pub(super) fn seconds(&mut self, name: &'static str, help: &'static str, seconds: f64) {
        self.add(name, help, Labels::new(), Value::Counter(seconds));
    }

    /// A number as it is now.
    pub fn gauge(
        &mut self,
        name: &'static str,
        help: &'static str,
        labels: &[(&'static str, &'static str)],
        value: f64,
    ) {
        self.add(name, help, fixed(labels), Value::Gauge(value));
    }

    /// A number of things, or bytes, as it is now.
    #[expect(clippy::cast_precision_loss, reason = "exact up to 2^53")]
    pub fn amount(
        &mut self,
        name: &'static str,
        help: &'static str,
        labels: &[(&'static str, &'static str)],
        amount: usize,
    ) {
        self.gauge(name, help, labels, amount as f64);
    }

    /// A number, once it is known.
    pub fn known(&mut self, name: &'static str, help: &'static str, gauge: &Gauge) {
        if let Some(value) = gauge.get() {
            self.gauge(name, help, &[], value);
        }
    }

    /// A histogram.
    pub fn histogram(
        &mut self,
        name: &'static str,
        help: &'static str,
        labels: &[(&'static str, &'static str)],
        histogram: &Histogram,
    ) {
        self.histogram_of(name, help, fixed(labels), histogram);
    }

    /// A histogram whose labels are made up as it is written.
    pub(super) fn histogram_of(
        &mut self,
        name: &'static str,
        help: &'static str,
        labels: Labels,
        histogram: &Histogram,
    ) {
        let snapshot = histogram.snapshot();
        self.add(name, help, labels, Value::Histogram(snapshot));
    }

    fn add(&mut self, name: &'static str, help: &'static str, labels: Labels, value: Value) {
        let kind = match value {
            Value::Counter(_) => MetricType::Counter,
            Value::Gauge(_) => MetricType::Gauge,
            Value::Histogram(_) => MetricType::Histogram,
        };
        debug_assert_eq!(kind == MetricType::Counter, name.ends_with(TOTAL), "{name}");
        let family = self.families.entry(name).or_insert(Family {
            help,
            kind,
            series: BTreeMap::new(),
        });
        family.series.insert(labels, value);
    }

    /// As OpenMetrics text.
    pub(super) fn into_text(self) -> String {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(self));
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = prometheus_client::encoding::text::encode(&mut text, &registry);
        text
    }
}

fn fixed(labels: &[(&'static str, &'static str)]) -> Labels {
    let each = labels.iter();
    each.map(|(key, value)| (*key, Cow::Borrowed(*value)))
        .collect()
}

impl Collector for Page {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for (name, family) in &self.families {
            let stem = name.strip_suffix(TOTAL).unwrap_or(name);
            let mut described = encoder.encode_descriptor(stem, family.help, None, family.kind)?;
            for (labels, value) in &family.series {
                if labels.is_empty() {
                    encode(value, &mut described)?;
                } else {
                    encode(value, &mut described.encode_family(labels)?)?;
                }
            }
        }
        Ok(())
    }
}

fn encode(value: &Value, encoder: &mut MetricEncoder<'_>) -> fmt::Result {
    match value {
        Value::Counter(count) => {
            let none: Option<&Exemplar<NoLabelSet, f64>> = None;
            encoder.encode_counter(count, none)
        }
        Value::Gauge(value) => encoder.encode_gauge(value),
        Value::Histogram(Snapshot { buckets, sum }) => {
            let count = buckets.iter().map(|(_, count)| count).sum();
            encoder.encode_histogram::<NoLabelSet>(*sum, count, buckets, None)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_each_family_once_and_each_series_once() {
        let mut page = Page::default();
        let (counter, histogram) = (Counter::new(), Histogram::new(&[0.5]));
        counter.add(3);
        histogram.observe(0.25);
        histogram.observe(2.0);
        page.gauge("b_bytes", "Bytes", &[("of", "y")], 1.5);
        page.counter("a_total", "As", &[("kind", "k\"q\"")], &counter);
        page.amount("b_bytes", "Bytes", &[("of", "x")], 7);
        page.amount("b_bytes", "Bytes", &[("of", "x")], 8);
        page.histogram("c_seconds", "Time", &[], &histogram);
        page.known("d", "Unknown", &Gauge::unknown());
        let expected = "\
# HELP a As
# TYPE a counter
a_total{kind=\"k\\\"q\\\"\"} 3.0
# HELP b_bytes Bytes
# TYPE b_bytes gauge
b_bytes{of=\"x\"} 8.0
b_bytes{of=\"y\"} 1.5
# HELP c_seconds Time
# TYPE c_seconds histogram
c_seconds_sum 2.25
c_seconds_count 2
c_seconds_bucket{le=\"0.5\"} 1
c_seconds_bucket{le=\"+Inf\"} 2
# EOF
";
        assert_eq!(page.into_text(), expected);
    }
}
