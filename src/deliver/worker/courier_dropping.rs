//! Gives up deliveries that wait for another attempt, because someone wants none.

use crate::deliver::outcome::{Delivery, Reason};
use crate::deliver::worker::{Courier, RetriesToDrop};

impl Courier<'_> {
    /// Makes dead letters of what still waits; an attempt that is in flight is left alone. What waits
    /// behind them in the order of a subject goes on: someone has decided.
    pub(super) fn drop_retries(&mut self, wanted: RetriesToDrop) {
        let now = self.context.clock.now();
        self.laying.forget();
        let mut dropped = 0;
        for (key, entry) in wanted.deliveries {
            let Some(retry) = self.retries.remove(&key) else { continue };
            let delivery = Delivery::of_retry(&self.subscription, entry, &retry);
            self.context.ledger.give_up(delivery.dropped(now));
            self.order.abandon(&retry, &mut self.retries);
            dropped += 1;
        }
        self.context.attempter.given_up(&self.subscription, Reason::Dropped, dropped);
        // Whoever asked may have gone.
        let _ = wanted.answer.send(dropped);
    }
}
