//! Gives up what the consumer of a courier may not hear any more.

use crate::deliver::outcome::Delivery;
use crate::deliver::worker::{Courier, recall};
use crate::eventlog::Retry;

/// So many matches are given up before the ledger is written: it sets the pace where many are.
const SLICE: usize = 256;

impl Courier<'_> {
    /// Gives up the deliveries that wait for another attempt and may not have one, also while
    /// nothing is attempted.
    pub(super) async fn withhold_waiting(&mut self) {
        let everything = self.subscription.newest_entitlement().is_none_or(|it| it.is_everything());
        if !std::mem::take(&mut self.is_entitled_anew) || everything {
            return;
        }
        let waiting: Vec<Retry> = self.retries.iter().cloned().collect();
        for retry in waiting {
            match recall(&self.context.store, &retry).await {
                Ok(Some(entry)) if !self.context.attempter.may_send(&self.subscription, &entry) => {
                    let delivery = Delivery::of_retry(&self.subscription, entry, &retry);
                    self.retries.remove(&retry.key);
                    self.withhold_again(&retry, &delivery);
                }
                Ok(_) => {}
                // It is held against it again before its attempt, and with the next look.
                Err(_) => self.is_entitled_anew = true,
            }
        }
        self.write_withheld();
    }

    /// Settles a match that was numbered just now.
    pub(super) fn withhold_first(&mut self, sequence: u64, delivery: &Delivery) {
        self.give_up_withheld(delivery);
        self.progress.settle(sequence);
    }

    /// Gives up a delivery that was taken out of the retries; what waits behind it goes on.
    pub(super) fn withhold_again(&mut self, retry: &Retry, delivery: &Delivery) {
        self.give_up_withheld(delivery);
        self.order.abandon(retry, &mut self.retries);
    }

    fn give_up_withheld(&mut self, delivery: &Delivery) {
        self.context.ledger.give_up(delivery.withheld(self.context.clock.now()));
        self.context.attempter.withheld(&self.subscription, 1);
        self.withheld += 1;
    }

    /// Writes what was given up once it is many.
    pub(super) fn write_withheld(&mut self) {
        if self.withheld >= SLICE && !self.unwritten.is_waiting() {
            self.withheld = 0;
            self.context.ledger.cursor(&self.subscription.id, self.progress.cursor());
            self.unwritten.write(&self.context);
        }
    }
}
