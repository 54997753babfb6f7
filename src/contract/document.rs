//! One contract and its messages, those that cannot be published among them.

use std::fmt;
use std::sync::Arc;

use crate::contract::identity::{FoundBy, MessageIdentity};
use crate::contract::message::Message;
use crate::contract::usage::ChannelAction;
use crate::event::Diagnostic;

/// References that are named where one is ambiguous or leads nowhere; a contract may have hundreds.
const SHOWN: usize = 12;

/// One contract: an AsyncAPI document.
#[derive(Debug)]
pub struct ContractDocument {
    pub(super) path: String,
    pub(super) specification: String,
    pub(super) title: String,
    pub(super) version: Arc<str>,
    pub(super) description: Option<String>,
    pub(super) text: Arc<str>,
    /// The SHA-256 of the text.
    pub(super) digest: [u8; 32],
    pub(super) messages: Vec<ContractMessage>,
    /// Why nothing of it can be published.
    pub(super) mistakes: Vec<Diagnostic>,
    /// Warnings about what stands around its messages.
    pub(super) remarks: Vec<Diagnostic>,
}

/// A message of a contract, whether it can be published or not.
pub struct ContractMessage {
    pub(super) identity: MessageIdentity,
    pub(super) name: String,
    pub(super) title: Option<String>,
    pub(super) summary: Option<String>,
    pub(super) action: Option<ChannelAction>,
    pub(super) place: (usize, usize),
    pub(super) message: Option<Arc<Message>>,
    pub(super) mistakes: Vec<Diagnostic>,
}

/// The message of a contract that a reference means.
#[derive(Debug)]
pub(super) enum Found<'a> {
    /// This one.
    One(&'a ContractMessage),
    /// One of these.
    Several(Vec<&'a ContractMessage>),
    /// None.
    Nothing,
}

impl ContractDocument {
    /// A file that cannot be read, and why.
    pub(super) fn unreadable(path: &str, mistake: Diagnostic) -> Self {
        Self {
            path: path.to_owned(),
            specification: String::new(),
            title: String::new(),
            version: Arc::default(),
            description: None,
            text: Arc::default(),
            digest: [0; 32],
            messages: Vec::new(),
            mistakes: vec![mistake],
            remarks: Vec::new(),
        }
    }

    /// Whether its messages can be published.
    pub(super) fn is_readable(&self) -> bool {
        self.mistakes.is_empty()
    }

    /// Its file, below the contracts folder.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The AsyncAPI version that it is written in.
    pub fn specification(&self) -> &str {
        &self.specification
    }

    /// What it is called.
    pub fn title(&self) -> &str {
        &self.title
    }

    /// Its own version.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// What it is about, in CommonMark.
    pub fn description(&self) -> Option<&str> {
        self.description.as_deref()
    }

    /// Its text, as the domain wrote it; where it refers to other files, one document of all of them,
    /// as JSON.
    pub const fn text(&self) -> &Arc<str> {
        &self.text
    }

    /// The SHA-256 of its text, made once: the text may have megabytes.
    pub const fn digest(&self) -> [u8; 32] {
        self.digest
    }

    /// All its messages, by name, also those that cannot be published.
    pub fn contract_messages(&self) -> &[ContractMessage] {
        &self.messages
    }

    /// The messages that can be published, by name.
    pub fn messages(&self) -> impl Iterator<Item = &Arc<Message>> {
        self.messages.iter().filter_map(ContractMessage::message)
    }

    /// A message that can be published, as an `event` without a `message` finds it.
    pub fn message(&self, event: &str) -> Option<&Arc<Message>> {
        match self.of_event(event) {
            Found::One(message) => message.message(),
            _ => None,
        }
    }

    /// The message that an event's name means: the one that a channel carries under this name, else
    /// what the name means as a reference.
    pub(super) fn of_event(&self, event: &str) -> Found<'_> {
        let carried = |one: &&ContractMessage| one.identity.is_carried() && one.name == event;
        let mut named: Vec<_> = self.messages.iter().filter(carried).collect();
        if named.len() > 1 {
            let keyed = |one: &&ContractMessage| {
                one.identity.is(FoundBy::Component, event) || one.identity.is(FoundBy::Key, event)
            };
            let by_key: Vec<_> = named.iter().copied().filter(|one| keyed(one)).collect();
            named = if by_key.len() == 1 { by_key } else { named };
        }
        match narrowed(named) {
            Found::Nothing => self.of_reference(event),
            found => found,
        }
    }

    /// The message that a reference means, by the first of the [ways](FoundBy::ALL) that finds any.
    pub(super) fn of_reference(&self, reference: &str) -> Found<'_> {
        for naming in FoundBy::ALL {
            let named = |one: &&ContractMessage| one.identity.is(naming, reference);
            match narrowed(self.messages.iter().filter(named).collect()) {
                Found::Nothing => {}
                found => return found,
            }
        }
        Found::Nothing
    }

    /// References of which each means one of these messages and no other.
    pub(super) fn references<'a>(
        &self,
        messages: impl IntoIterator<Item = &'a ContractMessage>,
    ) -> String {
        let mut list = Vec::new();
        let mut more = 0;
        for message in messages {
            if list.len() < SHOWN {
                list.push(format!("`{}`", self.reference_to(message)));
            } else {
                more += 1;
            }
        }
        let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
        list.join(", ") + &rest
    }

    /// A reference that means this message and no other; its name, where that does.
    fn reference_to(&self, message: &ContractMessage) -> String {
        let own = |reference: &String| match self.of_reference(reference) {
            Found::One(found) => std::ptr::eq(found, message),
            _ => false,
        };
        let ways = FoundBy::ALL.into_iter().flat_map(|way| message.identity.names(way));
        std::iter::once(message.name.clone()).chain(ways).find(own).unwrap_or_default()
    }
}

/// Those that are received do not count where another is meant too: they cannot be published.
fn narrowed(mut found: Vec<&ContractMessage>) -> Found<'_> {
    if found.len() > 1 {
        let sent = |one: &&ContractMessage| one.action != Some(ChannelAction::Receive);
        let sent: Vec<_> = found.iter().copied().filter(sent).collect();
        found = if sent.len() == 1 { sent } else { found };
    }
    match found.as_slice() {
        [] => Found::Nothing,
        [one] => Found::One(one),
        _ => Found::Several(found),
    }
}

impl ContractMessage {
    /// What the contract calls it: its `name`, in AsyncAPI 2 its `messageId`, or its key. Several
    /// messages may be called alike.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its key in a channel, or among the components; nothing for one that has none.
    pub fn key(&self) -> Option<&str> {
        self.identity.key()
    }

    /// A heading for people.
    pub fn title(&self) -> Option<&str> {
        self.title.as_deref()
    }

    /// What it is, in a line.
    pub fn summary(&self) -> Option<&str> {
        self.summary.as_deref()
    }

    /// The addresses of the channels that carry it.
    pub fn channels(&self) -> &[String] {
        self.identity.addresses()
    }

    /// What the contract's application does with it; nothing if no operation says.
    pub const fn action(&self) -> Option<ChannelAction> {
        self.action
    }

    /// Line and column of the message in its file, from 1.
    pub const fn place(&self) -> (usize, usize) {
        self.place
    }

    /// The message; nothing if the contract has mistakes about it.
    pub const fn message(&self) -> Option<&Arc<Message>> {
        self.message.as_ref()
    }

    /// Whether a publication may publish it.
    pub fn can_be_published(&self) -> bool {
        self.message.is_some() && self.action != Some(ChannelAction::Receive)
    }

    /// What is wrong with it. An error among it keeps it from being published.
    pub fn diagnostics(&self) -> &[Diagnostic] {
        &self.mistakes
    }
}

/// Names the message only: examples and schemas are long.
impl fmt::Debug for ContractMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ContractMessage({})", self.name)
    }
}
