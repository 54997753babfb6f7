//! Rules of AsyncAPI that tie parts of a document together: parameters and addresses, replies and
//! their channels, security and its schemes.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::contract::fields::Generation;
use crate::contract::reference::{Library, Location};
use crate::contract::usage::members;
use crate::event::Diagnostic;

/// Holds the parameters of channels and the variables of servers against their addresses.
pub(super) fn parameters(
    library: &Library,
    root: &Location,
    generation: Generation,
    remarks: &mut Vec<Diagnostic>,
) {
    // What is no object is told where the document is read.
    for place in members(library, &root.child("channels"), &mut Vec::new()) {
        let Ok(at) = library.settle(place.clone()) else { continue };
        if generation == Generation::Two {
            servers(library, root, &at.child("servers"), remarks);
        }
        let address = match generation {
            Generation::Two => Some(place.name()),
            Generation::Three => library.text(&at, "address").map(str::to_owned),
        };
        let Some(address) = address else { continue };
        let shown = if generation == Generation::Two { place } else { at.child("address") };
        // A channel item of version 2 may have parameters beside its reference.
        let beside = shown.child("parameters");
        let declared =
            if library.value(&beside).is_some() { beside } else { at.child("parameters") };
        compare(library, (&shown, &address), &declared, "parameter", remarks);
    }
    variables(library, root, generation, remarks);
}

/// Holds the variables of servers against their addresses.
fn variables(
    library: &Library,
    root: &Location,
    generation: Generation,
    remarks: &mut Vec<Diagnostic>,
) {
    // What is no object is told where the document is read.
    for place in members(library, &root.child("servers"), &mut Vec::new()) {
        let Ok(at) = library.settle(place) else { continue };
        let (first, second) =
            if generation == Generation::Two { ("url", "") } else { ("host", "pathname") };
        let text = |part| library.text(&at, part).unwrap_or_default();
        let address = text(first).to_owned() + text(second);
        let shown = at.child(first);
        compare(library, (&shown, &address), &at.child("variables"), "variable", remarks);
    }
}

/// Holds the servers that a channel of version 2 names against those of the document.
fn servers(library: &Library, root: &Location, at: &Location, remarks: &mut Vec<Diagnostic>) {
    let names = library.value(at).and_then(Value::as_array).into_iter().flatten();
    for (index, name) in names.enumerate() {
        let Some(name) = name.as_str() else { continue };
        if library.value(&root.child("servers").child(name)).is_none() {
            let problem = format!("there is no server `{name}`");
            let help = "describe it under `servers`";
            remarks.push(library.mistake(&at.child(&index.to_string()), problem).with_help(help));
        }
    }
}

fn compare(
    library: &Library,
    (shown, address): (&Location, &str),
    declared: &Location,
    what: &str,
    remarks: &mut Vec<Diagnostic>,
) {
    let used = expressions(address);
    let object = library.value(declared).and_then(Value::as_object);
    let known: BTreeSet<&str> =
        object.into_iter().flat_map(Map::keys).map(String::as_str).collect();
    for name in used.difference(&known) {
        let problem = format!("the {what} `{name}` of `{address}` is not declared");
        let help = format!("describe it under `{}`", declared.name());
        remarks.push(library.mistake(shown, problem).with_help(help));
    }
    for name in known.difference(&used) {
        let problem = format!("the {what} `{name}` does not stand in `{address}`");
        let help = format!("write `{{{name}}}` where it belongs, or leave it out");
        remarks.push(library.mistake(&declared.child(name), problem).with_help(help));
    }
}

/// The names in braces of an address: `user/{id}/signedup`.
fn expressions(address: &str) -> BTreeSet<&str> {
    let parts = address.split('{').skip(1);
    parts.filter_map(|part| part.split_once('}')).map(|(name, _)| name).collect()
}

/// Holds a reply against its channel.
pub(super) fn reply(
    library: &Library,
    root: &Location,
    at: &Location,
    remarks: &mut Vec<Diagnostic>,
) {
    let place = at.child("channel");
    let Some(written) = library.value(&place) else { return };
    if written.get("$ref").is_none() {
        let problem = "`channel` is not a reference to a channel";
        return remarks.push(library.mistake(&place, problem));
    }
    // A reference that leads nowhere is told by the survey.
    let Ok(channel) = library.settle(place.clone()) else { return };
    let settled = |at: Location| library.settle(at).ok();
    let channels = members(library, &root.child("channels"), &mut Vec::new());
    if !channels.into_iter().filter_map(settled).any(|one| one == channel) {
        let help = "a reply uses a channel of the document's own `channels`";
        let problem = "not a channel of this document";
        remarks.push(library.mistake(&place, problem).with_help(help));
    }
    if library.value(&at.child("address")).is_some()
        && let Some(address) = library.text(&channel, "address")
    {
        let problem = format!("the reply has an `address`, and so has its channel: `{address}`");
        let help = "give the channel `address: null`, or leave the reply's out";
        remarks.push(library.mistake(&at.child("address"), problem).with_help(help));
    }
    let keyed = members(library, &channel.child("messages"), &mut Vec::new());
    let messages: BTreeSet<Location> = keyed.into_iter().filter_map(settled).collect();
    let listed = at.child("messages");
    let count = library.value(&listed).and_then(Value::as_array).map_or(0, Vec::len);
    for index in 0..count {
        let item = listed.child(&index.to_string());
        if settled(item.clone()).is_some_and(|message| !messages.contains(&message)) {
            let problem = "not a message of the reply's channel";
            let help = "refer to a message of the channel, `#/channels/<channel>/messages/<key>`";
            remarks.push(library.mistake(&item, problem).with_help(help));
        }
    }
}

/// Version 2 names security schemes of the document.
pub(super) fn requirement(
    library: &Library,
    root: &Location,
    at: &Location,
    requirement: &Map<String, Value>,
    remarks: &mut Vec<Diagnostic>,
) {
    let schemes = root.child("components").child("securitySchemes");
    for name in requirement.keys() {
        if library.value(&schemes.child(name)).is_none() {
            let problem = format!("there is no security scheme `{name}`");
            let help = "describe it under `components.securitySchemes`";
            remarks.push(library.mistake(&at.child(name), problem).with_help(help));
        }
    }
}

/// The types of security schemes.
const SCHEMES: [&str; 13] = [
    "userPassword",
    "apiKey",
    "X509",
    "symmetricEncryption",
    "asymmetricEncryption",
    "httpApiKey",
    "http",
    "oauth2",
    "openIdConnect",
    "plain",
    "scramSha256",
    "scramSha512",
    "gssapi",
];

/// Whether a security scheme stands here: each has a type.
pub(super) fn is_scheme(library: &Library, at: &Location) -> bool {
    // What is itself a reference is looked at where it leads.
    let is_reference = library.value(&at.child("$ref")).is_some();
    is_reference || library.text(at, "type").is_some_and(|name| SCHEMES.contains(&name))
}

/// Tells that something else stands where a security scheme belongs.
pub(super) fn no_scheme(library: &Library, at: &Location) -> Diagnostic {
    let help = format!("its `type` is one of {}", SCHEMES.join(", "));
    library.mistake(at, "not a security scheme").with_help(help)
}
