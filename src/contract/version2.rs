//! Finds the messages of an AsyncAPI 2.0 to 2.6 document.

use serde_json::Value;

use crate::contract::pointer;
use crate::contract::reference::{Library, Location};
use crate::contract::usage::{ChannelAction, Usage, UsageKey, components};
use crate::event::Diagnostic;

/// In version 2, operations are named from the other side: what others may *subscribe* to is what
/// the described application sends.
const OPERATIONS: [(&str, ChannelAction); 2] =
    [("subscribe", ChannelAction::Send), ("publish", ChannelAction::Receive)];

/// Every use of a message by a channel, in the order of the document's channel addresses, and every
/// message among the components.
pub(super) fn usages(
    library: &Library,
    root: &Location,
    remarks: &mut Vec<Diagnostic>,
) -> Vec<Usage> {
    let mut usages = components(library, root);
    let channels = root.child("channels");
    let Some(addresses) = library.value(&channels).and_then(Value::as_object) else {
        remarks.push(library.mistake(&channels, "`channels` is missing or not an object"));
        return usages;
    };
    for address in addresses.keys() {
        if let Err(mistake) = of_channel(library, &channels, address, &mut usages) {
            remarks.push(mistake);
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
    let target = library.settle(channel.clone());
    for (operation, action) in OPERATIONS {
        // A channel item may hold operations beside its reference.
        let beside = channel.child(operation);
        let operation = match &target {
            _ if library.value(&beside).is_some() => beside,
            Ok(target) => target.child(operation),
            Err(_) => continue,
        };
        let message = operation.child("message");
        if library.value(&message).is_none() {
            continue;
        }
        for (place, at) in choices(library, message) {
            let key = key(library, &place, at.as_ref().ok());
            let address = Some(address.to_owned());
            usages.push(Usage { place, at, key, address, action: Some(action) });
        }
    }
    target.map(|_| ())
}

/// The messages of an operation, one or each of a list to choose from, and where each is named.
fn choices(library: &Library, message: Location) -> Vec<(Location, Result<Location, Diagnostic>)> {
    let first = library.settle(message.clone());
    let listed = first.as_ref().ok().map(|first| first.child("oneOf"));
    let list = listed.as_ref().and_then(|list| library.value(list)).and_then(Value::as_array);
    let (Some(listed), Some(list)) = (listed.as_ref(), list) else { return vec![(message, first)] };
    let choice = |index: usize| {
        let place = listed.child(&index.to_string());
        let at = library.settle(place.clone());
        (place, at)
    };
    (0..list.len()).map(choice).collect()
}

/// A message that is taken from the components or from another file is called as it is there.
fn key(library: &Library, place: &Location, at: Option<&Location>) -> UsageKey {
    let Some(at) = at else {
        // Where the reference was meant to lead.
        let target = library.text(place, "$ref").and_then(|target| target.rsplit('/').next());
        let target = target.map(|target| pointer::tokens(&format!("/{target}")).collect());
        return target.map_or(UsageKey::Absent, UsageKey::Component);
    };
    let component = at.pointer.strip_prefix("/components/messages/");
    if component.is_some_and(|key| !key.contains('/')) {
        return UsageKey::Component(at.name());
    }
    if at.file == place.file {
        return UsageKey::Absent;
    }
    let file = at.file.rsplit('/').next().unwrap_or_default();
    let stem = file.rsplit_once('.').map_or(file, |(stem, _)| stem);
    let name = if at.pointer.is_empty() { stem.to_owned() } else { at.name() };
    UsageKey::Component(name)
}
