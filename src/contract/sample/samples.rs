//! What is asked of the generator, and what it gives.

use std::collections::BTreeMap;

use serde_json::Value;

/// Samples that are made for one message unless somebody asks for another number.
const ORDINARY_COUNT: usize = 200;

/// Which samples are wanted.
#[derive(Clone, Debug)]
pub struct SampleRequest {
    /// The most samples.
    pub count: usize,
    /// What the choices of varied samples follow from: the same seed makes the same samples.
    pub seed: u64,
    /// Whether to give every deviation from the ordinary sample: without each optional member, each
    /// alternative, each edge.
    pub deviations: bool,
    /// Whether to fill up to `count` with samples that vary in everything at once.
    pub varied: bool,
    /// Values that stand for certain at these pointers into the data.
    pub fixed: BTreeMap<String, Value>,
}

/// Samples of a message.
#[derive(Debug, Default)]
pub struct Samples {
    /// The samples, the ordinary one first; each keeps its message, and none is there twice.
    pub found: Vec<Sample>,
    /// What the schema seems to allow and no sample shows, in words.
    pub unreached: Vec<String>,
    /// Whether a bound ended the search before everything was tried.
    pub is_cut_short: bool,
}

/// Data that keeps its message.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// In which way it was made.
    pub kind: SampleKind,
    /// How it differs from the ordinary one: `without /priority`.
    pub name: String,
    /// The data, as it crosses.
    pub data: Value,
}

/// In which way a sample was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SampleKind {
    /// Every member with a plausible value.
    Ordinary,
    /// Without an optional member, or without all of them.
    Without,
    /// Another alternative than the ordinary one takes.
    Alternative,
    /// A value at the edge of what is allowed, or another one of a list.
    Edge,
    /// Varied in everything at once.
    Varied,
}

impl Default for SampleRequest {
    fn default() -> Self {
        Self {
            count: ORDINARY_COUNT,
            seed: 0,
            deviations: true,
            varied: false,
            fixed: BTreeMap::new(),
        }
    }
}

impl Samples {
    /// How many samples are of a kind.
    pub fn count(&self, kind: SampleKind) -> usize {
        self.found.iter().filter(|sample| sample.kind == kind).count()
    }
}
