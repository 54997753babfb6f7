//! Texts that match a pattern, made from the pattern itself.

use std::collections::HashMap;

use regex_syntax::hir::ClassUnicode;
use serde_json::{Value, json};

use crate::contract::pattern::{self, Piece};
use crate::contract::rules::Rules;
use crate::contract::sample::dice::Dice;

/// Patterns of one schema that are read.
const MAX_PATTERNS: usize = 1_000;

/// Pieces of a pattern that one text is made from.
const MAX_PIECES: usize = 20_000;

/// Characters of a text.
pub(super) const MAX_TEXT: usize = 10_000;

/// The patterns of a schema, each read once.
#[derive(Debug, Default)]
pub(super) struct PatternBook(HashMap<String, ReadPattern>);

#[derive(Debug)]
struct ReadPattern {
    pieces: Option<Piece>,
    rules: Option<Rules>,
}

impl PatternBook {
    /// Tells whether a text matches, as the gate does.
    pub(super) fn matches(&mut self, pattern: &str, text: &str) -> bool {
        let rules = self.read(pattern).and_then(|read| read.rules.as_ref());
        rules.is_some_and(|rules| rules.accept(&Value::from(text)))
    }

    /// A text that is likely to match, of about `wish` characters; dice vary it.
    pub(super) fn text(
        &mut self,
        pattern: &str,
        wish: usize,
        dice: &mut Option<Dice>,
    ) -> Option<String> {
        let pieces = self.read(pattern)?.pieces.as_ref()?;
        let minimal = |dice: &Option<Dice>| {
            let mut writer =
                PatternWriter { out: String::new(), extra: 0, pieces: 0, dice: dice.clone() };
            writer.write(pieces)?;
            Some(writer)
        };
        let shortest = minimal(dice)?;
        let extra = wish.saturating_sub(shortest.out.chars().count());
        if extra == 0 {
            *dice = shortest.dice;
            return Some(shortest.out);
        }
        let mut writer = PatternWriter { out: String::new(), extra, pieces: 0, dice: dice.clone() };
        writer.write(pieces)?;
        *dice = writer.dice;
        Some(writer.out)
    }

    fn read(&mut self, pattern: &str) -> Option<&ReadPattern> {
        if !self.0.contains_key(pattern) {
            if self.0.len() >= MAX_PATTERNS {
                return None;
            }
            let rules = Rules::compile(&json!({ "pattern": pattern })).ok();
            let pieces = rules.as_ref().and_then(|_| pattern::read(pattern).ok());
            self.0.insert(pattern.to_owned(), ReadPattern { pieces, rules });
        }
        self.0.get(pattern)
    }
}

struct PatternWriter {
    out: String,
    /// Characters that may still be written beyond the least.
    extra: usize,
    pieces: usize,
    dice: Option<Dice>,
}

impl PatternWriter {
    fn write(&mut self, piece: &Piece) -> Option<()> {
        self.pieces += 1;
        if self.pieces > MAX_PIECES || self.out.len() > 4 * MAX_TEXT {
            return None;
        }
        match piece {
            // A place between characters has none; whether it holds is asked of the whole text.
            Piece::Look(_) => Some(()),
            Piece::One(set) => {
                let character = self.pick(set)?;
                self.out.push(character);
                Some(())
            }
            Piece::All(pieces) => pieces.iter().try_for_each(|piece| self.write(piece)),
            Piece::Either(branches) => {
                let index = self.dice.as_mut().map_or(0, |dice| dice.below(branches.len()));
                self.write(branches.get(index)?)
            }
            Piece::Repeat { piece, least, most } => {
                for _ in 0..*least {
                    self.write(piece)?;
                }
                self.repeat(piece, most.map(|most| most.saturating_sub(*least)))
            }
        }
    }

    /// Goes on as long as characters are wanted.
    fn repeat(&mut self, piece: &Piece, most: Option<u32>) -> Option<()> {
        let mut count = 0;
        while self.extra > 0 && most.is_none_or(|most| count < most) {
            let before = self.out.len();
            let wanted = self.extra;
            self.write(piece)?;
            let written = self.out.get(before..).map_or(0, |text| text.chars().count());
            if written == 0 {
                break;
            }
            if written > wanted {
                self.out.truncate(before);
                break;
            }
            self.extra = self.extra.min(wanted - written);
            count += 1;
        }
        Some(())
    }

    /// A character of a set: a plain one where there is one.
    fn pick(&mut self, set: &ClassUnicode) -> Option<char> {
        let ranges: Vec<(char, char)> = set.iter().map(|r| (r.start(), r.end())).collect();
        let holds = |c: char| ranges.iter().any(|(start, end)| (*start..=*end).contains(&c));
        let mut plain: Vec<char> = Vec::new();
        for (first, last) in [('a', 'z'), ('A', 'Z'), ('1', '9'), ('0', '0')] {
            // One kind is enough where nothing is to vary.
            if plain.is_empty() || self.dice.is_some() {
                plain.extend((first..=last).filter(|c| holds(*c)));
            }
        }
        if !plain.is_empty() {
            let index = self.dice.as_mut().map_or(0, |dice| dice.below(plain.len()));
            return plain.get(index).copied();
        }
        let printable = (' '..='~').find(|c| holds(*c));
        let other = || ranges.iter().map(|(start, _)| *start).find(|c| !c.is_control());
        printable.or_else(other).or_else(|| ranges.first().map(|(start, _)| *start))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_patterns_get_texts_that_match() {
        let mut book = PatternBook::default();
        for pattern in [
            "^[A-Z]{3}$",
            "^\\d{4}-\\d{2}-\\d{2}$",
            "^(0|[1-9]\\d*)(\\.\\d{1,2})?$",
            "^ord_[0-9a-f]{8}$",
            "^(?:card|cash)$",
            "^.{1,90}$",
            "^\\S{1,64}$",
            "[^,;]+",
            "^\\p{Lu}{1,5}$",
            "^https?://[^/]+/",
            "^\\+?[1-9]\\d{1,14}$",
            "^$",
            "^[\\w.-]+@x$",
            "^[^\\x00-\\x1f]*$",
            "^\\u0041+$",
            "^-?\\d+\\/x$",
            "^[^]{3}$",
            "^\\cJ$",
            "^[&&]{2}$",
            "^[a&&b]$",
            "^[[]{1,3}$",
        ] {
            for wish in [0, 5, 40] {
                let plain = book.text(pattern, wish, &mut None).expect(pattern);
                assert!(book.matches(pattern, &plain), "{pattern}: {plain}");
                let varied = book.text(pattern, wish, &mut Some(Dice::new(7))).expect(pattern);
                assert!(book.matches(pattern, &varied), "{pattern}: {varied}");
            }
        }
        assert_eq!(book.text("^[a-z]{2,60}$", 20, &mut None).unwrap().len(), 20);
    }

    #[test]
    fn patterns_that_cannot_be_read_or_have_no_end_give_nothing() {
        let mut book = PatternBook::default();

        for pattern in ["(", "^(?=a)b", "((a{900}){900}){900}", "[^\\s\\S]"] {
            let made = book.text(pattern, 0, &mut None);
            assert!(made.is_none_or(|text| !book.matches(pattern, &text)), "{pattern}");
        }
    }
}
