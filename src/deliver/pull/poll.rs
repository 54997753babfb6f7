//! Polls of RFC 8936: acknowledge some events and refuse others, in any order, and take the next.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::deliver::dispatch::WorkerHandle;
use crate::deliver::outcome::Reason;
use crate::deliver::pull::fetch::must_be_served;
use crate::deliver::pull::receipts::PollReceipts;
use crate::deliver::pull::{Collected, HeardReceipts, PullError, PullService};
use crate::deliver::worker::LOOKED_THROUGH;
use crate::deliver::worker::recall;
use crate::deliver::worker::{AckState, NumberedEntry, SubscriptionView, WorkerStanding};
use crate::event::{EventId, is_unseen};
use crate::eventlog::{
    Cursor, DeadLetter, DeadLetterId, DeliveryKey, Page, Position, Retry, SequenceCheckpoint,
};
use crate::subscriptions::Subscription;
use crate::telemetry::Metric;

/// Matches beyond the oldest one that is not acknowledged that are handed out in polls.
pub const MOST_OUTSTANDING: u64 = 1024;
/// How much of a consumer's explanation is kept.
const DETAIL_CHARACTERS: usize = 512;

/// What a consumer asks for in a poll.
#[derive(Clone, Copy, Debug, Default)]
pub struct PollWish {
    /// The most events to be handed out.
    pub most: usize,
    /// How long to wait if there is none.
    pub patience: Duration,
}

/// What a consumer says in a poll.
#[derive(Debug, Default)]
pub struct PollWord {
    /// The events that the consumer has.
    pub acknowledged: Vec<EventId>,
    /// The events that the consumer will not take.
    pub refused: Vec<PollRefusal>,
    /// What it has signed for events that it acknowledges.
    pub receipts: BTreeMap<EventId, String>,
}

/// Why a consumer will not take an event (RFC 8936, section 2.6).
#[derive(Debug)]
pub struct PollRefusal {
    /// Which.
    pub event: EventId,
    /// The `err` code.
    pub error: String,
    /// The `description`.
    pub description: String,
}

/// What a poll is answered with.
#[derive(Default)]
pub struct Polled {
    /// Events that are not acknowledged, oldest first.
    pub events: Vec<Collected>,
    /// Whether there are more of them.
    pub more: bool,
}

impl PullService {
    /// Settles what the consumer says it has or will not take. What it refuses is a dead letter by
    /// then; what it has to sign for and does not sign for is not settled, and told.
    ///
    /// Events that are not known, or settled already, are passed over in silence.
    ///
    /// # Errors
    ///
    /// The caller's turn: the subscription has a sink or is paused. Later: what is refused finds no
    /// room on the disk. Ours: the log failed.
    pub async fn settle_word(
        &self,
        worker: &WorkerHandle,
        word: PollWord,
    ) -> Result<HeardReceipts, PullError> {
        let ack_state = worker.ack_state.clone().ok_or(PullError::HasSink)?;
        must_be_served(worker)?;
        let PollWord { acknowledged, refused, receipts } = word;
        let refuses = !refused.is_empty();
        let mut words: BTreeMap<EventId, Option<PollRefusal>> =
            acknowledged.into_iter().map(|event| (event, None)).collect();
        words.extend(refused.into_iter().map(|refusal| (refusal.event, Some(refusal))));
        let subscription = Arc::clone(&worker.look().subscription);
        let mut receipts = PollReceipts::read(&self.parts, &subscription, receipts).await;
        if !words.is_empty() {
            self.hear(worker, &ack_state, (words, &mut receipts)).await?;
        }
        if refuses {
            // Also if all of it was heard before: an earlier answer may not have arrived because what
            // was refused could not be written.
            self.parts.written().await?;
        }
        Ok(receipts.into_heard())
    }

    /// Hands out what is not settled, and waits for it if there is nothing.
    ///
    /// # Errors
    ///
    /// The caller's turn: the subscription has a sink or is paused. Later: an event cannot be sealed.
    /// Ours: the log failed.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: what is handed out is settled by a later word only.
    pub async fn poll(&self, worker: &WorkerHandle, wish: PollWish) -> Result<Polled, PullError> {
        let ack_state = worker.ack_state.clone().ok_or(PullError::HasSink)?;
        let PollWish { most, patience } = wish;
        let deadline = self.parts.clock.now().after(patience);
        let mut worker = worker.clone();
        loop {
            worker.standing.mark_unchanged();
            let (polled, is_cut) = self.hand_out(&worker, &ack_state, most).await?;
            let is_done = most == 0 || is_cut || !polled.events.is_empty();
            if is_done || !self.parts.wait(&mut worker, deadline).await {
                must_be_served(&worker)?;
                return Ok(polled);
            }
        }
    }

    /// Settles events by the consumer's word.
    async fn hear(
        &self,
        worker: &WorkerHandle,
        ack_state: &AckState,
        (mut words, receipts): (BTreeMap<EventId, Option<PollRefusal>>, &mut PollReceipts),
    ) -> Result<(), PullError> {
        let _turn = ack_state.turn.lock().await;
        let view = worker.look();
        for retry in ack_state.returned() {
            let Some(word) = words.remove(&retry.key.event) else { continue };
            match (word, self.returned(&retry).await?) {
                (Some(refusal), Some(one)) => self.refuse(&view.subscription, &one, &refusal),
                (None, Some(one)) if !receipts.settle(&self.parts, &view.subscription, &one) => {
                    continue;
                }
                _ => self.parts.ledger.settle(retry.key.clone()),
            }
            ack_state.take_back(retry.key.event);
        }
        self.drop_unheard_of(&view, &mut words).await?;
        let mut cursor = ack_state.acknowledged();
        let mut at = cursor.settled;
        let last = cursor.sequence + MOST_OUTSTANDING;
        while !words.is_empty() && at < furthest(&view.standing, &cursor) {
            let part =
                self.parts.subscription_service.reader().read(&view, at, Page::default()).await?;
            at = part.reached.position;
            for one in &part.matches {
                let Some(word) = words.remove(&one.entry.event.id) else { continue };
                if cursor.ahead.contains(one.sequence) || one.sequence > last {
                    continue;
                }
                match word {
                    Some(refusal) => self.refuse(&view.subscription, one, &refusal),
                    None if receipts.settle(&self.parts, &view.subscription, one) => {}
                    None => continue,
                }
                cursor.ahead.insert(one.sequence);
            }
            let newest = part.last.unwrap_or(EventId::MAX);
            let is_passed = words.last_key_value().is_none_or(|(wanted, _)| *wanted <= newest);
            if is_passed || part.reached.sequence >= last {
                break;
            }
        }
        self.settle(worker, ack_state, cursor).await.map(drop)
    }

    /// Drops the ids that are newer than everything that was handed out: nobody has to look for them.
    async fn drop_unheard_of(
        &self,
        view: &SubscriptionView,
        words: &mut BTreeMap<EventId, Option<PollRefusal>>,
    ) -> Result<(), PullError> {
        let before = Position(view.standing.scanned.0.saturating_sub(1));
        let newest = self.parts.store.log.read(before, Page { items: 1, bytes: 1 }).await?;
        if let Some(newest) = newest.first().filter(|one| one.position == view.standing.scanned) {
            words.retain(|id, _| *id <= newest.event.id);
        }
        Ok(())
    }

    fn refuse(&self, subscription: &Subscription, one: &NumberedEntry, refusal: &PollRefusal) {
        let reason = Reason::RefusedByConsumer;
        self.parts.ledger.give_up(DeadLetter {
            id: DeadLetterId(0),
            key: DeliveryKey {
                subscription: subscription.id.clone(),
                replay: None,
                event: one.entry.event.id,
            },
            position: one.entry.position,
            link: Some((one.sequence, one.previous)),
            event: one.entry.event.clone(),
            reason: Arc::from(reason.word()),
            attempts: 0,
            status: None,
            detail: Arc::from(shortened(&format!("{}: {}", refusal.error, refusal.description))),
            at: self.parts.clock.now(),
            redriven: false,
        });
        let labels = [subscription.id.as_str(), reason.word()];
        self.parts.metrics.counter(Metric::DeadLetters, &labels).increment();
    }

    /// Hands out what was brought back, then what is not settled, oldest first; says whether it
    /// ends before all was looked at, so that one poll is never work for minutes.
    async fn hand_out(
        &self,
        worker: &WorkerHandle,
        ack_state: &AckState,
        most: usize,
    ) -> Result<(Polled, bool), PullError> {
        must_be_served(worker)?;
        let view = worker.look();
        let mut polled = Polled::default();
        for retry in ack_state.returned().into_iter().take(most) {
            if let Some(one) = self.returned(&retry).await?
                && self.may_hand_out(&view.subscription, &one)
            {
                polled.events.push(self.seal(&view.subscription, &one).await?);
            }
        }
        let cursor = ack_state.acknowledged();
        let page = Page { items: most.clamp(1, 256), ..Page::default() };
        let (mut at, mut bytes) = (cursor.settled, 0);
        let end = furthest(&view.standing, &cursor);
        'pages: while polled.events.len() < most && at < end {
            let part = self.parts.subscription_service.reader().read(&view, at, page).await?;
            at = part.reached.position;
            self.pass(&view, ack_state, part.reached).await;
            for one in &part.matches {
                if one.sequence > cursor.sequence + MOST_OUTSTANDING
                    || one.entry.position > end
                    || polled.events.len() == most
                    || bytes > page.bytes
                {
                    break 'pages;
                }
                if !cursor.ahead.contains(one.sequence)
                    && !one.given_up
                    && self.may_hand_out(&view.subscription, one)
                {
                    bytes += one.entry.weight();
                    polled.events.push(self.seal(&view.subscription, one).await?);
                }
            }
        }
        polled.more = is_more(&view.standing, ack_state, polled.events.len());
        let is_cut = polled.more && at >= end && end < view.standing.scanned;
        Ok((polled, is_cut))
    }

    /// Notes that nothing up to a place is for the consumer, so that the next poll begins there.
    async fn pass(&self, view: &SubscriptionView, ack_state: &AckState, place: SequenceCheckpoint) {
        let _turn = ack_state.turn.lock().await;
        if let Some(cursor) = ack_state.pass(place) {
            self.parts.ledger.cursor(&view.subscription.id, &cursor);
        }
    }

    /// The match that a delivery was brought back of; nothing if its event is not kept any more.
    async fn returned(&self, retry: &Retry) -> Result<Option<NumberedEntry>, PullError> {
        let entry = recall(&self.parts.store, retry).await?;
        let of = |(entry, (sequence, previous))| NumberedEntry {
            entry,
            sequence,
            previous,
            given_up: false,
        };
        Ok(entry.zip(retry.link).map(of))
    }
}

/// How far one poll looks: what it hands out, the next one can be told of.
fn furthest(standing: &WorkerStanding, cursor: &Cursor) -> Position {
    standing.scanned.min(Position(cursor.settled.0.saturating_add(LOOKED_THROUGH)))
}

fn is_more(standing: &WorkerStanding, ack_state: &AckState, handed_out: usize) -> bool {
    let (open, returned) = ack_state.waiting(standing.sequence);
    open + returned as u64 > handed_out as u64
}

/// Keeps the beginning of what a consumer says, without what a terminal or a page obeys and without long words,
/// among which a token would be.
fn shortened(text: &str) -> String {
    let words = text.split_whitespace().filter(|word| word.len() <= 64);
    let shown = words.collect::<Vec<_>>().join(" ");
    let shown = shown.chars().take(DETAIL_CHARACTERS);
    shown.map(|c| if is_unseen(c) { ' ' } else { c }).collect()
}
