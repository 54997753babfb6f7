//! Finds the messages of an AsyncAPI 3.0 or 3.1 document.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::contract::reference::{Library, Location};
use crate::contract::usage::{ChannelAction, Usage};
use crate::event::Diagnostic;

/// What a channel holds: its address and its messages, by location, with their keys.
struct Channel {
    address: Option<String>,
    messages: BTreeMap<Location, String>,
}

/// Every use of a message: by each operation that names it, or by its channel alone.
pub(super) fn usages(
    library: &Library,
    root: &Location,
    mistakes: &mut Vec<Diagnostic>,
) -> Vec<Usage> {
    let mut channels = BTreeMap::new();
    for at in members(library, &root.child("channels"), mistakes) {
        match channel(library, at) {
            Ok((at, channel)) => {
                channels.insert(at, channel);
            }
            Err(mistake) => mistakes.push(mistake),
        }
    }
    let mut usages = Vec::new();
    for channel in channels.values() {
        for (at, key) in &channel.messages {
            usages.push(usage(channel, at, key, None));
        }
    }
    for at in members(library, &root.child("operations"), mistakes) {
        if let Err(mistake) = of_operation(library, at, &channels, &mut usages) {
            mistakes.push(mistake);
        }
    }
    usages
}

/// The members of an object that may be absent.
fn members(library: &Library, at: &Location, mistakes: &mut Vec<Diagnostic>) -> Vec<Location> {
    match library.value(at) {
        None => Vec::new(),
        Some(Value::Object(object)) => object.keys().map(|key| at.child(key)).collect(),
        Some(_) => {
            mistakes.push(library.mistake(at, "not an object"));
            Vec::new()
        }
    }
}

fn channel(library: &Library, at: Location) -> Result<(Location, Channel), Diagnostic> {
    let at = library.settle(at)?;
    let address = library.text(&at, "address").map(str::to_owned);
    let keyed = at.child("messages");
    let mut messages = BTreeMap::new();
    if let Some(object) = library.value(&keyed).and_then(Value::as_object) {
        for key in object.keys() {
            messages.insert(library.settle(keyed.child(key))?, key.clone());
        }
    }
    Ok((at, Channel { address, messages }))
}

fn of_operation(
    library: &Library,
    at: Location,
    channels: &BTreeMap<Location, Channel>,
    usages: &mut Vec<Usage>,
) -> Result<(), Diagnostic> {
    let at = library.settle(at)?;
    let place = at.child("action");
    let action = match library.text(&at, "action") {
        Some("send") => ChannelAction::Send,
        Some("receive") => ChannelAction::Receive,
        _ => return Err(library.mistake(&place, "`action` is neither `send` nor `receive`")),
    };
    let place = at.child("channel");
    if library.value(&place.child("$ref")).is_none() {
        return Err(library.mistake(&place, "`channel` is not a reference to a channel"));
    }
    let Some(channel) = channels.get(&library.settle(place.clone())?) else {
        let help = "an operation uses a channel of the document's own `channels`";
        return Err(library.mistake(&place, "not a channel of this document").with_help(help));
    };
    let listed = at.child("messages");
    match library.value(&listed) {
        // Without a list, an operation is about all messages of its channel.
        None => {
            for (message, key) in &channel.messages {
                usages.push(usage(channel, message, key, Some(action)));
            }
        }
        Some(Value::Array(list)) => {
            for index in 0..list.len() {
                let place = listed.child(&index.to_string());
                let message = library.settle(place.clone())?;
                let Some(key) = channel.messages.get(&message) else {
                    let problem = "not a message of the operation's channel";
                    return Err(library.mistake(&place, problem));
                };
                usages.push(usage(channel, &message, key, Some(action)));
            }
        }
        Some(_) => return Err(library.mistake(&listed, "`messages` is not a list")),
    }
    Ok(())
}

fn usage(channel: &Channel, at: &Location, key: &str, action: Option<ChannelAction>) -> Usage {
    Usage {
        at: at.clone(),
        fallback: Some(key.to_owned()),
        channel: channel.address.clone(),
        action,
    }
}
