//! Marks the parts of a schema, so that those with one mark let the same pass.

use std::collections::BTreeSet;

use sha2::{Digest as _, Sha256};

use crate::contract::meaning::graph::{Graph, Node, Part};

/// A digest of a part.
pub(super) type Mark = [u8; 32];

impl Graph<'_> {
    /// Marks schemas by what they say and by the marks of their parts, again and again, until no
    /// more of them can be told apart; gives the mark of the first one. A schema that leads to no
    /// circle has its last mark as soon as its parts have theirs.
    pub(super) fn refine(&self) -> Mark {
        let mut marks: Vec<Mark> = vec![[0; 32]; self.nodes.len()];
        let open: Vec<usize> = self.settle_acyclic(&mut marks);
        let mut told_apart = 0;
        loop {
            let renewed: Vec<Mark> = open.iter().map(|&number| self.mark(number, &marks)).collect();
            for (&number, mark) in open.iter().zip(&renewed) {
                if let Some(place) = marks.get_mut(number) {
                    *place = *mark;
                }
            }
            let distinct = renewed.iter().collect::<BTreeSet<_>>().len();
            if distinct == told_apart || open.is_empty() {
                return marks.first().copied().unwrap_or_default();
            }
            told_apart = distinct;
        }
    }

    /// Of each schema, what it is a part of, and how many parts it has.
    fn uses(&self) -> (Vec<Vec<usize>>, Vec<usize>) {
        let mut users: Vec<Vec<usize>> = vec![Vec::new(); self.nodes.len()];
        let mut counts: Vec<usize> = Vec::with_capacity(self.nodes.len());
        for number in 0..self.nodes.len() {
            let parts: BTreeSet<usize> = self.parts(number).into_iter().collect();
            for part in &parts {
                if let Some(users) = users.get_mut(*part) {
                    users.push(number);
                }
            }
            counts.push(parts.len());
        }
        (users, counts)
    }

    /// Marks what leads to no circle, parts first; gives the numbers of the rest.
    fn settle_acyclic(&self, marks: &mut [Mark]) -> Vec<usize> {
        let (users, mut missing) = self.uses();
        let mut ready: Vec<usize> = (0..self.nodes.len())
            .filter(|number| missing.get(*number).is_some_and(|count| *count == 0))
            .collect();
        let mut settled = BTreeSet::new();
        while let Some(number) = ready.pop() {
            settled.insert(number);
            let mark = self.mark(number, marks);
            if let Some(place) = marks.get_mut(number) {
                *place = mark;
            }
            for user in users.get(number).into_iter().flatten() {
                if let Some(count) = missing.get_mut(*user) {
                    *count -= 1;
                    if *count == 0 {
                        ready.push(*user);
                    }
                }
            }
        }
        (0..self.nodes.len()).filter(|number| !settled.contains(number)).collect()
    }

    fn parts(&self, number: usize) -> Vec<usize> {
        let Some(Some(Node::Schema(words))) = self.nodes.get(number) else { return Vec::new() };
        let of = |part: &Part| match part {
            Part::Value(_) => Vec::new(),
            Part::One(number) => vec![*number],
            Part::List(numbers) | Part::Set(numbers, _) => numbers.clone(),
            Part::Map(members) => members.values().copied().collect(),
        };
        words.values().flat_map(of).collect()
    }

    fn mark(&self, number: usize, marks: &[Mark]) -> Mark {
        let mark = |number: &usize| marks.get(*number).copied().unwrap_or_default();
        let mut hash = Sha256::new();
        let mut say = |kind: u8, bytes: &[u8]| {
            hash.update([kind]);
            hash.update((bytes.len() as u64).to_be_bytes());
            hash.update(bytes);
        };
        match self.nodes.get(number) {
            Some(Some(Node::Schema(words))) => {
                for (word, part) in words {
                    say(b'w', word.as_bytes());
                    match part {
                        Part::Value(text) => say(b'v', text.as_bytes()),
                        Part::One(number) => say(b's', &mark(number)),
                        Part::List(numbers) => {
                            say(b'l', &numbers.iter().flat_map(mark).collect::<Vec<u8>>());
                        }
                        Part::Set(numbers, once) => {
                            let mut all: Vec<Mark> = numbers.iter().map(mark).collect();
                            all.sort_unstable();
                            if *once {
                                all.dedup();
                            }
                            say(b'l', &all.concat());
                        }
                        Part::Map(members) => {
                            for (name, number) in members {
                                say(b'n', name.as_bytes());
                                say(b's', &mark(number));
                            }
                            say(b'e', &[]);
                        }
                    }
                }
            }
            Some(Some(Node::Plain(text))) => say(b'p', text.as_bytes()),
            _ => {}
        }
        hash.finalize().into()
    }
}
