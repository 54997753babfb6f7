//! Holds the checkpoints of one subscription against each other, and against the events that they speak of.

use std::collections::HashMap;

use crate::event::{EventId, Timestamp};
use crate::seal::evidence::BundleTrust;
use crate::seal::{Checkpoint, Link};
use crate::transparency::TreeHash;

/// What one checkpoint says otherwise than another, or than an event that it covers.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum CheckpointConflict {
    /// One size, two roots.
    #[error(
        "the checkpoints at {} and {} give one size of the tree, {size}, two roots: two histories",
        .sequences[0], .sequences[1]
    )]
    TwoRoots {
        /// The numbers of both.
        sequences: [u64; 2],
        /// The leaves of both trees.
        size: u64,
    },
    /// Two trees that begin at two positions.
    #[error("the checkpoints at {} and {} are of two trees", .0[0], .0[1])]
    TwoTrees([u64; 2]),
    /// The log has become shorter.
    #[error("the tree of the checkpoint at {} is smaller than that of the one at {}", .0[1], .0[0])]
    Shrunk([u64; 2]),
    /// One number, two chain values.
    #[error("two checkpoints at {0} sign two chain values: two histories")]
    TwoChains(u64),
    /// The log was looked at less far.
    #[error("the checkpoint at {} has an older `head` than the one at {}", .0[1], .0[0])]
    OlderHead([u64; 2]),
    /// A later word with an earlier date.
    #[error(
        "the checkpoint at {} is dated {later}, before the one at {}, {earlier}",
        .sequences[1], .sequences[0]
    )]
    Dates {
        /// The numbers of both.
        sequences: [u64; 2],
        /// The date of the first.
        earlier: Timestamp,
        /// The date of the second.
        later: Timestamp,
    },
    /// A date of before what is spoken of.
    #[error(
        "the checkpoint at {sequence} is dated {dated}, before event {event}, which it covers, was accepted"
    )]
    TooEarly {
        /// Its number.
        sequence: u64,
        /// Its date.
        dated: Timestamp,
        /// The event.
        event: EventId,
    },
    /// An event that it counts and says not to have looked at.
    #[error("the checkpoint at {sequence} has an older `head` than event {event}, which it covers")]
    HeadBeforeEvent {
        /// Its number.
        sequence: u64,
        /// The event.
        event: EventId,
    },
}

impl CheckpointConflict {
    /// The numbers of the checkpoints that it is about.
    pub fn sequences(&self) -> Vec<u64> {
        match self {
            Self::TwoRoots { sequences, .. }
            | Self::TwoTrees(sequences)
            | Self::Shrunk(sequences)
            | Self::OlderHead(sequences)
            | Self::Dates { sequences, .. } => sequences.to_vec(),
            Self::TwoChains(sequence)
            | Self::TooEarly { sequence, .. }
            | Self::HeadBeforeEvent { sequence, .. } => vec![*sequence],
        }
    }
}

/// What is wrong between checkpoints of one subscription, and between them and the events that are held.
pub(super) fn conflicts(checkpoints: &[&Checkpoint], links: &[Link]) -> Vec<CheckpointConflict> {
    let mut sorted = checkpoints.to_vec();
    let size = |checkpoint: &Checkpoint| checkpoint.tree.map(|head| head.tree.size);
    sorted.sort_by_key(|one| (one.sequence, size(one), one.issued_at));
    let mut found: Vec<CheckpointConflict> =
        sorted.windows(2).filter_map(|pair| between(pair.first()?, pair.get(1)?)).collect();
    // Next to each other among those that have one: a checkpoint without a tree hides nothing.
    let with_tree: Vec<_> = sorted.iter().filter(|one| one.tree.is_some()).collect();
    found
        .extend(with_tree.windows(2).filter_map(|pair| between_trees(pair.first()?, pair.get(1)?)));
    found.extend(two_roots(&sorted));
    found.extend(sorted.iter().filter_map(|one| against_events(one, links)));
    found
}

/// What the later of two, by their numbers, says otherwise.
fn between(one: &Checkpoint, next: &Checkpoint) -> Option<CheckpointConflict> {
    let sequences = [one.sequence, next.sequence];
    if one.sequence == next.sequence && one.chain != next.chain {
        return Some(CheckpointConflict::TwoChains(one.sequence));
    }
    if next.head < one.head {
        return Some(CheckpointConflict::OlderHead(sequences));
    }
    let (earlier, later) = (one.issued_at, next.issued_at);
    (later.after(BundleTrust::LEEWAY) < earlier).then_some(CheckpointConflict::Dates {
        sequences,
        earlier,
        later,
    })
}

/// What the tree of the later of two, by their numbers, says otherwise.
fn between_trees(one: &Checkpoint, next: &Checkpoint) -> Option<CheckpointConflict> {
    let sequences = [one.sequence, next.sequence];
    let (was, is) = one.tree.zip(next.tree)?;
    if was.first != is.first {
        return Some(CheckpointConflict::TwoTrees(sequences));
    }
    (is.tree.size < was.tree.size).then_some(CheckpointConflict::Shrunk(sequences))
}

/// Sizes of one tree for which two roots were signed.
fn two_roots(checkpoints: &[&Checkpoint]) -> Vec<CheckpointConflict> {
    let mut roots: HashMap<(u64, u64), (u64, TreeHash)> = HashMap::new();
    let mut found = Vec::new();
    for checkpoint in checkpoints {
        let Some(head) = checkpoint.tree else { continue };
        let size = head.tree.size;
        let (sequence, root) =
            *roots.entry((head.first, size)).or_insert((checkpoint.sequence, head.tree.root));
        if root != head.tree.root {
            let sequences = [sequence, checkpoint.sequence];
            found.push(CheckpointConflict::TwoRoots { sequences, size });
        }
    }
    found
}

/// What the events say otherwise that a checkpoint covers.
fn against_events(checkpoint: &Checkpoint, links: &[Link]) -> Option<CheckpointConflict> {
    let (sequence, dated) = (checkpoint.sequence, checkpoint.issued_at);
    let covered = links.iter().filter(|link| link.place.sequence <= sequence);
    let newest = covered.map(|link| link.id).max();
    if let Some(event) = newest
        && checkpoint.head < newest
    {
        return Some(CheckpointConflict::HeadBeforeEvent { sequence, event });
    }
    let event = checkpoint.head.max(newest)?;
    let accepted = Timestamp::from_unix_ms(i64::try_from(event.unix_ms()).unwrap_or(i64::MAX));
    (dated.after(BundleTrust::LEEWAY) < accepted).then_some(CheckpointConflict::TooEarly {
        sequence,
        dated,
        event,
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::event::{ChainValue, EventDigest};
    use crate::seal::PlaceClaims;
    use crate::transparency::{TreeHead, TreeRoot};

    const HOUR: Duration = Duration::from_hours(1);

    fn moment(hours: u32) -> Timestamp {
        Timestamp::from_unix_seconds(1_795_282_931).after(HOUR * hours)
    }

    fn id(hours: u32) -> EventId {
        EventId::first_of(u64::try_from(moment(hours).unix_ms()).unwrap())
    }

    fn tree(size: u64, root: u8) -> TreeHead {
        let root = TreeHash::from_bytes([root; 32]);
        TreeHead { first: 7, tree: TreeRoot { size, root } }
    }

    /// At this number, so many hours later, over so many leaves.
    fn checkpoint(sequence: u64, hours: u32) -> Checkpoint {
        Checkpoint {
            issuer: "https://events.example.com".to_owned(),
            audience: "shop".to_owned(),
            issued_at: moment(hours),
            subscription: "orders".parse().unwrap(),
            sequence,
            chain: ChainValue::from_bytes([u8::try_from(sequence).unwrap(); 32]),
            head: Some(id(hours)),
            ended: Vec::new(),
            ending: Vec::new(),
            closing: false,
            issuer_next: None,
            asked: None,
            sub_digest: None,
            tree: Some(tree(sequence * 10, 1)),
            incarnation: 1,
        }
    }

    fn link(sequence: u64, hours: u32) -> Link {
        let place = PlaceClaims { sequence, previous: ChainValue::from_bytes([0; 32]) };
        Link { id: id(hours), place, digest: EventDigest::from_bytes([0; 32]) }
    }

    fn says(checkpoints: &[Checkpoint], links: &[Link]) -> Vec<CheckpointConflict> {
        conflicts(&checkpoints.iter().collect::<Vec<_>>(), links)
    }

    #[test]
    fn true_checkpoints_agree_in_any_order_and_with_those_of_before_the_tree() {
        let old = Checkpoint { tree: None, ..checkpoint(1, 0) };
        let again = Checkpoint { tree: Some(tree(25, 1)), ..checkpoint(2, 2) };
        let checkpoints = [checkpoint(3, 3), old, again, checkpoint(2, 1), checkpoint(3, 3)];

        assert_eq!(says(&checkpoints, &[link(1, 0), link(2, 1), link(3, 3), link(4, 9)]), []);
        assert_eq!(says(&[], &[link(1, 0)]), []);
    }

    #[test]
    fn what_two_say_otherwise_is_named() {
        let (one, two) = (checkpoint(2, 2), checkpoint(3, 3));
        let cases = [
            (
                Checkpoint { tree: Some(tree(20, 2)), ..two.clone() },
                CheckpointConflict::TwoRoots { sequences: [2, 3], size: 20 },
            ),
            (
                Checkpoint { tree: Some(tree(19, 1)), ..two.clone() },
                CheckpointConflict::Shrunk([2, 3]),
            ),
            (
                Checkpoint { head: Some(id(1)), ..two.clone() },
                CheckpointConflict::OlderHead([2, 3]),
            ),
            (
                Checkpoint { issued_at: moment(1), head: one.head, ..two.clone() },
                CheckpointConflict::Dates {
                    sequences: [2, 3],
                    earlier: moment(2),
                    later: moment(1),
                },
            ),
            (Checkpoint { sequence: 2, ..two.clone() }, CheckpointConflict::TwoChains(2)),
            (
                Checkpoint {
                    tree: Some(TreeHead { first: 8, ..two.tree.unwrap() }),
                    ..two.clone()
                },
                CheckpointConflict::TwoTrees([2, 3]),
            ),
        ];
        for (other, conflict) in cases {
            let found = says(&[other, one.clone()], &[]);
            assert!(found.contains(&conflict), "{found:?} has not {conflict}");
        }
    }

    #[test]
    fn a_checkpoint_without_a_tree_hides_no_log_that_shrank() {
        let (one, three) = (checkpoint(1, 1), checkpoint(3, 3));
        let old = Checkpoint { tree: None, ..checkpoint(2, 2) };
        let three = Checkpoint { tree: Some(tree(5, 1)), ..three };

        assert_eq!(says(&[one, old, three], &[]), [CheckpointConflict::Shrunk([1, 3])]);
    }

    #[test]
    fn a_checkpoint_is_held_against_the_events_that_it_covers() {
        let early = Checkpoint { issued_at: moment(1), ..checkpoint(2, 2) };
        let blind = Checkpoint { head: Some(id(1)), ..checkpoint(2, 2) };

        assert_eq!(
            says(&[early], &[]),
            [CheckpointConflict::TooEarly { sequence: 2, dated: moment(1), event: id(2) }]
        );
        assert_eq!(
            says(&[blind], &[link(2, 2)]),
            [CheckpointConflict::HeadBeforeEvent { sequence: 2, event: id(2) }]
        );
    }
}
