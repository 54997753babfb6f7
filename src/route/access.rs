//! Finds, for one value of an event, the entries that are filed under it.

use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;
use std::net::IpAddr;

use serde_json::Value;

use crate::event::NumericValue;
use crate::route::block::Block;
use crate::route::found::{Bucket, Buckets, Found};
use crate::route::interval::Intervals;
use crate::route::predicate::{Predicate, Range};

/// The entries that are filed under the predicates of one path.
///
/// An entry is found if the predicate that it is filed under accepts the value; it may be found
/// without that, because every entry found is verified.
#[derive(Debug, Default)]
pub(super) struct FieldAccess {
    texts: HashMap<Box<str>, Bucket>,
    lower_texts: HashMap<Box<str>, Bucket>,
    prefixes: Affixes,
    suffixes: Affixes,
    lower_prefixes: Affixes,
    lower_suffixes: Affixes,
    addresses: HashMap<IpAddr, Bucket>,
    blocks: HashMap<Block, Bucket>,
    block_lengths: BTreeSet<u8>,
    numbers: HashMap<NumericValue, Bucket>,
    ranges: Intervals,
    truths: Option<Bucket>,
    falsehoods: Option<Bucket>,
    nulls: Option<Bucket>,
    /// Filed under a predicate that any text might satisfy.
    any_text: Option<Bucket>,
    /// Filed under a predicate that any value might satisfy.
    any_value: Option<Bucket>,
}

/// Beginnings or ends of texts, by their length in bytes.
#[derive(Debug, Default)]
struct Affixes {
    lengths: BTreeSet<usize>,
    texts: HashMap<Box<str>, Bucket>,
}

impl Affixes {
    fn file(&mut self, affix: &str, entry: u32, buckets: &mut Buckets) {
        self.lengths.insert(affix.len());
        self.texts.entry(affix.into()).or_insert_with(|| buckets.next()).push(entry);
    }

    fn collect<'t>(&self, cut: impl Fn(usize) -> Option<&'t str>, found: &mut Found) {
        for &length in &self.lengths {
            open(found, cut(length).and_then(|affix| self.texts.get(affix)));
        }
    }

    fn collect_both(begin: &Self, end: &Self, text: &str, found: &mut Found) {
        begin.collect(|length| text.get(..length), found);
        end.collect(|length| text.get(text.len().checked_sub(length)?..), found);
    }

    fn is_empty(&self) -> bool {
        self.lengths.is_empty()
    }
}

impl FieldAccess {
    /// Files entries, each under one predicate; an entry may come with several.
    pub(super) fn new<'p>(
        filed: impl IntoIterator<Item = (&'p Predicate, u32)>,
        buckets: &mut Buckets,
    ) -> Self {
        let mut access = Self::default();
        let mut ranges: Vec<(Range, u32)> = Vec::new();
        for (predicate, entry) in filed {
            match predicate {
                Predicate::Range(range) => ranges.push((range.clone(), entry)),
                Predicate::Number(number) => {
                    file(&mut access.numbers, number.clone(), entry, buckets);
                }
                Predicate::Bool(true) => file_in(&mut access.truths, entry, buckets),
                Predicate::Bool(false) => file_in(&mut access.falsehoods, entry, buckets),
                Predicate::Null => file_in(&mut access.nulls, entry, buckets),
                Predicate::AnythingBut(_) | Predicate::Exists => {
                    file_in(&mut access.any_value, entry, buckets);
                }
                // Never the reason to look at an entry: there is no value to find it by.
                Predicate::Absent => {}
                on_text => access.file_text(on_text, entry, buckets),
            }
        }
        access.ranges = Intervals::new(ranges);
        access
    }

    fn file_text(&mut self, predicate: &Predicate, entry: u32, buckets: &mut Buckets) {
        match predicate {
            Predicate::Text(text) => file(&mut self.texts, text.clone(), entry, buckets),
            Predicate::Address(address) => file(&mut self.addresses, *address, entry, buckets),
            Predicate::Block(block) => {
                self.block_lengths.insert(block.length());
                file(&mut self.blocks, *block, entry, buckets);
            }
            Predicate::Prefix(prefix) | Predicate::Below(prefix) => {
                self.prefixes.file(prefix, entry, buckets);
            }
            Predicate::Suffix(suffix) => self.suffixes.file(suffix, entry, buckets),
            Predicate::Wildcard(wildcard) if !wildcard.prefix().is_empty() => {
                self.prefixes.file(wildcard.prefix(), entry, buckets);
            }
            Predicate::Wildcard(wildcard) if !wildcard.suffix().is_empty() => {
                self.suffixes.file(wildcard.suffix(), entry, buckets);
            }
            Predicate::EqualsIgnoringCase(text) => match text.ascii() {
                Some(lower) => file(&mut self.lower_texts, lower.into(), entry, buckets),
                None => file_in(&mut self.any_text, entry, buckets),
            },
            Predicate::PrefixIgnoringCase(prefix) => match prefix.ascii() {
                Some(lower) => self.lower_prefixes.file(lower, entry, buckets),
                None => file_in(&mut self.any_text, entry, buckets),
            },
            Predicate::SuffixIgnoringCase(suffix) => match suffix.ascii() {
                Some(lower) => self.lower_suffixes.file(lower, entry, buckets),
                None => file_in(&mut self.any_text, entry, buckets),
            },
            _ => file_in(&mut self.any_text, entry, buckets),
        }
    }

    /// Adds the entries that a value, neither an object nor an array, might satisfy.
    pub(super) fn collect(&self, value: &Value, found: &mut Found) {
        open(found, self.any_value.as_ref());
        match value {
            Value::String(text) => self.collect_text(text, found),
            Value::Number(number) => {
                if !(self.numbers.is_empty() && self.ranges.is_empty())
                    && let Some(number) = NumericValue::of(number.as_str())
                {
                    open(found, self.numbers.get(&number));
                    self.ranges.collect(&number, found);
                }
            }
            Value::Bool(true) => open(found, self.truths.as_ref()),
            Value::Bool(false) => open(found, self.falsehoods.as_ref()),
            Value::Null => open(found, self.nulls.as_ref()),
            Value::Array(_) | Value::Object(_) => {}
        }
    }

    fn collect_text(&self, text: &str, found: &mut Found) {
        open(found, self.any_text.as_ref());
        if !self.texts.is_empty() {
            open(found, self.texts.get(text));
        }
        Affixes::collect_both(&self.prefixes, &self.suffixes, text, found);
        let lower_affixes = !(self.lower_prefixes.is_empty() && self.lower_suffixes.is_empty());
        if lower_affixes || !self.lower_texts.is_empty() {
            let lower = text.to_ascii_lowercase();
            open(found, self.lower_texts.get(&*lower));
            Affixes::collect_both(&self.lower_prefixes, &self.lower_suffixes, &lower, found);
        }
        if !(self.addresses.is_empty() && self.blocks.is_empty())
            && let Ok(address) = text.parse()
        {
            open(found, self.addresses.get(&address));
            for &length in &self.block_lengths {
                open(found, self.blocks.get(&Block::around(address, length)));
            }
        }
    }
}

fn file<T: Eq + Hash>(map: &mut HashMap<T, Bucket>, key: T, entry: u32, buckets: &mut Buckets) {
    map.entry(key).or_insert_with(|| buckets.next()).push(entry);
}

fn file_in(bucket: &mut Option<Bucket>, entry: u32, buckets: &mut Buckets) {
    bucket.get_or_insert_with(|| buckets.next()).push(entry);
}

fn open(found: &mut Found, bucket: Option<&Bucket>) {
    if let Some(bucket) = bucket {
        found.open(bucket);
    }
}
