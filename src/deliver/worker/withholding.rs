//! Gives up what a consumer that fetches may not hear any more and has not acknowledged.

use std::sync::Arc;

use crate::deliver::outcome::{Delivery, Reason};
use crate::deliver::worker::match_source::{FoundMatch, matches_of};
use crate::deliver::worker::unwritten::Unwritten;
use crate::deliver::worker::{AckState, DeliveryContext, recall};
use crate::eventlog::{Cursor, DeadLetter, LogError, Page, SequenceCheckpoint};
use crate::subscriptions::Subscription;

/// Beyond so many stretches that are settled ahead of the cursor it waits until the cursor moves.
const MOST_RANGES: usize = 4096;

/// Holds what waits to be fetched against what the consumer may hear.
pub(super) struct Withholding {
    /// Whether there is something to look at.
    is_due: bool,
    /// How far it was looked at; nothing: not at all.
    reached: Option<SequenceCheckpoint>,
}

impl Withholding {
    /// Looks at everything, at once.
    pub(super) const fn new() -> Self {
        Self { is_due: true, reached: None }
    }

    /// Looks on from where it came.
    pub(super) const fn look_again(&mut self) {
        self.is_due = true;
    }

    /// Gives up the matches of one page of the log that may not be heard; says whether there may be
    /// more at once. `place` is the newest match that is numbered.
    ///
    /// # Errors
    ///
    /// Ours: the log failed.
    pub(super) async fn look(
        &mut self,
        (context, subscription): (&DeliveryContext, &Arc<Subscription>),
        (ack_state, unwritten): (&AckState, &mut Unwritten),
        place: SequenceCheckpoint,
    ) -> Result<bool, LogError> {
        let everything = subscription.newest_entitlement().is_none_or(|it| it.is_everything());
        if !self.is_due || everything {
            return Ok(false);
        }
        let _turn = ack_state.turn.lock().await;
        if self.reached.is_none() {
            give_up_returned((context, subscription), ack_state).await?;
        }
        let mut cursor = ack_state.acknowledged();
        let mut at =
            self.reached.filter(|at| at.position > cursor.settled).unwrap_or(cursor.place());
        if at.position >= place.position {
            self.is_due = false;
            return Ok(false);
        }
        if cursor.ahead.ranges().len() > MOST_RANGES {
            return Ok(false);
        }
        let entries = context.store.log.read(at.position, Page::default()).await?;
        let Some(last) = entries.last().map(|entry| entry.position) else {
            self.is_due = false;
            return Ok(false);
        };
        let mut letters = Vec::new();
        let Ok(found) = matches_of(&context.decider, subscription, &entries).await else {
            return Ok(false);
        };
        for FoundMatch { entry, .. } in &found {
            if entry.position > place.position {
                break;
            }
            let link = (at.sequence + 1, at.chain);
            let is_open = !cursor.ahead.contains(link.0);
            if is_open && !context.attempter.may_send(subscription, entry) {
                let delivery = Delivery::first(subscription, Arc::clone(entry), Some(link));
                letters.push(delivery.withheld(context.clock.now()));
                cursor.ahead.insert(link.0);
            }
            at = SequenceCheckpoint {
                position: entry.position,
                sequence: link.0,
                chain: link.1.next(entry.event.id, entry.event.digest),
            };
            move_over(&mut cursor, at);
        }
        at.position = last.min(place.position);
        if cursor.sequence == at.sequence {
            cursor.settled = cursor.settled.max(at.position);
        }
        cursor.ahead.drop_through(cursor.sequence);
        self.reached = Some(at);
        // Together, so that no cursor is kept without its letters.
        let count = letters.len();
        context.ledger.expire(&subscription.id, letters, &cursor);
        ack_state.acknowledge(cursor);
        if count > 0 {
            context.attempter.withheld(subscription, count);
            unwritten.write(context);
        }
        self.is_due = at.position < place.position;
        Ok(self.is_due)
    }
}

/// Whether a dead letter was made because its consumer may not hear it, so that it stays one.
pub fn is_withheld(letter: &DeadLetter) -> bool {
    &*letter.reason == Reason::NotEntitled.word()
}

/// Moves the cursor over a match that follows it and is settled.
fn move_over(cursor: &mut Cursor, at: SequenceCheckpoint) {
    if cursor.sequence + 1 == at.sequence && cursor.ahead.contains(at.sequence) {
        (cursor.settled, cursor.sequence, cursor.chain) = (at.position, at.sequence, at.chain);
    }
}

/// Gives up what was brought back and may not be heard any more.
async fn give_up_returned(
    (context, subscription): (&DeliveryContext, &Arc<Subscription>),
    ack_state: &AckState,
) -> Result<(), LogError> {
    for retry in ack_state.returned() {
        let Some(entry) = recall(&context.store, &retry).await? else { continue };
        if !context.attempter.may_send(subscription, &entry) {
            let delivery = Delivery::of_retry(subscription, entry, &retry);
            context.ledger.give_up(delivery.withheld(context.clock.now()));
            context.attempter.withheld(subscription, 1);
            ack_state.take_back(retry.key.event);
        }
    }
    Ok(())
}
