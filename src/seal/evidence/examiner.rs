//! Holds an evidence bundle against itself, line by line.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::event::{ChainValue, EventDigest, EventId, Timestamp, json};
use crate::keys::VerifyingKeys;
use crate::seal::evidence::told_incarnations::ToldIncarnations;
use crate::seal::evidence::told_notes::ToldNotes;
use crate::seal::evidence::trees::ToldTree;
use crate::seal::evidence::{BundleTrust, EventState, Header, LONGEST_LINE, ToldAsks, ToldStates};
use crate::seal::{Opened, PlaceClaims};
use crate::transparency::{Incarnation, TreeHead};

/// So many flaws are told; the others are counted.
const MOST_FLAWS: usize = 100;
/// So many contract versions are remembered.
pub(super) const MOST_CONTRACTS: usize = 1000;

/// Something that is wrong with a bundle.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Flaw {
    /// The line, from 1.
    pub line: u64,
    /// The sequence number and the id of the event in it, as far as it says so.
    pub event: Option<(u64, EventId)>,
    /// What is wrong.
    pub problem: String,
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}", self.line)?;
        if let Some((sequence, id)) = self.event {
            write!(f, ", number {sequence} ({id})")?;
        }
        write!(f, ": {}", self.problem)
    }
}

/// An event whose token was opened and agrees with its line.
#[derive(Debug)]
pub struct OpenedEvent {
    /// What was in the token.
    pub opened: Opened,
    /// Whether its line proves that it is in the tree over the log.
    pub is_in_tree: bool,
    /// The digest that the chain covers, as the line has it.
    pub digest: EventDigest,
    /// Its number and id.
    pub event: (u64, EventId),
    /// What became of it, as the line says.
    pub state: Option<EventState>,
}

/// What a line gives to whoever holds it against more than the bundle itself.
#[derive(Debug)]
pub enum BundleLine {
    /// An event that was opened.
    Event(Box<OpenedEvent>),
    /// A contract with the schema that is said to come from it.
    Contract {
        /// The AsyncAPI text.
        document: String,
        /// The JSON Schema of the data.
        schema: Value,
    },
}

/// Which line comes next.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Stage {
    Header,
    Keys,
    First,
    Events,
    Closing,
    Done,
}

/// Reads a bundle line by line; what it remembers does not grow with the events.
pub struct Examiner<'a> {
    pub(super) trust: BundleTrust<'a>,
    pub(super) stage: Stage,
    is_bundle: bool,
    line: u64,
    pub(super) event: Option<(u64, EventId)>,
    hash: Sha256,
    pub(super) header: Option<Header>,
    /// The keys that are believed.
    pub(super) keys: VerifyingKeys,
    /// The keys that the bundle brings.
    pub(super) bundled: VerifyingKeys,
    pub(super) receipt_keys: Option<VerifyingKeys>,
    /// The bundle's own sets of keys of before.
    pub(super) kept_receipt_keys: Vec<VerifyingKeys>,
    pub(super) next: Option<PlaceClaims>,
    /// The place before the first event: its sequence number and the chain there.
    pub first_place: Option<(u64, ChainValue)>,
    /// The event with the highest id.
    pub(super) newest: Option<EventId>,
    /// How far the log was looked at in the place before the next event.
    pub(super) place_head: Option<EventId>,
    pub(super) tree: ToldTree,
    /// What the subscription asks for.
    pub asked: ToldAsks,
    /// What became of the events.
    pub states: ToldStates,
    pub(super) incarnations: ToldIncarnations,
    pub(super) notes: ToldNotes,
    /// The latest date of what was signed so far.
    pub(super) dated: Option<Timestamp>,
    /// Whether the contract of the next event is said not to be kept.
    pub(super) is_unkept: bool,
    pub(super) schemas: BTreeMap<String, Option<Value>>,
    /// The RFC 7638 thumbprints of the gateway's keys as the bundle brings them.
    pub bundled_keys: Vec<String>,
    /// The same of the keys for receipts, where the bundle's own are believed.
    pub bundled_receipt_keys: Vec<String>,
    /// Why the bundle brings no keys for receipts, if the gateway could not have them.
    pub receipt_keys_problem: Option<String>,
    /// The names of keys that have signed something and are not believed.
    pub missing_keys: BTreeSet<String>,
    /// Members of lines, `kind.name`, that a later gateway may have written and that nothing was held against.
    pub unknown_members: BTreeSet<String>,
    /// Events that were read.
    pub events: u64,
    /// Tokens that were opened.
    pub opened: u64,
    /// Receipts that were checked.
    pub receipts: u64,
    /// Receipts for whose key there is no copy, the doubtful ones included.
    pub unchecked_receipts: u64,
    /// Receipts that do not fit the key that the bundle itself brings under the name in them.
    pub doubtful_receipts: u64,
    /// Checked receipts of a place in the sequence that do not say the chain value after the event.
    pub receipts_without_chain: u64,
    /// Events that no checked receipt is for.
    pub events_without_receipt: u64,
    /// What is wrong, as much of it as is told.
    pub flaws: Vec<Flaw>,
    /// How much is wrong.
    pub flaw_count: u64,
}

/// What a check gives, or what is wrong.
pub(super) type Checked<T> = Result<T, String>;

pub(super) fn wrong<T>(problem: &str) -> Checked<T> {
    Err(problem.to_owned())
}

pub(super) fn text_of<'v>(members: &'v Map<String, Value>, name: &str) -> Checked<&'v str> {
    let text = members.get(name).and_then(Value::as_str);
    text.ok_or_else(|| format!("`{name}` is missing or no text"))
}

pub(super) fn parsed<T: std::str::FromStr>(members: &Map<String, Value>, name: &str) -> Checked<T> {
    text_of(members, name)?.parse().map_err(|_| format!("`{name}` is malformed"))
}

impl<'a> Examiner<'a> {
    /// Begins.
    pub fn new(trust: BundleTrust<'a>) -> Self {
        Self {
            trust,
            stage: Stage::Header,
            is_bundle: false,
            line: 0,
            event: None,
            hash: Sha256::new(),
            header: None,
            keys: trust.issuer_keys.cloned().unwrap_or_default(),
            bundled: VerifyingKeys::default(),
            receipt_keys: trust.receipt_keys.cloned(),
            kept_receipt_keys: Vec::new(),
            next: None,
            first_place: None,
            newest: None,
            place_head: None,
            tree: ToldTree::default(),
            asked: ToldAsks::default(),
            states: ToldStates::default(),
            incarnations: ToldIncarnations::default(),
            notes: ToldNotes::default(),
            dated: None,
            is_unkept: false,
            schemas: BTreeMap::new(),
            bundled_keys: Vec::new(),
            bundled_receipt_keys: Vec::new(),
            receipt_keys_problem: None,
            missing_keys: BTreeSet::new(),
            unknown_members: BTreeSet::new(),
            events: 0,
            opened: 0,
            receipts: 0,
            unchecked_receipts: 0,
            doubtful_receipts: 0,
            receipts_without_chain: 0,
            events_without_receipt: 0,
            flaws: Vec::new(),
            flaw_count: 0,
        }
    }

    /// Whether the gateway's keys came from elsewhere than from the bundle.
    pub const fn trusts_keys(&self) -> bool {
        self.trust.issuer_keys.is_some()
    }

    /// Whether the first line says that this is a bundle.
    pub const fn is_bundle(&self) -> bool {
        self.is_bundle
    }

    /// What the bundle is about, once its first line was read.
    pub const fn header(&self) -> Option<&Header> {
        self.header.as_ref()
    }

    /// The tree over the log as the bundle told it last.
    pub const fn tree(&self) -> Option<TreeHead> {
        self.tree.head
    }

    /// The incarnations of the log that the bundle declares, oldest first, without the first one.
    pub fn incarnations(&self) -> &[Incarnation] {
        &self.incarnations.records
    }

    /// Events of which the bundle does not prove that they are in the tree, though it tells of one: those
    /// from before its first leaf.
    pub const fn unproved(&self) -> u64 {
        self.tree.unproved
    }

    /// The place behind the last event: its sequence number and the chain there.
    pub fn last_place(&self) -> Option<(u64, ChainValue)> {
        self.next.map(|next| (next.sequence.saturating_sub(1), next.previous))
    }

    /// The sequence number of the last event that was read.
    pub fn last_sequence(&self) -> Option<u64> {
        self.next.map(|next| next.sequence.saturating_sub(1))
    }

    /// The JSON Schema of a `dataschema`: nothing if the bundle does not know it, and nothing inside
    /// if it says that the contract was not kept.
    pub fn schema(&self, dataschema: &str) -> Option<&Option<Value>> {
        self.schemas.get(dataschema)
    }

    /// Notes a flaw of the present line.
    pub fn find(&mut self, problem: String) {
        self.flaw_count += 1;
        if self.flaws.len() < MOST_FLAWS {
            self.flaws.push(Flaw { line: self.line, event: self.event, problem });
        }
    }

    /// Takes the next line, with its end; gives an event that was opened, or a contract.
    pub fn take(&mut self, line: &[u8]) -> Option<BundleLine> {
        self.line += 1;
        self.event = None;
        let told = self.examine(line);
        if self.stage != Stage::Done {
            self.hash.update(line);
        }
        told.unwrap_or_else(|problem| {
            self.find(problem);
            None
        })
    }

    /// Says that there is no further line.
    pub fn finish(&mut self) {
        if self.stage != Stage::Done {
            self.line += 1;
            self.event = None;
            self.find("the bundle is cut: its closing line is missing".to_owned());
        }
    }

    fn examine(&mut self, line: &[u8]) -> Checked<Option<BundleLine>> {
        let Some(content) = line.strip_suffix(b"\n") else { return wrong("the line is cut") };
        let limits = json::Limits::new(LONGEST_LINE, 96);
        let Ok(Value::Object(members)) = json::read(content, limits) else {
            return wrong("this is no JSON object, or too long a one");
        };
        let kind = text_of(&members, "kind")?;
        self.note_unknown(kind, &members);
        self.expect(kind);
        match (self.stage, kind) {
            (Stage::Header, "evidence") => {
                self.is_bundle = true;
                self.take_header(&members)?;
            }
            (Stage::Keys, "keys") => {
                self.stage = Stage::First;
                self.take_keys(&members)?;
            }
            // A key may begin to sign at any time, also while the keys for receipts are fetched.
            (Stage::First | Stage::Events | Stage::Closing, "keys") => self.take_keys(&members)?,
            (Stage::First, "incarnation") => self.take_incarnation(&members)?,
            (Stage::First, "receipt-keys") => self.take_receipt_keys(&members)?,
            (Stage::First, "checkpoint") => {
                self.stage = Stage::Events;
                self.take_first(text_of(&members, "token")?)?;
            }
            (Stage::Events, "contract") => return self.take_contract(members),
            (Stage::Events, "event") => {
                return Ok(self
                    .take_event(&members)?
                    .map(|event| BundleLine::Event(Box::new(event))));
            }
            (Stage::Events, "subscription") => self.take_change(&members)?,
            (Stage::Events, "consistency") => self.tree.take_proof(&members)?,
            (Stage::Events, "checkpoint") => {
                self.stage = Stage::Closing;
                self.take_last(text_of(&members, "token")?)?;
            }
            (Stage::Closing, "note") => self.take_note(&members)?,
            (Stage::Closing, "closing") => {
                let token = text_of(&members, "token")?;
                if content != json!({"kind": "closing", "token": token}).to_string().as_bytes() {
                    return wrong("the closing line is not in its one form");
                }
                self.take_closing(token)?;
            }
            (Stage::Done, _) => return wrong("there is a line behind the closing line"),
            _ => return Err(format!("a line of the kind `{kind}` does not belong here")),
        }
        Ok(None)
    }

    /// Notes once that a line is missing, and goes on behind it.
    fn expect(&mut self, kind: &str) {
        if self.stage == Stage::Keys && kind != "keys" {
            self.find("the line with the gateway's keys is missing before this one".to_owned());
            self.stage = Stage::First;
        }
        if self.stage == Stage::First
            && matches!(kind, "contract" | "event" | "subscription" | "closing")
        {
            self.find("the first checkpoint is missing before this line".to_owned());
            self.stage = Stage::Events;
        }
        if matches!(kind, "contract" | "event" | "subscription") && self.tree.has_proof() {
            self.find("the proof of consistency does not stand before the last place".to_owned());
        }
        if self.stage == Stage::Events && kind == "closing" {
            self.find("the last checkpoint is missing before this line".to_owned());
            self.stage = Stage::Closing;
        }
    }

    /// How many lines there were before this one, and their digest.
    pub(super) fn before(&self) -> (u64, String) {
        let hash = self.hash.clone().finalize();
        (self.line - 1, base64_simd::URL_SAFE_NO_PAD.encode_to_string(hash))
    }
}
