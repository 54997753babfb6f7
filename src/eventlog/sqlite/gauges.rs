//! What the writer tells about itself.

use std::time::Duration;

use crate::eventlog::Position;
use crate::telemetry::{Gauge, Histogram, Metric, Metrics};

/// Handles of the metrics that the writer sets.
pub(super) struct Gauges {
    group: Histogram,
    sync: Histogram,
    head: Gauge,
}

impl Gauges {
    /// Takes the handles once.
    pub(super) fn of(metrics: &Metrics) -> Self {
        Self {
            group: metrics.histogram(Metric::AppendGroup, &[]),
            sync: metrics.histogram(Metric::SyncSeconds, &[]),
            head: metrics.gauge(Metric::LogHead, &[]),
        }
    }

    /// Tells of a group that was written.
    #[expect(clippy::cast_precision_loss, reason = "a group has far fewer than 2^52 events")]
    pub(super) fn observe(&self, events: usize, sync: Duration, head: Position) {
        self.sync.observe_duration(sync);
        if events > 0 {
            self.group.observe(events as f64);
            self.head.set_count(head.0);
        }
    }
}
