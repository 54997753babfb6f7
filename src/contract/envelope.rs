//! Finds what a message says about the CloudEvent itself: in a payload that describes the whole event,
//! and in headers.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::contract::fields::Generation;
use crate::contract::outline::Definition;
use crate::contract::reference::{Library, Location};
use crate::event::{Diagnostic, is_attribute_name};

/// Schemas that one description may consist of.
const MAX_SCHEMAS: usize = 5_000;

/// Parts of one attribute's schema that are asked for its one text.
const MAX_PARTS: usize = 32;

/// The members that make a payload a CloudEvents envelope, whatever else it has.
const ENVELOPE: [&str; 4] = ["specversion", "type", "source", "id"];

/// What the names of headers that carry attributes begin with, in the bindings of CloudEvents.
const HEADER_PREFIXES: [&str; 4] = ["ce-", "ce_", "cloudevents:", "cloudevents_"];

/// What a message says about the CloudEvent itself, where it says it.
#[derive(Default)]
pub(super) struct EnvelopeOutline {
    /// The schemas of attributes, by name.
    pub(super) attributes: BTreeMap<String, Vec<Location>>,
    /// Names that have to be there, each with the place that says so.
    pub(super) required: BTreeMap<String, Location>,
    /// Parts of the payload that let no other members be there.
    pub(super) closed: Vec<ClosedPart>,
}

/// A schema with `additionalProperties: false`.
pub(super) struct ClosedPart {
    pub(super) at: Location,
    pub(super) names: BTreeSet<String>,
    pub(super) patterns: Vec<String>,
}

impl EnvelopeOutline {
    /// Reads a message; nothing if it describes its data alone.
    pub(super) fn read(
        library: &Library,
        definition: &Definition,
        payload: &Location,
        generation: Generation,
    ) -> Option<Self> {
        let mut outline = Self::default();
        // References that lead nowhere are told where the payload is copied.
        let whole = ObjectSchema::read(library, payload, generation).ok();
        if let Some(whole) = whole.filter(ObjectSchema::is_envelope) {
            outline.add(whole, |name| Some(name.to_owned()));
        }
        for headers in headers(library, definition) {
            // Nothing that crosses depends on headers, so that broken ones only say nothing.
            if let Ok(headers) = ObjectSchema::read(library, &headers, generation) {
                outline.add_headers(headers);
            }
        }
        let says = !outline.attributes.is_empty() || !outline.required.is_empty();
        (says || !outline.closed.is_empty()).then_some(outline)
    }

    fn add(&mut self, object: ObjectSchema, attribute: impl Fn(&str) -> Option<String>) {
        for (name, places) in object.properties {
            if let Some(name) = attribute(&name) {
                self.attributes.entry(name).or_default().extend(places);
            }
        }
        for (name, place) in object.required {
            if let Some(name) = attribute(&name) {
                self.required.entry(name).or_insert(place);
            }
        }
        self.closed.extend(object.closed);
    }

    /// Other headers are the protocol's own, so that nothing closes them.
    fn add_headers(&mut self, mut headers: ObjectSchema) {
        let plain = headers.has_attributes();
        headers.closed.clear();
        self.add(headers, |name| {
            let lower = name.to_ascii_lowercase();
            let carried = HEADER_PREFIXES.iter().find_map(|prefix| lower.strip_prefix(prefix));
            match carried {
                Some(name) => Some(name.to_owned()),
                None if lower == "content-type" => None,
                None => (plain && is_attribute_name(name)).then(|| name.to_owned()),
            }
        });
    }
}

/// Whether a payload describes a whole CloudEvent. One with references that lead nowhere does not:
/// whoever copies it tells them.
pub(super) fn is_described(library: &Library, payload: &Location, generation: Generation) -> bool {
    ObjectSchema::read(library, payload, generation).is_ok_and(|whole| whole.is_envelope())
}

/// An object schema with all that it takes in by `$ref` and `allOf`.
#[derive(Default)]
struct ObjectSchema {
    properties: BTreeMap<String, Vec<Location>>,
    required: BTreeMap<String, Location>,
    closed: Vec<ClosedPart>,
    /// The one `type` that it fixes.
    fixed_type: Option<String>,
}

impl ObjectSchema {
    fn read(library: &Library, at: &Location, generation: Generation) -> Result<Self, Diagnostic> {
        let mut read = Self::default();
        let mut open = vec![at.clone()];
        let mut seen = 0;
        let mut evaluated = Vec::new();
        while let Some(part) = open.pop() {
            seen += 1;
            if seen > MAX_SCHEMAS {
                return Err(library.mistake(at, "`allOf` refers to itself"));
            }
            let part = enter(library, part, generation)?;
            let Some(object) = library.value(&part).and_then(Value::as_object) else { continue };
            read.part(object, &part);
            if object.get("unevaluatedProperties") == Some(&Value::Bool(false)) {
                evaluated.push(part.child("unevaluatedProperties"));
            }
            if let Some(Value::Array(parts)) = object.get("allOf") {
                let child = |index: usize| part.child("allOf").child(&index.to_string());
                open.extend((0..parts.len()).rev().map(child));
            }
        }
        for at in evaluated {
            let names = read.properties.keys().cloned().collect();
            read.closed.push(ClosedPart { at, names, patterns: Vec::new() });
        }
        let mut of_type = read.properties.get("type").into_iter().flatten();
        let fixed = of_type.find_map(|at| fixed_text(library, at.clone(), generation));
        read.fixed_type = fixed;
        Ok(read)
    }

    fn part(&mut self, object: &serde_json::Map<String, Value>, at: &Location) {
        let members = |keyword: &str| object.get(keyword).and_then(Value::as_object);
        let properties = members("properties");
        for name in properties.into_iter().flat_map(|properties| properties.keys()) {
            let place = at.child("properties").child(name);
            self.properties.entry(name.clone()).or_default().push(place);
        }
        let required = object.get("required").and_then(Value::as_array);
        for (index, name) in required.into_iter().flatten().enumerate() {
            let place = at.child("required").child(&index.to_string());
            let Some(name) = name.as_str() else { continue };
            self.required.entry(name.to_owned()).or_insert(place);
        }
        if object.get("additionalProperties") == Some(&Value::Bool(false)) {
            let names =
                |keyword| members(keyword).into_iter().flat_map(|known| known.keys().cloned());
            self.closed.push(ClosedPart {
                at: at.child("additionalProperties"),
                names: names("properties").collect(),
                patterns: names("patternProperties").collect(),
            });
        }
    }

    /// Whether a payload describes a CloudEvent: it has the four attributes that every event has, or
    /// `specversion` beside the data, or beside the data an `id` and a `type` that it fixes to one
    /// text with a full stop, while all its members could be attributes. An object that merely has a
    /// member `type` or `id` is none.
    fn is_envelope(&self) -> bool {
        let has = |name: &str| self.properties.contains_key(name);
        let data = has("data") || has("data_base64");
        let plain = |name: &String| is_attribute_name(name) || name == "data_base64";
        ENVELOPE.iter().all(|name| has(name))
            || (has("specversion") && data)
            || (data && has("id") && self.names_type() && self.properties.keys().all(plain))
    }

    /// Whether headers without a prefix are those of a CloudEvent, as MQTT has them.
    fn has_attributes(&self) -> bool {
        let has = |name: &str| self.properties.contains_key(name);
        (has("specversion") && has("type")) || (self.names_type() && (has("id") || has("source")))
    }

    fn names_type(&self) -> bool {
        self.fixed_type.as_deref().is_some_and(|fixed| fixed.contains('.'))
    }
}

/// The headers of a message and of its traits.
fn headers(library: &Library, definition: &Definition) -> Vec<Location> {
    let traits = library.value(&definition.at).and_then(|message| message.get("traits"));
    let count = traits.and_then(Value::as_array).map_or(0, Vec::len);
    let of_trait = |index: usize| {
        let place = definition.at.child("traits").child(&index.to_string());
        library.settle(place).ok()
    };
    let layers = (0..count).filter_map(of_trait).chain([definition.at.clone()]);
    let headers = layers.map(|at| at.child("headers"));
    headers.filter(|at| library.value(at).is_some()).collect()
}

/// Follows references, and steps into a Multi Format Schema Object of version 3.
fn enter(library: &Library, at: Location, generation: Generation) -> Result<Location, Diagnostic> {
    let at = library.settle(at)?;
    let is_there = |member: &str| library.value(&at.child(member)).is_some();
    if generation == Generation::Three && is_there("schemaFormat") && is_there("schema") {
        return library.settle(at.child("schema"));
    }
    Ok(at)
}

/// The one text that a schema allows, by `const` or by an `enum` of one value.
pub(super) fn fixed_text(
    library: &Library,
    at: Location,
    generation: Generation,
) -> Option<String> {
    let mut open = vec![at];
    for _ in 0..MAX_PARTS {
        let at = enter(library, open.pop()?, generation).ok()?;
        let Some(schema) = library.value(&at).and_then(Value::as_object) else { continue };
        let listed = schema.get("enum").and_then(Value::as_array);
        let only = listed.and_then(|values| if let [one] = &values[..] { Some(one) } else { None });
        if let Some(fixed) = schema.get("const").or(only) {
            return fixed.as_str().map(str::to_owned);
        }
        let parts = schema.get("allOf").and_then(Value::as_array).map_or(0, Vec::len);
        open.extend((0..parts).rev().map(|index| at.child("allOf").child(&index.to_string())));
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::contract::Catalog;

    const HEAD: &str = "asyncapi: 3.0.0
info: { title: T, version: 1.0.0 }
channels:
  c:
    messages:
      A.B:
        payload: ";

    fn is_envelope(payload: &str) -> bool {
        let text = format!("{HEAD}{payload}\n");
        let catalog = Catalog::load(&BTreeMap::from([("payments.yaml".to_owned(), text)]));
        let message = catalog.message("payments.yaml", "A.B").unwrap();
        message.envelope().is_some()
    }

    #[test]
    fn a_payload_is_an_envelope_only_if_it_describes_a_whole_event() {
        for payload in [
            "{ properties: { specversion: true, type: true, source: true, id: true, data: true } }",
            "{ properties: { specversion: { const: '1.0' }, data: true } }",
            "{ properties: { type: { const: com.x.v1 }, id: { format: uuid }, correlationid: true, data: true } }",
            "{ properties: { type: { enum: [com.x.v1] }, id: true, data: true } }",
            "{ allOf: [ { properties: { type: { allOf: [ { const: com.x.v1 } ] }, id: true } }, { properties: { data: true } } ] }",
        ] {
            assert!(is_envelope(payload), "{payload}");
        }
        for payload in [
            "{ properties: { type: { const: card }, id: true, data: true } }",
            "{ properties: { type: { type: string }, id: true, data: true } }",
            "{ properties: { type: { const: com.x.v1 }, id: true } }",
            "{ properties: { type: { const: com.x.v1 }, id: true, data: true, orderId: true } }",
            "{ properties: { id: true, source: true, type: true } }",
            "{ properties: { data: true } }",
            "true",
        ] {
            assert!(!is_envelope(payload), "{payload}");
        }
    }

    proptest! {
        #[test]
        fn a_payload_of_any_names_is_read_without_a_panic(
            names in proptest::collection::btree_set("[a-zA-Z_]{1,12}|type|id|data|specversion|source", 0..8),
            text in "[a-z.]{0,8}",
        ) {
            let member = |name: &String| format!("{name}: {{ const: '{text}' }}");
            let members: Vec<String> = names.iter().map(member).collect();
            let text = format!("{HEAD}{{ properties: {{ {} }} }}\n", members.join(", "));
            let _ = Catalog::load(&BTreeMap::from([("x.yaml".to_owned(), text)]));
        }
    }
}
