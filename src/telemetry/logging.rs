//! Sets up the log of the process.

use std::borrow::Cow;
use std::io::{self, IsTerminal};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::{LevelFilter, filter_fn};
use tracing_subscriber::fmt::format::FmtSpan;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::{SubscriberInitExt as _, TryInitError};

use crate::telemetry::bodies::holds_no_body;

/// With what the names of the AWS SDK's crates begin.
const SDK: &str = "aws_";

/// What is logged, and how.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Config {
    /// Which lines: a level, or levels by room such as `sealway::deliver=debug,info`. Of the AWS
    /// SDK only errors, unless this names its crates, such as `aws_config=info,info`.
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
        .parse(with_quiet_sdk(filter))
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

/// A filter that leaves out what the AWS SDK says of calls that fail: whoever made the call says it, once
/// and without dumps. An operator who names the SDK in the filter is obeyed.
fn with_quiet_sdk(filter: &str) -> Cow<'_, str> {
    let directives = || filter.split(',').map(str::trim);
    let names_sdk = directives().any(|one| one.starts_with(SDK));
    let level = directives().filter_map(|one| one.parse::<LevelFilter>().ok()).next_back();
    if names_sdk || level.is_none_or(|level| level <= LevelFilter::ERROR) {
        return Cow::Borrowed(filter);
    }
    // A target of a filter stands for all that begin with it.
    Cow::Owned(format!("{SDK}=error,{filter}"))
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::fmt::MakeWriter;

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl MakeWriter<'_> for Lines {
        type Writer = Self;

        fn make_writer(&self) -> Self {
            self.clone()
        }
    }

    fn logged(filter: &str) -> String {
        let lines = Lines::default();
        let filter = EnvFilter::builder().parse(with_quiet_sdk(filter)).unwrap();
        let subscriber =
            tracing_subscriber::fmt().with_env_filter(filter).with_writer(lines.clone()).finish();
        tracing::subscriber::with_default(subscriber, || {
            tracing::warn!(target: "aws_config::sts::assume_role", "sdk warns");
            tracing::error!(target: "aws_config::sts::assume_role", "sdk fails");
            tracing::info!(target: "sealway::aws", "gateway says");
        });
        String::from_utf8(lines.0.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn the_aws_sdk_speaks_of_errors_only_unless_the_operator_names_it() {
        for filter in ["info", "sealway::deliver=debug,info"] {
            let lines = logged(filter);
            assert!(!lines.contains("sdk warns"), "{lines}");
            assert!(lines.contains("sdk fails") && lines.contains("gateway says"), "{lines}");
        }
        assert!(logged("info,aws_config=warn").contains("sdk warns"));
        assert_eq!(logged("off"), "");
    }
}
