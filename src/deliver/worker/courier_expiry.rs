//! Gives up what the backlog of a courier cannot hold.

use crate::deliver::outcome::{Delivery, Reason};
use crate::deliver::worker::Courier;
use crate::deliver::worker::expiry::{Backlog, letter_of};

impl Courier<'_> {
    /// Whether the backlog is to be looked at.
    pub(super) fn expires(&self) -> bool {
        let is_due = || self.expiry.is_due(&self.context, &self.subscription);
        !self.ends.held && !self.unwritten.is_waiting() && is_due()
    }

    /// Gives up matches that the backlog cannot hold, whether or not the sink is asked.
    pub(super) async fn expire(&mut self) {
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
        for reason in [Reason::Expired, Reason::Undecided] {
            let count = letters.iter().filter(|letter| *letter.reason == *reason.word()).count();
            self.context.attempter.given_up(&self.subscription, reason, count);
        }
        self.context.ledger.expire(&self.subscription.id, letters, self.progress.cursor());
        self.unwritten.write(&self.context);
    }

    /// Gives up a match of which it is too much work to tell that it is one: it keeps its number and
    /// its link, and is written with the cursor that passes it, so that a crash neither repeats nor
    /// skips it.
    pub(super) fn give_up_undecided(&mut self, delivery: &Delivery, was_settled: bool) {
        let Some(link) = delivery.link else { return };
        self.progress.settle(link.0);
        if was_settled || self.waits(&delivery.key()) {
            return;
        }
        let (why, now) = (Reason::Undecided, self.context.clock.now());
        let letter = letter_of(&self.subscription, &delivery.entry, (link, why), now);
        self.context.attempter.given_up(&self.subscription, why, 1);
        let cursor = self.progress.cursor();
        self.context.ledger.expire(&self.subscription.id, vec![letter], cursor);
    }
}
