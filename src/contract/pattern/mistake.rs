//! Why a pattern is refused, and what to do about it.

/// Why a pattern is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::contract) enum PatternMistake {
    /// It is no regular expression of ECMA-262: what is wrong, at which character, from 1.
    Syntax { problem: String, at: usize },
    /// It would need more than linear time: what of it.
    Nonlinear { what: &'static str, at: usize },
    /// Too many of its steps can be open at once.
    TooWide,
    /// It is too large by itself.
    TooLarge,
    /// It and the other patterns of its payload are too large together.
    TooLargeTogether,
}

impl PatternMistake {
    /// What is wrong, as a sentence.
    pub(in crate::contract) fn problem(&self) -> String {
        match self {
            Self::Syntax { problem, at } => {
                format!("not a regular expression of ECMA-262: {problem}, at its character {at}")
            }
            Self::Nonlinear { what, at } => {
                format!("a pattern with a {what}, at its character {at}")
            }
            Self::TooWide => {
                "a pattern that would take too long: more than 600 of its steps can be open \
                              at once"
                    .to_owned()
            }
            Self::TooLarge => "a pattern that is too large: it is longer than 65536 bytes, or has \
                               more than 5000 steps once its repetitions of groups are written out"
                .to_owned(),
            Self::TooLargeTogether => {
                "one pattern too many: written out, the patterns of this payload have more than \
                 200000 steps"
                    .to_owned()
            }
        }
    }

    /// What to do about it.
    pub(in crate::contract) const fn help(&self) -> &'static str {
        match self {
            Self::Syntax { .. } => {
                "write it as ECMA-262 does with its flag `u`: `\\d`, `\\p{L}`, `\\u{1F600}`, `^` and \
                 `$` for the ends"
            }
            Self::Nonlinear { .. } => {
                "patterns take linear time: they have no look-around and no back-references; say the \
                 same with several patterns in `allOf`, with `not`, or with `minLength` and \
                 `maxLength`"
            }
            Self::TooWide => {
                "begin it with `^`, repeat a group less often, or leave it fewer ways to go on; \
                 `maxLength` bounds the length"
            }
            Self::TooLarge | Self::TooLargeTogether => {
                "repeat a group less often; one character or class, as in `[a-z]{1,2000}`, may be \
                 repeated any number of times"
            }
        }
    }
}
