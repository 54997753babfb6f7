//! When an attempt may be made: circuit breaker, rate, parallelism, and what the operator allows.
//!
//! Whoever wants to make an attempt asks the [`AttemptLimiter`] of its subscription and gets a
//! [`Permit`], or learns what to wait for. What came of the attempt goes back with the permit.

mod attempt_times;
mod backlog;
mod breaker;
mod flow;
mod limiter;
mod operator;
mod outage;
mod rate;
mod sinks;

pub use backlog::{BacklogConfig, BacklogLimit};
pub use breaker::{BreakerConfig, BreakerPhase};
pub use flow::Flow;
pub use limiter::{AttemptLimiter, Permit, Traffic, Wait};
pub use operator::{Allowance, OperatorLimits};
pub use sinks::Sinks;
