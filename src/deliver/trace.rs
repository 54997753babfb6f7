//! Says what became of an event for one subscription, and why.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use crate::deliver::{
    Command, Fate, Hindrance, Line, Office, OfficeError, Phase, ReadError, Turn, View,
};
use crate::event::EventId;
use crate::eventlog::{Attempt, DeliveryKey, Entry, Page, Position, Receipt, ReceiptId};
use crate::route::Mismatch;
use crate::subscriptions::{State, Subscription};

/// Attempts and receipts that are shown of one event and subscription.
const MOST: usize = 1000;
/// How long a courier is waited for.
const PATIENCE: Duration = Duration::from_secs(1);

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
        let trace = self.look(subscription, (event, entry)).await?;
        if trace.fate != Fate::Settled {
            return Ok(trace);
        }
        // Nothing of it is on record, which may be because that is not written yet. Where it cannot
        // be, there is nothing more to be told.
        let _ = self.dispatch.write_outcomes().await;
        self.look(subscription, (event, entry)).await
    }

    async fn look(
        &self,
        subscription: &Arc<Subscription>,
        (event, entry): (EventId, Option<&Entry>),
    ) -> Result<Trace, OfficeError> {
        // Where the courier stands comes before its filters, see `Line::look`.
        let line = self.dispatch.line(&subscription.id).map(Line::watching);
        let view = line.as_ref().map(Line::look);
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
        let sequence = sequence.or(place.number());
        let fate = match (fate, &line, &view) {
            (Some(Fate::Retrying { .. }), _, Some(view)) if subscription.is_pulled() => {
                // What was brought back comes with the next poll.
                self.to_fetch(view)
            }
            (Some(Fate::Retrying { attempts, due, redriven, .. }), _, Some(view)) => {
                let because = self.kept_back(view, sequence, entry).await;
                Fate::Retrying { attempts, due, redriven, because }
            }
            (Some(fate), ..) => fate,
            (None, ..) if matches!(matching, Matching::Missed(_)) => Fate::Unwanted,
            (None, Some(line), Some(view)) => self.undecided((line, view), (place, entry)).await?,
            (None, ..) => Fate::Closed,
        };
        Ok(Trace { matching, sequence, fate, attempts, receipts })
    }

    /// What has left the straight line of a live delivery, and the number that it had there.
    async fn set_aside(
        &self,
        key: &DeliveryKey,
    ) -> Result<Option<(Fate, Option<u64>)>, OfficeError> {
        let number = |link: Option<(u64, _)>| link.map(|(sequence, _)| sequence);
        if let Some(retry) = self.log.retry(key).await? {
            let (attempts, due, redriven) = (retry.attempts, retry.due, retry.redriven);
            return Ok(Some((
                Fate::Retrying { attempts, due, redriven, because: None },
                number(retry.link),
            )));
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

    /// What keeps a delivery from an attempt that is due.
    async fn kept_back(
        &self,
        view: &View,
        sequence: Option<u64>,
        entry: Option<&Entry>,
    ) -> Option<Hindrance> {
        let hindrance = self.hindrance(view);
        if matches!(hindrance, Hindrance::Pending | Hindrance::Paused) {
            return Some(hindrance);
        }
        let turn = match (sequence, entry) {
            (Some(sequence), Some(entry)) => self.turn(view, sequence, entry).await,
            _ => Turn::None,
        };
        match turn {
            Turn::After { event, sequence } => Some(Hindrance::Subject { event, sequence }),
            _ => Some(hindrance).filter(|hindrance| *hindrance != Hindrance::Turn),
        }
    }

    fn to_fetch(&self, view: &View) -> Fate {
        match self.hindrance(view) {
            because @ (Hindrance::Pending | Hindrance::Paused) => Fate::Waiting { because },
            _ => Fate::ToFetch,
        }
    }

    /// Where a delivery stands of which neither a retry, a dead letter nor an attempt is kept.
    async fn undecided(
        &self,
        (line, view): (&Line, &View),
        (place, entry): (Place, Option<&Entry>),
    ) -> Result<Fate, OfficeError> {
        let (sequence, entry) = match (place, entry) {
            (Place::Numbered(sequence), Some(entry)) => (sequence, entry),
            (Place::BeforeStart, _) => return Ok(Fate::BeforeStart),
            (Place::Ahead, _) => return Ok(Fate::Waiting { because: self.hindrance(view) }),
            // Only what is settled leaves the log.
            _ => return Ok(Fate::Settled),
        };
        if let Some(shelf) = &line.shelf {
            return Ok(if shelf.has(sequence) { Fate::Acknowledged } else { self.to_fetch(view) });
        }
        match self.turn(view, sequence, entry).await {
            Turn::Past => Ok(Fate::Settled),
            Turn::None => Ok(Fate::UnderWay),
            Turn::Next => Ok(Fate::Waiting { because: self.hindrance(view) }),
            Turn::After { event, sequence } => {
                let subscription = view.subscription.id.clone();
                let ahead = DeliveryKey { subscription, replay: None, event };
                let letter = self.log.dead_letter(&ahead).await?;
                Ok(match letter.filter(|letter| !letter.redriven) {
                    Some(letter) => Fate::Blocked { by: letter.id },
                    None => Fate::Waiting { because: Hindrance::Subject { event, sequence } },
                })
            }
        }
    }

    /// Asks the courier whether a match waits for its turn. One that does not answer in time has
    /// other things to do, such as to wait for a full disk.
    async fn turn(&self, view: &View, sequence: u64, entry: &Entry) -> Turn {
        let Some(line) = self.dispatch.line(&view.subscription.id) else { return Turn::None };
        let (answer, told) = oneshot::channel();
        let subject = entry.event.subject.clone();
        if line.commands.try_send(Command::Turn { sequence, subject, answer }).is_err() {
            return Turn::None;
        }
        // A courier ends once nobody can command it any more, and then nobody answers.
        drop(line);
        tokio::select! {
            told = told => told.unwrap_or(Turn::None),
            () = self.clock.sleep(PATIENCE) => Turn::None,
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

impl Place {
    const fn number(self) -> Option<u64> {
        match self {
            Self::Numbered(sequence) => Some(sequence),
            Self::BeforeStart | Self::Ahead | Self::Unknown => None,
        }
    }
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

fn matching(subscription: &Subscription, entry: &Entry) -> Matching {
    let Some(filter) = subscription.filter_at(entry.position) else { return Matching::Unknown };
    let tree = entry.event.to_tree();
    if filter.matches(&tree) { Matching::Matched } else { Matching::Missed(filter.explain(&tree)) }
}
