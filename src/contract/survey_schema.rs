//! Looks over schemas and bindings for words that nobody knows and references that lead nowhere, also
//! where no message uses them.

use serde_json::{Map, Value};

use crate::contract::anatomy::Kind;
use crate::contract::dialect::Dialect;
use crate::contract::keyword::{Holds, KeywordStanding, holds, standing};
use crate::contract::reference::{Library, Location, percent_decoded};
use crate::event::Diagnostic;

/// Values of one schema or binding; a message's payload has a limit of its own.
const MAX_VALUES: usize = 200_000;

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
    let mut open = vec![Part { at: root, is_schema: kind != Kind::Bindings, is_addressed: false }];
    let mut left = MAX_VALUES;
    while let Some(part) = open.pop() {
        left -= 1;
        if left == 0 {
            return;
        }
        match library.value(&part.at) {
            Some(Value::Object(object)) => of_object(library, &part, object, &mut open, remarks),
            Some(Value::Array(items)) => {
                let item = |index: usize| part.below(part.at.child(&index.to_string()));
                open.extend((0..items.len()).map(item));
            }
            _ => {}
        }
    }
}

/// A part of a schema or a binding.
struct Part {
    at: Location,
    is_schema: bool,
    /// Whether a schema around it has an address of its own, to which references are relative.
    is_addressed: bool,
}

impl Part {
    const fn below(&self, at: Location) -> Self {
        Self { at, is_schema: self.is_schema, is_addressed: self.is_addressed }
    }
}

fn of_object(
    library: &Library,
    part: &Part,
    object: &Map<String, Value>,
    open: &mut Vec<Part>,
    remarks: &mut Vec<Diagnostic>,
) {
    let has_address = object.get("$id").is_some_and(|id| !is_anchor(id));
    let is_addressed = part.is_addressed || part.is_schema && has_address;
    if !is_addressed {
        remarks.extend(reference(library, &part.at, object.get("$ref")));
    }
    for (name, value) in object {
        let at = part.at.child(name);
        if part.is_schema {
            remarks.extend(word(library, &at, name, value));
        }
        let below = inner(&at, name, value, part.is_schema).into_iter();
        open.extend(below.map(|at| Part { at, is_schema: part.is_schema, is_addressed }));
    }
}

/// What is wrong with a word of a schema, whether a message uses the schema or not.
fn word(library: &Library, at: &Location, name: &str, value: &Value) -> Option<Diagnostic> {
    if value.is_null() && TEXTS.contains(&name) {
        let problem = format!("`{name}` is null, where a text belongs");
        return Some(library.mistake(at, problem).with_help("leave it out, or fill it in"));
    }
    let KeywordStanding::Unknown(meant) = standing(name, Dialect::AsyncApi) else { return None };
    let problem = format!("`{name}` is a keyword that no dialect of JSON Schema knows");
    let help = meant.map_or_else(String::new, |meant| format!("did you mean `{meant}`?"));
    Some(library.mistake(at, problem).with_help(help))
}

/// An `$id` such as `#money` names a place and changes no address.
fn is_anchor(id: &Value) -> bool {
    id.as_str().is_none_or(|id| id.starts_with('#'))
}

/// What to look into below a member.
fn inner(at: &Location, name: &str, value: &Value, is_schema: bool) -> Vec<Location> {
    if name.starts_with("x-") || is_schema && holds(name) == Holds::Other {
        return Vec::new();
    }
    let by_name =
        matches!(holds(name), Holds::Map | Holds::Definitions | Holds::Dependencies) && is_schema;
    match value {
        Value::Object(members) if by_name => members.keys().map(|key| at.child(key)).collect(),
        Value::Object(_) | Value::Array(_) => vec![at.clone()],
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
