//! What an AsyncAPI document of any version says, before schemas are compiled.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::contract::reference::{Library, Location};
use crate::contract::usage::{ChannelAction, Usage};
use crate::contract::{version2, version3};
use crate::event::Diagnostic;

/// Where traits stand against the object that they are applied to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Generation {
    /// AsyncAPI 2: a trait overrides.
    Two,
    /// AsyncAPI 3: a trait only fills in.
    Three,
}

/// A document's head and its messages by name.
pub(super) struct Outline {
    pub(super) specification: String,
    pub(super) generation: Generation,
    pub(super) title: String,
    pub(super) version: String,
    pub(super) description: Option<String>,
    pub(super) messages: BTreeMap<String, Definition>,
}

/// A message as a document defines it.
pub(super) struct Definition {
    pub(super) at: Location,
    pub(super) action: Option<ChannelAction>,
    pub(super) channels: Vec<String>,
    pub(super) fields: Fields,
}

/// Reads the document in a file; mistakes are added to `mistakes`.
pub(super) fn read(
    library: &Library,
    path: &str,
    mistakes: &mut Vec<Diagnostic>,
) -> Option<Outline> {
    let root = Location::root(path);
    let (specification, generation) = match specification(library, &root) {
        Ok(found) => found,
        Err(mistake) => {
            mistakes.push(mistake);
            return None;
        }
    };
    let info = root.child("info");
    let mut head = |member: &str| match library.text(&info, member) {
        Some(text) if !text.trim().is_empty() => text.to_owned(),
        _ => {
            let problem = format!("`info.{member}` is missing or not a text");
            let help = "numbers such as 1.0 are quoted to be a text";
            mistakes.push(library.mistake(&info.child(member), problem).with_help(help));
            String::new()
        }
    };
    let (title, version) = (head("title"), head("version"));
    let description = library.text(&info, "description").map(str::to_owned);
    let usages = match generation {
        Generation::Two => version2::usages(library, &root, mistakes),
        Generation::Three => version3::usages(library, &root, mistakes),
    };
    let messages = by_name(library, generation, usages, mistakes);
    Some(Outline { specification, generation, title, version, description, messages })
}

fn specification(library: &Library, root: &Location) -> Result<(String, Generation), Diagnostic> {
    let at = root.child("asyncapi");
    let help = "AsyncAPI 2.0 to 2.6, 3.0 and 3.1 are read";
    let Some(text) = library.text(root, "asyncapi") else {
        return Err(library.mistake(&at, "`asyncapi` is not a text").with_help(help));
    };
    let mut parts = text.split(['.', '-']);
    let generation = match (parts.next(), parts.next()) {
        (Some("2"), Some("0" | "1" | "2" | "3" | "4" | "5" | "6")) => Generation::Two,
        (Some("3"), Some("0" | "1")) => Generation::Three,
        _ => {
            let problem = format!("AsyncAPI `{text}` is not a version that is read");
            return Err(library.mistake(&at, problem).with_help(help));
        }
    };
    Ok((text.to_owned(), generation))
}

fn by_name(
    library: &Library,
    generation: Generation,
    usages: Vec<Usage>,
    mistakes: &mut Vec<Diagnostic>,
) -> BTreeMap<String, Definition> {
    let mut messages: BTreeMap<String, Definition> = BTreeMap::new();
    for usage in usages {
        let fields = match Fields::read(library, &usage.at, generation) {
            Ok(fields) => fields,
            Err(mistake) => {
                mistakes.push(mistake);
                continue;
            }
        };
        let identity = || (generation == Generation::Two).then(|| fields.text("messageId"))?;
        let name = fields.text("name").or_else(identity).map(str::to_owned).or(usage.fallback);
        let Some(name) = name.filter(|name| !name.is_empty()) else {
            let help = "give it a `name`, for example `Order.Created`";
            mistakes.push(library.mistake(&usage.at, "a message without a name").with_help(help));
            continue;
        };
        match messages.get_mut(&name) {
            None => {
                let channels = usage.channel.into_iter().collect();
                let definition =
                    Definition { at: usage.at, action: usage.action, channels, fields };
                messages.insert(name, definition);
            }
            Some(known) if known.at == usage.at => {
                known.channels.extend(usage.channel.filter(|new| !known.channels.contains(new)));
                known.action = match (known.action, usage.action) {
                    (Some(ChannelAction::Send), _) | (_, Some(ChannelAction::Send)) => {
                        Some(ChannelAction::Send)
                    }
                    (known, new) => known.or(new),
                };
            }
            Some(known) => {
                let (line, _) = library.place(&known.at);
                let problem = format!("another message is named `{name}`");
                let help = format!("the first stands at {}:{line}", known.at.file);
                mistakes.push(library.mistake(&usage.at, problem).with_help(help));
            }
        }
    }
    messages
}

/// The fields of a message with its traits applied, each with the place it comes from.
pub(super) struct Fields(BTreeMap<String, (Value, Location)>);

impl Fields {
    /// JSON Merge Patch (RFC 7396) of whole fields: those that are read are texts and lists, which
    /// a merge replaces as they are.
    fn read(library: &Library, at: &Location, generation: Generation) -> Result<Self, Diagnostic> {
        let mut layers = Vec::new();
        let traits = library.value(at).and_then(|message| message.get("traits"));
        let count = traits.and_then(Value::as_array).map_or(0, Vec::len);
        for index in 0..count {
            let place = at.child("traits").child(&index.to_string());
            let settled = library.settle(place)?;
            let payload = settled.child("payload");
            if library.value(&payload).is_some() {
                return Err(library.mistake(&payload, "a trait cannot hold a payload"));
            }
            layers.push(settled);
        }
        match generation {
            Generation::Two => layers.insert(0, at.clone()),
            Generation::Three => layers.push(at.clone()),
        }
        let mut fields = Self(BTreeMap::new());
        for layer in layers {
            let object = library.value(&layer).and_then(Value::as_object);
            let object = object.ok_or_else(|| library.mistake(&layer, "not an object"))?;
            for (name, value) in object {
                if value.is_null() {
                    fields.0.remove(name);
                } else {
                    fields.0.insert(name.clone(), (value.clone(), layer.child(name)));
                }
            }
        }
        Ok(fields)
    }

    /// A field that is a text.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.0.as_str()
    }

    /// A field and its place.
    pub(super) fn get(&self, name: &str) -> Option<(&Value, &Location)> {
        self.0.get(name).map(|(value, at)| (value, at))
    }
}
