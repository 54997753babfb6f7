//! A set of characters, quick to ask.

use regex_syntax::hir::{ClassUnicode, ClassUnicodeRange};

/// A set of characters.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct CharClass {
    /// One bit for each character of ASCII.
    ascii: u128,
    /// What follows ASCII: first and last of each range, in order.
    ranges: Box<[(char, char)]>,
}

impl CharClass {
    pub(super) fn of(set: &ClassUnicode) -> Self {
        let mut ascii = 0;
        let mut ranges = Vec::new();
        for range in set.ranges() {
            for c in range.start()..=range.end().min('\x7f') {
                ascii |= 1_u128 << u32::from(c);
            }
            if range.end() > '\x7f' {
                ranges.push((range.start().max('\u{80}'), range.end()));
            }
        }
        Self { ascii, ranges: ranges.into() }
    }

    #[inline]
    pub(super) fn contains(&self, c: char) -> bool {
        let code = u32::from(c);
        if code < 128 {
            return (self.ascii >> code) & 1 == 1;
        }
        let place = self.ranges.partition_point(|(_, last)| *last < c);
        self.ranges.get(place).is_some_and(|(first, _)| *first <= c)
    }

    /// Whether no character is in both.
    pub(super) fn is_disjoint(&self, other: &Self) -> bool {
        let (mut own, mut others) = (self.ranges.iter().peekable(), other.ranges.iter().peekable());
        while let (Some((first, last)), Some((from, to))) = (own.peek(), others.peek()) {
            if last < from {
                own.next();
            } else if to < first {
                others.next();
            } else {
                return false;
            }
        }
        self.ascii & other.ascii == 0
    }
}

/// The set of these ranges, both ends included.
pub(super) fn set_of(ranges: &[(char, char)]) -> ClassUnicode {
    ClassUnicode::new(ranges.iter().map(|(first, last)| ClassUnicodeRange::new(*first, *last)))
}

/// The set of all but these.
pub(super) fn all_but(mut set: ClassUnicode) -> ClassUnicode {
    set.negate();
    set
}

/// Where ECMA-262 has a line end: what `.` does not match.
pub(super) const LINE_ENDS: [(char, char); 3] =
    [('\n', '\n'), ('\r', '\r'), ('\u{2028}', '\u{2029}')];

/// What `\d` matches.
pub(super) const DIGITS: [(char, char); 1] = [('0', '9')];

/// What `\w` matches.
pub(super) const WORDS: [(char, char); 4] = [('0', '9'), ('A', 'Z'), ('_', '_'), ('a', 'z')];

/// What `\s` matches.
pub(super) const SPACES: [(char, char); 10] = [
    ('\t', '\r'),
    (' ', ' '),
    ('\u{a0}', '\u{a0}'),
    ('\u{1680}', '\u{1680}'),
    ('\u{2000}', '\u{200a}'),
    ('\u{2028}', '\u{2029}'),
    ('\u{202f}', '\u{202f}'),
    ('\u{205f}', '\u{205f}'),
    ('\u{3000}', '\u{3000}'),
    ('\u{feff}', '\u{feff}'),
];

/// Whether a character is one of a word, as `\b` has it.
pub(super) const fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// The set with both cases of each letter in it.
pub(super) fn folded(mut set: ClassUnicode) -> ClassUnicode {
    // The tables for this are built in; without them the set would stay as it is written.
    let _ = set.try_case_fold_simple();
    set
}
