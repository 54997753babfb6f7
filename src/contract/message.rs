//! One message of a contract, compiled: what an event's data has to look like.

use std::fmt;
use std::sync::Arc;

use serde_json::Value;

use crate::contract::bundle::ContractBundle;
use crate::contract::closing;
use crate::contract::collector::dialect_at;
use crate::contract::dialect::Dialect;
use crate::contract::effort;
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

    /// The data's JSON Schema in the normal form: the words of 2020-12, whatever the contract wrote,
    /// with nothing outside of it.
    pub const fn schema(&self) -> &Value {
        &self.schema
    }

    /// The same for consumers, who ignore what they do not know: objects are left open wherever
    /// that cannot change which alternative of the contract applies. It is draft-07 where that has
    /// the words and the contract is not newer.
    pub const fn schema_json(&self) -> &Value {
        &self.open
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

    /// Tells whether data keeps the schema itself, whatever closing says of it.
    #[cfg(test)]
    pub(super) fn keeps(&self, data: &Value) -> bool {
        self.rules.accept(data)
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
        .map_err(|mistake| vec![mistake])
        .and_then(|(payload, format)| {
            let bundle = ContractBundle::of(library, &payload, generation, format)?;
            let (rules, shapes) = engines(&bundle.refined()).map_err(|mistake| {
                let at = bundle.origin(&mistake.pointer).unwrap_or_else(|| payload.clone());
                let problem = format!("the schema of `{name}`: {}", mistake.problem);
                let mistake = library.mistake(&at, problem);
                vec![match at.name().as_str() {
                    "pattern" | "patternProperties" => mistake.with_help(
                        "patterns take linear time: they have no look-around and no \
                         back-references",
                    ),
                    _ => mistake,
                }]
            })?;
            Ok((bundle, rules, shapes))
        });
    let (bundle, rules, shapes) = match compiled {
        Ok(compiled) => compiled,
        Err(mut found) => {
            mistakes.append(&mut found);
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
        open: bundle.served(),
        schema: bundle.schema,
        rules,
        shapes,
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

/// Finds the payload's schema, and the dialect that its format names.
fn payload(
    library: &Library,
    generation: Generation,
    definition: &Definition,
) -> Result<(Location, Option<Dialect>), Diagnostic> {
    let format = match (generation, definition.fields.get("schemaFormat")) {
        (Generation::Two, Some((_, at))) => dialect_at(library, at)?,
        _ => None,
    };
    let payload = definition.at.child("payload");
    if library.value(&payload).is_some() {
        return Ok((payload, format));
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
