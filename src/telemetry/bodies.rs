//! Keeps the lines of libraries out of the log that hold whole messages.

use tracing::{Level, Metadata};

/// With what the names of the AWS SDK's crates begin.
const SDK: &str = "aws_";

/// Whether a line can hold no body of a request or an answer. The AWS SDK writes whole messages at `trace`,
/// which are event data: no filter of an operator lets them in.
pub(super) fn holds_no_body(line: &Metadata<'_>) -> bool {
    *line.level() < Level::TRACE || !line.target().starts_with(SDK)
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::filter::filter_fn;
    use tracing_subscriber::layer::{Context, SubscriberExt as _};
    use tracing_subscriber::{Layer, Registry};

    use super::*;

    struct Targets(Arc<Mutex<Vec<String>>>);

    impl<S: tracing::Subscriber> Layer<S> for Targets {
        fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
            let (level, target) = (event.metadata().level(), event.metadata().target());
            self.0.lock().unwrap().push(format!("{target} {level}"));
        }
    }

    #[test]
    fn the_sdks_messages_are_left_out_at_every_level_that_an_operator_sets() {
        let seen = Arc::default();
        let lines = Registry::default().with(Targets(Arc::clone(&seen)));
        tracing::subscriber::with_default(lines.with(filter_fn(holds_no_body)), || {
            tracing::trace!(target: "aws_smithy_runtime::client", "the body");
            tracing::debug!(target: "aws_smithy_runtime::client", "a call");
            tracing::trace!(target: "sealway::source", "a line");
        });

        assert_eq!(
            *seen.lock().unwrap(),
            ["aws_smithy_runtime::client DEBUG", "sealway::source TRACE"]
        );
    }
}
