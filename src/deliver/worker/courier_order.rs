//! Keeps the courier to the order that its subscription asks for.

use crate::deliver::outcome::{Delivery, Reason, Verdict, rank};
use crate::deliver::worker::order::Rule;
use crate::deliver::worker::retries::Retries;
use crate::deliver::worker::subject_queues::{QueueKey, SubjectQueues};
use crate::deliver::worker::{Courier, DeliveryContext, recall};
use crate::eventlog::{DeadLetterQuery, DeliveryKey, LogError, Page, Retry};
use crate::subscriptions::{OnDeadLetter, Subscription};

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
    pub(super) async fn take_up(&mut self, retry: Retry) {
        if self.retries.contains(&retry.key) || self.in_flight.has(&retry) {
            return;
        }
        let queue_key = match self.order.queues() {
            Some(queues) => match queues.of_dead(&retry.key) {
                Some(queue_key) => Some(queue_key),
                None => queue_key_of(&self.context, &retry).await.ok().flatten(),
            },
            None => None,
        };
        let (key, sequence) = (retry.key.clone(), rank(retry.link, retry.position));
        self.retries.insert(retry);
        if let (Some(queue_key), Some(queues)) = (queue_key, self.order.queues_mut()) {
            queues.wait(queue_key, sequence, key);
            self.turn(queue_key);
        }
    }

    /// Lets the events behind a dead letter go on.
    pub(super) fn dismiss(&mut self, key: &DeliveryKey) {
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

    /// Finds out what waits in which queue, if that is not known and nothing is in flight.
    pub(super) async fn lay_queues(&mut self) {
        if self.order.is_known() || !self.in_flight.is_empty() {
            return;
        }
        match queues_kept(&self.context, &self.subscription, &self.retries).await {
            Ok(queues) => self.enter_queues(queues),
            Err(error) => tracing::error!(
                subscription.id = %self.subscription.id,
                error = &error as &dyn std::error::Error,
                "Cannot read what waits for subscription {}; trying again", self.subscription.id,
            ),
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

async fn queue_key_of(
    context: &DeliveryContext,
    retry: &Retry,
) -> Result<Option<QueueKey>, LogError> {
    let entry = recall(&context.store, retry).await?;
    Ok(entry.map(|entry| QueueKey::of(retry.key.replay.as_ref(), &entry.event)))
}

/// Reads the queues of retries and, where they hold queues up, of dead letters.
async fn queues_kept(
    context: &DeliveryContext,
    subscription: &Subscription,
    retries: &Retries,
) -> Result<SubjectQueues, LogError> {
    let blocks = subscription.on_dead_letter() == OnDeadLetter::Block;
    let mut queues = SubjectQueues::new(blocks);
    for retry in retries.iter() {
        // An event that is nowhere any more holds nobody up.
        if let Some(queue_key) = queue_key_of(context, retry).await? {
            queues.wait(queue_key, rank(retry.link, retry.position), retry.key.clone());
        }
    }
    if !blocks {
        return Ok(queues);
    }
    // What was given up a moment ago must be there to be found.
    context.ledger.try_flush().await?;
    let mut query = DeadLetterQuery::all(subscription.id.clone());
    loop {
        let page = context.store.dead_letters.dead_letters(&query, Page::default()).await?;
        let Some(last) = page.last() else { return Ok(queues) };
        query.after = last.id;
        for letter in &page {
            // What was never offered holds nobody up: it is no failure that someone has to look
            // into. Nor does what may not be heard, which nobody can bring back.
            // Of what was dropped someone has decided already.
            let holds_nobody =
                [Reason::Expired, Reason::Undecided, Reason::NotEntitled, Reason::Dropped]
                    .map(Reason::word)
                    .contains(&&*letter.reason);
            if let (Some((sequence, _)), None, false) =
                (letter.link, &letter.key.replay, holds_nobody)
            {
                queues.die(QueueKey::of(None, &letter.event), sequence, letter.event.id);
            }
        }
    }
}
