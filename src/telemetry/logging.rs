//! Sets up the log of the process.

use std::io::{self, IsTerminal};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::fmt::format::FmtSpan;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::{SubscriberInitExt as _, TryInitError};

use crate::telemetry::bodies::holds_no_body;

/// What is logged, and how.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Config {
    /// Which lines: a level, or levels by room such as `sealway::deliver=debug,info`.
    pub filter: String,
    /// How lines look.
    pub layout: Layout,
}

impl Default for Config {
    /// `info`, laid out for whoever reads.
    fn default() -> Self {
        Self { filter: "info".to_owned(), layout: Layout::Auto }
    }
}

/// How lines of the log look.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Layout {
    /// Text on a terminal, JSON elsewhere.
    Auto,
    /// Text.
    Text,
    /// One JSON object a line.
    Json,
}

/// A log that cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum LoggingError {
    /// The filter cannot be read.
    #[error(
        "`{filter}` is not a log filter: write a level such as `info`, or `sealway::deliver=debug,info`"
    )]
    Filter {
        /// The filter as it was given.
        filter: String,
        /// What its reader said.
        #[source]
        source: tracing_subscriber::filter::ParseError,
    },
    /// The process has a log already.
    #[error("logging is set up twice in one process")]
    Twice,
}

/// Sets up the log of the process, on standard error; `filter` of the command line goes first.
///
/// # Errors
///
/// The caller's turn: the filter cannot be read. Ours: the process has a log already.
pub fn start_logging(config: &Config, filter: Option<&str>) -> Result<(), LoggingError> {
    let filter = filter.unwrap_or(&config.filter);
    let filter = EnvFilter::builder()
        .parse(filter)
        .map_err(|source| LoggingError::Filter { filter: filter.to_owned(), source })?;
    let json = match config.layout {
        Layout::Json => true,
        Layout::Text => false,
        Layout::Auto => !io::stderr().is_terminal(),
    };
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_span_events(FmtSpan::NONE);
    let started = if json {
        let lines = lines.json().flatten_event(true).with_current_span(true).with_span_list(false);
        lines.finish().with(filter_fn(holds_no_body)).try_init()
    } else {
        let lines = lines.with_ansi(io::stderr().is_terminal());
        lines.finish().with(filter_fn(holds_no_body)).try_init()
    };
    started.map_err(|_: TryInitError| LoggingError::Twice)
}
