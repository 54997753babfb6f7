//! Attempts again what has failed or is redriven, and follows what came of every attempt.

use std::time::Duration;

use crate::deliver::limits::Permit;
use crate::deliver::outcome::{AttemptResult, Delivery, Verdict};
use crate::deliver::worker::Courier;
use crate::deliver::worker::in_flight::{Ended, RetryInFlight, WhyNot};
use crate::eventlog::Retry;

/// How long a delivery waits when its attempt could not even be made.
const AFTER_PANIC: Duration = Duration::from_mins(1);

impl Courier<'_> {
    /// Begins another attempt at the delivery that has been due for longest.
    pub(super) fn attempt_again(&mut self, permit: Permit) {
        let now = self.context.clock.now();
        let Some(retry) = self.retries.take_due(now) else { return permit.give_back() };
        let queue_key = self.order.begin(&retry);
        let again = Box::new(RetryInFlight { retry, queue_key });
        self.in_flight.launch_again(again, &self.subscription, permit);
    }

    /// Follows what came of an attempt.
    pub(super) fn finish(&mut self, ended: Ended) {
        match ended {
            Ended::Made(delivery, result) => self.follow_attempt(&delivery, result),
            Ended::NotMade(again, why) => self.follow_none(*again, why),
        }
    }

    fn follow_attempt(&mut self, delivery: &Delivery, result: Option<AttemptResult>) {
        let now = self.context.clock.now();
        let retry = match result.map(|result| result.verdict) {
            Some(Verdict::Retry { due }) => Some(due),
            Some(Verdict::Delivered | Verdict::GiveUp(_)) => None,
            None => {
                let due = now.after(AFTER_PANIC);
                let first = delivery.first_attempt.unwrap_or(now);
                self.context.ledger.retry(delivery.to_retry(first, due));
                Some(due)
            }
        };
        if let Some(due) = retry {
            self.retries.insert(delivery.to_retry(delivery.first_attempt.unwrap_or(now), due));
        }
        // The first attempt of a live delivery settles its place in line, whatever came of it.
        if let (Some((sequence, _)), None) = (delivery.link, delivery.first_attempt) {
            self.progress.settle(sequence);
        }
        let verdict = result.map(|result| result.verdict);
        self.tell_replay(delivery, verdict);
        self.follow_order(delivery, verdict);
        self.tell_failing(now);
    }

    /// Follows a further attempt that could not, or may not, be made.
    fn follow_none(&mut self, again: RetryInFlight, why: WhyNot) {
        let RetryInFlight { retry, queue_key } = again;
        match why {
            WhyNot::Unread => {
                let due = self.context.clock.now().after(AFTER_PANIC);
                self.wait_again(Retry { due, ..retry }, queue_key);
            }
            WhyNot::Gone => {
                self.end_again(&retry, queue_key);
                self.context.ledger.settle(retry.key);
            }
            WhyNot::Withheld(delivery) => {
                self.give_up_withheld(&delivery);
                self.end_again(&retry, queue_key);
                self.write_withheld();
            }
        }
    }
}
