//! Where an AsyncAPI document of any version uses a message, and what for.

use serde_json::Value;

use crate::contract::reference::{Library, Location};
use crate::event::Diagnostic;

/// Whether the application that a document describes sends a message or receives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChannelAction {
    /// It sends: the message is an event that it publishes.
    Send,
    /// It receives: the message is asked of it.
    Receive,
}

/// One place where a message is used, found by the reader of a version.
pub(super) struct Usage {
    /// Where the document has the message, or a reference to it.
    pub(super) place: Location,
    /// The message object, or why there is none.
    pub(super) at: Result<Location, Diagnostic>,
    /// What the place calls it.
    pub(super) key: UsageKey,
    /// The channel's address, if it has one.
    pub(super) address: Option<String>,
    /// What an operation does with it, if there is one.
    pub(super) action: Option<ChannelAction>,
}

/// The key of a message where it is used.
pub(super) enum UsageKey {
    /// Its key in `components/messages`, or in the file that it is taken from.
    Component(String),
    /// The channel's key, and the message's key in it.
    Channel(String, String),
    /// It stands in an operation of version 2, without a key.
    Absent,
}

/// The messages that stand among the components.
pub(super) fn components(library: &Library, root: &Location) -> Vec<Usage> {
    let at = root.child("components").child("messages");
    let Some(messages) = library.value(&at).and_then(Value::as_object) else { return Vec::new() };
    let usage = |key: &String| Usage {
        place: at.child(key),
        at: library.settle(at.child(key)),
        key: UsageKey::Component(key.clone()),
        address: None,
        action: None,
    };
    messages.keys().map(usage).collect()
}

/// The members of an object that may be absent.
pub(super) fn members(
    library: &Library,
    at: &Location,
    remarks: &mut Vec<Diagnostic>,
) -> Vec<Location> {
    match library.value(at) {
        None => Vec::new(),
        Some(Value::Object(object)) => object.keys().map(|key| at.child(key)).collect(),
        Some(_) => {
            remarks.push(library.mistake(at, "not an object"));
            Vec::new()
        }
    }
}
