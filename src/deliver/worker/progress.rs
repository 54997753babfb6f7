//! How one subscription comes along the log: numbers, chain, and what is settled.

use std::collections::BTreeMap;

use crate::event::{ChainValue, EventDigest, EventId, Timestamp};
use crate::eventlog::{Cursor, Position, SequenceCheckpoint};

/// A match that is numbered and not settled, and the settled ones behind it up to the next that is
/// not.
#[derive(Clone, Copy, Debug)]
struct OpenMatch {
    position: Position,
    /// The chain after the last of them.
    after: ChainValue,
}

/// Numbers matches in log order and finds the cursor that may be kept.
///
/// The cursor moves only over matches that are settled without a gap, so what is kept is enough to
/// number everything after it again in the same way: same log, same pattern, same numbers.
///
/// What is settled behind an open match is kept as ranges, here and in the cursor: one attempt that
/// hangs holds neither memory nor the matches behind it.
#[derive(Clone, Debug)]
pub struct Progress {
    /// What was settled without a gap, and settled numbers above it.
    cursor: Cursor,
    /// Everything up to here was looked at.
    scanned: Position,
    /// The number of the newest match.
    sequence: u64,
    /// The chain after the newest match.
    chain: ChainValue,
    /// Matches that are not settled, by number; the first has number `cursor.sequence + 1`.
    open: BTreeMap<u64, OpenMatch>,
}

/// The number and the chain that a match was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NumberedMatch {
    /// Its sequence number, from 1.
    pub sequence: u64,
    /// The chain before it.
    pub previous: ChainValue,
    /// Whether it was settled in an earlier life of the gateway.
    pub settled: bool,
}

impl Progress {
    /// Goes on from a kept cursor.
    pub fn resume(cursor: Cursor) -> Self {
        let Cursor { settled, sequence, chain, .. } = cursor;
        Self { scanned: settled, sequence, chain, open: BTreeMap::new(), cursor }
    }

    /// Everything up to here was looked at.
    pub const fn scanned(&self) -> Position {
        self.scanned
    }

    /// The place up to which everything was looked at.
    pub const fn place(&self) -> SequenceCheckpoint {
        let (sequence, chain) = self.newest();
        SequenceCheckpoint { position: self.scanned, sequence, chain }
    }

    /// How many matches are numbered and not settled.
    pub fn open(&self) -> usize {
        self.open.len()
    }

    /// The sequence number of the newest match, and the chain after it.
    pub const fn newest(&self) -> (u64, ChainValue) {
        (self.sequence, self.chain)
    }

    /// Numbers a match; matches must come in log order.
    pub fn number(
        &mut self,
        position: Position,
        id: EventId,
        digest: EventDigest,
    ) -> NumberedMatch {
        let previous = self.chain;
        let after = previous.next(id, digest);
        let sequence = self.sequence + 1;
        let settled = self.cursor.ahead.contains(sequence);
        if settled {
            self.extend(sequence, after);
        } else {
            self.open.insert(sequence, OpenMatch { position, after });
        }
        (self.sequence, self.chain) = (sequence, after);
        self.pass(position);
        NumberedMatch { sequence, previous, settled }
    }

    /// Notes that nothing up to `position` matches beyond what was numbered.
    pub fn pass(&mut self, position: Position) {
        self.scanned = self.scanned.max(position);
        self.cursor.settled = match self.open.values().next() {
            Some(open) => Position(open.position.0.saturating_sub(1)),
            None => self.scanned,
        };
    }

    /// Notes that a match is settled: delivered, set aside for a retry, or given up.
    pub fn settle(&mut self, sequence: u64) {
        if let Some(settled) = self.open.remove(&sequence) {
            self.cursor.ahead.insert(sequence);
            self.extend(sequence, settled.after);
            self.pass(self.scanned);
        }
    }

    /// Whether a match that was numbered is settled.
    pub fn has_settled(&self, sequence: u64) -> bool {
        sequence <= self.sequence && !self.open.contains_key(&sequence)
    }

    /// Takes what ends with `after` for settled, from `sequence` on: behind the open match before
    /// it, or behind the cursor.
    fn extend(&mut self, sequence: u64, after: ChainValue) {
        if let Some((_, open)) = self.open.range_mut(..sequence).next_back() {
            open.after = after;
            return;
        }
        let next = self.open.keys().next();
        self.cursor.sequence = next.map_or(self.sequence.max(sequence), |next| next - 1);
        self.cursor.chain = after;
        self.cursor.ahead.drop_through(self.cursor.sequence);
    }

    /// Notes since when attempts have only failed.
    pub const fn note_failing(&mut self, since: Option<Timestamp>) {
        self.cursor.failing_since = since;
    }

    /// The cursor to keep.
    pub const fn cursor(&self) -> &Cursor {
        &self.cursor
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn start() -> Progress {
        Progress::resume(Cursor::starting(&"s".parse().unwrap(), Position::START))
    }

    fn feed(progress: &mut Progress, position: u64) -> NumberedMatch {
        let digest = EventDigest::from_bytes([u8::try_from(position).unwrap(); 32]);
        progress.number(Position(position), EventId::first_of(position), digest)
    }

    #[test]
    fn the_cursor_waits_for_the_oldest_open_match() {
        let mut progress = start();
        feed(&mut progress, 3);
        feed(&mut progress, 5);
        progress.pass(Position(9));

        progress.settle(2);
        assert_eq!(progress.cursor().settled, Position(2));
        assert_eq!(progress.cursor().sequence, 0);
        assert!(progress.cursor().ahead.contains(2));
        assert_eq!([1, 2, 3].map(|number| progress.has_settled(number)), [false, true, false]);

        progress.settle(1);
        assert_eq!(progress.cursor().settled, Position(9));
        assert_eq!(progress.cursor().sequence, 2);
        assert!(progress.cursor().ahead.is_empty());
        assert!(progress.has_settled(1));
    }

    #[test]
    fn what_is_settled_behind_an_open_match_is_kept_as_one_range() {
        let mut progress = start();
        for sequence in 1..=200 {
            feed(&mut progress, sequence);
            if sequence != 1 {
                progress.settle(sequence);
            }
        }
        assert_eq!((progress.open(), progress.newest().0), (1, 200));
        assert_eq!(progress.cursor().ahead.ranges(), [(2, 200)]);
    }

    proptest! {
        #[test]
        fn a_crash_at_any_moment_numbers_everything_again_in_the_same_way(
            settle_order in proptest::collection::vec(1_u64..20, 0..30),
        ) {
            let mut first = start();
            let numbered: Vec<NumberedMatch> = (1..=20).map(|p| feed(&mut first, p)).collect();
            for &sequence in &settle_order {
                first.settle(sequence);
            }

            let kept = first.cursor().clone();
            let mut second = Progress::resume(kept.clone());
            for position in kept.settled.0 + 1..=20 {
                let again = feed(&mut second, position);
                let before = numbered[usize::try_from(position).unwrap() - 1];
                prop_assert_eq!((again.sequence, again.previous), (before.sequence, before.previous));
                prop_assert_eq!(again.settled, settle_order.contains(&again.sequence));
            }
            prop_assert_eq!(second.newest(), first.newest());
            prop_assert_eq!(second.cursor(), first.cursor());
        }
    }
}
