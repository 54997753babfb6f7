//! One question about one value of an event: every operator of the pattern language.

use std::net::IpAddr;

use serde_json::Value;

use crate::route::block::Block;
use crate::route::caseless::Caseless;
use crate::route::wildcard::Wildcard;

/// A finite binary64 with a total order, in which `-0` is `0`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Double(f64);

impl Double {
    /// Takes a number; not-a-number and infinities are no JSON.
    pub(super) fn new(number: f64) -> Option<Self> {
        // Adding zero turns -0 into 0.
        number.is_finite().then_some(Self(number + 0.0))
    }

    pub(super) fn of(number: &serde_json::Number) -> Option<Self> {
        number.as_f64().and_then(Self::new)
    }

    /// The bits: equal exactly when the numbers are.
    pub(super) const fn to_bits(self) -> u64 {
        self.0.to_bits()
    }
}

impl PartialEq for Double {
    fn eq(&self, other: &Self) -> bool {
        self.to_bits() == other.to_bits()
    }
}

impl Eq for Double {}

impl PartialOrd for Double {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Double {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl std::hash::Hash for Double {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.to_bits().hash(state);
    }
}

/// One end of a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Bound {
    pub(super) at: Double,
    pub(super) inclusive: bool,
}

/// A range of numbers; an end that is missing is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Range {
    pub(super) low: Option<Bound>,
    pub(super) high: Option<Bound>,
}

impl Range {
    pub(super) fn contains(&self, number: Double) -> bool {
        self.low.is_none_or(|low| number > low.at || (low.inclusive && number == low.at))
            && self
                .high
                .is_none_or(|high| number < high.at || (high.inclusive && number == high.at))
    }
}

/// What a value must not be.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Excluded {
    Texts(Vec<Box<str>>),
    Numbers(Vec<Double>),
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
    Number(Double),
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
                Double::of(actual) == Some(*expected)
            }
            (Self::Range(range), Value::Number(actual)) => {
                Double::of(actual).is_some_and(|actual| range.contains(actual))
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
    fn holds(&self, value: &Value) -> bool {
        match (self, value) {
            (Self::Numbers(numbers), Value::Number(actual)) => {
                Double::of(actual).is_some_and(|actual| numbers.contains(&actual))
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
