//! Runs a program over a text, once, with all its choices at the same time.

use std::collections::VecDeque;

use crate::contract::pattern::class::{LINE_ENDS, is_word};
use crate::contract::pattern::program::{Address, Instruction, Program};
use crate::contract::pattern::syntax::Edge;

/// Whether the program is found anywhere in a text.
pub(super) fn matches(program: &Program, text: &str) -> bool {
    let mut run = Run {
        program,
        now: Vec::new(),
        next: Vec::new(),
        onward: Vec::new(),
        seen: vec![usize::MAX; program.len()],
        counters: vec![CountedRun::default(); program.counters()],
    };
    let mut characters = text.chars();
    let mut place = Place { at: 0, before: None, after: characters.next() };
    loop {
        if (place.at == 0 || !program.is_anchored()) && run.enter(0, place) {
            return true;
        }
        let Some(c) = place.after else { return false };
        if run.now.is_empty() && program.is_anchored() {
            return false;
        }
        place = Place { at: place.at + 1, before: Some(c), after: characters.next() };
        if run.step(c, place) {
            return true;
        }
    }
}

/// A place in a text: how many characters are before it, and those on both sides.
#[derive(Clone, Copy)]
struct Place {
    at: usize,
    before: Option<char>,
    after: Option<char>,
}

impl Place {
    fn is(self, edge: Edge) -> bool {
        let ends = |c: Option<char>| {
            c.is_none_or(|c| LINE_ENDS.iter().any(|(first, last)| (*first..=*last).contains(&c)))
        };
        let is_edge_of_word = self.before.is_some_and(is_word) != self.after.is_some_and(is_word);
        match edge {
            Edge::Start => self.before.is_none(),
            Edge::End => self.after.is_none(),
            Edge::LineStart => ends(self.before),
            Edge::LineEnd => ends(self.after),
            Edge::Word => is_edge_of_word,
            Edge::NoWord => !is_edge_of_word,
        }
    }
}

/// Where a counted repetition has begun that still goes on, oldest first, as ranges of places.
///
/// Each character goes on with all of them or ends them all, so that the places say everything.
#[derive(Clone, Default)]
struct CountedRun(VecDeque<(usize, usize)>);

impl CountedRun {
    fn begin(&mut self, at: usize, least: usize, most: usize) {
        // What may go on for ever is decided by the oldest, what may end at once by the newest.
        if most == usize::MAX && !self.0.is_empty() {
            return;
        }
        if least <= 1 {
            self.0.clear();
        }
        match self.0.back_mut() {
            Some((_, last)) if *last + 1 == at => *last = at,
            _ => self.0.push_back((at, at)),
        }
    }

    /// Forgets what has begun more than `most` characters ago.
    fn forget(&mut self, at: usize, most: usize) {
        let oldest = at.saturating_sub(most);
        while let Some((first, last)) = self.0.front_mut() {
            if *last >= oldest {
                *first = oldest.max(*first);
                break;
            }
            self.0.pop_front();
        }
    }

    fn has_counted(&self, at: usize, least: usize) -> bool {
        self.0.front().is_some_and(|(first, _)| at - first >= least)
    }
}

struct Run<'p> {
    program: &'p Program,
    /// The instructions that wait for the next character.
    now: Vec<Address>,
    next: Vec<Address>,
    /// Where the last character leads on to.
    onward: Vec<Address>,
    /// At which place each instruction was entered last.
    seen: Vec<usize>,
    counters: Vec<CountedRun>,
}

impl Run<'_> {
    /// Takes a character, and tells whether the program is found.
    fn step(&mut self, c: char, place: Place) -> bool {
        self.next.clear();
        self.onward.clear();
        // First all that takes the character, then what it leads on to: a counter must not take a
        // character before it has begun.
        for address in &self.now {
            match self.program.get(*address) {
                Some(Instruction::One(class)) if class.contains(c) => {
                    self.onward.push(address + 1);
                }
                Some(Instruction::Count { class, least, most, counter }) => {
                    let Some(counter) = self.counters.get_mut(*counter) else { continue };
                    if !class.contains(c) {
                        counter.0.clear();
                        continue;
                    }
                    counter.forget(place.at, *most);
                    if counter.has_counted(place.at, *least) {
                        self.onward.push(address + 1);
                    }
                    if !counter.0.is_empty() {
                        self.next.push(*address);
                    }
                }
                _ => {}
            }
        }
        std::mem::swap(&mut self.now, &mut self.next);
        while let Some(address) = self.onward.pop() {
            if self.enter(address, place) {
                return true;
            }
        }
        false
    }

    /// Goes from an instruction to all that wait for a character, and tells whether it is found.
    fn enter(&mut self, address: Address, place: Place) -> bool {
        let base = self.onward.len();
        self.onward.push(address);
        while self.onward.len() > base {
            let Some(address) = self.onward.pop() else { break };
            match self.seen.get_mut(address) {
                Some(seen) if *seen != place.at => *seen = place.at,
                _ => continue,
            }
            match self.program.get(address) {
                Some(Instruction::One(_)) => self.now.push(address),
                Some(Instruction::Count { least, most, counter, .. }) => {
                    let Some(counter) = self.counters.get_mut(*counter) else { continue };
                    if counter.0.is_empty() {
                        self.now.push(address);
                    }
                    counter.begin(place.at, *least, *most);
                }
                Some(Instruction::Split(other)) => self.onward.extend([*other, address + 1]),
                Some(Instruction::Jump(target)) => self.onward.push(*target),
                Some(Instruction::Look(edge)) if place.is(*edge) => self.onward.push(address + 1),
                Some(Instruction::Found) => return true,
                _ => {}
            }
        }
        false
    }
}
