//! Gives up what the backlog of a courier cannot hold.

use crate::deliver::worker::Courier;
use crate::deliver::worker::expiry::Backlog;

impl Courier {
    /// Gives up matches that the backlog cannot hold, whether or not the sink is asked.
    pub(super) async fn expire(&mut self) {
        if self.held {
            return;
        }
        let backlog = Backlog {
            context: &self.context,
            subscription: &self.subscription,
            progress: &mut self.progress,
            match_source: &mut self.match_source,
            order: &mut self.order,
            retries: &mut self.retries,
        };
        let mut letters = self.expiry.look(backlog).await;
        // What was offered before a crash is settled by its retry.
        letters.retain(|letter| !self.waits(&letter.key));
        if letters.is_empty() {
            return;
        }
        self.context.attempter.expired(&self.subscription, letters.len());
        self.context.ledger.expire(&self.subscription.id, letters, self.progress.cursor());
        if let Err(error) = self.context.ledger.flush().await {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "Expired events of subscription {} are not written",
                self.subscription.id,
            );
        }
    }
}
