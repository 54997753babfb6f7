//! Which message of which contract a publication publishes, and which mistakes of the contracts
//! therefore stop a gateway.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::contract::catalog::Catalog;
use crate::contract::document::{ContractDocument, ContractMessage, Found};
use crate::contract::message::Message;
use crate::contract::usage::ChannelAction;
use crate::enrich::{Publication, Publications};
use crate::event::Diagnostic;

/// Why a contract has no message that a publication can publish: the caller's turn.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{problem}")]
pub struct MessageLookupError {
    problem: String,
    help: String,
    /// Whether there is no such contract.
    of_contract: bool,
}

impl MessageLookupError {
    const fn of_message(problem: String, help: String) -> Self {
        Self { problem, help, of_contract: false }
    }

    const fn of_contract(problem: String, help: String) -> Self {
        Self { problem, help, of_contract: true }
    }

    /// What to do about it.
    pub fn help(&self) -> &str {
        &self.help
    }

    /// What it says of a publication, where that names the contract or the message.
    fn stops(self, publication: &Publication) -> Diagnostic {
        let places = publication.places();
        let at = if self.of_contract { places.contract } else { places.message };
        let problem = format!("publication `{}`: {self}", publication.name());
        publication.mistake(at, problem).with_help(self.help)
    }
}

/// The messages of publications by their names, or everything that stops the gateway.
pub(super) struct Published {
    pub(super) messages: BTreeMap<Arc<str>, Arc<Message>>,
    /// What is wrong in the contracts.
    pub(super) diagnostics: Vec<Diagnostic>,
    /// Publications without a message, each a mistake of its own file.
    pub(super) missing: Vec<Diagnostic>,
}

impl Catalog {
    /// The message that a publication publishes; nothing if it cannot be published.
    pub fn message_of(&self, publication: &Publication) -> Option<&Arc<Message>> {
        let message = self.meant(publication).ok()?;
        message.message().filter(|_| message.can_be_published())
    }

    /// The message that a publication means, whether it can be published or not.
    fn meant(&self, publication: &Publication) -> Result<&ContractMessage, MessageLookupError> {
        self.named(publication.contract(), publication.event(), publication.message())
    }

    /// The message that an event's name or a reference means in a contract.
    ///
    /// # Errors
    ///
    /// The caller's turn: there is none, there are several, or it has a mistake.
    pub fn described(&self, path: &str, meant: &str) -> Result<&Arc<Message>, MessageLookupError> {
        let found = self.named(path, meant, None)?;
        found.message().ok_or_else(|| {
            let problem = format!("message `{meant}` of `{path}` has a mistake");
            MessageLookupError::of_message(problem, "`sealway check` tells it".to_owned())
        })
    }

    fn named(
        &self,
        path: &str,
        event: &str,
        reference: Option<&str>,
    ) -> Result<&ContractMessage, MessageLookupError> {
        let Some(document) = self.document(path) else { return Err(self.no_document(path)) };
        let found = reference
            .map_or_else(|| document.of_event(event), |reference| document.of_reference(reference));
        let meant = reference.unwrap_or(event);
        match found {
            Found::One(message) => Ok(message),
            Found::Several(messages) => {
                let problem = format!("`{path}` has {} messages `{meant}`", messages.len());
                let known = document.references(messages);
                let help = format!("tell which with `message:`, {known}");
                Err(MessageLookupError::of_message(problem, help))
            }
            Found::Nothing => {
                let problem = format!("`{path}` has no message `{meant}`");
                let known = document.references(document.contract_messages());
                let help = if known.is_empty() {
                    "it has none".to_owned()
                } else {
                    format!("it has: {known}")
                };
                Err(MessageLookupError::of_message(problem, help))
            }
        }
    }

    fn no_document(&self, path: &str) -> MessageLookupError {
        if self.is_part(path) {
            let problem = format!("`{path}` is no contract: it has no member `asyncapi`");
            let help = "name the AsyncAPI document that refers to it".to_owned();
            return MessageLookupError::of_contract(problem, help);
        }
        let folder = self.folder().map(|folder| format!(" in the folder `{folder}`"));
        let problem = format!("there is no contract `{path}`{}", folder.unwrap_or_default());
        let known: Vec<&str> = self.documents().map(ContractDocument::path).collect();
        let help = match known.as_slice() {
            [] => "no contract is there; the setting `contracts` names the folder".to_owned(),
            known => format!("there are: {}", known.join(", ")),
        };
        MessageLookupError::of_contract(problem, help)
    }

    /// Everything that is wrong in all files, in their order. As long as nobody knows what is
    /// published, every error counts as one.
    pub fn diagnostics(&self) -> Vec<Diagnostic> {
        self.judged(|_| true, |_| true)
    }

    /// Finds the message of each publication. Of the mistakes in contracts, those of messages and
    /// documents that publications use are errors, and all others are warnings.
    pub(super) fn published(&self, publications: &Publications) -> Published {
        let (mut messages, mut missing) = (BTreeMap::new(), Vec::new());
        let mut named = BTreeSet::new();
        let mut used: Vec<&ContractMessage> = Vec::new();
        for publication in publications.iter() {
            let contract = publication.contract();
            named.insert(contract);
            // What is wrong with the file as a whole is told once, and not for each publication.
            if self.is_unreadable(contract) {
                continue;
            }
            let found = self.meant(publication).and_then(sent(contract));
            match found {
                Ok(message) => {
                    used.push(message);
                    if let Some(message) = message.message() {
                        let name = Arc::clone(publication.name());
                        messages.insert(name, Arc::clone(message));
                    }
                }
                Err(error) => missing.push(error.stops(publication)),
            }
        }
        let is_used = |one: &ContractMessage| used.iter().any(|used| std::ptr::eq(*used, one));
        let diagnostics = self.judged(|path| named.contains(path), is_used);
        Published { messages, diagnostics, missing }
    }

    /// Whether a file is there, and is wrong as a whole.
    fn is_unreadable(&self, path: &str) -> bool {
        self.document(path).is_none() && self.files().any(|document| document.path() == path)
    }

    /// All mistakes, as warnings where what they touch is not used.
    fn judged(
        &self,
        is_named: impl Fn(&str) -> bool,
        is_used: impl Fn(&ContractMessage) -> bool,
    ) -> Vec<Diagnostic> {
        let judge = |counts: bool| {
            move |one: &Diagnostic| if counts { one.clone() } else { one.clone().into_warning() }
        };
        let mut all = Vec::new();
        for document in self.files() {
            all.extend(document.mistakes.iter().map(judge(is_named(document.path()))));
            for message in document.contract_messages() {
                all.extend(message.diagnostics().iter().map(judge(is_used(message))));
            }
        }
        // Messages tell more of what both they and a survey of their document find.
        let told: BTreeSet<_> =
            all.iter().map(|one: &Diagnostic| (one.file.clone(), one.place)).collect();
        let is_new = |one: &&Diagnostic| !told.contains(&(one.file.clone(), one.place));
        let remarks = self.files().flat_map(|document| &document.remarks);
        all.extend(remarks.filter(is_new).cloned());
        once(all)
    }
}

/// Makes sure that the contract's application sends a message.
fn sent(
    contract: &str,
) -> impl FnOnce(&ContractMessage) -> Result<&ContractMessage, MessageLookupError> {
    move |message| {
        if message.action() != Some(ChannelAction::Receive) {
            return Ok(message);
        }
        let name = message.name();
        let help = "give it an operation with `action: send`; in AsyncAPI 2 that is `subscribe`, \
                    since operations are named from the other side";
        let problem = format!("`{contract}` says that `{name}` is received, not sent");
        Err(MessageLookupError::of_message(problem, help.to_owned()))
    }
}

/// In the order of files and places, each mistake once: what several messages share is an error if
/// it is one for any of them.
fn once(mut all: Vec<Diagnostic>) -> Vec<Diagnostic> {
    all.sort_by(|a, b| {
        let first = (&a.file, a.place, &a.problem, !a.is_error());
        first.cmp(&(&b.file, b.place, &b.problem, !b.is_error()))
    });
    all.dedup_by(|b, a| (&a.file, a.place, &a.problem) == (&b.file, b.place, &b.problem));
    all
}

#[cfg(test)]
#[path = "lookup_tests.rs"]
mod tests;
