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
    pub(super) fn take(&mut self, record: Incarnation) {
        let number = record.number;
        let known = self.records.entry(number).or_insert_with(|| record.clone());
        if *known != record {
            self.doubled.insert(number);
        }
    }

    /// Notes in which incarnation an event was numbered.
    pub(super) fn note(&mut self, event: EventId, number: u64) {
        if number > 1 {
            self.numbered.entry(event).and_modify(|known| *known = number.min(*known)).or_insert(number);
        }
    }

    fn of(&self, link: &Link) -> u64 {
        self.numbered.get(&link.id).copied().unwrap_or(1)
    }

    /// The number of the newest incarnation that is declared.
    pub(super) fn newest(&self) -> u64 {
        self.records.last_key_value().map_or(1, |(number, _)| *number)
    }

    /// Incarnations that something names and no record declares.
    pub(super) fn undeclared(&self, checkpoint: Option<&Checkpoint>) -> BTreeSet<u64> {
        let parents = self.records.values().map(|record| record.survivors.incarnation);
        let named = self.numbered.values().copied().chain(parents);
        let named = named.chain(checkpoint.map(|checkpoint| checkpoint.incarnation));
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
            None if record.survivors.position > 0 => lowest(&record),
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
        let was_there = |link: &&Link| {
            self.of(link) <= number && line.lost_with(self.of(link), link).is_none()
        };
        links.iter().filter(was_there).copied().collect()
    }

    /// Whether everything up to an event of an incarnation has survived all restores since.
    pub(super) fn has_kept(&self, number: u64, event: EventId) -> bool {
        let later = self.records.values().filter(|record| record.number > number);
        later.fold(true, |kept, record| kept && record.has_kept(event) == Some(true))
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
