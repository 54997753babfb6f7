//! Looks over schemas and bindings for references that lead nowhere, also where no message uses them.

use serde_json::Value;

use crate::contract::anatomy::Kind;
use crate::contract::reference::{Library, Location, percent_decoded};
use crate::event::Diagnostic;

/// Values of one schema or binding; a message's payload has a limit of its own.
const MAX_VALUES: usize = 200_000;

/// Members of a schema that hold schemas by names of the author's.
const BY_NAME: [&str; 6] =
    ["properties", "patternProperties", "definitions", "$defs", "dependentSchemas", "dependencies"];

/// Members of a schema that hold data, or something that is no schema.
const DATA: [&str; 7] =
    ["enum", "const", "default", "examples", "example", "discriminator", "externalDocs"];

/// Members of a schema that are texts for people.
const TEXTS: [&str; 3] = ["title", "description", "$comment"];

/// Whether a schema format is of no kind of JSON Schema, so that nothing is known of what it holds.
pub(super) fn is_foreign(format: &str) -> bool {
    let format = format.to_ascii_lowercase();
    let known = ["vnd.aai.asyncapi", "schema+json", "schema+yaml", "vnd.oai.openapi"];
    !known.iter().any(|known| format.contains(known))
}

/// Finds what is wrong in a schema or a binding.
pub(super) fn visit(library: &Library, at: &Location, kind: Kind, remarks: &mut Vec<Diagnostic>) {
    let mut root = at.clone();
    let format = library.text(at, "schemaFormat").filter(|_| kind == Kind::Payload);
    if let (Some(format), Some(_)) = (format, library.value(&at.child("schema"))) {
        if is_foreign(format) {
            return;
        }
        root = at.child("schema");
    }
    let is_schema = kind != Kind::Bindings;
    let mut open = vec![(root, is_schema)];
    let mut left = MAX_VALUES;
    while let Some((at, is_schema)) = open.pop() {
        left -= 1;
        if left == 0 {
            return;
        }
        match library.value(&at) {
            Some(Value::Object(object)) => {
                if is_schema && object.get("$id").is_some_and(|id| !is_anchor(id)) {
                    // References in it are relative to its own address.
                    continue;
                }
                remarks.extend(reference(library, &at, object.get("$ref")));
                for (name, value) in object {
                    open.extend(inner(&at.child(name), name, value, is_schema));
                    if is_schema && value.is_null() && TEXTS.contains(&name.as_str()) {
                        let problem = format!("`{name}` is null, where a text belongs");
                        let mistake = library.mistake(&at.child(name), problem);
                        remarks.push(mistake.with_help("leave it out, or fill it in"));
                    }
                }
            }
            Some(Value::Array(items)) => {
                let item = |index: usize| (at.child(&index.to_string()), is_schema);
                open.extend((0..items.len()).map(item));
            }
            _ => {}
        }
    }
}

/// An `$id` such as `#money` names a place and changes no address.
fn is_anchor(id: &Value) -> bool {
    id.as_str().is_none_or(|id| id.starts_with('#'))
}

/// What to look into below a member.
fn inner(at: &Location, name: &str, value: &Value, is_schema: bool) -> Vec<(Location, bool)> {
    if name.starts_with("x-") || is_schema && DATA.contains(&name) {
        return Vec::new();
    }
    match value {
        Value::Object(members) if is_schema && BY_NAME.contains(&name) => {
            members.keys().map(|key| (at.child(key), true)).collect()
        }
        Value::Object(_) | Value::Array(_) => vec![(at.clone(), is_schema)],
        _ => Vec::new(),
    }
}

/// Why a reference leads nowhere. Names of anchors are left to whoever reads the schema.
fn reference(library: &Library, at: &Location, reference: Option<&Value>) -> Option<Diagnostic> {
    let reference = reference?.as_str()?;
    let fragment = reference.split_once('#').map_or("", |(_, fragment)| fragment);
    if !fragment.is_empty() && !fragment.starts_with('/') {
        return None;
    }
    let mistake = library.settle(at.clone()).err()?;
    let is_inside = reference.starts_with('#') && leads_inside(library, at, fragment);
    (!is_inside).then_some(mistake)
}

/// Whether a pointer leads from a schema around a place, as it does in JSON Schema.
fn leads_inside(library: &Library, at: &Location, fragment: &str) -> bool {
    let Some(fragment) = percent_decoded(fragment) else { return false };
    let mut around = at.clone();
    while let Some(cut) = around.pointer.rfind('/') {
        around.pointer.truncate(cut);
        let pointer = format!("{}{fragment}", around.pointer);
        if library.value(&Location { pointer, ..around.clone() }).is_some() {
            return true;
        }
    }
    false
}
