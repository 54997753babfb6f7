//! How far each subscription has come, and what has left the straight line.

use std::fmt;
use std::sync::Arc;

use crate::event::{ChainValue, CloudEvent, EventId, ReplayId, SubscriptionId, Timestamp};
use crate::eventlog::{KeptReceipt, Position};

/// How far a subscription has come along the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// Everything up to here is settled: delivered, set aside for a retry, given up, or no match.
    pub settled: Position,
    /// The sequence number of the last match at or before `settled`; 0 before the first.
    pub sequence: u64,
    /// The chain after that match.
    pub chain: ChainValue,
    /// Sequence numbers above `sequence` that are settled already.
    pub ahead: SequenceSet,
    /// When the first attempt failed since which none has succeeded.
    pub failing_since: Option<Timestamp>,
}

impl Cursor {
    /// Where a new subscription begins.
    pub fn starting(subscription: &SubscriptionId, after: Position) -> Self {
        Self {
            settled: after,
            sequence: 0,
            chain: ChainValue::start(subscription),
            ahead: SequenceSet::default(),
            failing_since: None,
        }
    }

    /// The place up to which everything is settled.
    pub const fn place(&self) -> SequenceCheckpoint {
        SequenceCheckpoint { position: self.settled, sequence: self.sequence, chain: self.chain }
    }
}

/// A place from which the matches of a subscription can be numbered, always in the same way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SequenceCheckpoint {
    /// Everything up to here was looked at.
    pub position: Position,
    /// The sequence number of the last match up to there; 0 before the first.
    pub sequence: u64,
    /// The chain after that match.
    pub chain: ChainValue,
}

/// A set of sequence numbers, as inclusive ranges in ascending order that neither touch nor overlap.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SequenceSet(Vec<(u64, u64)>);

impl SequenceSet {
    /// Adds one number.
    pub fn insert(&mut self, number: u64) {
        let at = self.0.partition_point(|&(_, last)| last.saturating_add(1) < number);
        let joined_next =
            self.0.get(at).copied().filter(|&(first, _)| first <= number.saturating_add(1));
        let Some((first, last)) = joined_next else {
            self.0.insert(at, (number, number));
            return;
        };
        let mut range = (first.min(number), last.max(number));
        if let Some(&(next_first, next_last)) = self.0.get(at + 1)
            && next_first <= range.1.saturating_add(1)
        {
            range.1 = range.1.max(next_last);
            self.0.remove(at + 1);
        }
        if let Some(slot) = self.0.get_mut(at) {
            *slot = range;
        }
    }

    /// Tells whether a number is in the set.
    pub fn contains(&self, number: u64) -> bool {
        let at = self.0.partition_point(|&(_, last)| last < number);
        self.0.get(at).is_some_and(|&(first, _)| first <= number)
    }

    /// Drops every number up to and including `bound`.
    pub fn drop_through(&mut self, bound: u64) {
        self.0.retain_mut(|(first, last)| {
            *first = (*first).max(bound.saturating_add(1));
            *first <= *last
        });
    }

    /// The ranges.
    pub fn ranges(&self) -> &[(u64, u64)] {
        &self.0
    }

    /// Tells whether nothing is in the set.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Builds a set from ranges in any order.
    pub fn from_ranges(ranges: impl IntoIterator<Item = (u64, u64)>) -> Self {
        let mut sorted: Vec<(u64, u64)> =
            ranges.into_iter().filter(|(first, last)| first <= last).collect();
        sorted.sort_unstable();
        let mut joined: Vec<(u64, u64)> = Vec::with_capacity(sorted.len());
        for (first, last) in sorted {
            match joined.last_mut() {
                Some(previous) if first <= previous.1.saturating_add(1) => {
                    previous.1 = previous.1.max(last);
                }
                _ => joined.push((first, last)),
            }
        }
        Self(joined)
    }
}

/// Names one delivery: an event for a subscription, live or in a replay.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeliveryKey {
    /// For whom.
    pub subscription: SubscriptionId,
    /// The replay that it belongs to; nothing for live traffic.
    pub replay: Option<ReplayId>,
    /// Which event.
    pub event: EventId,
}

/// A delivery that failed and waits for its next attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retry {
    /// Which delivery.
    pub key: DeliveryKey,
    /// Where its event is in the log.
    pub position: Position,
    /// Its sequence number and the chain before it; nothing in a replay.
    pub link: Option<(u64, ChainValue)>,
    /// How many attempts were made, by the schedule's count.
    pub attempts: u32,
    /// When the first attempt was made.
    pub first_attempt: Timestamp,
    /// When the next attempt is due.
    pub due: Timestamp,
    /// Whether it was a dead letter that someone brought back.
    pub redriven: bool,
}

/// Names a dead letter of its subscription; grows with time, from 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeadLetterId(pub u64);

/// A delivery that was given up, with everything needed to bring it back.
#[derive(Clone, Debug, PartialEq)]
pub struct DeadLetter {
    /// Its name; the engine gives it, and ignores what a new one holds here.
    pub id: DeadLetterId,
    /// Which delivery.
    pub key: DeliveryKey,
    /// Where its event is, or was, in the log.
    pub position: Position,
    /// Its sequence number and the chain before it; nothing in a replay.
    pub link: Option<(u64, ChainValue)>,
    /// The event itself, so that a dead letter outlives the log's retention.
    pub event: CloudEvent,
    /// Why, as a word of the closed list that `deliver` keeps.
    pub reason: Arc<str>,
    /// How many attempts were made.
    pub attempts: u32,
    /// The status of the last response, if there was one.
    pub status: Option<u16>,
    /// The last response or error, shortened.
    pub detail: Arc<str>,
    /// When it was given up.
    pub at: Timestamp,
    /// Whether it is being delivered again; the engine knows, and ignores what a new one holds here.
    pub redriven: bool,
}

/// One try at delivering, kept for people who ask what happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Which delivery.
    pub key: DeliveryKey,
    /// Its count, from 1.
    pub number: u32,
    /// When it began.
    pub at: Timestamp,
    /// How long it took, in milliseconds.
    pub duration_ms: u32,
    /// The status of the response, if there was one.
    pub status: Option<u16>,
    /// What it meant, as a word of the closed list that `deliver` keeps.
    pub verdict: Arc<str>,
    /// What went wrong, shortened; empty on success.
    pub detail: Arc<str>,
    /// What the check of a receipt came to, as a word of the closed list that `seal` keeps; nothing
    /// where none is asked for, or where the sink did not say yes.
    pub receipt: Option<Arc<str>>,
}

/// Changes of the delivery state that are written together.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    /// Cursors, each replacing what was kept for its subscription.
    pub cursors: Vec<(SubscriptionId, Cursor)>,
    /// Milestones to keep beside those that there are.
    pub sequence_checkpoints: Vec<(SubscriptionId, SequenceCheckpoint)>,
    /// Retries to keep, each replacing what was kept under its key.
    pub retries: Vec<Retry>,
    /// Retries to drop, because they were delivered or given up, and the dead letters from which
    /// they came.
    pub settled: Vec<DeliveryKey>,
    /// Dead letters to keep, each replacing the one that its delivery had.
    pub dead_letters: Vec<DeadLetter>,
    /// Attempts to keep.
    pub attempts: Vec<Attempt>,
    /// Receipts to keep.
    pub receipts: Vec<KeptReceipt>,
}

/// Everything that delivery needs at start.
#[derive(Clone, Debug, Default)]
pub struct DeliveryState {
    /// The cursor of each subscription.
    pub cursors: Vec<(SubscriptionId, Cursor)>,
    /// Every waiting retry.
    pub retries: Vec<Retry>,
}

/// Names a quarantined event; grows with time, from 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QuarantineId(pub u64);

/// An event that broke its contract, to be kept until it is released.
#[derive(Clone)]
pub struct NewQuarantined {
    /// The publication whose contract it broke, as `domain/event`.
    pub publication: Arc<str>,
    /// The id that the event had on its producer's bus.
    pub envelope_id: Arc<str>,
    /// The codes of the violations, each once, in order, with commas between.
    pub codes: Arc<str>,
    /// The event as it was received, in the gateway's own JSON form.
    pub received: String,
    /// What is wrong with it, as a JSON array.
    pub violations: String,
}

impl NewQuarantined {
    /// About how many bytes it takes in memory.
    pub fn weight(&self) -> usize {
        self.received.len() + self.violations.len()
    }
}

/// Shows names and sizes only, because received events are data.
impl fmt::Debug for NewQuarantined {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NewQuarantined({}, {} bytes)", self.publication, self.received.len())
    }
}

/// An event in quarantine.
#[derive(Clone, Debug)]
pub struct Quarantined {
    /// Its name.
    pub id: QuarantineId,
    /// When it was refused.
    pub at: Timestamp,
    /// What was refused.
    pub event: NewQuarantined,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_sequence_set_is_a_set(numbers in proptest::collection::vec(0_u64..40, 0..40), bound in 0_u64..40) {
            let mut set = SequenceSet::default();
            for &number in &numbers {
                set.insert(number);
            }
            for number in 0..41 {
                prop_assert_eq!(set.contains(number), numbers.contains(&number));
            }
            prop_assert!(set.ranges().windows(2).all(|pair| pair[0].1 + 1 < pair[1].0));
            prop_assert_eq!(&SequenceSet::from_ranges(numbers.iter().map(|&n| (n, n))), &set);
            set.drop_through(bound);
            for number in 0..41 {
                prop_assert_eq!(set.contains(number), number > bound && numbers.contains(&number));
            }
        }
    }
}
