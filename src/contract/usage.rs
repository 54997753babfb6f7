//! Where an AsyncAPI document of any version uses a message, and what for.

use crate::contract::reference::Location;

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
    /// The message object.
    pub(super) at: Location,
    /// What the message is called if it has no `name`.
    pub(super) fallback: Option<String>,
    /// The channel's address, if it has one.
    pub(super) channel: Option<String>,
    /// What an operation does with it, if there is one.
    pub(super) action: Option<ChannelAction>,
}
