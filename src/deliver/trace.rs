//! Says what became of an event for one subscription, and why.

use std::sync::Arc;

use crate::deliver::{Office, OfficeError, Phase, ReadError, View};
use crate::event::{EventId, Timestamp};
use crate::eventlog::{
    Attempt, DeadLetter, DeadLetterId, DeadLetterQuery, DeliveryKey, Entry, Page, Position,
    Receipt, ReceiptId,
};
use crate::route::Mismatch;
use crate::subscriptions::{State, Subscription};

/// Attempts and receipts that are shown of one event and subscription.
const MOST: usize = 1000;

/// Whether a subscription wanted an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Matching {
    /// It did.
    Matched,
    /// It did not: these parts of the filter that applied then were not met.
    Missed(Vec<Mismatch>),
    /// The log does not hold the event any more.
    Unknown,
}

/// What keeps a subscription from coming further in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hindrance {
    /// Its sink has not proved itself.
    Pending,
    /// Someone has paused it, or the gateway has.
    Paused,
    /// Its sink is left alone until this moment, or until an attempt has found that it is well.
    SinkLeftAlone(Option<Timestamp>),
    /// Nothing: others go first.
    Turn,
}

impl Hindrance {
    /// The stable word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Paused => "paused",
            Self::SinkLeftAlone(_) => "sink-left-alone",
            Self::Turn => "turn",
        }
    }
}

/// Where the delivery of an event stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// The subscription does not want it.
    Unwanted,
    /// It is older than the subscription's start.
    BeforeStart,
    /// The subscription has not come so far in the log.
    Waiting {
        /// What keeps it.
        because: Hindrance,
    },
    /// A dead letter of its subject goes first, and waits for someone to redrive or dismiss it.
    Blocked {
        /// The number of the dead letter.
        by: DeadLetterId,
    },
    /// An attempt is being made, or its outcome is not written yet.
    UnderWay,
    /// The consumer fetches its events, and has not acknowledged this one.
    ToFetch,
    /// The consumer has fetched and acknowledged it.
    Acknowledged,
    /// Another attempt will be made.
    Retrying {
        /// Attempts made, by the schedule's count.
        attempts: u32,
        /// Not before this moment.
        due: Timestamp,
        /// Whether it was a dead letter that someone brought back.
        redriven: bool,
    },
    /// The sink has it.
    Delivered {
        /// Since then.
        at: Timestamp,
    },
    /// It was given up, and waits as a dead letter.
    DeadLetter {
        /// Its number.
        number: DeadLetterId,
        /// Why, as a word of the closed list.
        reason: Arc<str>,
        /// When it was given up.
        at: Timestamp,
    },
    /// It was given up, and its dead letter was dismissed or has expired.
    Dropped {
        /// Why it was given up, as a word of the closed list.
        reason: Arc<str>,
    },
    /// It is settled, and so long ago that no attempt is on record.
    Settled,
    /// The subscription is closed and delivers no more.
    Closed,
}

impl Fate {
    /// The stable word.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Unwanted => "unwanted",
            Self::BeforeStart => "before-start",
            Self::Waiting { .. } => "waiting",
            Self::Blocked { .. } => "blocked",
            Self::UnderWay => "under-way",
            Self::ToFetch => "to-fetch",
            Self::Acknowledged => "acknowledged",
            Self::Retrying { .. } => "retrying",
            Self::Delivered { .. } => "delivered",
            Self::DeadLetter { .. } => "dead-letter",
            Self::Dropped { .. } => "dropped",
            Self::Settled => "settled",
            Self::Closed => "closed",
        }
    }
}

/// What became of an event for one subscription.
#[derive(Clone, Debug)]
pub struct Trace {
    /// Whether it was wanted.
    pub matching: Matching,
    /// The sequence number of its delivery, as far as it is known.
    pub sequence: Option<u64>,
    /// Where its delivery stands.
    pub fate: Fate,
    /// Every attempt on record, replays included, oldest first.
    pub attempts: Vec<Attempt>,
    /// What the consumer has signed for.
    pub receipts: Vec<Receipt>,
}

impl Office {
    /// Says what became of an event for a subscription.
    ///
    /// # Errors
    ///
    /// Ours: the log failed.
    pub async fn trace(
        &self,
        subscription: &Arc<Subscription>,
        (event, entry): (EventId, Option<&Entry>),
    ) -> Result<Trace, OfficeError> {
        // Where the courier stands comes before its filters, see `Line::look`.
        let view = self.dispatch.line(&subscription.id).map(|line| line.look());
        let latest = view.as_ref().map_or(subscription, |view| &view.subscription);
        let subscription = Arc::clone(latest);
        let matching = entry.map_or(Matching::Unknown, |entry| matching(&subscription, entry));
        let id = subscription.id.clone();
        let page = Page { items: MOST, ..Page::default() };
        let key = DeliveryKey { subscription: id.clone(), replay: None, event };
        // Before the attempts: what is written with one of them is then never shown without it.
        let aside = self.set_aside(&key).await?;
        let mut attempts = self.log.attempts(Some(&id), Some(event), page).await?;
        attempts.reverse();
        let receipts = self.log.receipts(&id, Some(event), ReceiptId(0), page).await?;
        let place = match (&matching, entry, &view) {
            (Matching::Matched, Some(entry), Some(view)) => {
                self.place(view, entry.position).await?
            }
            _ => Place::Unknown,
        };
        let (fate, sequence) = match aside {
            Some((fate, sequence)) => (Some(fate), sequence),
            None => (tried(&attempts, place), None),
        };
        let fate = match (fate, &view) {
            // What was brought back comes with the next poll.
            (Some(Fate::Retrying { .. }), _) if subscription.is_pulled() => Fate::ToFetch,
            (Some(fate), _) => fate,
            (None, _) if matches!(matching, Matching::Missed(_)) => Fate::Unwanted,
            (None, None) => Fate::Closed,
            (None, Some(view)) => match undecided(place, view, self.hindrance(view)) {
                Fate::UnderWay => self.held(view, entry).await?.unwrap_or(Fate::UnderWay),
                other => other,
            },
        };
        let numbered = match place {
            Place::Numbered(sequence) => Some(sequence),
            _ => None,
        };
        Ok(Trace { matching, sequence: sequence.or(numbered), fate, attempts, receipts })
    }

    /// What has left the straight line of a live delivery, and the number that it had there.
    async fn set_aside(
        &self,
        key: &DeliveryKey,
    ) -> Result<Option<(Fate, Option<u64>)>, OfficeError> {
        let number = |link: Option<(u64, _)>| link.map(|(sequence, _)| sequence);
        if let Some(retry) = self.log.retry(key).await? {
            let (attempts, due, redriven) = (retry.attempts, retry.due, retry.redriven);
            return Ok(Some((Fate::Retrying { attempts, due, redriven }, number(retry.link))));
        }
        let letter = self.log.dead_letter(key).await?.filter(|letter| !letter.redriven);
        Ok(letter.map(|letter| {
            let (number_of, reason, at) = (letter.id, letter.reason, letter.at);
            (Fate::DeadLetter { number: number_of, reason, at }, number(letter.link))
        }))
    }

    fn hindrance(&self, view: &View) -> Hindrance {
        match (view.subscription.state, self.flow(&view.subscription.id)) {
            (State::Pending, _) => Hindrance::Pending,
            (State::Paused, _) => Hindrance::Paused,
            (_, Some(flow)) if flow.phase != Phase::Closed || flow.held_until.is_some() => {
                Hindrance::SinkLeftAlone(flow.held_until.max(flow.phase.until()))
            }
            _ => Hindrance::Turn,
        }
    }

    /// The dead letter that keeps a numbered event from its first attempt, if one does.
    async fn held(&self, view: &View, entry: Option<&Entry>) -> Result<Option<Fate>, OfficeError> {
        let (Some(entry), true) = (entry, view.standing.blocked > 0) else { return Ok(None) };
        let mut query = DeadLetterQuery::all(view.subscription.id.clone());
        query.to = Some(entry.event.id);
        loop {
            let page = self.log.dead_letters(&query, Page::default()).await?;
            let Some(last) = page.last() else { return Ok(None) };
            query.after = last.id;
            let subject = &entry.event.subject;
            let earlier = |letter: &&DeadLetter| {
                letter.event.subject == *subject && letter.event.id < entry.event.id
            };
            if let Some(letter) = page.iter().find(earlier) {
                return Ok(Some(Fate::Blocked { by: letter.id }));
            }
        }
    }

    /// Where a match lies on the way of a subscription.
    async fn place(&self, view: &View, position: Position) -> Result<Place, OfficeError> {
        if position > view.standing.scanned {
            return Ok(Place::Ahead);
        }
        let before = Position(position.0.saturating_sub(1));
        match self.reader().place(view, before).await {
            Ok(start) if start.position >= position => Ok(Place::BeforeStart),
            Ok(before) => Ok(Place::Numbered(before.sequence + 1)),
            Err(ReadError::Gone { .. }) => Ok(Place::Unknown),
            Err(ReadError::Log(error)) => Err(error.into()),
        }
    }
}

/// Where a match lies on the way of a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Before the first event that it wants.
    BeforeStart,
    /// It has this number.
    Numbered(u64),
    /// The courier has not come so far.
    Ahead,
    /// It cannot be told any more.
    Unknown,
}

/// What the newest attempt at a live delivery says of it.
fn tried(attempts: &[Attempt], place: Place) -> Option<Fate> {
    let newest = attempts.iter().rev().find(|attempt| attempt.key.replay.is_none());
    let fate = newest.map(|attempt| match &*attempt.verdict {
        "delivered" => Fate::Delivered { at: attempt.at },
        "retry" => Fate::UnderWay,
        _ => Fate::Dropped { reason: Arc::clone(&attempt.verdict) },
    });
    // What lies before the start may have been delivered by a replay only.
    fate.filter(|_| place != Place::BeforeStart)
}

/// Where a delivery stands of which neither a retry, a dead letter nor an attempt is kept.
fn undecided(place: Place, view: &View, because: Hindrance) -> Fate {
    match place {
        Place::BeforeStart => Fate::BeforeStart,
        Place::Ahead => Fate::Waiting { because },
        Place::Numbered(sequence) if view.subscription.is_pulled() => {
            let acknowledged = view.acknowledged.is_some_and(|place| sequence <= place.sequence);
            if acknowledged { Fate::Acknowledged } else { Fate::ToFetch }
        }
        Place::Numbered(_) | Place::Unknown if view.standing.open > 0 => Fate::UnderWay,
        Place::Numbered(_) | Place::Unknown => Fate::Settled,
    }
}

fn matching(subscription: &Subscription, entry: &Entry) -> Matching {
    let Some(filter) = subscription.filter_at(entry.position) else { return Matching::Unknown };
    let tree = entry.event.to_tree();
    if filter.matches(&tree) { Matching::Matched } else { Matching::Missed(filter.explain(&tree)) }
}
