//! Gives up what a consumer has not acknowledged within the bounds of its backlog.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::deliver::limits::BacklogLimit;
use crate::deliver::outcome::Reason;
use crate::deliver::worker::expiry::letter_of;
use crate::deliver::worker::log_page::LogPage;
use crate::deliver::worker::match_source::{FoundMatch, matches_of};
use crate::deliver::worker::next_check::NextCheck;
use crate::deliver::worker::unwritten::Unwritten;
use crate::deliver::worker::{AckState, DeliveryContext};
use crate::eventlog::{LogError, Position, SequenceCheckpoint};
use crate::subscriptions::Subscription;

/// How often a backlog is looked at that was within its bounds.
const TICK: Duration = Duration::from_secs(5);

/// Holds what waits to be acknowledged within its bounds.
pub(super) struct Overdue {
    /// When it is looked at next.
    next: NextCheck,
    /// What waits.
    page: LogPage,
}

impl Overdue {
    /// Looks at once.
    pub(super) fn new() -> Self {
        Self { next: NextCheck::at_once(), page: LogPage::short() }
    }

    /// Is ready once what waits is read.
    pub(super) fn poll_arrival(&mut self, context: &mut Context<'_>) -> Poll<()> {
        self.page.poll_arrival(context)
    }

    /// Gives up the oldest matches that are due, of one page of the log, and moves what is
    /// acknowledged past them, once the page is read; says whether there may be more at once. `place` is
    /// the newest match that is numbered.
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
        let (limit, now) = (context.limit_of(subscription), context.clock.now());
        if limit == BacklogLimit::default() || !self.next.is_due(now) {
            return Ok(false);
        }
        let before = ack_state.acknowledged().settled;
        if before >= place.position {
            self.next.looked(now, now.after(TICK));
            return Ok(false);
        }
        let Some(entries) = self.page.after(context, before) else { return Ok(false) };
        self.next.looked(now, now.after(TICK));
        let entries = entries?;
        let _turn = ack_state.turn.lock().await;
        let mut cursor = ack_state.acknowledged();
        if cursor.settled != before {
            self.next.looked(now, now);
            return Ok(true);
        }
        let waiting = ack_state.waiting(place.sequence).0;
        let mut excess = limit.events.map_or(0, |most| waiting.saturating_sub(most));
        let Some(last) = entries.last() else { return Ok(false) };
        let (mut through, mut is_within) = (last.position.min(place.position), false);
        let mut letters = Vec::new();
        let Ok(found) = matches_of(&context.decider, subscription, &entries).await else {
            return Ok(false);
        };
        for FoundMatch { entry, .. } in &found {
            if entry.position > place.position {
                break;
            }
            let sequence = cursor.sequence + 1;
            if !cursor.ahead.contains(sequence) {
                let is_old = limit.age.is_some_and(|age| now.since(entry.accepted) > age);
                if !is_old && excess == 0 {
                    self.next.looked(now, now.after(TICK).max(limit.due(entry.accepted)));
                    is_within = true;
                    through = Position(entry.position.0.saturating_sub(1));
                    break;
                }
                excess = excess.saturating_sub(1);
                let link = (sequence, cursor.chain);
                letters.push(letter_of(subscription, entry, (link, Reason::Expired), now));
            }
            cursor.settled = entry.position;
            cursor.sequence = sequence;
            cursor.chain = cursor.chain.next(entry.event.id, entry.event.digest);
        }
        cursor.settled = cursor.settled.max(through);
        cursor.ahead.drop_through(cursor.sequence);
        if cursor.settled == before {
            return Ok(false);
        }
        let count = letters.len();
        // Noted before anyone sees it, and together, so that no cursor is kept without its letters.
        context.ledger.expire(&subscription.id, letters, &cursor);
        let more = !is_within && cursor.settled < place.position;
        ack_state.acknowledge(cursor);
        if count > 0 {
            context.attempter.given_up(subscription, Reason::Expired, count);
            unwritten.write(context);
        }
        if more {
            self.next.looked(now, now);
        }
        Ok(more)
    }
}
