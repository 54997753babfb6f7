//! What the gateway says about itself: logs and metrics.
//!
//! [`start_logging`] sets up the log of the process; [`Metrics`] belongs to one gateway, so that
//! several can run in one process and a test can read its own. Every metric is a row of [`Metric`];
//! there are no names of metrics elsewhere. `docs/logging.md` has the rules for log lines.
//!
//! **Invariant:** no event data, token, key or credential ever passes through here.

mod bodies;
mod error_chain;
mod logging;
mod metric;
mod metrics;

pub use error_chain::error_chain;
pub use logging::{Config, Layout, LoggingError, start_logging};
pub use metric::{Metric, MetricKind};
pub use metrics::{Counter, Gauge, Histogram, Metrics};
