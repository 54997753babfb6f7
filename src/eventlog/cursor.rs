//! How far a subscription has come along the log.

use crate::event::{ChainValue, SubscriptionId, Timestamp};
use crate::eventlog::Position;

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
