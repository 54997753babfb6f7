//! The fields of a message with its traits applied.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::contract::reference::{Library, Location};
use crate::event::Diagnostic;

/// Where traits stand against the object that they are applied to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Generation {
    /// AsyncAPI 2: a trait overrides.
    Two,
    /// AsyncAPI 3: a trait only fills in.
    Three,
}

/// The fields of a message with its traits applied, each with the place it comes from.
#[derive(Default)]
pub(super) struct Fields(BTreeMap<String, (Value, Location)>);

impl Fields {
    /// JSON Merge Patch (RFC 7396) of whole fields: those that are read are texts and lists, which
    /// a merge replaces as they are. A trait that cannot be applied is a mistake, and the others
    /// apply.
    pub(super) fn read(
        library: &Library,
        at: &Location,
        generation: Generation,
        mistakes: &mut Vec<Diagnostic>,
    ) -> Self {
        let mut layers = traits(library, at, mistakes);
        match generation {
            Generation::Two => layers.insert(0, at.clone()),
            Generation::Three => layers.push(at.clone()),
        }
        let mut fields = Self(BTreeMap::new());
        for layer in layers {
            let Some(object) = library.value(&layer).and_then(Value::as_object) else {
                mistakes.push(library.mistake(&layer, "not an object"));
                continue;
            };
            for (name, value) in object {
                if value.is_null() {
                    fields.0.remove(name);
                } else {
                    fields.0.insert(name.clone(), (value.clone(), layer.child(name)));
                }
            }
        }
        fields
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

/// The traits of a message that can be applied.
fn traits(library: &Library, at: &Location, mistakes: &mut Vec<Diagnostic>) -> Vec<Location> {
    let listed = at.child("traits");
    let count = match library.value(&listed) {
        None | Some(Value::Null) => 0,
        Some(Value::Array(list)) => list.len(),
        Some(_) => {
            mistakes.push(library.mistake(&listed, "`traits` is not a list"));
            0
        }
    };
    let mut layers = Vec::new();
    for index in 0..count {
        let settled = match library.settle(listed.child(&index.to_string())) {
            Ok(settled) => settled,
            Err(mistake) => {
                mistakes.push(mistake);
                continue;
            }
        };
        let payload = settled.child("payload");
        if library.value(&payload).is_some() {
            let help = "write the payload into the message itself";
            let problem = "a trait cannot hold a payload";
            mistakes.push(library.mistake(&payload, problem).with_help(help));
        }
        layers.push(settled);
    }
    layers
}
