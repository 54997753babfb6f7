//! Says so when the attempts of a subscription have only failed for too long.

use std::sync::Arc;
use std::time::Duration;

use crate::deliver::outcome::DeliverySignal;
use crate::deliver::worker::Courier;
use crate::event::Timestamp;
use crate::eventlog::Page;

/// How long after it was said it is said again, because a pause may have failed.
const AGAIN: Duration = Duration::from_mins(10);

impl Courier<'_> {
    /// Finds out when the last attempt before a restart was, if failures are being counted.
    pub(super) async fn recall_failures(&mut self) {
        if self.limiter.flow(self.context.clock.now()).failing_since.is_none() {
            return;
        }
        let (id, newest) = (&self.subscription.id, Page { items: 1, ..Page::default() });
        let Ok(attempts) = self.context.store.attempts.attempts(Some(id), None, newest).await
        else {
            tracing::warn!(
                subscription.id = %id,
                "The attempts of subscription {} cannot be read; its failures are counted anew",
                self.subscription.shown(),
            );
            return;
        };
        if let Some(attempt) = attempts.first() {
            self.limiter.remember_failure(attempt.at);
        }
    }

    /// Says so when attempts have only failed for too long.
    pub(super) fn tell_failing(&mut self, now: Timestamp) {
        let flow = self.limiter.flow(now);
        self.progress.note_failing(flow.failing_since);
        let Some(since) = flow.sink_failing_since else { return };
        let told = self.told.is_some_and(|told| told <= now && now.since(told) < AGAIN);
        if !told && now.since(since) >= self.context.pause_after {
            self.told = Some(now);
            let subscription = Arc::clone(&self.subscription);
            self.context.signals.tell(DeliverySignal::OnlyFailing { subscription, since });
        }
    }
}
