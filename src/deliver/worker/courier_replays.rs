//! Replays as a source of the courier: their matches are attempted as live ones are, beside them.

use std::sync::Arc;

use crate::deliver::limits::{Traffic, Wait};
use crate::deliver::outcome::{Delivery, Verdict};
use crate::deliver::worker::{Courier, ReplayOutcome, ReplayTicket, ReplayedMatch, WorkerStanding};
use crate::event::ReplayId;

impl Courier<'_> {
    /// Takes a match that a replay hands over. It touches no cursor, no number and no chain.
    pub(super) fn take_replayed(&mut self, replayed: ReplayedMatch) {
        let ReplayedMatch { replay, entry, ticket } = replayed;
        let first = Delivery::first(&self.subscription, entry, None);
        let delivery = Delivery { replay: Some(replay), ..first };
        let key = delivery.key();
        // A retry that was kept before a crash stands for the match that it came from.
        if self.waits(&key) {
            return ticket.settle(ReplayOutcome::Retrying);
        }
        self.tickets.insert(key, ticket);
        self.queue(delivery);
    }

    /// Attempts what replays have handed over, as far as live traffic leaves room; says what the
    /// rest waits for.
    pub(super) fn attempt_replayed(&mut self) -> Option<Wait> {
        while self.order.has_replayed() {
            // What fails would only pile up: the sink has to recover first.
            if !self.attempts() || self.retries.len() >= WorkerStanding::MOST_RETRIES {
                return Some(Wait::Turn);
            }
            let permit = match self.limiter.enter(Traffic::Replay, self.context.clock.now()) {
                Ok(permit) => permit,
                Err(wait) => return Some(wait),
            };
            let Some(delivery) = self.order.take_replayed() else { break };
            // It may have changed since the match was handed over.
            let delivery = Delivery { subscription: Arc::clone(&self.subscription), ..delivery };
            let key = delivery.key();
            // Of a replay that has failed, nothing begins.
            let is_wanted = self.tickets.get_mut(&key).is_some_and(ReplayTicket::begin);
            if is_wanted && self.context.attempter.may_send(&self.subscription, &delivery.entry) {
                self.in_flight.launch(delivery, permit);
                continue;
            }
            permit.give_back();
            // Nor is it given up: who replays has no right to it.
            if let Some(ticket) = self.tickets.remove(&key) {
                ticket.settle(ReplayOutcome::Unheard);
            }
            self.follow_order(&delivery, Some(Verdict::Delivered));
        }
        None
    }

    /// Tells a replay what came of the first attempt at one of its matches; nothing if it died.
    pub(super) fn tell_replay(&mut self, delivery: &Delivery, verdict: Option<Verdict>) {
        if delivery.replay.is_none() {
            return;
        }
        if let Some(ticket) = self.tickets.remove(&delivery.key()) {
            ticket.settle(match verdict {
                Some(Verdict::Delivered) => ReplayOutcome::Delivered,
                Some(Verdict::GiveUp(_)) => ReplayOutcome::GivenUp,
                Some(Verdict::Retry { .. }) | None => ReplayOutcome::Retrying,
            });
        }
    }

    /// Lets go of what a replay has handed over and is not attempted yet.
    pub(super) fn end_replay(&mut self, replay: &ReplayId) {
        for key in self.order.drop_replayed(replay, &mut self.retries) {
            self.tickets.remove(&key);
        }
    }
}
