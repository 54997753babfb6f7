//! Keeps the courier to the order that its subscription asks for.

use std::sync::Arc;

use crate::deliver::outcome::{Delivery, Reason, Verdict, rank};
use crate::deliver::worker::Courier;
use crate::deliver::worker::laying_queues::lay_queues;
use crate::deliver::worker::order::Rule;
use crate::deliver::worker::subject_queues::{QueueKey, SubjectQueues};
use crate::event::Subject;
use crate::eventlog::{DeliveryKey, Retry};
use crate::subscriptions::Subscription;

impl Courier<'_> {
    /// Lets whose turn it is in a queue go.
    fn turn(&mut self, queue_key: QueueKey) {
        self.order.turn(queue_key, &mut self.retries);
    }

    /// Follows what came of an attempt; nothing if it died.
    pub(super) fn follow_order(&mut self, delivery: &Delivery, verdict: Option<Verdict>) {
        let Some(queues) = self.order.queues_mut() else { return };
        let (event, sequence) = (&delivery.entry.event, delivery.rank());
        let queue_key = QueueKey::of(delivery.replay.as_ref(), event);
        match verdict {
            // What a replay gives up was delivered or given up before: it holds nobody up.
            Some(Verdict::GiveUp(_)) if delivery.replay.is_some() => {
                queues.end(queue_key, sequence);
            }
            // What the consumer may not hear holds nobody up: nobody can bring it back.
            Some(Verdict::Delivered | Verdict::GiveUp(Reason::NotEntitled)) => {
                queues.end(queue_key, sequence);
            }
            Some(Verdict::GiveUp(_)) => queues.die(queue_key, sequence, event.id),
            Some(Verdict::Retry { .. }) | None => queues.wait(queue_key, sequence, delivery.key()),
        }
        self.turn(queue_key);
    }

    /// Takes up a delivery that others bring: of a replay, or redriven. The latter goes before
    /// those that wait in its queue, because its number is lower.
    ///
    /// One that is there already was kept before it was told of, and read by a worker that began anew. An
    /// attempt that began before it was brought back is another, which has ended.
    pub(super) fn take_up(&mut self, retry: Retry, subject: Option<&Subject>) {
        if self.retries.contains(&retry.key) || self.in_flight.has(&retry) {
            return;
        }
        let queue_key = QueueKey::named(retry.key.replay.as_ref(), subject);
        self.wait_again(retry, Some(queue_key));
    }

    /// Lets a delivery wait for another attempt, in its queue if there are queues.
    pub(super) fn wait_again(&mut self, retry: Retry, queue_key: Option<QueueKey>) {
        let (key, sequence) = (retry.key.clone(), rank(retry.link, retry.position));
        self.retries.insert(retry);
        self.laying.forget();
        if let (Some(queue_key), Some(queues)) = (queue_key, self.order.queues_mut()) {
            queues.wait(queue_key, sequence, key);
            self.turn(queue_key);
        }
    }

    /// Lets what waits behind a delivery go on that will not be attempted again.
    pub(super) fn end_again(&mut self, retry: &Retry, queue_key: Option<QueueKey>) {
        if let (Some(queue_key), Some(queues)) = (queue_key, self.order.queues_mut()) {
            queues.end(queue_key, rank(retry.link, retry.position));
            self.turn(queue_key);
        }
    }

    /// Lets the events behind a dead letter go on.
    pub(super) fn dismiss(&mut self, key: &DeliveryKey) {
        self.laying.forget();
        if key.replay.is_none()
            && let Some(queue_key) =
                self.order.queues_mut().and_then(|queues| queues.dismiss(key.event))
        {
            self.turn(queue_key);
        }
    }

    /// Follows a change of the subscription. Another order is begun from what is kept, once nothing
    /// is in flight.
    pub(super) fn change_order(&mut self, next: &Subscription) {
        let asked = |of: &Subscription| (of.document.config.ordering, of.on_dead_letter());
        if asked(&self.subscription) == asked(next) {
            return;
        }
        let before = std::mem::replace(&mut self.order.rule, Rule::of(next));
        if let Rule::BySubject(queues) = before {
            queues.take_down().into_iter().for_each(|waiting| self.order.make_ready(waiting));
        }
        self.retries.let_all_go();
    }

    /// Has it found out what waits in which queue, if that is not known and nothing is in flight.
    pub(super) fn lay_queues(&mut self) {
        if let Some(queues) = self.laying.take() {
            self.enter_queues(queues);
        }
        if !self.order.is_known() && self.in_flight.is_empty() && self.laying.is_idle() {
            let (context, of) = (Arc::clone(&self.context), Arc::clone(&self.subscription));
            let waiting = self.retries.iter().cloned().collect();
            self.laying.begin(&self.context.tasks, lay_queues(context, of, waiting));
        }
    }

    fn enter_queues(&mut self, queues: SubjectQueues) {
        let known = queues.all();
        self.order.rule = Rule::BySubject(queues);
        let waiting = std::mem::take(&mut self.order.ready).into_values();
        let waiting = waiting.chain(std::mem::take(&mut self.order.replayed));
        for queue_key in known {
            self.turn(queue_key);
        }
        waiting.for_each(|delivery| self.queue(delivery));
    }

    /// Lets a match wait for its turn, or be attempted.
    pub(super) fn queue(&mut self, delivery: Delivery) {
        let key = delivery.key();
        match self.order.offer(delivery) {
            Some(delivery) => self.order.make_ready(delivery),
            None => {
                if let Some(ticket) = self.tickets.get_mut(&key) {
                    ticket.wait_behind();
                }
            }
        }
    }
}
