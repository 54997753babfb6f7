//! The examples that a contract gives of a message, references in them followed.

use serde_json::{Map, Value};

use crate::contract::fields::Fields;
use crate::contract::reference::{Library, Location};
use crate::event::Diagnostic;

/// Values that the references of one example may unfold to.
const MAX_VALUES: usize = 100_000;

/// Levels of an example, references followed.
const MAX_DEPTH: usize = 64;

/// An example that a contract gives, already held against its message.
#[derive(Clone, Debug, PartialEq)]
pub struct Example {
    /// What the contract calls it.
    pub name: Option<String>,
    /// Data as it crosses.
    pub data: Value,
}

/// An example as it is written: its data, and where that stands.
pub(super) struct WrittenExample {
    pub(super) example: Example,
    pub(super) at: Location,
}

/// Reads the examples of a message; those without a payload are about headers only.
pub(super) fn written(
    library: &Library,
    fields: &Fields,
    is_envelope: bool,
    mistakes: &mut Vec<Diagnostic>,
) -> Vec<WrittenExample> {
    let Some((value, at)) = fields.get("examples") else { return Vec::new() };
    let Value::Array(list) = value else {
        let help = "write `examples: [{ payload: … }]`";
        let mistake = library.mistake(at, "`examples` is not a list").with_help(help);
        mistakes.push(mistake.into_warning());
        return Vec::new();
    };
    let mut kept = Vec::new();
    for index in 0..list.len() {
        match one(library, at.child(&index.to_string()), is_envelope) {
            Ok(example) => kept.extend(example),
            Err(mistake) => mistakes.push(mistake),
        }
    }
    kept
}

fn one(
    library: &Library,
    at: Location,
    is_envelope: bool,
) -> Result<Option<WrittenExample>, Diagnostic> {
    let at = library.settle(at)?;
    let payload = at.child("payload");
    if library.value(&payload).is_none() {
        return Ok(None);
    }
    let mut place = library.settle(payload)?;
    let inner = place.child("data");
    if is_envelope && library.value(&inner).is_some() {
        place = library.settle(inner)?;
    }
    let mut left = MAX_VALUES;
    let data = unfolded(library, &place, 0, &mut left)
        .ok_or_else(|| library.mistake(&place, "an example whose references have no end"))?;
    let name = library.text(&at, "name").map(str::to_owned);
    Ok(Some(WrittenExample { example: Example { name, data }, at: place }))
}

/// The value with its references followed. One that leads nowhere may be data, and stays.
fn unfolded(library: &Library, at: &Location, depth: usize, left: &mut usize) -> Option<Value> {
    *left = left.checked_sub(1)?;
    if depth > MAX_DEPTH {
        return None;
    }
    let value = library.value(at)?;
    let is_reference = value.as_object().is_some_and(|object| object.len() == 1)
        && value.get("$ref").is_some_and(Value::is_string);
    if is_reference && let Ok(target) = library.settle(at.clone()) {
        return unfolded(library, &target, depth + 1, left);
    }
    Some(match value {
        Value::Object(members) => {
            let mut object = Map::new();
            for name in members.keys() {
                object.insert(name.clone(), unfolded(library, &at.child(name), depth + 1, left)?);
            }
            Value::Object(object)
        }
        Value::Array(items) => {
            let item = |index: usize| at.child(&index.to_string());
            let items =
                (0..items.len()).map(|index| unfolded(library, &item(index), depth + 1, left));
            Value::Array(items.collect::<Option<_>>()?)
        }
        plain => plain.clone(),
    })
}
