//! Finds, for one value of an event, the entries that are filed under it.

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;

use serde_json::Value;

use crate::route::block::Block;
use crate::route::interval::Intervals;
use crate::route::predicate::{Double, Predicate, Range};

/// The entries that are filed under the predicates of one path.
///
/// An entry is found if the predicate that it is filed under accepts the value; it may be found
/// without that, because every entry found is verified.
#[derive(Debug, Default)]
pub(super) struct Access {
    texts: HashMap<Box<str>, Vec<u32>>,
    lower_texts: HashMap<Box<str>, Vec<u32>>,
    prefixes: Affixes,
    suffixes: Affixes,
    lower_prefixes: Affixes,
    lower_suffixes: Affixes,
    addresses: HashMap<IpAddr, Vec<u32>>,
    blocks: HashMap<Block, Vec<u32>>,
    block_lengths: BTreeSet<u8>,
    numbers: HashMap<u64, Vec<u32>>,
    ranges: Intervals,
    truths: Vec<u32>,
    falsehoods: Vec<u32>,
    nulls: Vec<u32>,
    /// Filed under a predicate that any text might satisfy.
    any_text: Vec<u32>,
    /// Filed under a predicate that any value might satisfy.
    any_value: Vec<u32>,
}

/// Beginnings or ends of texts, by their length in bytes.
#[derive(Debug, Default)]
struct Affixes {
    lengths: BTreeSet<usize>,
    texts: HashMap<Box<str>, Vec<u32>>,
}

impl Affixes {
    fn file(&mut self, affix: &str, entry: u32) {
        self.lengths.insert(affix.len());
        self.texts.entry(affix.into()).or_default().push(entry);
    }

    fn collect<'t>(&self, cut: impl Fn(usize) -> Option<&'t str>, found: &mut Vec<u32>) {
        for &length in &self.lengths {
            if let Some(entries) = cut(length).and_then(|affix| self.texts.get(affix)) {
                found.extend_from_slice(entries);
            }
        }
    }

    fn collect_both(begin: &Self, end: &Self, text: &str, found: &mut Vec<u32>) {
        begin.collect(|length| text.get(..length), found);
        end.collect(|length| text.get(text.len().checked_sub(length)?..), found);
    }

    fn is_empty(&self) -> bool {
        self.lengths.is_empty()
    }
}

impl Access {
    /// Files entries, each under one predicate; an entry may come with several.
    pub(super) fn new<'p>(filed: impl IntoIterator<Item = (&'p Predicate, u32)>) -> Self {
        let mut access = Self::default();
        let mut ranges: Vec<(Range, u32)> = Vec::new();
        for (predicate, entry) in filed {
            match predicate {
                Predicate::Range(range) => ranges.push((*range, entry)),
                Predicate::Number(number) => {
                    access.numbers.entry(number.to_bits()).or_default().push(entry);
                }
                Predicate::Bool(true) => access.truths.push(entry),
                Predicate::Bool(false) => access.falsehoods.push(entry),
                Predicate::Null => access.nulls.push(entry),
                Predicate::AnythingBut(_) | Predicate::Exists => access.any_value.push(entry),
                // Never the reason to look at an entry: there is no value to find it by.
                Predicate::Absent => {}
                on_text => access.file_text(on_text, entry),
            }
        }
        access.ranges = Intervals::new(ranges);
        access
    }

    fn file_text(&mut self, predicate: &Predicate, entry: u32) {
        match predicate {
            Predicate::Text(text) => self.texts.entry(text.clone()).or_default().push(entry),
            Predicate::Address(address) => self.addresses.entry(*address).or_default().push(entry),
            Predicate::Block(block) => {
                self.block_lengths.insert(block.length());
                self.blocks.entry(*block).or_default().push(entry);
            }
            Predicate::Prefix(prefix) | Predicate::Below(prefix) => {
                self.prefixes.file(prefix, entry);
            }
            Predicate::Suffix(suffix) => self.suffixes.file(suffix, entry),
            Predicate::Wildcard(wildcard) if !wildcard.prefix().is_empty() => {
                self.prefixes.file(wildcard.prefix(), entry);
            }
            Predicate::Wildcard(wildcard) if !wildcard.suffix().is_empty() => {
                self.suffixes.file(wildcard.suffix(), entry);
            }
            Predicate::EqualsIgnoringCase(text) => match text.ascii() {
                Some(lower) => self.lower_texts.entry(lower.into()).or_default().push(entry),
                None => self.any_text.push(entry),
            },
            Predicate::PrefixIgnoringCase(prefix) => match prefix.ascii() {
                Some(lower) => self.lower_prefixes.file(lower, entry),
                None => self.any_text.push(entry),
            },
            Predicate::SuffixIgnoringCase(suffix) => match suffix.ascii() {
                Some(lower) => self.lower_suffixes.file(lower, entry),
                None => self.any_text.push(entry),
            },
            _ => self.any_text.push(entry),
        }
    }

    /// Adds the entries that a value, neither an object nor an array, might satisfy.
    pub(super) fn collect(&self, value: &Value, found: &mut Vec<u32>) {
        found.extend_from_slice(&self.any_value);
        match value {
            Value::String(text) => self.collect_text(text, found),
            Value::Number(number) => {
                if let Some(number) = Double::of(number) {
                    extend(found, self.numbers.get(&number.to_bits()));
                    self.ranges.collect(number, found);
                }
            }
            Value::Bool(true) => found.extend_from_slice(&self.truths),
            Value::Bool(false) => found.extend_from_slice(&self.falsehoods),
            Value::Null => found.extend_from_slice(&self.nulls),
            Value::Array(_) | Value::Object(_) => {}
        }
    }

    fn collect_text(&self, text: &str, found: &mut Vec<u32>) {
        found.extend_from_slice(&self.any_text);
        if !self.texts.is_empty() {
            extend(found, self.texts.get(text));
        }
        Affixes::collect_both(&self.prefixes, &self.suffixes, text, found);
        let lower_affixes = !(self.lower_prefixes.is_empty() && self.lower_suffixes.is_empty());
        if lower_affixes || !self.lower_texts.is_empty() {
            let lower = text.to_ascii_lowercase();
            extend(found, self.lower_texts.get(&*lower));
            Affixes::collect_both(&self.lower_prefixes, &self.lower_suffixes, &lower, found);
        }
        if !(self.addresses.is_empty() && self.blocks.is_empty())
            && let Ok(address) = text.parse()
        {
            extend(found, self.addresses.get(&address));
            for &length in &self.block_lengths {
                extend(found, self.blocks.get(&Block::around(address, length)));
            }
        }
    }
}

fn extend(found: &mut Vec<u32>, entries: Option<&Vec<u32>>) {
    if let Some(entries) = entries {
        found.extend_from_slice(entries);
    }
}
