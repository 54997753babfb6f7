//! Holds a consumer's events against the chain: what is missing, doubled, reordered or altered.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use crate::event::{ChainValue, EventDigest, EventId};
use crate::seal::{Checkpoint, PlaceClaims};

/// One event that a consumer holds, as its token places it in the chain.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Link {
    /// `jti`: the event id.
    pub id: EventId,
    /// `seq` and `prv`: the place that the gateway signed.
    pub place: PlaceClaims,
    /// The digest of the event that the token carries.
    pub digest: EventDigest,
}

impl Link {
    /// The chain value after the event, as its own token has it.
    fn after(&self) -> ChainValue {
        self.place.previous.next(self.id, self.digest)
    }

    const fn numbered(&self) -> NumberedToken {
        NumberedToken { sequence: self.place.sequence, id: self.id }
    }
}

/// An event by its sequence number and its id.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct NumberedToken {
    /// The sequence number.
    pub sequence: u64,
    /// The event id.
    pub id: EventId,
}

impl fmt::Display for NumberedToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.sequence, self.id)
    }
}

/// One thing that is wrong with what a consumer holds.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Finding {
    /// Numbers that were given out and are not held.
    Missing {
        /// The first missing number.
        from: u64,
        /// The last missing number.
        to: u64,
        /// The event before them; nothing if none is held.
        after: Option<NumberedToken>,
        /// The event behind them; nothing if only a checkpoint tells of them.
        before: Option<NumberedToken>,
    },
    /// One number that was signed for more than one event, content or chain value.
    Conflict {
        /// The number.
        sequence: u64,
        /// The ids that carry it, one for each statement.
        ids: Vec<EventId>,
    },
    /// One event that was given two numbers.
    Doubled {
        /// The event under its lower number.
        event: NumberedToken,
        /// Its other number.
        again: u64,
    },
    /// An event whose number is not its place.
    Reordered {
        /// The event.
        event: NumberedToken,
        /// What it belongs behind.
        behind: NumberedToken,
    },
    /// An event that does not follow from the one before it: one of both was altered.
    Altered {
        /// The event whose `prv` does not fit.
        event: NumberedToken,
        /// The event before it; nothing at the value that the check began with.
        after: Option<NumberedToken>,
    },
    /// A checkpoint that signs another chain value than the events have.
    Contradicted {
        /// The number at which both were compared.
        sequence: u64,
    },
}

impl Finding {
    /// The stable word of what was found.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Missing { .. } => "missing",
            Self::Conflict { .. } => "conflict",
            Self::Doubled { .. } => "doubled",
            Self::Reordered { .. } => "reordered",
            Self::Altered { .. } => "altered",
            Self::Contradicted { .. } => "contradicted",
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.kind())?;
        match self {
            Self::Missing { from, to, after, before } => {
                if from == to {
                    write!(f, "{from}")?;
                } else {
                    write!(f, "{from} to {to}")?;
                }
                match (after, before) {
                    (Some(after), Some(before)) => write!(f, ", between {after} and {before}"),
                    (Some(after), None) => write!(f, ", after {after}"),
                    (None, Some(before)) => write!(f, ", before {before}"),
                    (None, None) => Ok(()),
                }
            }
            Self::Conflict { sequence, ids } => {
                write!(f, "{sequence} was signed {} times with other content:", ids.len())?;
                ids.iter().try_for_each(|id| write!(f, " {id}"))
            }
            Self::Doubled { event, again } => write!(f, "{event} is also number {again}"),
            Self::Reordered { event, behind } => write!(f, "{event} belongs behind {behind}"),
            Self::Altered { event, after: Some(after) } => {
                write!(f, "{event} was chained behind something else than {after} as it is held")
            }
            Self::Altered { event, after: None } => {
                write!(f, "{event} does not follow from the value that the check began with")
            }
            Self::Contradicted { sequence } => {
                write!(f, "the checkpoint signs another chain value at {sequence}")
            }
        }
    }
}

/// How far what is held reaches, next to a checkpoint.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ChainStanding {
    /// The last event held is the newest that the checkpoint knows.
    Newest,
    /// The checkpoint knows events that are not held.
    Behind,
    /// Events are held that are newer than the checkpoint.
    Ahead,
}

/// What a check has come to.
#[derive(Clone, Debug)]
pub struct ChainCheck {
    /// The first event held at or after the start.
    pub first: Option<NumberedToken>,
    /// The last event held.
    pub last: Option<NumberedToken>,
    /// Where the next check goes on: the next number, and the chain value before it.
    pub next: PlaceClaims,
    /// How many events are held, each counted once.
    pub events: usize,
    /// How many more times the same was received.
    pub repeats: usize,
    /// How many come before the start and were not looked at.
    pub earlier: usize,
    /// What is wrong, in the order of the numbers.
    pub findings: Vec<Finding>,
    /// The chain values by the number that they come after.
    values: BTreeMap<u64, ChainValue>,
}

impl ChainCheck {
    /// Checks events in any order, from a number and the chain value before it on. A whole
    /// subscription begins at 1 with [`ChainValue::start`].
    pub fn of(start: PlaceClaims, links: impl IntoIterator<Item = Link>) -> Self {
        let mut check = Self {
            first: None,
            last: None,
            next: start,
            events: 0,
            repeats: 0,
            earlier: 0,
            findings: Vec::new(),
            values: BTreeMap::from([(start.sequence.saturating_sub(1), start.previous)]),
        };
        let held = check.sort(links);
        let (mut behind, mut numbers) = (HashMap::new(), HashMap::new());
        for link in held.values().flatten() {
            behind.insert(link.after(), link.numbered());
        }
        let mut rest = held.values().peekable();
        while let Some(statements) = rest.next() {
            let following = rest.peek().map_or(&[][..], |links| links.as_slice());
            let Some(link) = likeliest(statements, check.next.previous, following) else {
                continue;
            };
            check.step(link, statements, &behind, &mut numbers);
        }
        check
    }

    /// Sorts by number; of equal statements one is kept.
    fn sort(&mut self, links: impl IntoIterator<Item = Link>) -> BTreeMap<u64, Vec<Link>> {
        let mut held: BTreeMap<u64, Vec<Link>> = BTreeMap::new();
        for link in links {
            if link.place.sequence < self.next.sequence {
                self.earlier += 1;
                continue;
            }
            let statements = held.entry(link.place.sequence).or_default();
            if statements.contains(&link) {
                self.repeats += 1;
            } else {
                statements.push(link);
            }
        }
        held
    }

    fn step(
        &mut self,
        link: Link,
        statements: &[Link],
        behind: &HashMap<ChainValue, NumberedToken>,
        numbers: &mut HashMap<EventId, u64>,
    ) {
        let event = link.numbered();
        if statements.len() > 1 {
            let ids = statements.iter().map(|link| link.id).collect();
            self.find(Finding::Conflict { sequence: event.sequence, ids });
        }
        let gap = event.sequence > self.next.sequence;
        if gap {
            let (from, to) = (self.next.sequence, event.sequence - 1);
            self.find(Finding::Missing { from, to, after: self.last, before: Some(event) });
        }
        let older = self.last.filter(|last| event.id < last.id);
        if let Some(sequence) = numbers.insert(event.id, event.sequence) {
            let event = NumberedToken { sequence, ..event };
            self.find(Finding::Doubled { event, again: link.place.sequence });
        } else if let Some(newer) = older {
            self.find(Finding::Reordered { event: newer, behind: event });
        } else if !gap && link.place.previous != self.next.previous {
            self.find(match behind.get(&link.place.previous) {
                Some(behind) => Finding::Reordered { event, behind: *behind },
                None => Finding::Altered { event, after: self.last },
            });
        }
        self.events += 1;
        self.first.get_or_insert(event);
        self.last = Some(event);
        self.values.insert(event.sequence, link.after());
        self.next =
            PlaceClaims { sequence: event.sequence.saturating_add(1), previous: link.after() };
    }

    /// Two neighbors that changed places find the same of each other.
    fn find(&mut self, finding: Finding) {
        if self.findings.last() != Some(&finding) {
            self.findings.push(finding);
        }
    }

    /// Compares the chain value alone with a checkpoint of the same subscription.
    pub fn hold_value(&mut self, checkpoint: &Checkpoint) {
        let sequence = checkpoint.sequence;
        if self.values.get(&sequence).is_some_and(|value| *value != checkpoint.chain) {
            self.find(Finding::Contradicted { sequence });
        }
    }

    /// Compares with a checkpoint of the same subscription, and says how far what is held reaches.
    pub fn compare(&mut self, checkpoint: &Checkpoint) -> ChainStanding {
        self.hold_value(checkpoint);
        let sequence = checkpoint.sequence;
        if sequence >= self.next.sequence {
            let from = self.next.sequence;
            self.find(Finding::Missing { from, to: sequence, after: self.last, before: None });
            ChainStanding::Behind
        } else if sequence.saturating_add(1) == self.next.sequence {
            ChainStanding::Newest
        } else {
            ChainStanding::Ahead
        }
    }
}

/// Of several statements about one number, the one that fits its neighbors best.
fn likeliest(statements: &[Link], previous: ChainValue, following: &[Link]) -> Option<Link> {
    let fits = |link: &&Link| {
        let continued = following.iter().any(|next| next.place.previous == link.after());
        u8::from(continued) + u8::from(link.place.previous == previous)
    };
    statements.iter().max_by_key(fits).copied()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::event::{SubscriptionId, Timestamp};

    fn start() -> PlaceClaims {
        let subscription: SubscriptionId = "orders".parse().unwrap();
        PlaceClaims { sequence: 1, previous: ChainValue::start(&subscription) }
    }

    fn chain(count: u8) -> Vec<Link> {
        let mut previous = start().previous;
        (1..=count)
            .map(|number| {
                let place = PlaceClaims { sequence: number.into(), previous };
                let digest = EventDigest::from_bytes([number; 32]);
                let link = Link { id: EventId::first_of(number.into()), place, digest };
                previous = link.after();
                link
            })
            .collect()
    }

    fn checkpoint(sequence: u64, chain: ChainValue) -> Checkpoint {
        Checkpoint {
            issuer: "https://events.example.com".to_owned(),
            issuer_next: None,
            audience: "shop".to_owned(),
            issued_at: Timestamp::EPOCH,
            subscription: "orders".parse().unwrap(),
            sequence,
            chain,
            head: None,
            ended: Vec::new(),
            ending: Vec::new(),
            closing: false,
            tree: None,
            sub_digest: None,
            asked: None,
        }
    }

    fn says(links: impl IntoIterator<Item = Link>) -> Vec<String> {
        let check = ChainCheck::of(start(), links);
        check.findings.iter().map(ToString::to_string).collect()
    }

    fn id(number: u64) -> EventId {
        EventId::first_of(number)
    }

    #[test]
    fn what_arrived_in_any_order_and_more_than_once_is_whole() {
        let links = chain(5);
        let arrived = links.iter().rev().chain(&links[1..3]).copied();

        let mut check = ChainCheck::of(start(), arrived);

        assert_eq!(check.findings, []);
        assert_eq!((check.events, check.repeats), (5, 2));
        assert_eq!(check.first, Some(links[0].numbered()));
        assert_eq!(check.next, PlaceClaims { sequence: 6, previous: links[4].after() });
        assert_eq!(check.compare(&checkpoint(5, links[4].after())), ChainStanding::Newest);
        assert_eq!(check.compare(&checkpoint(2, links[1].after())), ChainStanding::Ahead);
        assert_eq!(check.findings, []);
    }

    #[test]
    fn missing_numbers_are_named_between_their_neighbors() {
        let links = chain(7);
        let held = [links[1], links[4], links[6]];

        assert_eq!(
            says(held),
            [
                format!("missing: 1, before 2 ({})", id(2)),
                format!("missing: 3 to 4, between 2 ({}) and 5 ({})", id(2), id(5)),
                format!("missing: 6, between 5 ({}) and 7 ({})", id(5), id(7)),
            ]
        );
    }

    #[test]
    fn a_missing_end_shows_by_a_checkpoint_only() {
        let links = chain(3);
        let mut check = ChainCheck::of(start(), links[..2].iter().copied());
        assert_eq!(check.findings, []);

        assert_eq!(check.compare(&checkpoint(3, links[2].after())), ChainStanding::Behind);

        let after = Some(links[1].numbered());
        let missing = Finding::Missing { from: 3, to: 3, after, before: None };
        assert_eq!(check.findings, [missing]);
    }

    #[test]
    fn an_altered_content_breaks_the_chain_behind_it() {
        let mut links = chain(3);
        links[1].digest = EventDigest::from_bytes([0; 32]);
        let mut last = ChainCheck::of(start(), links[..2].iter().copied());

        assert_eq!(
            says(links),
            [format!(
                "altered: 3 ({}) was chained behind something else than 2 ({}) as it is held",
                id(3),
                id(2)
            )]
        );
        last.compare(&checkpoint(2, chain(2)[1].after()));
        assert_eq!(last.findings, [Finding::Contradicted { sequence: 2 }]);
    }

    #[test]
    fn the_first_event_must_follow_from_the_start() {
        let links = chain(4);
        let wrong = PlaceClaims { sequence: 3, previous: start().previous };
        let right = PlaceClaims { sequence: 3, previous: links[1].after() };

        let check = ChainCheck::of(wrong, links.iter().copied());
        let event = links[2].numbered();
        assert_eq!(check.findings, [Finding::Altered { event, after: None }]);
        assert_eq!(check.earlier, 2);
        assert_eq!(ChainCheck::of(right, links).findings, []);
    }

    #[test]
    fn two_contents_under_one_number_are_a_conflict_and_nothing_else() {
        let mut links = chain(3);
        let other = Link { digest: EventDigest::from_bytes([0; 32]), ..links[1] };
        links.insert(0, other);
        links.push(other);

        assert_eq!(
            says(links),
            [format!("conflict: 2 was signed 2 times with other content: {} {}", id(2), id(2))]
        );
    }

    #[test]
    fn numbers_that_changed_places_are_reordered() {
        let mut links = chain(3);
        (links[1].place.sequence, links[2].place.sequence) = (3, 2);

        assert_eq!(says(links), [format!("reordered: 2 ({}) belongs behind 3 ({})", id(3), id(2))]);
    }

    #[test]
    fn an_order_that_was_chained_anew_shows_by_the_ids() {
        let mut links = chain(3);
        links[1].id = id(9);
        links[2].place.previous = links[1].after();

        assert_eq!(says(links), [format!("reordered: 2 ({}) belongs behind 3 ({})", id(9), id(3))]);
    }

    #[test]
    fn one_event_under_two_numbers_is_doubled() {
        let mut links = chain(3);
        links[2].id = id(1);

        assert_eq!(says(links), [format!("doubled: 1 ({}) is also number 3", id(1))]);
    }

    #[test]
    fn nothing_held_is_whole_where_the_checkpoint_knows_of_nothing() {
        let mut check = ChainCheck::of(start(), []);

        assert_eq!(check.compare(&checkpoint(0, start().previous)), ChainStanding::Newest);
        assert_eq!(check.findings, []);
        assert_eq!(check.compare(&checkpoint(u64::MAX, start().previous)), ChainStanding::Behind);
    }

    proptest! {
        #[test]
        fn whatever_is_left_out_is_named_and_nothing_else(held in prop::collection::vec(any::<bool>(), 1..30)) {
            let count = u8::try_from(held.len()).unwrap();
            let links = chain(count);
            let kept = links.iter().zip(&held).filter(|(_, held)| **held).map(|(link, _)| *link);
            let mut check = ChainCheck::of(start(), kept);
            check.compare(&checkpoint(count.into(), links.last().unwrap().after()));

            let mut missing = Vec::new();
            for finding in check.findings {
                let Finding::Missing { from, to, .. } = finding else {
                    return Err(TestCaseError::fail(finding.to_string()));
                };
                missing.extend(from..=to);
            }
            let left_out = (1..).zip(&held).filter(|(_, held)| !**held).map(|(number, _)| number);
            prop_assert_eq!(missing, left_out.collect::<Vec<u64>>());
        }

        #[test]
        fn whatever_is_altered_is_found(at in 0_usize..9, bit in 0_usize..256) {
            let mut links = chain(10);
            let mut bytes = links[at].digest.to_bytes();
            bytes[bit / 8] ^= 1 << (bit % 8);
            links[at].digest = EventDigest::from_bytes(bytes);
            let (event, after) = (links[at + 1].numbered(), Some(links[at].numbered()));
            let check = ChainCheck::of(start(), links);
            prop_assert_eq!(check.findings, [Finding::Altered { event, after }]);
        }
    }
}
