//! One kind of event that crosses, and under which names.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use json_patch::jsonptr::{Pointer, PointerBuf};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use crate::enrich::{ClearNames, Numbers, Patch, PublishedAttribute};
use crate::event::{Diagnostic, EventSource, YamlPlaces};
use crate::route::Pattern;

/// What happens to an event that breaks its contract.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// It is refused or quarantined.
    #[default]
    Enforce,
    /// It is counted and passes.
    Observe,
}

/// Who may hear the events of a publication.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum AccessRule {
    /// Every consumer.
    Public,
    /// Consumers that hold a grant.
    Grant,
}

/// One kind of event that crosses: which internal events become it, and how.
pub struct Publication {
    pub(super) name: Arc<str>,
    pub(super) domain: Arc<str>,
    pub(super) event: Arc<str>,
    pub(super) message: Option<Arc<str>>,
    pub(super) contract: Arc<str>,
    pub(super) source: Option<EventSource>,
    pub(super) type_prefix: Arc<str>,
    pub(super) when: Pattern,
    pub(super) metadata: Option<PointerBuf>,
    pub(super) subject: Option<PointerBuf>,
    pub(super) patch: Patch,
    pub(super) key: Vec<PointerBuf>,
    pub(super) deduplicate: Option<Duration>,
    pub(super) access: Option<AccessRule>,
    pub(super) mode: Mode,
    pub(super) numbers: Numbers,
    pub(super) context: Arc<Value>,
    pub(super) attributes: Vec<PublishedAttribute>,
    pub(super) clear: ClearNames,
    pub(super) origin: Arc<PublicationFile>,
    pub(super) places: PublicationPlaces,
    /// What was noticed when it was read and harms no event for certain.
    pub(super) noticed: Vec<Diagnostic>,
}

/// The file that publications were read from, so that what is found later is shown in it.
pub(super) struct PublicationFile {
    pub(super) name: String,
    pub(super) text: String,
    /// The way back to it, where something was taken out of it before it could be read.
    pub(super) places: Option<YamlPlaces>,
}

impl PublicationFile {
    /// Line and column in the file of a place in what was read.
    pub(super) fn place(&self, at: (usize, usize)) -> (usize, usize) {
        let Some(places) = &self.places else { return at };
        places.place(at.1).unwrap_or((1, 1))
    }

    /// Describes a mistake at a place of what was read.
    pub(super) fn mistake(&self, at: (usize, usize), problem: impl Into<String>) -> Diagnostic {
        Diagnostic::at(&self.name, &self.text, self.place(at), problem)
    }
}

/// Lines and columns of the parts of a publication in its file, each from 1.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PublicationPlaces {
    /// The name of the event.
    pub event: (usize, usize),
    /// The file's key `contract`; of the event if it has no place.
    pub contract: (usize, usize),
    /// The reference to the message; of the event if there is none.
    pub message: (usize, usize),
    /// The key `patch`.
    pub patch: (usize, usize),
    /// The pointer to the metadata level; of the event if there is none.
    pub metadata: (usize, usize),
    /// The pointer to the subject; of the event if there is none.
    pub subject: (usize, usize),
    /// The pointers of the business key, in order.
    pub key: Vec<(usize, usize)>,
}

impl Publication {
    /// Its name among all publications: `domain/event`.
    pub const fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// The domain that publishes it.
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// The name under which its events cross, by custom `Entity.Event`: what `types` of
    /// subscriptions match.
    pub fn event(&self) -> &str {
        &self.event
    }

    /// Which events it wants.
    pub const fn pattern(&self) -> &Pattern {
        &self.when
    }

    /// What its file says of which message it publishes, as it is written; nothing: the one that
    /// its event names.
    pub fn message(&self) -> Option<&str> {
        self.message.as_deref()
    }

    /// The contract's file, relative to the folder of contracts: `payments.yaml`.
    pub fn contract(&self) -> &str {
        &self.contract
    }

    /// The CloudEvents `source` of its events; nothing if its file leaves that to the contract.
    pub const fn source(&self) -> Option<&EventSource> {
        self.source.as_ref()
    }

    /// What stands before the event name in the name that `types` match, which is the CloudEvents
    /// `type` unless the contract fixes another; empty by custom.
    pub fn type_prefix(&self) -> &str {
        &self.type_prefix
    }

    /// The pattern over the envelope: which internal events become this one.
    pub const fn when(&self) -> &Pattern {
        &self.when
    }

    /// Where the third level of the name is found, if there is one.
    pub fn metadata(&self) -> Option<&Pointer> {
        self.metadata.as_deref()
    }

    /// Where the subject is found; nothing: it is the event name.
    pub fn subject(&self) -> Option<&Pointer> {
        self.subject.as_deref()
    }

    /// What moves data out of the envelope.
    pub const fn patch(&self) -> &Patch {
        &self.patch
    }

    /// The pointers below `/data` that make the business key; none: the whole content is the key.
    pub fn key(&self) -> &[PointerBuf] {
        &self.key
    }

    /// For how long equal content is swallowed; nothing: never.
    pub const fn deduplicate(&self) -> Option<Duration> {
        self.deduplicate
    }

    /// Who may hear it, as its file says; nothing: the file says nothing, and everyone may.
    pub const fn access(&self) -> Option<AccessRule> {
        self.access
    }

    /// What happens to an event that breaks its contract.
    pub const fn mode(&self) -> Mode {
        self.mode
    }

    /// What happens to a number that not every JSON library reads alike.
    pub const fn numbers(&self) -> Numbers {
        self.numbers
    }

    /// Where its parts stand in its file.
    pub const fn places(&self) -> &PublicationPlaces {
        &self.places
    }

    /// Describes a mistake at a place of its file.
    pub fn mistake(&self, at: (usize, usize), problem: impl Into<String>) -> Diagnostic {
        self.origin.mistake(at, problem)
    }

    /// The constants that a patch finds below `/context`: an object.
    pub fn context(&self) -> &Value {
        &self.context
    }

    /// The extension attributes of its events, in the order of its file.
    pub fn attributes(&self) -> &[PublishedAttribute] {
        &self.attributes
    }

    /// What of its events stands outside of tokens beside what always does.
    pub const fn clear(&self) -> &ClearNames {
        &self.clear
    }
}

impl fmt::Debug for Publication {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Publication({})", self.name)
    }
}
