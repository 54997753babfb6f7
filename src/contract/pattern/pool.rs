//! The patterns of one payload: equal ones are read once, and all together are bounded.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use regex_syntax::hir::ClassUnicode;

use crate::contract::pattern::breadth::is_too_wide;
use crate::contract::pattern::class::CharClass;
use crate::contract::pattern::mistake::PatternMistake;
use crate::contract::pattern::program::Program;
use crate::contract::pattern::sequence::Sequence;
use crate::contract::pattern::simulation;
use crate::contract::pattern::syntax;

/// Instructions of all patterns of one payload.
const MAX_INSTRUCTIONS: usize = 200_000;

/// Bytes of the text of one pattern.
const MAX_LENGTH: usize = 65_536;

/// A compiled pattern.
#[derive(Debug)]
pub(in crate::contract) struct TextPattern {
    text: String,
    how: Matching,
}

#[derive(Debug)]
enum Matching {
    Steps(Sequence),
    Program(Program),
}

impl TextPattern {
    /// The pattern as the contract writes it.
    pub(in crate::contract) fn text(&self) -> &str {
        &self.text
    }

    /// Whether the pattern is found anywhere in a text.
    pub(in crate::contract) fn matches(&self, text: &str) -> bool {
        match &self.how {
            Matching::Steps(steps) => steps.matches(text),
            Matching::Program(program) => simulation::matches(program, text),
        }
    }
}

/// Compiles patterns, each text once.
#[derive(Default)]
pub(in crate::contract) struct PatternPool {
    known: HashMap<String, Arc<TextPattern>>,
    classes: Classes,
    instructions: usize,
}

/// The sets of characters that patterns name, each once.
#[derive(Default)]
pub(super) struct Classes(HashSet<Arc<CharClass>>);

impl Classes {
    pub(super) fn of(&mut self, set: &ClassUnicode) -> Arc<CharClass> {
        let class = CharClass::of(set);
        if let Some(known) = self.0.get(&class) {
            return Arc::clone(known);
        }
        let class = Arc::new(class);
        self.0.insert(Arc::clone(&class));
        class
    }
}

impl PatternPool {
    /// The compiled form of a pattern.
    pub(in crate::contract) fn get(
        &mut self,
        text: &str,
    ) -> Result<Arc<TextPattern>, PatternMistake> {
        if let Some(known) = self.known.get(text) {
            return Ok(Arc::clone(known));
        }
        if text.len() > MAX_LENGTH {
            return Err(PatternMistake::TooLarge);
        }
        let piece = syntax::read(text)?;
        let mut class = |set: &ClassUnicode| self.classes.of(set);
        let (how, size) = if let Some(steps) = Sequence::of(&piece, &mut class) {
            let size = steps.len();
            (Matching::Steps(steps), size)
        } else {
            let program = Program::of(&piece, &mut class)?;
            if is_too_wide(&program) {
                return Err(PatternMistake::TooWide);
            }
            let size = program.len();
            (Matching::Program(program), size)
        };
        self.instructions += size;
        if self.instructions > MAX_INSTRUCTIONS {
            return Err(PatternMistake::TooLargeTogether);
        }
        let pattern = Arc::new(TextPattern { text: text.to_owned(), how });
        self.known.insert(text.to_owned(), Arc::clone(&pattern));
        Ok(pattern)
    }
}
