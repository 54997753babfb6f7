//! Gives up what a consumer that fetches may not hear any more and has not acknowledged.

use std::sync::Arc;
use std::task::{Context, Poll};

use crate::deliver::outcome::{Delivery, Reason};
use crate::deliver::worker::background::Background;
use crate::deliver::worker::log_page::LogPage;
use crate::deliver::worker::match_source::{FoundMatch, matches_of};
use crate::deliver::worker::unwritten::Unwritten;
use crate::deliver::worker::withheld_retries::{Unheard, find_unheard};
use crate::deliver::worker::{AckState, DeliveryContext};
use crate::eventlog::{Cursor, DeadLetter, LogError, SequenceCheckpoint};
use crate::subscriptions::Subscription;

/// Beyond so many stretches that are settled ahead of the cursor it waits until the cursor moves.
const MOST_RANGES: usize = 4096;

/// Holds what waits to be fetched against what the consumer may hear.
pub(super) struct Withholding {
    /// Whether there is something to look at.
    is_due: bool,
    /// How far it was looked at; nothing: not at all.
    reached: Option<SequenceCheckpoint>,
    /// What is looked at next.
    page: LogPage,
    /// What was brought back.
    returned: Background<Unheard>,
}

impl Withholding {
    /// Looks at everything, at once.
    pub(super) fn new() -> Self {
        Self { is_due: true, reached: None, page: LogPage::short(), returned: Background::Idle }
    }

    /// Is ready once what is looked at next is read, or what was brought back is looked at.
    pub(super) fn poll_arrival(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let (page, returned) = (self.page.poll_arrival(context), self.returned.poll_end(context));
        if page.is_ready() || returned.is_ready() { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Whether there is something to look at.
    pub(super) const fn is_due(&self) -> bool {
        self.is_due || !self.returned.is_idle()
    }

    /// Looks on from where it came.
    pub(super) const fn look_again(&mut self) {
        self.is_due = true;
    }

    /// Has what was brought back held against what may be heard.
    fn look_at_returned(
        &mut self,
        (context, subscription): (&Arc<DeliveryContext>, &Arc<Subscription>),
        ack_state: &AckState,
    ) {
        let (reader, of) = (Arc::clone(context), Arc::clone(subscription));
        self.returned.begin(&context.tasks, find_unheard(reader, of, ack_state.returned()));
    }

    /// Gives up what was brought back and may not be heard any more.
    fn give_up_returned(
        &mut self,
        (context, subscription): (&Arc<DeliveryContext>, &Arc<Subscription>),
        ack_state: &AckState,
    ) {
        let Some(found) = self.returned.take() else { return };
        for (retry, delivery) in found.deliveries {
            // It may have been acknowledged meanwhile.
            if ack_state.take_back(retry.key.event).is_some() {
                context.ledger.give_up(delivery.withheld(context.clock.now()));
                context.attempter.withheld(subscription, 1);
            }
        }
        if found.has_more {
            self.look_at_returned((context, subscription), ack_state);
        }
    }

    /// The place after which it looks.
    fn begin(&self, cursor: &Cursor) -> SequenceCheckpoint {
        self.reached.filter(|at| at.position > cursor.settled).unwrap_or(cursor.place())
    }

    /// Gives up the matches of one page of the log that may not be heard, once it is read; says whether
    /// there may be more at once. `place` is the newest match that is numbered.
    ///
    /// # Errors
    ///
    /// Ours: the log failed.
    pub(super) async fn look(
        &mut self,
        (context, subscription): (&Arc<DeliveryContext>, &Arc<Subscription>),
        (ack_state, unwritten): (&AckState, &mut Unwritten),
        place: SequenceCheckpoint,
    ) -> Result<bool, LogError> {
        self.give_up_returned((context, subscription), ack_state);
        let everything = subscription.newest_entitlement().is_none_or(|it| it.is_everything());
        self.is_due &= !everything;
        if !self.is_due {
            return Ok(false);
        }
        if self.reached.is_none() && self.returned.is_idle() {
            self.look_at_returned((context, subscription), ack_state);
        }
        let begin = self.begin(&ack_state.acknowledged());
        if begin.position >= place.position {
            self.is_due = false;
            return Ok(false);
        }
        let Some(entries) = self.page.after(context, begin.position) else { return Ok(false) };
        let entries = entries?;
        let _turn = ack_state.turn.lock().await;
        let mut cursor = ack_state.acknowledged();
        let mut at = self.begin(&cursor);
        if at.position != begin.position {
            return Ok(true);
        }
        if cursor.ahead.ranges().len() > MOST_RANGES {
            return Ok(false);
        }
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
