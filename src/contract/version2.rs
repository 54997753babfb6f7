//! Finds the messages of an AsyncAPI 2.0 to 2.6 document.

use serde_json::Value;

use crate::contract::reference::{Library, Location};
use crate::contract::usage::{ChannelAction, Usage};
use crate::event::Diagnostic;

/// In version 2, operations are named from the other side: what others may *subscribe* to is what
/// the described application sends.
const OPERATIONS: [(&str, ChannelAction); 2] =
    [("subscribe", ChannelAction::Send), ("publish", ChannelAction::Receive)];

/// Every use of a message by a channel, in the order of the document's channel addresses.
pub(super) fn usages(
    library: &Library,
    root: &Location,
    mistakes: &mut Vec<Diagnostic>,
) -> Vec<Usage> {
    let mut usages = Vec::new();
    let channels = root.child("channels");
    let Some(addresses) = library.value(&channels).and_then(Value::as_object) else {
        mistakes.push(library.mistake(&channels, "`channels` is missing or not an object"));
        return usages;
    };
    for address in addresses.keys() {
        if let Err(mistake) = of_channel(library, &channels, address, &mut usages) {
            mistakes.push(mistake);
        }
    }
    usages
}

fn of_channel(
    library: &Library,
    channels: &Location,
    address: &str,
    usages: &mut Vec<Usage>,
) -> Result<(), Diagnostic> {
    let channel = channels.child(address);
    let target = library.settle(channel.clone())?;
    for (operation, action) in OPERATIONS {
        // A channel item may hold operations beside its reference.
        let beside = channel.child(operation);
        let operation =
            if library.value(&beside).is_some() { beside } else { target.child(operation) };
        let message = operation.child("message");
        if library.value(&message).is_none() {
            continue;
        }
        for at in choices(library, message)? {
            let fallback = component_name(&at);
            let channel = Some(address.to_owned());
            usages.push(Usage { at, fallback, channel, action: Some(action) });
        }
    }
    Ok(())
}

/// The messages of an operation: one, or each of a list to choose from.
fn choices(library: &Library, message: Location) -> Result<Vec<Location>, Diagnostic> {
    let first = library.settle(message)?;
    let list = library.value(&first).and_then(|one| one.get("oneOf"));
    let Some(list) = list.and_then(Value::as_array) else { return Ok(vec![first]) };
    (0..list.len())
        .map(|index| library.settle(first.child("oneOf").child(&index.to_string())))
        .collect()
}

/// A message defined among the components may be called by its key there.
fn component_name(at: &Location) -> Option<String> {
    let key = at.pointer.strip_prefix("/components/messages/")?;
    (!key.contains('/')).then(|| at.name())
}
