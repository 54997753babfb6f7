//! Says what became of numbered events, as evidence tells it: only what is on record, and for good.

use crate::deliver::dispatch::{SubscriptionService, WorkerHandle};
use crate::deliver::outcome::{Reason, Verdict};
use crate::deliver::worker::NumberedEntry;
use crate::event::SubscriptionId;
use crate::eventlog::{Attempt, Cursor, DeliveryKey, LogError, Page, Store};
use crate::seal::evidence::EventState;

/// Attempts at one event that are looked at, the newest.
const ATTEMPTS: Page = Page { items: 256, bytes: 256 * 1024 };

/// What became of the events of one subscription.
pub struct EventStates {
    store: Store,
    subscription: SubscriptionId,
    /// What the consumer has acknowledged; nothing if there is a sink.
    acknowledged: Option<Cursor>,
}

impl SubscriptionService {
    /// Begins to say what became of the events of a subscription.
    pub async fn event_states(
        &self,
        (subscription, worker): (&SubscriptionId, &WorkerHandle),
    ) -> EventStates {
        let acknowledged = worker.ack_state.as_ref().map(|state| state.acknowledged());
        // What the consumer refused is settled, too, a moment before it is a dead letter on the disk. Where
        // it cannot be written, there is nothing more to be told.
        let _ = self.dispatch.write_outcomes().await;
        EventStates { store: self.store.clone(), subscription: subscription.clone(), acknowledged }
    }
}

impl EventStates {
    /// What became of one: an event that has a receipt was taken.
    ///
    /// # Errors
    ///
    /// Ours: the log failed.
    pub async fn of(
        &self,
        found: &NumberedEntry,
        has_receipt: bool,
    ) -> Result<EventState, LogError> {
        if has_receipt {
            return Ok(EventState::Taken);
        }
        let event = found.entry.event.id;
        let of = Some(&self.subscription);
        // Before what was given up: what is written with an attempt is then never told without it.
        let attempts = self.store.attempts.attempts(of, Some(event), ATTEMPTS).await?;
        if attempts.iter().any(|attempt| *attempt.verdict == *Verdict::Delivered.word()) {
            return Ok(EventState::Taken);
        }
        let key = DeliveryKey { subscription: self.subscription.clone(), replay: None, event };
        let letters = &self.store.dead_letters;
        // One that was brought back waits for its attempt.
        if letters.dead_letter(&key).await?.is_some_and(|letter| letter.redriven) {
            return Ok(EventState::Offered);
        }
        if let Some(given_up) = letters.given_up(&key).await? {
            let (reason, at) = (given_up.reason.to_string(), Some(given_up.at));
            return Ok(EventState::GivenUp { reason, at });
        }
        let has = |cursor: &Cursor| {
            found.sequence <= cursor.sequence || cursor.ahead.contains(found.sequence)
        };
        Ok(match &self.acknowledged {
            _ if found.given_up => {
                EventState::GivenUp { reason: Reason::Undecided.word().to_owned(), at: None }
            }
            Some(cursor) if has(cursor) => EventState::Taken,
            Some(_) => EventState::Offered,
            None => given_up_by(&attempts).unwrap_or(EventState::Offered),
        })
    }
}

/// What the newest live attempt says, where it was the last one.
fn given_up_by(attempts: &[Attempt]) -> Option<EventState> {
    let newest = attempts.iter().find(|attempt| attempt.key.replay.is_none())?;
    let reason = Reason::ALL.into_iter().find(|reason| reason.word() == &*newest.verdict)?;
    Some(EventState::GivenUp { reason: reason.word().to_owned(), at: Some(newest.at) })
}
