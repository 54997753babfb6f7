//! Finds the messages of an AsyncAPI 3.0 or 3.1 document.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::contract::reference::{Library, Location};
use crate::contract::usage::{ChannelAction, Usage, UsageKey, components, members};
use crate::event::Diagnostic;

/// What a channel holds: its address and its messages, each with the place of its key.
struct Channel {
    name: String,
    address: Option<String>,
    messages: BTreeMap<Location, Location>,
}

/// Every use of a message: by its channel, by each operation that names it, or among the components.
pub(super) fn usages(
    library: &Library,
    root: &Location,
    remarks: &mut Vec<Diagnostic>,
) -> Vec<Usage> {
    let mut usages = components(library, root);
    let mut channels = BTreeMap::new();
    for place in members(library, &root.child("channels"), remarks) {
        match library.settle(place.clone()) {
            Ok(at) => {
                channels.insert(at.clone(), channel(library, &place, &at, &mut usages));
            }
            Err(mistake) => remarks.push(mistake),
        }
    }
    for place in members(library, &root.child("operations"), remarks) {
        match library.settle(place) {
            Ok(at) => of_operation(library, &at, &channels, (&mut usages, remarks)),
            Err(mistake) => remarks.push(mistake),
        }
    }
    usages
}

fn channel(library: &Library, place: &Location, at: &Location, usages: &mut Vec<Usage>) -> Channel {
    let address = library.text(at, "address").map(str::to_owned);
    let mut channel = Channel { name: place.name(), address, messages: BTreeMap::new() };
    let keyed = at.child("messages");
    let Some(object) = library.value(&keyed).and_then(Value::as_object) else { return channel };
    for key in object.keys() {
        let place = place.child("messages").child(key);
        let message = library.settle(keyed.child(key));
        if let Ok(message) = &message {
            channel.messages.insert(message.clone(), place.clone());
        }
        usages.push(usage(&channel, place, message, None));
    }
    channel
}

fn of_operation(
    library: &Library,
    at: &Location,
    channels: &BTreeMap<Location, Channel>,
    (usages, remarks): (&mut Vec<Usage>, &mut Vec<Diagnostic>),
) {
    let place = at.child("action");
    let action = match library.text(at, "action") {
        Some("send") => Some(ChannelAction::Send),
        Some("receive") => Some(ChannelAction::Receive),
        _ => {
            let problem = "`action` is neither `send` nor `receive`";
            remarks.push(library.mistake(&place, problem));
            None
        }
    };
    let channel = match channel_of(library, at, channels) {
        Ok(channel) => channel,
        Err(mistake) => return remarks.push(mistake),
    };
    let listed = at.child("messages");
    match library.value(&listed) {
        // Without a list, an operation is about all messages of its channel.
        None => {
            for (message, place) in &channel.messages {
                usages.push(usage(channel, place.clone(), Ok(message.clone()), action));
            }
        }
        Some(Value::Array(list)) => {
            for index in 0..list.len() {
                match listed_message(library, &listed.child(&index.to_string()), channel) {
                    Ok((message, place)) => {
                        usages.push(usage(channel, place, Ok(message), action));
                    }
                    Err(mistake) => remarks.push(mistake),
                }
            }
        }
        Some(_) => remarks.push(library.mistake(&listed, "`messages` is not a list")),
    }
}

/// The channel that an operation names.
fn channel_of<'a>(
    library: &Library,
    operation: &Location,
    channels: &'a BTreeMap<Location, Channel>,
) -> Result<&'a Channel, Diagnostic> {
    let place = operation.child("channel");
    if library.value(&place.child("$ref")).is_none() {
        return Err(library.mistake(&place, "`channel` is not a reference to a channel"));
    }
    channels.get(&library.settle(place.clone())?).ok_or_else(|| {
        let help = "an operation uses a channel of the document's own `channels`";
        library.mistake(&place, "not a channel of this document").with_help(help)
    })
}

/// A message that an operation lists, and its place in the channel.
fn listed_message(
    library: &Library,
    place: &Location,
    channel: &Channel,
) -> Result<(Location, Location), Diagnostic> {
    let message = library.settle(place.clone())?;
    let Some(keyed) = channel.messages.get(&message) else {
        let help = "refer to a message of the channel, `#/channels/<channel>/messages/<key>`";
        let problem = "not a message of the operation's channel";
        return Err(library.mistake(place, problem).with_help(help));
    };
    Ok((message, keyed.clone()))
}

fn usage(
    channel: &Channel,
    place: Location,
    at: Result<Location, Diagnostic>,
    action: Option<ChannelAction>,
) -> Usage {
    let key = UsageKey::Channel(channel.name.clone(), place.name());
    Usage { place, at, key, address: channel.address.clone(), action }
}
