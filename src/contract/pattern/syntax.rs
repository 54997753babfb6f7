//! Reads the text of a pattern into a tree, as ECMA-262 has it (section 22.2, with flag `u`).

use regex_syntax::hir::ClassUnicode;

use crate::contract::pattern::class::{self, LINE_ENDS, all_but, set_of};
use crate::contract::pattern::escape::{self, Escaped};
use crate::contract::pattern::mistake::PatternMistake;
use crate::contract::pattern::reader::Reader;
use crate::contract::pattern::set;

/// Groups that may stand within one another.
const MAX_NESTING: usize = 64;

/// A part of a pattern.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::contract) enum Piece {
    /// One character of a set.
    One(ClassUnicode),
    /// A place between characters.
    Look(Edge),
    /// One after the other; none of them is the empty text.
    All(Vec<Piece>),
    /// One of them.
    Either(Vec<Piece>),
    /// As often as this; without `most`, any number of times.
    Repeat { piece: Box<Piece>, least: u32, most: Option<u32> },
}

/// A place between characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::contract) enum Edge {
    Start,
    End,
    LineStart,
    LineEnd,
    Word,
    NoWord,
}

/// What `(?i)`, `(?m)` and `(?s)` have set.
#[derive(Clone, Copy, Default)]
struct Flags {
    ignore_case: bool,
    multiline: bool,
    dot_all: bool,
}

/// Reads a whole pattern.
pub(in crate::contract) fn read(text: &str) -> Result<Piece, PatternMistake> {
    let mut parser = Parser { reader: Reader::of(text), flags: Flags::default() };
    let piece = parser.either(0)?;
    match parser.reader.next() {
        None => Ok(piece),
        Some(_) => Err(parser.reader.mistake("a `)` that closes nothing")),
    }
}

/// A pattern on its way into a tree.
struct Parser {
    reader: Reader,
    flags: Flags,
}

impl Parser {
    fn one(&self, set: ClassUnicode) -> Piece {
        Piece::One(if self.flags.ignore_case { class::folded(set) } else { set })
    }

    fn either(&mut self, depth: usize) -> Result<Piece, PatternMistake> {
        if depth > MAX_NESTING {
            return Err(self.reader.mistake("groups that nest too deeply"));
        }
        let mut pieces = vec![self.all(depth)?];
        while self.reader.skip("|") {
            pieces.push(self.all(depth)?);
        }
        Ok(join(pieces))
    }

    fn all(&mut self, depth: usize) -> Result<Piece, PatternMistake> {
        let mut pieces = Vec::new();
        while let Some(next) = self.reader.peek().filter(|next| !matches!(next, '|' | ')')) {
            self.reader.next();
            let piece = match next {
                '(' => self.group(depth)?,
                '[' => Some(Piece::One(set::read(&mut self.reader, self.flags.ignore_case)?)),
                '\\' => Some(self.escaped()?),
                '^' if self.flags.multiline => Some(Piece::Look(Edge::LineStart)),
                '^' => Some(Piece::Look(Edge::Start)),
                '$' if self.flags.multiline => Some(Piece::Look(Edge::LineEnd)),
                '$' => Some(Piece::Look(Edge::End)),
                '.' if self.flags.dot_all => Some(Piece::One(all_but(ClassUnicode::empty()))),
                '.' => Some(Piece::One(all_but(set_of(&LINE_ENDS)))),
                '*' | '+' | '?' => return Err(self.reader.mistake("a repetition of nothing")),
                c => Some(self.one(set_of(&[(c, c)]))),
            };
            // `(?i)` is no piece.
            if let Some(piece) = piece {
                pieces.push(self.repeated(piece)?);
            }
        }
        Ok(if pieces.len() == 1 { pieces.remove(0) } else { Piece::All(pieces) })
    }

    fn escaped(&mut self) -> Result<Piece, PatternMistake> {
        Ok(match escape::read(&mut self.reader)? {
            Escaped::Set(set) => self.one(set),
            Escaped::Character(Some(c)) => self.one(set_of(&[(c, c)])),
            Escaped::Character(None) => Piece::One(ClassUnicode::empty()),
            Escaped::Word => Piece::Look(Edge::Word),
            Escaped::NoWord => Piece::Look(Edge::NoWord),
        })
    }

    /// Reads a group, whose `(` has been read; nothing if it only sets flags.
    fn group(&mut self, depth: usize) -> Result<Option<Piece>, PatternMistake> {
        let before = self.flags;
        if self.reader.skip("?") {
            for (text, what) in [
                ("=", "look-ahead"),
                ("!", "look-ahead"),
                ("<=", "look-behind"),
                ("<!", "look-behind"),
                ("P=", "back-reference"),
                (">", "group that gives nothing back"),
            ] {
                if self.reader.skip(text) {
                    return Err(self.reader.nonlinear(what));
                }
            }
            if self.reader.skip("<") || self.reader.skip("P<") {
                self.reader
                    .until('>')
                    .ok_or_else(|| self.reader.mistake("a group whose name does not end"))?;
            } else if self.flags()? {
                return Ok(None);
            }
        }
        let piece = self.either(depth + 1)?;
        if !self.reader.skip(")") {
            return Err(self.reader.mistake("a group that is not closed"));
        }
        self.flags = before;
        Ok(Some(piece))
    }

    /// Reads `:`, `i:` or `i)`, and tells whether it was the last: then it holds for what follows.
    fn flags(&mut self) -> Result<bool, PatternMistake> {
        let mut value = true;
        loop {
            match self.reader.next() {
                Some('i') => self.flags.ignore_case = value,
                Some('m') => self.flags.multiline = value,
                Some('s') => self.flags.dot_all = value,
                Some('-') if value => value = false,
                Some(':') => return Ok(false),
                Some(')') => return Ok(true),
                _ => return Err(self.reader.mistake("a group of an unknown kind")),
            }
        }
    }

    /// Puts the repetition that follows a piece around it.
    fn repeated(&mut self, piece: Piece) -> Result<Piece, PatternMistake> {
        let Some((least, most)) = self.repetition()? else { return Ok(piece) };
        if matches!(piece, Piece::Look(_)) {
            return Err(self.reader.mistake("a repetition of nothing"));
        }
        if self.reader.skip("+") {
            return Err(self.reader.nonlinear("repetition that gives nothing back"));
        }
        // Whether it takes few or many first does not change what matches.
        self.reader.skip("?");
        if self.repetition()?.is_some() {
            return Err(self.reader.mistake("a repetition of a repetition"));
        }
        Ok(Piece::Repeat { piece: Box::new(piece), least, most })
    }

    fn repetition(&mut self) -> Result<Option<(u32, Option<u32>)>, PatternMistake> {
        let numbers = match self.reader.peek() {
            Some('*') => (0, None),
            Some('+') => (1, None),
            Some('?') => (0, Some(1)),
            Some('{') => return self.counted(),
            _ => return Ok(None),
        };
        self.reader.next();
        Ok(Some(numbers))
    }

    /// Reads `{2}`, `{2,}` or `{2,5}`; what only looks like it is text.
    fn counted(&mut self) -> Result<Option<(u32, Option<u32>)>, PatternMistake> {
        let start = self.reader.place();
        self.reader.next();
        let inside = self.reader.until('}').unwrap_or_default();
        let (least, most) = inside.split_once(',').unwrap_or((&inside, &inside));
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|c| c.is_ascii_digit());
        if least.is_empty() && is_number(most) {
            return Err(self
                .reader
                .mistake("a repetition without its least number; write `{0,…}`"));
        }
        if !is_number(least) || !(most.is_empty() || is_number(most)) {
            self.reader.back_to(start);
            return Ok(None);
        }
        let number = |text: &str| text.parse().unwrap_or(u32::MAX);
        let (least, most) = (number(least), (!most.is_empty()).then(|| number(most)));
        if most.is_some_and(|most| most < least) {
            return Err(self.reader.mistake("a repetition whose numbers are the wrong way round"));
        }
        Ok(Some((least, most)))
    }
}

/// One of several pieces; several single characters are one set.
fn join(mut pieces: Vec<Piece>) -> Piece {
    let mut set = ClassUnicode::empty();
    for piece in &pieces {
        match piece {
            Piece::One(characters) => set.union(characters),
            _ if pieces.len() == 1 => return pieces.remove(0),
            _ => return Piece::Either(pieces),
        }
    }
    Piece::One(set)
}
