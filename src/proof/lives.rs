//! Tells what a consumer holds of the log as it is from what restores have lost.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::event::EventId;
use crate::seal::{Checkpoint, Finding, Link, NumberedToken};
use crate::transparency::{Incarnation, TreeHead};

/// Events that a consumer holds and the log does not: a restore has lost them, and their numbers are given
/// again.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LostEvents {
    /// The number of the incarnation that began without them.
    pub incarnation: u64,
    /// They, by number.
    pub events: Vec<NumberedToken>,
}

/// What is known of the incarnations of a log.
#[derive(Debug, Default)]
pub(super) struct Lives {
    /// The records that are believed, by number.
    pub(super) records: BTreeMap<u64, Incarnation>,
    /// Incarnations of which there are two records.
    pub(super) doubled: BTreeSet<u64>,
    /// In which incarnation events were numbered, where that is not the first.
    pub(super) numbered: HashMap<EventId, u64>,
}

/// One incarnation and those that it goes on from.
struct Line<'a> {
    top: u64,
    /// The records of the line, oldest first.
    records: Vec<&'a Incarnation>,
    /// For each, the lowest number that an event of it or of a later one has.
    given: Vec<u64>,
}

impl Lives {
    /// Takes a record; a second one of a number contradicts the first.
    pub(super) fn take(&mut self, record: &Incarnation) {
        let number = record.number;
        let known = self.records.entry(number).or_insert_with(|| record.clone());
        if known != record {
            self.doubled.insert(number);
        }
    }

    /// Notes in which incarnation an event was numbered.
    pub(super) fn note(&mut self, event: EventId, number: u64) {
        if number > 1 {
            self.numbered
                .entry(event)
                .and_modify(|known| *known = number.min(*known))
                .or_insert(number);
        }
    }

    fn of(&self, link: &Link) -> u64 {
        self.numbered.get(&link.id).copied().unwrap_or(1)
    }

    /// The number of the newest incarnation that is declared.
    pub(super) fn newest(&self) -> u64 {
        self.records.last_key_value().map_or(1, |(number, _)| *number)
    }

    /// The incarnation that something of a number is held against: the newest, if nobody declares it.
    pub(super) fn declared(&self, number: u64) -> u64 {
        let is_declared = number == 1 || self.records.contains_key(&number);
        if is_declared { number } else { self.newest() }
    }

    /// Incarnations that something names and no record declares.
    pub(super) fn undeclared(&self, checkpoints: &[Checkpoint]) -> BTreeSet<u64> {
        let parents = self.records.values().map(|record| record.survivors.incarnation);
        let named = self.numbered.values().copied().chain(parents);
        let named = named.chain(checkpoints.iter().map(|checkpoint| checkpoint.incarnation));
        named.filter(|number| *number > 1 && !self.records.contains_key(number)).collect()
    }

    fn line(&self, top: u64, links: &[Link]) -> Line<'_> {
        let mut records = Vec::new();
        let mut next = self.records.get(&top);
        while let Some(record) = next {
            records.push(record);
            next = self.records.get(&record.survivors.incarnation);
        }
        records.reverse();
        let lowest = |record: &&Incarnation| {
            let since = links.iter().filter(|link| (record.number..=top).contains(&self.of(link)));
            since.map(|link| link.place.sequence).min().unwrap_or(u64::MAX)
        };
        // Only where it is not known which event was the last to survive.
        let given = records.iter().map(|record| match record.survivors.event {
            None if record.survivors.position > 0 => lowest(record),
            _ => u64::MAX,
        });
        let given = given.collect();
        Line { top, records, given }
    }

    /// What of the links was there in the newest incarnation, and what was lost on the way to it.
    pub(super) fn split(&self, links: &[Link]) -> (Vec<Link>, Vec<LostEvents>) {
        let line = self.line(self.newest(), links);
        let mut lost: BTreeMap<u64, Vec<NumberedToken>> = BTreeMap::new();
        let mut living = Vec::with_capacity(links.len());
        for link in links {
            match line.lost_with(self.of(link), link) {
                None => living.push(*link),
                Some(number) => {
                    let event = NumberedToken { sequence: link.place.sequence, id: link.id };
                    lost.entry(number).or_default().push(event);
                }
            }
        }
        let told = |(incarnation, mut events): (u64, Vec<NumberedToken>)| {
            events.sort_by_key(|event| (event.sequence, event.id));
            events.dedup();
            LostEvents { incarnation, events }
        };
        (living, lost.into_iter().map(told).collect())
    }

    /// The incarnations of links that were lost.
    pub(super) fn ended(&self, links: &[Link]) -> BTreeSet<u64> {
        let line = self.line(self.newest(), links);
        let lost = links.iter().map(|link| (self.of(link), link));
        lost.filter(|(number, link)| line.lost_with(*number, link).is_some())
            .map(|(number, _)| number)
            .collect()
    }

    /// What of the links was there at the end of an incarnation.
    pub(super) fn history(&self, number: u64, links: &[Link]) -> Vec<Link> {
        let line = self.line(number, links);
        let was_there =
            |link: &&Link| self.of(link) <= number && line.lost_with(self.of(link), link).is_none();
        links.iter().filter(was_there).copied().collect()
    }

    /// Whether everything up to an event of an incarnation has survived all restores since.
    pub(super) fn has_kept(&self, number: u64, event: EventId) -> bool {
        let mut later = self.records.values().filter(|record| record.number > number);
        later.all(|record| record.has_kept(event) == Some(true))
    }

    /// Records that a checkpoint contradicts: of a tree of one size there is one root.
    pub(super) fn contradicting(&self, checkpoint: &Checkpoint) -> Vec<Finding> {
        let (Some(tree), number) = (checkpoint.tree, checkpoint.incarnation) else {
            return Vec::new();
        };
        let contradicts = |record: &&Incarnation| {
            let Some(survived) = record.survivors.tree else { return false };
            let begins_otherwise = |tree: TreeHead| tree.first != survived.first;
            let is_another =
                |tree: TreeHead| tree.tree.size == survived.tree.size && tree != survived;
            let was_cut = record.number == number && tree.tree.size < survived.tree.size;
            let concerns = record.number == number || record.survivors.incarnation == number;
            concerns && (begins_otherwise(tree) || is_another(tree) || was_cut)
        };
        let of = |record: &Incarnation| Finding::Forked { incarnation: record.number };
        self.records.values().filter(contradicts).map(of).collect()
    }
}

impl Line<'_> {
    /// The incarnation of the line that began without an event, if one did.
    fn lost_with(&self, number: u64, link: &Link) -> Option<u64> {
        if number > self.top {
            return None;
        }
        let is_of_it = number == 1 || self.records.iter().any(|record| record.number == number);
        let later = self.records.iter().zip(&self.given);
        let mut later = later.filter(|(record, _)| record.number > number);
        let lost = |(record, given): &(&&Incarnation, &u64)| {
            !is_of_it || !record.has_kept(link.id).unwrap_or(link.place.sequence < **given)
        };
        later.find(lost).map(|(record, _)| record.number)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::event::{ChainValue, EventDigest, SubscriptionId, Timestamp};
    use crate::seal::{ChainCheck, PlaceClaims};
    use crate::transparency::{LogHead, TreeHash, TreeRoot};

    fn start() -> PlaceClaims {
        let subscription: SubscriptionId = "orders".parse().unwrap();
        PlaceClaims { sequence: 1, previous: ChainValue::start(&subscription) }
    }

    /// The id of the event at a position, as an incarnation has given it: later ones give greater ones.
    fn id(number: u64, position: u64) -> EventId {
        EventId::first_of(number * 1000 + position)
    }

    /// Goes on from links with so many more events of an incarnation, each with its number as position.
    fn grown(mut links: Vec<Link>, number: u64, count: u64) -> Vec<Link> {
        for _ in 0..count {
            let place = links.last().map_or(start(), |last| PlaceClaims {
                sequence: last.place.sequence + 1,
                previous: last.place.previous.next(last.id, last.digest),
            });
            let digest = EventDigest::from_bytes([7; 32]);
            links.push(Link { id: id(number, place.sequence), place, digest });
        }
        links
    }

    fn record(number: u64, from: u64, newest: Option<EventId>, position: u64) -> Incarnation {
        let tree = TreeRoot { size: position, root: TreeHash::of_nothing() };
        let tree = Some(TreeHead { first: 1, tree });
        let survivors = LogHead { incarnation: from, position, event: newest, tree };
        let began = Timestamp::EPOCH;
        Incarnation { number, id: format!("life {number}"), began, survivors, before: None }
    }

    fn lives(records: Vec<Incarnation>, links: &[Link]) -> Lives {
        let mut lives = Lives::default();
        for record in records {
            lives.take(&record);
        }
        for link in links {
            lives.note(link.id, link.id.unix_ms() / 1000);
        }
        lives
    }

    fn numbers(lost: &[LostEvents]) -> Vec<(u64, Vec<u64>)> {
        let of = |lost: &LostEvents| lost.events.iter().map(|event| event.sequence).collect();
        lost.iter().map(|lost| (lost.incarnation, of(lost))).collect()
    }

    fn findings(living: Vec<Link>) -> Vec<Finding> {
        ChainCheck::of(start(), living).findings
    }

    #[test]
    fn behind_a_declared_restore_the_chain_goes_on_and_what_was_lost_is_told() {
        let before = grown(Vec::new(), 1, 10);
        let after = grown(before[..6].to_vec(), 2, 3);
        let held = [&before[..], &after[6..]].concat();
        assert!(!findings(held.clone()).is_empty(), "nobody declares it");
        for newest in [Some(id(1, 6)), None] {
            let lives = lives(vec![record(2, 1, newest, 6)], &held);

            let (living, lost) = lives.split(&held);

            assert_eq!((living.clone(), findings(living)), (after.clone(), Vec::new()));
            assert_eq!(numbers(&lost), [(2, vec![7, 8, 9, 10])]);
            assert_eq!(lives.ended(&held), BTreeSet::from([1]));
            assert_eq!(lives.history(1, &held), before);
        }
    }

    #[test]
    fn a_record_that_claims_that_less_was_lost_does_not_hide_the_conflict() {
        let before = grown(Vec::new(), 1, 10);
        let held = [&before[..], &grown(before[..6].to_vec(), 2, 3)[6..]].concat();
        let lives = lives(vec![record(2, 1, Some(id(1, 8)), 8)], &held);

        let (living, lost) = lives.split(&held);

        assert_eq!(numbers(&lost), [(2, vec![9, 10])]);
        let found = findings(living);
        assert!(found.iter().any(|one| matches!(one, Finding::Conflict { sequence: 7, .. })));
    }

    #[test]
    fn a_line_that_was_given_up_is_lost_as_a_whole() {
        let first = grown(Vec::new(), 1, 10);
        let second = grown(first[..4].to_vec(), 2, 5);
        // A backup of the first, taken later, was restored after that.
        let third = grown(first[..8].to_vec(), 3, 2);
        let held = [&first[..], &second[4..], &third[8..]].concat();
        let records = vec![record(2, 1, Some(id(1, 4)), 4), record(3, 1, Some(id(1, 8)), 8)];
        let lives = lives(records, &held);

        let (living, lost) = lives.split(&held);

        assert_eq!((living.clone(), findings(living)), (third, Vec::new()));
        assert_eq!(numbers(&lost), [(3, vec![5, 6, 7, 8, 9, 9, 10])]);
        assert_eq!(lives.history(2, &held), second);
        assert!(lives.has_kept(1, id(1, 4)) && !lives.has_kept(1, id(1, 5)));
    }

    #[test]
    fn two_records_of_one_number_and_what_nobody_declares_are_noticed() {
        let links = grown(grown(Vec::new(), 1, 2), 5, 1);
        let other = Incarnation { id: "other".to_owned(), ..record(3, 2, None, 0) };
        let lives = lives(vec![record(3, 2, None, 0), other, record(4, 3, None, 0)], &links);

        assert_eq!(lives.doubled, BTreeSet::from([3]));
        assert_eq!(lives.undeclared(&[]), BTreeSet::from([2, 5]));
    }

    proptest! {
        /// Whatever was lost when: with all records the chain is whole, and everything is told once.
        #[test]
        fn with_honest_records_the_chain_is_whole(
            lives_of in proptest::collection::vec((1_u64..6, 0_u64..6), 1..5),
        ) {
            let (mut now, mut held, mut records) = (Vec::new(), Vec::new(), Vec::new());
            for (number, (count, lost)) in (1..).zip(lives_of) {
                let before: Vec<Link> = now;
                now = grown(before.clone(), number, count);
                held.extend_from_slice(&now[before.len()..]);
                now.truncate(now.len().saturating_sub(usize::try_from(lost).unwrap()));
                let newest = now.last().map(|last| last.id);
                records.push(record(number + 1, number, newest, now.len() as u64));
            }
            let lives = lives(records, &held);

            let (living, lost) = lives.split(&held);

            prop_assert_eq!(findings(living.clone()), []);
            let told: usize = lost.iter().map(|lost| lost.events.len()).sum();
            prop_assert_eq!(told + living.len(), held.len());
            prop_assert_eq!(living, now);
        }
    }
}
