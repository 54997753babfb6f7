//! Tests of patterns that are asked for over the bus: one at a time, and turns go round by access key.

use std::sync::Arc;

use crate::ambient::FairTurns;
use crate::event::json::Limits;
use crate::source::aws::{AwsErrorKind, Refused, operations};

/// However many tests are asked for, they take one core, and whoever asks for many waits for itself.
#[derive(Default)]
pub(super) struct PatternTests(FairTurns<Arc<str>>);

impl PatternTests {
    /// Makes a test when it is the turn of an access key.
    pub(super) async fn test(
        &self,
        access_key: &Arc<str>,
        (body, limits): (Vec<u8>, Limits),
    ) -> Result<String, Refused> {
        let turn = self.0.take(access_key).await;
        let test = move || {
            // Held by the work itself, which goes on when nobody waits for it any more.
            let _turn = turn;
            operations::test_event_pattern(&body, limits)
        };
        let stopped = || Refused::new(AwsErrorKind::InternalFailure, "The gateway is stopping.");
        tokio::task::spawn_blocking(test).await.unwrap_or_else(|_| Err(stopped()))
    }
}
