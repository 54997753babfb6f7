//! What an AsyncAPI document of any version says, before schemas are compiled.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::contract::fields::{Fields, Generation};
use crate::contract::identity::MessageIdentity;
use crate::contract::reference::{Library, Location};
use crate::contract::usage::{ChannelAction, Usage};
use crate::contract::{version2, version3};
use crate::event::Diagnostic;

/// A document's head and its messages, by name.
pub(super) struct Outline {
    pub(super) specification: String,
    pub(super) generation: Generation,
    pub(super) title: String,
    pub(super) version: String,
    pub(super) description: Option<String>,
    /// The content type of messages that have none of their own.
    pub(super) content_type: Option<Location>,
    pub(super) definitions: Vec<Definition>,
    /// Why nothing of the document can be published.
    pub(super) mistakes: Vec<Diagnostic>,
    /// What is wrong around its messages.
    pub(super) remarks: Vec<Diagnostic>,
}

/// A message as a document defines it.
pub(super) struct Definition {
    /// Where it is, or where it should be.
    pub(super) at: Location,
    /// Whether it is there: an object, and no reference that leads nowhere.
    pub(super) is_there: bool,
    pub(super) action: Option<ChannelAction>,
    pub(super) identity: MessageIdentity,
    pub(super) fields: Fields,
    /// Why it cannot be published.
    pub(super) mistakes: Vec<Diagnostic>,
}

/// Reads the document in a file.
///
/// # Errors
///
/// The caller's turn: it is of a version that is not read.
pub(super) fn read(library: &Library, path: &str) -> Result<Outline, Diagnostic> {
    let root = Location::root(path);
    let (specification, generation) = specification(library, &root)?;
    let mut mistakes = Vec::new();
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
    let mut remarks = Vec::new();
    let usages = match generation {
        Generation::Two => version2::usages(library, &root, &mut remarks),
        Generation::Three => version3::usages(library, &root, &mut remarks),
    };
    let content_type = root.child("defaultContentType");
    let given = library.value(&content_type).is_some_and(|value| !value.is_null());
    Ok(Outline {
        specification,
        generation,
        title,
        version,
        description: library.text(&info, "description").map(str::to_owned),
        content_type: given.then_some(content_type),
        definitions: definitions(library, generation, usages, path),
        mistakes,
        remarks,
    })
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

/// One definition for each place that holds a message, whatever uses it.
fn definitions(
    library: &Library,
    generation: Generation,
    usages: Vec<Usage>,
    file: &str,
) -> Vec<Definition> {
    let mut found: BTreeMap<Location, Definition> = BTreeMap::new();
    for usage in usages {
        let at = usage.at.clone().unwrap_or_else(|_| usage.place.clone());
        let definition =
            found.entry(at.clone()).or_insert_with(|| define(library, generation, at, &usage));
        definition.identity.note(&usage, file);
        definition.action = match (definition.action, usage.action) {
            (Some(ChannelAction::Send), _) | (_, Some(ChannelAction::Send)) => {
                Some(ChannelAction::Send)
            }
            (known, new) => known.or(new),
        };
    }
    let mut definitions: Vec<Definition> = found.into_values().collect();
    let label = |one: &Definition| one.identity.label(generation).to_owned();
    definitions.sort_by_cached_key(label);
    definitions
}

fn define(library: &Library, generation: Generation, at: Location, usage: &Usage) -> Definition {
    let mut mistakes = Vec::new();
    let fields = match &usage.at {
        Ok(at) => Fields::read(library, at, generation, &mut mistakes),
        Err(mistake) => {
            mistakes.push(mistake.clone());
            Fields::default()
        }
    };
    let identity = MessageIdentity::of(library, &at);
    let is_there = usage.at.is_ok() && library.value(&at).is_some_and(Value::is_object);
    Definition { at, is_there, action: None, identity, fields, mistakes }
}
