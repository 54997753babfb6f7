//! The metrics of one gateway: counted without locks, shown as Prometheus text.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::telemetry::{Metric, MetricKind};

/// Counts up.
#[derive(Clone, Debug)]
pub struct Counter(Arc<Series>);

/// Shows a level.
#[derive(Clone, Debug)]
pub struct Gauge(Arc<Series>);

/// Spreads observations over buckets.
#[derive(Clone, Debug)]
pub struct Histogram(Arc<Series>);

/// One metric with one set of label values.
///
/// A counter uses `total`; a gauge keeps the bits of a float there; a histogram keeps the bits of
/// the sum there, and how many observations fell into each bucket.
#[derive(Debug)]
struct Series {
    total: AtomicU64,
    bounds: &'static [f64],
    buckets: Box<[AtomicU64]>,
}

/// Every series of one gateway.
///
/// Take a handle once where events pass by the thousand, for example
/// `metrics.counter(Metric::Delivered, &["orders"])`, and keep it: using it takes no lock.
#[derive(Debug, Default)]
pub struct Metrics {
    series: Mutex<BTreeMap<Metric, Vec<LabelledSeries>>>,
}

/// The values of a metric's labels, in the order of which its series stand, so that one is found
/// without a copy of them.
type LabelledSeries = (Vec<String>, Arc<Series>);

impl Metrics {
    /// Starts with nothing counted.
    pub fn new() -> Self {
        Self::default()
    }

    /// The counter with these label values, in the order of [`Metric::labels`].
    pub fn counter(&self, metric: Metric, labels: &[&str]) -> Counter {
        debug_assert_eq!(metric.kind(), MetricKind::Counter, "{metric:?}");
        Counter(self.series(metric, labels))
    }

    /// The gauge with these label values, in the order of [`Metric::labels`].
    pub fn gauge(&self, metric: Metric, labels: &[&str]) -> Gauge {
        debug_assert_eq!(metric.kind(), MetricKind::Gauge, "{metric:?}");
        Gauge(self.series(metric, labels))
    }

    /// The histogram with these label values, in the order of [`Metric::labels`].
    pub fn histogram(&self, metric: Metric, labels: &[&str]) -> Histogram {
        debug_assert!(matches!(metric.kind(), MetricKind::Histogram(_)), "{metric:?}");
        Histogram(self.series(metric, labels))
    }

    /// Drops the series with this label value, for example when a subscription is gone.
    pub fn forget(&self, label: &str, value: &str) {
        let mut series = self.series.lock().unwrap_or_else(PoisonError::into_inner);
        for (metric, series) in series.iter_mut() {
            let names = metric.labels();
            series.retain(|(values, _)| {
                !names.iter().zip(values).any(|(name, found)| *name == label && found == value)
            });
        }
    }

    /// Drops every series of a metric, for example before another takes its place.
    pub fn leave_out(&self, metric: Metric) {
        let mut series = self.series.lock().unwrap_or_else(PoisonError::into_inner);
        series.remove(&metric);
    }

    /// Writes everything that is kept in the Prometheus text format, version 0.0.4.
    pub fn render(&self) -> String {
        let mut text = String::new();
        for metric in Metric::ALL {
            let mut lines = String::new();
            self.render_series(*metric, &mut lines);
            if !lines.is_empty() {
                text.push_str(&metric.head());
                text.push_str(&lines);
            }
        }
        text
    }

    /// Writes the series of one metric, without its head.
    pub fn render_series(&self, metric: Metric, text: &mut String) {
        let series = self.series.lock().unwrap_or_else(PoisonError::into_inner);
        for (values, series) in series.get(&metric).into_iter().flatten() {
            // Writing to a string cannot fail.
            let _ = series.render(text, metric, values);
        }
    }

    /// Whether a series is kept.
    pub fn has(&self, metric: Metric, labels: &[&str]) -> bool {
        let series = self.series.lock().unwrap_or_else(PoisonError::into_inner);
        series.get(&metric).is_some_and(|series| place_of(series, labels).is_ok())
    }

    fn series(&self, metric: Metric, labels: &[&str]) -> Arc<Series> {
        debug_assert_eq!(metric.labels().len(), labels.len(), "{metric:?}");
        let mut series = self.series.lock().unwrap_or_else(PoisonError::into_inner);
        let series = series.entry(metric).or_default();
        match place_of(series, labels).map(|at| series.get(at)) {
            Ok(Some((_, known))) => Arc::clone(known),
            Ok(None) => Arc::new(Series::new(metric)),
            Err(at) => {
                let new = Arc::new(Series::new(metric));
                let labels = labels.iter().map(|&value| value.to_owned()).collect();
                series.insert(at, (labels, Arc::clone(&new)));
                new
            }
        }
    }
}

/// Where a series stands or would stand.
fn place_of(series: &[LabelledSeries], labels: &[&str]) -> Result<usize, usize> {
    series.binary_search_by(|(values, _)| {
        values.iter().map(String::as_str).cmp(labels.iter().copied())
    })
}

impl Metric {
    /// The lines that come before its series in the Prometheus text format.
    pub fn head(self) -> String {
        let (name, kind) = (self.name(), word(self.kind()));
        format!("# HELP {name} {}\n# TYPE {name} {kind}\n", self.help().trim())
    }

    /// Writes the line of a series that is not kept.
    pub fn sample(self, labels: &[&str], value: u64, text: &mut String) {
        let labels: Vec<String> = labels.iter().map(|&value| value.to_owned()).collect();
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{}{} {value}", self.name(), Labels(self, &labels, None));
    }
}

impl Counter {
    /// Adds one.
    pub fn increment(&self) {
        self.add(1);
    }

    /// Adds a number.
    pub fn add(&self, number: u64) {
        self.0.total.fetch_add(number, Relaxed);
    }

    /// What was counted so far.
    pub fn value(&self) -> u64 {
        self.0.total.load(Relaxed)
    }
}

impl Gauge {
    /// Sets the level.
    pub fn set(&self, level: f64) {
        self.0.total.store(level.to_bits(), Relaxed);
    }

    /// Sets the level to a whole number; beyond 2⁵³ it is rounded.
    #[expect(clippy::cast_precision_loss, reason = "a gauge is read by people, to three digits")]
    pub fn set_count(&self, level: u64) {
        self.set(level as f64);
    }
}

impl Histogram {
    /// Adds one observation, in the unit of the metric's name.
    pub fn observe(&self, value: f64) {
        let at = self.0.bounds.partition_point(|bound| *bound < value);
        if let Some(bucket) = self.0.buckets.get(at) {
            bucket.fetch_add(1, Relaxed);
        }
        let add = |bits| Some((f64::from_bits(bits) + value).to_bits());
        // The closure always gives a value, so the update cannot fail.
        let _ = self.0.total.fetch_update(Relaxed, Relaxed, add);
    }

    /// Adds a duration, in seconds.
    pub fn observe_duration(&self, span: Duration) {
        self.observe(span.as_secs_f64());
    }
}

impl Series {
    fn new(metric: Metric) -> Self {
        let bounds = match metric.kind() {
            MetricKind::Histogram(bounds) => bounds,
            MetricKind::Counter | MetricKind::Gauge => &[],
        };
        // The bits of 0.0 are 0, so one start serves all kinds. The last bucket is `+Inf`.
        let buckets = (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect();
        Self { total: AtomicU64::new(0), bounds, buckets }
    }

    fn render(&self, text: &mut String, metric: Metric, values: &[String]) -> fmt::Result {
        let (name, total) = (metric.name(), self.total.load(Relaxed));
        match metric.kind() {
            MetricKind::Counter => writeln!(text, "{name}{} {total}", Labels(metric, values, None)),
            MetricKind::Gauge => {
                writeln!(text, "{name}{} {}", Labels(metric, values, None), f64::from_bits(total))
            }
            MetricKind::Histogram(bounds) => {
                let mut seen = 0;
                let bounds = bounds.iter().copied().chain([f64::INFINITY]);
                for (bound, bucket) in bounds.zip(&self.buckets) {
                    seen += bucket.load(Relaxed);
                    writeln!(text, "{name}_bucket{} {seen}", Labels(metric, values, Some(bound)))?;
                }
                let labels = Labels(metric, values, None);
                writeln!(text, "{name}_sum{labels} {}", f64::from_bits(total))?;
                writeln!(text, "{name}_count{labels} {seen}")
            }
        }
    }
}

const fn word(kind: MetricKind) -> &'static str {
    match kind {
        MetricKind::Counter => "counter",
        MetricKind::Gauge => "gauge",
        MetricKind::Histogram(_) => "histogram",
    }
}

/// The labels of a series in braces; `le` is the upper bound of a bucket.
struct Labels<'a>(Metric, &'a [String], Option<f64>);

impl fmt::Display for Labels<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(metric, values, bound) = self;
        let mut separator = '{';
        for (name, value) in metric.labels().iter().zip(*values) {
            let value = value.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n");
            write!(f, "{separator}{name}=\"{value}\"")?;
            separator = ',';
        }
        match bound {
            Some(bound) if bound.is_infinite() => write!(f, "{separator}le=\"+Inf\"}}"),
            Some(bound) => write!(f, "{separator}le=\"{bound}\"}}"),
            None if separator == ',' => f.write_char('}'),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_is_what_prometheus_reads() {
        let metrics = Metrics::new();
        metrics.counter(Metric::Attempts, &["a\"b", "delivered"]).add(3);
        metrics.gauge(Metric::LogHead, &[]).set_count(7);
        metrics.histogram(Metric::AppendGroup, &[]).observe(2.0);
        metrics.histogram(Metric::AppendGroup, &[]).observe(5000.0);

        let text = metrics.render();

        assert!(text.contains("# TYPE sealway_attempts_total counter\n"), "{text}");
        assert!(
            text.contains(r#"sealway_attempts_total{subscription="a\"b",verdict="delivered"} 3"#)
        );
        assert!(text.contains("sealway_log_head_position 7\n"));
        assert!(text.contains("sealway_append_group_events_bucket{le=\"1\"} 0\n"));
        assert!(text.contains("sealway_append_group_events_bucket{le=\"2\"} 1\n"));
        assert!(text.contains("sealway_append_group_events_bucket{le=\"+Inf\"} 2\n"));
        assert!(text.contains("sealway_append_group_events_sum 5002\n"));
        assert!(text.contains("sealway_append_group_events_count 2\n"));
    }

    #[test]
    fn a_forgotten_subscription_leaves_no_series() {
        let metrics = Metrics::new();
        metrics.counter(Metric::Delivered, &["gone"]).increment();
        metrics.counter(Metric::Delivered, &["here"]).increment();

        metrics.forget("subscription", "gone");

        assert!(!metrics.render().contains("gone") && metrics.render().contains("here"));
    }
}
