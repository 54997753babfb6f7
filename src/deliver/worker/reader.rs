//! Reads what a subscription was or will be sent, at any place, with the very numbers of delivery.

use std::sync::Arc;

use moka::future::Cache;

use crate::deliver::worker::WorkerStanding;
use crate::deliver::worker::decider::{Decider, EntryDecision, NotDecided};
use crate::event::{Blame, ChainValue, EventId, Fault, SubscriptionId, Timestamp};
use crate::eventlog::{DeliveryState, Entry, Log, LogError, Page, Position, SequenceCheckpoint};
use crate::subscriptions::Subscription;

/// Entries that are looked through for one answer, so that a filter that matches little cannot hold
/// a reader up.
pub const LOOKED_THROUGH: u64 = 16_384;
/// Places that are remembered, so that who reads page after page is not numbered from a sequence
/// checkpoint each time.
const REMEMBERED: u64 = 16_384;

/// A subscription, and how far its matches are numbered.
#[derive(Clone, Debug)]
pub struct SubscriptionView {
    /// Where its courier stands.
    pub standing: WorkerStanding,
    /// The subscription, with every filter that applies up to there.
    pub subscription: Arc<Subscription>,
    /// A place that is known apart from sequence checkpoints: what the consumer has acknowledged.
    pub acknowledged: Option<SequenceCheckpoint>,
}

/// A match with its number and its link of the chain.
#[derive(Clone, Debug)]
pub struct NumberedEntry {
    /// The event.
    pub entry: Arc<Entry>,
    /// Its sequence number, from 1.
    pub sequence: u64,
    /// The chain before it.
    pub previous: ChainValue,
    /// Whether it is a dead letter because it was too much work to tell that it matches. It is never
    /// handed out.
    pub given_up: bool,
}

/// Some matches, in order.
#[derive(Clone, Debug)]
pub struct NumberedPage {
    /// The matches.
    pub matches: Vec<NumberedEntry>,
    /// Everything up to here was looked at.
    pub reached: SequenceCheckpoint,
    /// The last event that was looked at, whether it matched or not; nothing if there was none.
    pub last: Option<EventId>,
}

/// Why nothing was read.
#[derive(Debug, thiserror::Error)]
pub enum SequenceReadError {
    /// Events after the place that was asked for are not kept any more.
    #[error("events after this place are not kept any more")]
    Gone {
        /// Where everything behind can be read.
        place: Position,
        /// An id after which everything can be read, with the time of no event.
        after: EventId,
    },
    /// The gateway is stopping.
    #[error(transparent)]
    NotDecided(#[from] NotDecided),
    /// The log failed.
    #[error(transparent)]
    Log(#[from] LogError),
}

impl Blame for SequenceReadError {
    fn fault(&self) -> Fault {
        match self {
            Self::Gone { .. } => Fault::Caller,
            Self::NotDecided(_) => Fault::Later,
            Self::Log(error) => error.fault(),
        }
    }
}

/// Numbers matches again from the log.
///
/// Numbers follow from the log and from the filters of a subscription alone, so what is read here
/// is what was or will be delivered. Reading begins at a sequence checkpoint at or before the place
/// that is asked for, and never goes beyond where the courier stands: a filter may change from
/// there on.
pub struct SequenceReader {
    log: Arc<dyn Log>,
    state: Arc<dyn DeliveryState>,
    decider: Decider,
    places: Cache<(SubscriptionId, Timestamp, Position), (u64, ChainValue)>,
}

impl SequenceReader {
    /// Reads from this log, from the sequence checkpoints that are kept there.
    pub fn new(log: Arc<dyn Log>, state: Arc<dyn DeliveryState>, decider: Decider) -> Self {
        Self { log, state, decider, places: Cache::builder().max_capacity(REMEMBERED).build() }
    }

    /// What decides whether entries are read.
    pub const fn decider(&self) -> &Decider {
        &self.decider
    }

    /// The position after which events come that are newer than this one.
    ///
    /// # Errors
    ///
    /// Ours: the log failed.
    pub async fn position_of(&self, after: EventId) -> Result<Position, LogError> {
        let head = self.log.fresh_head().await?;
        let sought = match after.successor() {
            Some(next) => self.log.seek(next).await?,
            None => head,
        };
        // What was dropped after it cannot be sought, and must not be skipped in silence.
        let low_watermark = self.log.low_watermark();
        let is_below = after < low_watermark.id && sought >= low_watermark.position;
        Ok(if is_below { Position(low_watermark.position.0.saturating_sub(1)) } else { sought })
    }

    /// Reads matches after a position: as many as fit into the page, or fewer if there are no more,
    /// or if many entries had to be looked through; then [`NumberedPage::reached`] has moved on.
    ///
    /// What lies before the start of the subscription is skipped.
    ///
    /// # Errors
    ///
    /// The caller's turn: events after that position are not kept any more. Ours: the log failed.
    pub async fn read(
        &self,
        view: &SubscriptionView,
        after: Position,
        page: Page,
    ) -> Result<NumberedPage, SequenceReadError> {
        let (subscription, standing) = (&*view.subscription, &view.standing);
        let start = self.place(view, after).await?;
        let mut part = NumberedPage { matches: Vec::new(), reached: start, last: None };
        let mut bytes = 0;
        while part.reached.position < standing.scanned
            && part.reached.position.0 - start.position.0 < LOOKED_THROUGH
        {
            for entry in self.entries(view, part.reached.position).await? {
                if entry.position > standing.scanned {
                    break;
                }
                let decision = self.decider.decide(subscription, &entry).await?;
                let matched = decision.is_numbered();
                if matched {
                    bytes += entry.weight();
                    let full = part.matches.len() == page.items
                        || (bytes > page.bytes && !part.matches.is_empty());
                    if full {
                        self.remember(subscription, part.reached).await;
                        return Ok(part);
                    }
                    part.matches.push(NumberedEntry {
                        entry: Arc::clone(&entry),
                        sequence: part.reached.sequence + 1,
                        previous: part.reached.chain,
                        given_up: decision == EntryDecision::GivenUp,
                    });
                }
                part.reached = advanced(part.reached, &entry, matched);
                part.last = Some(entry.event.id);
            }
        }
        self.remember(subscription, part.reached).await;
        Ok(part)
    }

    /// The number and the chain of a subscription at a position, or at its start if that is later.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    pub async fn place(
        &self,
        view: &SubscriptionView,
        at: Position,
    ) -> Result<SequenceCheckpoint, SequenceReadError> {
        let subscription = &*view.subscription;
        let WorkerStanding { scanned, sequence, chain, .. } = view.standing;
        if at >= scanned {
            return Ok(SequenceCheckpoint { position: scanned, sequence, chain });
        }
        let key = (subscription.id.clone(), subscription.created, at);
        if let Some((sequence, chain)) = self.places.get(&key).await {
            return Ok(SequenceCheckpoint { position: at, sequence, chain });
        }
        let (before, later) = self.state.sequence_checkpoints_around(&subscription.id, at).await?;
        let known = view.acknowledged.filter(|place| place.position <= at);
        let nearest = before.into_iter().chain(known).max_by_key(|place| place.position);
        let mut place = match (nearest, later) {
            (Some(nearest), _) => nearest,
            (None, Some(start)) if start.sequence == 0 => return Ok(start),
            (None, _) => return Err(self.gone(view).await?),
        };
        while place.position < at {
            for entry in self.entries(view, place.position).await? {
                if entry.position > at {
                    break;
                }
                let decision = self.decider.decide(subscription, &entry).await?;
                place = advanced(place, &entry, decision.is_numbered());
            }
            // Matching a page is work for milliseconds, and others need their turn.
            tokio::task::yield_now().await;
        }
        self.remember(subscription, place).await;
        Ok(place)
    }

    /// Reads entries that follow a position without a gap; there must be some.
    async fn entries(
        &self,
        view: &SubscriptionView,
        after: Position,
    ) -> Result<Vec<Arc<Entry>>, SequenceReadError> {
        let entries = self.log.read(after, Page::default()).await?;
        // Below the low watermark some entries are left that wait for an attempt, with gaps between
        // them.
        let is_whole = after >= self.log.low_watermark().position;
        let expected = Position(after.0 + entries.len() as u64);
        match entries.last() {
            Some(last) if is_whole && last.position == expected => Ok(entries),
            _ => Err(self.gone(view).await?),
        }
    }

    /// Finds from where on everything can be read: the first known place with nothing but kept
    /// entries behind it.
    async fn gone(&self, view: &SubscriptionView) -> Result<SequenceReadError, LogError> {
        self.log.fresh_head().await?;
        let low_watermark = self.log.low_watermark().position;
        let (before, later) =
            self.state.sequence_checkpoints_around(&view.subscription.id, low_watermark).await?;
        let known = [before, later, view.acknowledged].into_iter().flatten();
        let usable =
            known.map(|place| place.position).filter(|position| *position >= low_watermark);
        let place = usable.min().unwrap_or(view.standing.scanned);
        let one = Page { items: 1, bytes: 1 };
        let at = self.log.read(Position(place.0.saturating_sub(1)), one).await?;
        let after = match at.first() {
            Some(entry) if entry.position == place => Some(entry.event.id),
            Some(next) => next.event.id.predecessor(),
            None => None,
        };
        let after = after.map_or(EventId::MIN, EventId::end_of_minute);
        Ok(SequenceReadError::Gone { place, after })
    }

    async fn remember(&self, subscription: &Subscription, place: SequenceCheckpoint) {
        let key = (subscription.id.clone(), subscription.created, place.position);
        self.places.insert(key, (place.sequence, place.chain)).await;
    }
}

/// The place after one more entry.
fn advanced(place: SequenceCheckpoint, entry: &Entry, matched: bool) -> SequenceCheckpoint {
    let event = &entry.event;
    let (sequence, chain) = if matched {
        (place.sequence + 1, place.chain.next(event.id, event.digest))
    } else {
        (place.sequence, place.chain)
    };
    SequenceCheckpoint { position: entry.position, sequence, chain }
}
