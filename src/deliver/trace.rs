//! Says what became of an event for one subscription, and why.

use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use tokio::sync::oneshot;

use crate::ambient::Clock;
use crate::deliver::{
    Command, Fate, Hindrance, Line, Office, OfficeError, Phase, ReadError, Turn, View,
};
use crate::event::{EventId, Timestamp};
use crate::eventlog::{Attempt, DeliveryKey, Entry, Page, Position, Receipt, ReceiptId};
use crate::route::Mismatch;
use crate::subscriptions::{State, Subscription};

/// Attempts and receipts that are shown of one event and subscription.
const MOST: usize = 1000;
/// How long couriers are waited for, all together.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long each is waited for, however late it has become: one that is well answers sooner.
const LEAST: Duration = Duration::from_millis(20);
/// Subscriptions that are looked at together.
const TOGETHER: usize = 32;

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

impl Trace {
    /// Whether nothing of a delivery is on record because that may not be written yet. What has no
    /// number lies where nothing is under way any more.
    fn may_be_unwritten(&self) -> bool {
        self.fate == Fate::Settled && self.sequence.is_some()
    }
}

/// What is asked of every subscription.
#[derive(Clone, Copy)]
struct Asked<'a> {
    event: EventId,
    entry: Option<&'a Entry>,
    patience: Patience<'a>,
}

/// One time limit for all couriers that are asked.
#[derive(Clone, Copy)]
struct Patience<'a> {
    clock: &'a dyn Clock,
    until: Timestamp,
}

impl<'a> Patience<'a> {
    fn new(clock: &'a dyn Clock) -> Self {
        Self { clock, until: clock.now().after(PATIENCE) }
    }

    /// Waits for an answer. A courier that does not give it in time has other things to do, such as
    /// to wait for a full disk.
    async fn wait_for(self, answer: oneshot::Receiver<Turn>) -> Turn {
        let left = self.until.since(self.clock.now()).max(LEAST);
        tokio::select! {
            biased;
            told = answer => told.unwrap_or(Turn::None),
            () = self.clock.sleep(left) => Turn::None,
        }
    }
}

impl Office {
    /// Says what became of an event for each of some subscriptions, in their order.
    ///
    /// # Errors
    ///
    /// Ours: the log failed.
    pub async fn traces(
        &self,
        subscriptions: &[Arc<Subscription>],
        (event, entry): (EventId, Option<&Entry>),
    ) -> Result<Vec<Trace>, OfficeError> {
        let asked = Asked { event, entry, patience: Patience::new(&*self.clock) };
        let mut traces = self.looks(subscriptions, asked).await?;
        let unsure = |(_, trace): &(&Arc<Subscription>, &Trace)| trace.may_be_unwritten();
        let again: Vec<_> = subscriptions
            .iter()
            .zip(&traces)
            .filter(unsure)
            .map(|(one, _)| Arc::clone(one))
            .collect();
        if again.is_empty() {
            return Ok(traces);
        }
        // Once for all, because each writing is a sync. Where it cannot be written, there is nothing
        // more to be told.
        let _ = self.dispatch.write_outcomes().await;
        let sure = self.looks(&again, asked).await?;
        let unsure = traces.iter_mut().filter(|trace| trace.may_be_unwritten());
        unsure.zip(sure).for_each(|(trace, sure)| *trace = sure);
        Ok(traces)
    }

    /// Looks at some together, so that one courier that does not answer does not keep all others.
    async fn looks(
        &self,
        subscriptions: &[Arc<Subscription>],
        asked: Asked<'_>,
    ) -> Result<Vec<Trace>, OfficeError> {
        let looks: Vec<_> = subscriptions.iter().map(|one| self.look(one, asked)).collect();
        stream::iter(looks).buffered(TOGETHER).try_collect().await
    }

    async fn look(
        &self,
        subscription: &Arc<Subscription>,
        asked: Asked<'_>,
    ) -> Result<Trace, OfficeError> {
        let Asked { event, entry, .. } = asked;
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
                let because = self.kept_back(view, sequence, asked).await;
                Fate::Retrying { attempts, due, redriven, because }
            }
            (Some(fate), ..) => fate,
            (None, ..) if matches!(matching, Matching::Missed(_)) => Fate::Unwanted,
            (None, Some(line), Some(view)) => self.undecided((line, view), place, asked).await?,
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
        asked: Asked<'_>,
    ) -> Option<Hindrance> {
        let hindrance = self.hindrance(view);
        if matches!(hindrance, Hindrance::Pending | Hindrance::Paused) {
            return Some(hindrance);
        }
        let turn = match sequence {
            Some(sequence) => self.turn(view, sequence, asked).await,
            None => Turn::None,
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
        place: Place,
        asked: Asked<'_>,
    ) -> Result<Fate, OfficeError> {
        let sequence = match place {
            Place::Numbered(sequence) => sequence,
            Place::BeforeStart => return Ok(Fate::BeforeStart),
            Place::Ahead => return Ok(Fate::Waiting { because: self.hindrance(view) }),
            // Only what is settled leaves the log.
            Place::Unknown => return Ok(Fate::Settled),
        };
        if let Some(shelf) = &line.shelf {
            return Ok(if shelf.has(sequence) { Fate::Acknowledged } else { self.to_fetch(view) });
        }
        match self.turn(view, sequence, asked).await {
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

    /// Asks the courier whether a match waits for its turn.
    async fn turn(&self, view: &View, sequence: u64, asked: Asked<'_>) -> Turn {
        let (Some(line), Some(entry)) = (self.dispatch.line(&view.subscription.id), asked.entry)
        else {
            return Turn::None;
        };
        let (answer, told) = oneshot::channel();
        let subject = entry.event.subject.clone();
        if line.commands.try_send(Command::Turn { sequence, subject, answer }).is_err() {
            return Turn::None;
        }
        // A courier ends once nobody can command it any more, and then nobody answers.
        drop(line);
        asked.patience.wait_for(told).await
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

#[cfg(test)]
mod tests {
    use futures_util::future::join_all;

    use super::*;
    use crate::ambient::ManualClock;

    #[tokio::test]
    async fn couriers_that_do_not_answer_share_one_time_limit() {
        let clock = ManualClock::at(Timestamp::EPOCH);
        let patience = Patience::new(&clock);
        let silent = || {
            let (answer, told) = oneshot::channel();
            (answer, patience.wait_for(told))
        };
        let (_silent, waits): (Vec<_>, Vec<_>) = (0..100).map(|_| silent()).unzip();
        let mut waits = std::pin::pin!(join_all(waits));
        assert!(futures_util::poll!(&mut waits).is_pending());
        clock.advance(PATIENCE);
        assert_eq!(waits.await, [Turn::None; 100]);

        let (_silent, late) = silent();
        let mut late = std::pin::pin!(late);
        assert!(futures_util::poll!(&mut late).is_pending());
        clock.advance(LEAST);
        assert_eq!(late.await, Turn::None);
        let (answer, late) = silent();
        answer.send(Turn::Next).unwrap();
        assert_eq!(late.await, Turn::Next, "one that answers at once is heard, however late it is");
    }

    #[test]
    fn only_what_is_settled_at_a_known_place_may_be_written_later() {
        let trace = |fate, sequence| Trace {
            matching: Matching::Unknown,
            sequence,
            fate,
            attempts: Vec::new(),
            receipts: Vec::new(),
        };

        assert!(trace(Fate::Settled, Some(7)).may_be_unwritten());
        assert!(!trace(Fate::Settled, None).may_be_unwritten());
        assert!(!trace(Fate::UnderWay, Some(7)).may_be_unwritten());
    }
}
