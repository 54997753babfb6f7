//! One message of a contract, compiled: what an event's data has to look like.

use std::fmt;
use std::sync::Arc;

use serde_json::Value;

use crate::contract::attribute_rules::EnvelopeRules;
use crate::contract::bundle::{ContractBundle, check_format};
use crate::contract::closing;
use crate::contract::effort;
use crate::contract::envelope::EnvelopeOutline;
use crate::contract::outline::{Definition, Generation};
use crate::contract::reference::{Library, Location};
use crate::contract::rules::{ContractMistake, Rules};
use crate::contract::shape::Shapes;
use crate::contract::usage::ChannelAction;
use crate::enrich::{CrossingFault, as_crossed};
use crate::event::{Diagnostic, Violation};

/// A message that a contract describes.
pub struct Message {
    name: String,
    title: Option<String>,
    summary: Option<String>,
    description: Option<String>,
    channels: Vec<String>,
    action: Option<ChannelAction>,
    version: Arc<str>,
    place: (usize, usize),
    examples: Vec<Example>,
    schema: Value,
    open: Value,
    rules: Rules,
    shapes: Shapes,
    envelope: Option<EnvelopeRules>,
}

/// An example that a contract gives, already held against its message.
#[derive(Clone, Debug, PartialEq)]
pub struct Example {
    /// What the contract calls it.
    pub name: Option<String>,
    /// Data as it crosses.
    pub data: Value,
}

impl Message {
    /// The name of the event, by custom `Entity.Event`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A heading for people.
    pub fn title(&self) -> Option<&str> {
        self.title.as_deref()
    }

    /// What it is, in a line.
    pub fn summary(&self) -> Option<&str> {
        self.summary.as_deref()
    }

    /// What it is, at length, in CommonMark.
    pub fn description(&self) -> Option<&str> {
        self.description.as_deref()
    }

    /// The addresses of the channels that carry it.
    pub fn channels(&self) -> &[String] {
        &self.channels
    }

    /// What the contract's application does with it; nothing if no operation says.
    pub const fn action(&self) -> Option<ChannelAction> {
        self.action
    }

    /// The version of the contract that it stands in (`info.version`).
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Line and column of the message in its file, from 1.
    pub const fn place(&self) -> (usize, usize) {
        self.place
    }

    /// The contract's examples.
    pub fn examples(&self) -> &[Example] {
        &self.examples
    }

    /// The data's JSON Schema (draft-07) as the contract writes it, with nothing outside of it.
    pub const fn schema(&self) -> &Value {
        &self.schema
    }

    /// The same for consumers, who ignore what they do not know: objects are left open wherever
    /// that cannot change which alternative of the contract applies.
    pub const fn schema_json(&self) -> &Value {
        &self.open
    }

    /// What it says of the CloudEvent itself, if anything.
    pub(super) const fn envelope(&self) -> Option<&EnvelopeRules> {
        self.envelope.as_ref()
    }

    /// Every way in which data breaks the contract, undeclared members among them; none if it
    /// may cross. Codes are listed in `docs/contracts.md`.
    pub fn check(&self, data: &Value) -> Vec<Violation> {
        let mut violations = Vec::new();
        if !self.rules.accept(data) {
            self.rules.explain(data, &mut violations);
        }
        closing::close(&self.shapes, data, &mut violations);
        violations
    }
}

/// Names the message only: examples and schemas are long.
impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Message({} {})", self.name, self.version)
    }
}

/// Compiles a definition and holds its examples against it.
pub(super) fn compile(
    library: &Library,
    generation: Generation,
    version: &Arc<str>,
    name: &str,
    definition: &Definition,
    mistakes: &mut Vec<Diagnostic>,
) -> Option<Message> {
    let compiled = check_media(library, definition)
        .and_then(|()| payload(library, generation, definition))
        .and_then(|payload| {
            let bundle = ContractBundle::of(library, &payload, generation)?;
            let (rules, shapes) = engines(&bundle.schema).map_err(|mistake| {
                let at = bundle.origin(&mistake.pointer).unwrap_or_else(|| payload.clone());
                library
                    .mistake(&at, format!("the schema of `{name}`: {}", mistake.problem))
                    .with_help(match at.name().as_str() {
                        "pattern" | "patternProperties" => {
                            "patterns take linear time: they have no look-around and no \
                             back-references"
                        }
                        _ => "payloads are JSON Schema draft-07",
                    })
            })?;
            let outline = EnvelopeOutline::read(library, definition, &payload, generation)?;
            let compile = |outline| EnvelopeRules::compile(library, generation, outline);
            Ok((bundle, rules, shapes, outline.map(compile).transpose()?))
        });
    let (bundle, rules, shapes, envelope) = match compiled {
        Ok(compiled) => compiled,
        Err(mistake) => {
            mistakes.push(mistake);
            return None;
        }
    };
    let text = |field: &str| definition.fields.text(field).map(str::to_owned);
    let mut message = Message {
        name: name.to_owned(),
        title: text("title"),
        summary: text("summary"),
        description: text("description"),
        channels: definition.channels.clone(),
        action: definition.action,
        version: Arc::clone(version),
        place: library.place(&definition.at),
        examples: Vec::new(),
        open: opened(&bundle.schema),
        schema: bundle.schema,
        rules,
        shapes,
        envelope,
    };
    message.examples = examples(library, definition, bundle.envelope, &message, mistakes);
    Some(message)
}

fn engines(schema: &Value) -> Result<(Rules, Shapes), ContractMistake> {
    // Shapes come second: the compiler has seen by then that every keyword holds what it takes.
    let rules = Rules::compile(schema)?;
    let shapes = Shapes::of(schema)?;
    let endless = |problem| ContractMistake { pointer: String::new(), problem };
    effort::check(&shapes).map_err(endless)?;
    Ok((rules, shapes))
}

/// Only JSON can be checked and sealed.
fn check_media(library: &Library, definition: &Definition) -> Result<(), Diagnostic> {
    let Some((value, at)) = definition.fields.get("contentType") else { return Ok(()) };
    let text = value.as_str().unwrap_or_default().to_ascii_lowercase();
    let media = text.split(';').next().unwrap_or_default().trim();
    if media == "application/json" || media.ends_with("+json") {
        return Ok(());
    }
    let help = "events cross as `application/json`";
    Err(library.mistake(at, format!("`{media}` cannot cross")).with_help(help))
}

/// Finds the payload's schema and checks its format.
fn payload(
    library: &Library,
    generation: Generation,
    definition: &Definition,
) -> Result<Location, Diagnostic> {
    if let (Generation::Two, Some((_, at))) = (generation, definition.fields.get("schemaFormat")) {
        check_format(library, at)?;
    }
    let payload = definition.at.child("payload");
    if library.value(&payload).is_some() {
        return Ok(payload);
    }
    let help = "describe what crosses: only declared members may";
    Err(library.mistake(&definition.at, "a message without a `payload`").with_help(help))
}

fn examples(
    library: &Library,
    definition: &Definition,
    envelope: bool,
    message: &Message,
    mistakes: &mut Vec<Diagnostic>,
) -> Vec<Example> {
    let mut kept = Vec::new();
    let Some((Value::Array(examples), at)) = definition.fields.get("examples") else { return kept };
    for (index, example) in examples.iter().enumerate() {
        let Some(payload) = example.get("payload") else { continue };
        let mut at = at.child(&index.to_string()).child("payload");
        let mut data = payload;
        if let (true, Some(inner)) = (envelope, payload.get("data")) {
            at = at.child("data");
            data = inner;
        }
        // An event crosses with other texts of its numbers, or not at all.
        let violations = match as_crossed(data) {
            Ok(crossed) => message.check(&crossed),
            Err(CrossingFault { pointer, problem }) => {
                let place = Location { pointer: at.pointer.clone() + &pointer, ..at.clone() };
                let problem = format!("an example that cannot cross: here is {problem}");
                mistakes.push(library.mistake(&place, problem));
                Vec::new()
            }
        };
        for violation in violations {
            let place = Location { pointer: at.pointer.clone() + &violation.pointer, ..at.clone() };
            let problem = format!("an example that breaks its message: {}", violation.message);
            mistakes.push(library.mistake(&place, problem).with_help(match &*violation.code {
                "additional-property" => "declare the member in the payload, or leave it out",
                _ => "change the example or the payload",
            }));
        }
        let name = example.get("name").and_then(Value::as_str).map(str::to_owned);
        kept.push(Example { name, data: data.clone() });
    }
    kept
}

/// The schema with `additionalProperties: false` taken away, unless some part of it counts or
/// negates matches: there, a part that accepts more can make the whole accept less.
fn opened(schema: &Value) -> Value {
    let mut open = schema.clone();
    if !mentions(&open, &["oneOf", "not", "if"]) {
        open_up(&mut open);
    }
    open
}

fn mentions(value: &Value, keywords: &[&str]) -> bool {
    match value {
        Value::Object(object) => object
            .iter()
            .any(|(name, value)| keywords.contains(&name.as_str()) || mentions(value, keywords)),
        Value::Array(items) => items.iter().any(|item| mentions(item, keywords)),
        _ => false,
    }
}

/// Works on schemas only, so that a `const` or an example that looks like one stays as it is.
fn open_up(schema: &mut Value) {
    use crate::contract::keyword::{Holds, holds};

    let Value::Object(object) = schema else { return };
    if object.get("additionalProperties") == Some(&Value::Bool(false)) {
        object.remove("additionalProperties");
    }
    for (keyword, value) in object {
        match (holds(keyword), value) {
            (Holds::Other, _) => {}
            (Holds::Schema, value) => open_up(value),
            (_, Value::Array(items)) => items.iter_mut().for_each(open_up),
            (Holds::SchemaOrList, value) => open_up(value),
            (_, Value::Object(members)) => {
                members.iter_mut().for_each(|(_, member)| open_up(member));
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_schema_is_opened_only_where_that_accepts_more() {
        let closed = json!({
            "additionalProperties": false,
            "properties": {"a": {"additionalProperties": false}, "b": {"const": {"additionalProperties": false}}},
            "definitions": {"d": {"items": [{"additionalProperties": false}], "additionalProperties": true}}
        });
        let exclusive = json!({"oneOf": [closed]});

        assert_eq!(
            opened(&closed),
            json!({
                "properties": {"a": {}, "b": {"const": {"additionalProperties": false}}},
                "definitions": {"d": {"items": [{}], "additionalProperties": true}}
            })
        );
        assert_eq!(opened(&exclusive), exclusive);
    }
}
