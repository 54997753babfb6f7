//! One message of a contract, compiled: what an event's data has to look like.

use std::fmt;
use std::sync::Arc;

use serde_json::Value;

use crate::contract::attribute_rules::EnvelopeRules;
use crate::contract::bundle::ContractBundle;
use crate::contract::closing;
use crate::contract::collector::dialect_at;
use crate::contract::dialect::Dialect;
use crate::contract::effort;
use crate::contract::envelope::EnvelopeOutline;
use crate::contract::examples::{self, Example, WrittenExample};
use crate::contract::fields::Generation;
use crate::contract::outline::Definition;
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
    shapes: Arc<Shapes>,
    envelope: Option<EnvelopeRules>,
}

impl Message {
    /// What the contract calls it: its `name`, in AsyncAPI 2 its `messageId`, or its key. Several
    /// messages may be called alike.
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

    /// Its own version (`x-version`), or that of its contract (`info.version`).
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

/// What all messages of a document share.
#[derive(Clone, Copy)]
pub(super) struct Surroundings<'a> {
    pub(super) library: &'a Library,
    pub(super) generation: Generation,
    /// The version of the contract.
    pub(super) version: &'a Arc<str>,
    /// The content type of messages that have none of their own.
    pub(super) content_type: Option<&'a Location>,
}

/// Compiles a definition and holds its examples against it. It is nothing if one of the `mistakes`
/// is an error: what a contract says of a message has to be right before events may cross as it.
pub(super) fn compile(
    surroundings: Surroundings<'_>,
    definition: &Definition,
    mistakes: &mut Vec<Diagnostic>,
) -> Option<Message> {
    let library = surroundings.library;
    let name = definition.identity.label(surroundings.generation);
    mistakes.extend(check_media(surroundings, definition).err());
    let version = version(surroundings, definition).unwrap_or_else(|mistake| {
        mistakes.push(mistake);
        Arc::clone(surroundings.version)
    });
    let Compiled { bundle, rules, shapes, envelope } = match payload(surroundings, definition, name)
    {
        Ok(compiled) => compiled,
        Err(mut found) => {
            mistakes.append(&mut found);
            return None;
        }
    };
    let unasserted = bundle.unasserted(library);
    let text = |field: &str| definition.fields.text(field).map(str::to_owned);
    let mut message = Message {
        name: name.to_owned(),
        title: text("title"),
        summary: text("summary"),
        description: text("description"),
        channels: definition.identity.addresses().to_vec(),
        action: definition.action,
        version,
        place: library.place(&definition.at),
        examples: Vec::new(),
        open: bundle.served(),
        schema: bundle.schema,
        rules,
        shapes,
        envelope,
    };
    mistakes.extend(unasserted);
    for written in examples::written(library, &definition.fields, bundle.envelope, mistakes) {
        hold(library, &message, &written, mistakes);
        message.examples.push(written.example);
    }
    let is_right = !mistakes.iter().any(Diagnostic::is_error);
    is_right.then_some(message)
}

/// The schema of a payload, and the engines that hold events against it.
struct Compiled {
    bundle: ContractBundle,
    rules: Rules,
    shapes: Arc<Shapes>,
    envelope: Option<EnvelopeRules>,
}

/// Compiles the payload.
fn payload(
    surroundings: Surroundings<'_>,
    definition: &Definition,
    name: &str,
) -> Result<Compiled, Vec<Diagnostic>> {
    let Surroundings { library, generation, .. } = surroundings;
    let (payload, format) =
        payload_place(library, generation, definition).map_err(|one| vec![one])?;
    let bundle = ContractBundle::of(library, &payload, generation, format)?;
    let (rules, shapes) = engines(&bundle.refined()).map_err(|mistake| {
        let at = bundle.origin(&mistake.pointer).unwrap_or_else(|| payload.clone());
        let problem = format!("the schema of `{name}`: {}", mistake.problem);
        vec![library.mistake(&at, problem).with_help(mistake.help.unwrap_or_default())]
    })?;
    let outline = EnvelopeOutline::read(library, definition, &payload, generation);
    let compile = |outline| EnvelopeRules::compile(library, &payload, generation, format, outline);
    let envelope = outline.map(compile).transpose()?;
    Ok(Compiled { bundle, rules, shapes, envelope })
}

fn engines(schema: &Value) -> Result<(Rules, Arc<Shapes>), ContractMistake> {
    let rules = Rules::compile(schema)?;
    let shapes = rules.shapes();
    effort::check(&shapes).map_err(|problem| ContractMistake::new("", problem))?;
    Ok((rules, shapes))
}

/// Only JSON can be checked and sealed.
fn check_media(surroundings: Surroundings<'_>, definition: &Definition) -> Result<(), Diagnostic> {
    let Surroundings { library, content_type, .. } = surroundings;
    let inherited = || Some((library.value(content_type?)?, content_type?));
    let own = definition.fields.get("contentType");
    let Some((value, at)) = own.or_else(inherited) else { return Ok(()) };
    let help = "events cross as `application/json`";
    let Some(text) = value.as_str() else {
        return Err(library.mistake(at, "a content type is a text").with_help(help));
    };
    let text = text.to_ascii_lowercase();
    let media = text.split(';').next().unwrap_or_default().trim();
    if media == "application/json" || media.ends_with("+json") {
        return Ok(());
    }
    let mistake = if own.is_some() {
        library.mistake(at, format!("`{media}` cannot cross"))
    } else {
        let problem = format!("`{media}` cannot cross; `defaultContentType` says it");
        library.mistake(&definition.at, problem)
    };
    Err(mistake.with_help(help))
}

/// The message's own version, or its contract's.
fn version(
    surroundings: Surroundings<'_>,
    definition: &Definition,
) -> Result<Arc<str>, Diagnostic> {
    let Some((value, at)) = definition.fields.get("x-version") else {
        return Ok(Arc::clone(surroundings.version));
    };
    match value.as_str() {
        Some(text) if !text.trim().is_empty() => Ok(Arc::from(text)),
        _ => {
            let help = "numbers such as 1.0 are quoted to be a text";
            Err(surroundings.library.mistake(at, "`x-version` is not a text").with_help(help))
        }
    }
}

/// Finds the payload's schema, and the dialect that its format names.
fn payload_place(
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

/// Holds an example against its message.
fn hold(
    library: &Library,
    message: &Message,
    written: &WrittenExample,
    mistakes: &mut Vec<Diagnostic>,
) {
    let within = |pointer: &str| Location {
        pointer: written.at.pointer.clone() + pointer,
        ..written.at.clone()
    };
    // An event crosses with other texts of its numbers, or not at all.
    let violations = match as_crossed(&written.example.data) {
        Ok(crossed) => message.check(&crossed),
        Err(CrossingFault { pointer, problem }) => {
            let problem = format!("an example that cannot cross: here is {problem}");
            return mistakes.push(library.mistake(&within(&pointer), problem));
        }
    };
    for violation in violations {
        let problem = format!("an example that breaks its message: {}", violation.message);
        let help = match &*violation.code {
            "additional-property" => "declare the member in the payload, or leave it out",
            _ => "change the example or the payload",
        };
        mistakes.push(library.mistake(&within(&violation.pointer), problem).with_help(help));
    }
}
