//! Gives up what the consumer of a courier may not hear any more.

use std::sync::Arc;

use crate::deliver::outcome::Delivery;
use crate::deliver::worker::Courier;
use crate::deliver::worker::withheld_retries::{SLICE, find_unheard};
use crate::eventlog::Retry;

impl Courier<'_> {
    /// Gives up the deliveries that wait for another attempt and may not have one, also while nothing is
    /// attempted: each time that what the consumer may hear has changed. What was attempted meanwhile was
    /// held against it then.
    pub(super) fn withhold_waiting(&mut self) {
        if let Some(found) = self.unheard.take() {
            self.is_entitled_anew |= found.has_more;
            for (retry, delivery) in found.deliveries {
                if self.retries.remove(&retry.key).is_some() {
                    self.withhold_again(&retry, &delivery);
                }
            }
            self.laying.forget();
            self.write_withheld();
        }
        let everything = self.subscription.newest_entitlement().is_none_or(|it| it.is_everything());
        if std::mem::take(&mut self.is_entitled_anew) && !everything {
            let (context, of) = (Arc::clone(&self.context), Arc::clone(&self.subscription));
            let waiting = self.retries.iter().cloned().collect();
            self.unheard.begin(&self.context.tasks, find_unheard(context, of, waiting));
        }
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

    pub(super) fn give_up_withheld(&mut self, delivery: &Delivery) {
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
