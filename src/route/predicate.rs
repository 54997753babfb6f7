//! One question about one value of an event: every operator of the pattern language.

use std::net::IpAddr;

use serde_json::Value;

use crate::event::NumericValue;
use crate::route::block::Block;
use crate::route::caseless::Caseless;
use crate::route::wildcard::Wildcard;

/// One end of a range.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Bound {
    pub(super) at: NumericValue,
    pub(super) inclusive: bool,
}

/// A range of numbers; an end that is missing is open.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Range {
    pub(super) low: Option<Bound>,
    pub(super) high: Option<Bound>,
}

impl Range {
    pub(super) fn contains(&self, number: &NumericValue) -> bool {
        let above = |low: &Bound| *number > low.at || (low.inclusive && *number == low.at);
        let below = |high: &Bound| *number < high.at || (high.inclusive && *number == high.at);
        self.low.as_ref().is_none_or(above) && self.high.as_ref().is_none_or(below)
    }
}

/// What a value must not be.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Excluded {
    Texts(Vec<Box<str>>),
    Numbers(Vec<NumericValue>),
    Prefixes(Vec<Box<str>>),
    Suffixes(Vec<Box<str>>),
    IgnoringCase(Vec<Caseless>),
    Wildcards(Vec<Wildcard>),
}

/// One alternative of a field.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Predicate {
    Text(Box<str>),
    /// A string that is an IP literal stands for every spelling of the address.
    Address(IpAddr),
    Number(NumericValue),
    Bool(bool),
    Null,
    Prefix(Box<str>),
    /// Begins with the text and goes on after it.
    Below(Box<str>),
    PrefixIgnoringCase(Caseless),
    Suffix(Box<str>),
    SuffixIgnoringCase(Caseless),
    EqualsIgnoringCase(Caseless),
    Wildcard(Wildcard),
    Range(Range),
    Block(Block),
    AnythingBut(Excluded),
    Exists,
    /// Holds where there is no value; the evaluator decides, never [`accepts`](Self::accepts).
    Absent,
}

impl Predicate {
    /// Tells whether a value that is there, neither an object nor an array, is accepted.
    pub(super) fn accepts(&self, value: &Value) -> bool {
        match (self, value) {
            (Self::Exists, _) | (Self::Null, Value::Null) => true,
            (Self::Absent, _) => false,
            (Self::AnythingBut(excluded), _) => !excluded.holds(value),
            (Self::Bool(expected), Value::Bool(actual)) => expected == actual,
            (Self::Number(expected), Value::Number(actual)) => {
                NumericValue::of(actual.as_str()).as_ref() == Some(expected)
            }
            (Self::Range(range), Value::Number(actual)) => {
                NumericValue::of(actual.as_str()).is_some_and(|actual| range.contains(&actual))
            }
            (_, Value::String(text)) => self.accepts_text(text),
            _ => false,
        }
    }

    fn accepts_text(&self, text: &str) -> bool {
        match self {
            Self::Text(expected) => **expected == *text,
            Self::Address(expected) => text.parse() == Ok(*expected),
            Self::Prefix(prefix) => text.starts_with(&**prefix),
            Self::Below(prefix) => {
                text.strip_prefix(&**prefix).is_some_and(|rest| !rest.is_empty())
            }
            Self::Suffix(suffix) => text.ends_with(&**suffix),
            Self::PrefixIgnoringCase(prefix) => prefix.starts(text),
            Self::SuffixIgnoringCase(suffix) => suffix.ends(text),
            Self::EqualsIgnoringCase(expected) => expected.equals(text),
            Self::Wildcard(wildcard) => wildcard.matches(text),
            Self::Block(block) => text.parse().is_ok_and(|address| block.contains(address)),
            _ => false,
        }
    }

    /// How much work it is to ask a short value, in steps.
    pub(super) fn weight(&self) -> u64 {
        match self {
            Self::AnythingBut(excluded) => excluded.weight(),
            Self::Wildcard(wildcard) => wildcard.weight(),
            _ => 1,
        }
    }

    /// The operator, as it is written in a pattern; a literal is `exact`.
    pub(super) const fn operator(&self) -> &'static str {
        match self {
            Self::Text(_) | Self::Address(_) | Self::Number(_) | Self::Bool(_) | Self::Null => {
                "exact"
            }
            Self::Prefix(_) | Self::PrefixIgnoringCase(_) | Self::Below(_) => "prefix",
            Self::Suffix(_) | Self::SuffixIgnoringCase(_) => "suffix",
            Self::EqualsIgnoringCase(_) => "equals-ignore-case",
            Self::Wildcard(_) => "wildcard",
            Self::Range(_) => "numeric",
            Self::Block(_) => "cidr",
            Self::AnythingBut(_) => "anything-but",
            Self::Exists | Self::Absent => "exists",
        }
    }
}

impl Excluded {
    fn weight(&self) -> u64 {
        let count = match self {
            Self::Numbers(numbers) => numbers.len(),
            Self::Texts(texts) | Self::Prefixes(texts) | Self::Suffixes(texts) => texts.len(),
            Self::IgnoringCase(texts) => texts.len(),
            Self::Wildcards(wildcards) => {
                return wildcards.iter().map(Wildcard::weight).sum();
            }
        };
        count as u64
    }

    fn holds(&self, value: &Value) -> bool {
        match (self, value) {
            (Self::Numbers(numbers), Value::Number(actual)) => {
                NumericValue::of(actual.as_str()).is_some_and(|actual| numbers.contains(&actual))
            }
            (Self::Texts(texts), Value::String(actual)) => {
                texts.iter().any(|text| **text == **actual)
            }
            (Self::Prefixes(texts), Value::String(actual)) => {
                texts.iter().any(|text| actual.starts_with(&**text))
            }
            (Self::Suffixes(texts), Value::String(actual)) => {
                texts.iter().any(|text| actual.ends_with(&**text))
            }
            (Self::IgnoringCase(texts), Value::String(actual)) => {
                texts.iter().any(|text| text.equals(actual))
            }
            (Self::Wildcards(wildcards), Value::String(actual)) => {
                wildcards.iter().any(|wildcard| wildcard.matches(actual))
            }
            _ => false,
        }
    }
}
