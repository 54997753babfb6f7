//! The text of a pattern, and how far it has been read.

use crate::contract::pattern::mistake::PatternMistake;

/// A pattern, and how far it has been read.
pub(super) struct Reader {
    characters: Vec<char>,
    at: usize,
}

impl Reader {
    pub(super) fn of(text: &str) -> Self {
        Self { characters: text.chars().collect(), at: 0 }
    }

    pub(super) fn peek(&self) -> Option<char> {
        self.characters.get(self.at).copied()
    }

    pub(super) fn next(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.at += 1;
        Some(next)
    }

    /// Steps over a text if it comes next.
    pub(super) fn skip(&mut self, text: &str) -> bool {
        let rest = self.characters.get(self.at..).unwrap_or_default();
        let is_next = text.chars().enumerate().all(|(index, c)| rest.get(index) == Some(&c));
        if is_next {
            self.at += text.chars().count();
        }
        is_next
    }

    /// Reads what comes before a character, and steps over that one.
    pub(super) fn until(&mut self, end: char) -> Option<String> {
        let rest = self.characters.get(self.at..).unwrap_or_default();
        let length = rest.iter().position(|c| *c == end)?;
        let text = rest.iter().take(length).collect();
        self.at += length + 1;
        Some(text)
    }

    /// Where it stands, to come back to.
    pub(super) const fn place(&self) -> usize {
        self.at
    }

    pub(super) const fn back_to(&mut self, place: usize) {
        self.at = place;
    }

    /// A mistake at the character that was read last.
    pub(super) fn mistake(&self, problem: impl Into<String>) -> PatternMistake {
        PatternMistake::Syntax { problem: problem.into(), at: self.at.max(1) }
    }

    /// Something that linear time has no room for.
    pub(super) fn nonlinear(&self, what: &'static str) -> PatternMistake {
        PatternMistake::Nonlinear { what, at: self.at.max(1) }
    }
}
