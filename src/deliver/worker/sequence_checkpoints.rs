//! Says when a place in the numbering of a subscription is worth keeping.

use crate::eventlog::SequenceCheckpoint;

/// So many matches may follow a sequence checkpoint before the next.
const MATCHES: u64 = 256;
/// So many entries may be looked at after a sequence checkpoint before the next.
const ENTRIES: u64 = 4096;

/// The sequence checkpoints of one subscription: near enough to each other that numbering from one
/// to the next takes milliseconds, and far enough apart that keeping them costs nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct SequenceCheckpoints {
    last: Option<SequenceCheckpoint>,
}

impl SequenceCheckpoints {
    /// Gives the place back if it is to be kept: the first one, and then every few hundred matches.
    pub fn due(&mut self, place: SequenceCheckpoint) -> Option<SequenceCheckpoint> {
        let due = self.last.is_none_or(|last| {
            place.sequence.saturating_sub(last.sequence) >= MATCHES
                || place.position.0.saturating_sub(last.position.0) >= ENTRIES
        });
        due.then(|| {
            self.last = Some(place);
            place
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::ChainValue;
    use crate::eventlog::Position;

    #[test]
    fn a_sequence_checkpoint_is_due_at_the_start_and_after_many_matches_or_entries() {
        let mut sequence_checkpoints = SequenceCheckpoints::default();
        let chain = ChainValue::start(&"a".parse().unwrap());
        let mut due = |position, sequence| {
            sequence_checkpoints
                .due(SequenceCheckpoint { position: Position(position), sequence, chain })
                .is_some()
        };

        assert!(due(10, 3));
        assert!(!due(10, 3) && !due(400, 258));
        assert!(due(401, 259));
        assert!(!due(4496, 260));
        assert!(due(4497, 260));
    }
}
