//! What a message demands of the attributes of its CloudEvents, compiled.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::contract::bundle::ContractBundle;
use crate::contract::dialect::Dialect;
use crate::contract::effort;
use crate::contract::envelope::{ClosedPart, EnvelopeOutline, fixed_text};
use crate::contract::fields::Generation;
use crate::contract::reference::{Library, Location};
use crate::contract::rules::{ContractMistake, Rules};
use crate::event::{AttributeValue, Diagnostic, EventSource, EventType, is_attribute_name};

/// What a message demands of the CloudEvents that carry it.
pub(super) struct EnvelopeRules {
    attributes: BTreeMap<String, AttributeRules>,
    required: BTreeMap<String, Diagnostic>,
    closed: Vec<ClosedRules>,
    event_type: Option<EventType>,
    source: Option<EventSource>,
}

/// What it demands of one attribute.
struct AttributeRules {
    rules: Vec<Rules>,
    /// A mistake at its place that says nothing yet.
    place: Diagnostic,
}

/// Which names it lets attributes have.
struct ClosedRules {
    names: Rules,
    place: Diagnostic,
}

impl EnvelopeRules {
    /// Compiles what a message says of attributes, in its payload or beside it.
    pub(super) fn compile(
        library: &Library,
        payload: &Location,
        generation: Generation,
        format: Option<Dialect>,
        outline: EnvelopeOutline,
    ) -> Result<Self, Vec<Diagnostic>> {
        let fixed = |name: &str| {
            let places = outline.attributes.get(name).into_iter().flatten();
            let mut texts = places.filter_map(|at| {
                Some((fixed_text(library, at.clone(), generation)?, library.mistake(at, "")))
            });
            texts.next()
        };
        let event_type = parsed(fixed("type"), EventType::new).map_err(|one| vec![one])?;
        let source = parsed(fixed("source"), EventSource::new).map_err(|one| vec![one])?;
        let mut attributes = BTreeMap::new();
        for (name, places) in &outline.attributes {
            if let Some(first) = places.first()
                && is_attribute_name(name)
                && name != "data"
            {
                let compile = |at| {
                    let bundle = ContractBundle::of_part(library, payload, at, generation, format)?;
                    rules(library, at, &bundle).map_err(|one| vec![one])
                };
                let rules = places.iter().map(compile);
                let rules = rules.collect::<Result<_, _>>()?;
                let place = library.mistake(first, "");
                attributes.insert(name.clone(), AttributeRules { rules, place });
            }
        }
        let place = |(name, at): (String, Location)| (name, library.mistake(&at, ""));
        let required = outline.required.into_iter().map(place).collect();
        let closed = outline.closed.iter().map(|part| closed(library, part));
        let closed = closed.collect::<Result<_, _>>().map_err(|one| vec![one])?;
        Ok(Self { attributes, required, closed, event_type, source })
    }

    /// The CloudEvents `type`, where the message fixes it.
    pub(super) const fn event_type(&self) -> Option<&EventType> {
        self.event_type.as_ref()
    }

    /// The CloudEvents `source`, where the message fixes it.
    pub(super) const fn source(&self) -> Option<&EventSource> {
        self.source.as_ref()
    }

    /// The attributes that have to be there.
    pub(super) fn required(&self) -> impl Iterator<Item = &str> {
        self.required.keys().map(String::as_str)
    }

    /// How the value of an attribute breaks its rules: the first of them in words, no value in it.
    pub(super) fn breach(&self, name: &str, value: &Value) -> Option<String> {
        let rules = self.attributes.get(name)?.rules.iter().find(|rules| !rules.accept(value))?;
        let mut violations = Vec::new();
        rules.explain(value, &mut violations);
        let first = violations.into_iter().next();
        Some(first.map_or_else(|| "is not what the contract allows".to_owned(), |one| one.message))
    }

    /// The value of an extension attribute in the type that the message gives it: text, unless only a
    /// number or a boolean keeps its rules.
    pub(super) fn value_of(&self, name: &str, value: &Value) -> Result<AttributeValue, String> {
        let as_text = text_of(value);
        let Some(breach) = self.breach(name, &as_text.to_json()) else { return Ok(as_text) };
        if value.is_string() {
            return Err(breach);
        }
        match (self.breach(name, value), AttributeValue::of_json(value)) {
            (Some(breach), _) => Err(breach),
            (None, Some(typed)) => Ok(typed),
            (None, None) => Err("must be a whole number of 32 bits to be no text".to_owned()),
        }
    }

    /// The closed parts that let no attribute of a name be there.
    pub(super) fn closed_to<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a Diagnostic> {
        let name = Value::from(name);
        let refusing = self.closed.iter().filter(move |closed| !closed.names.accept(&name));
        refusing.map(|closed| &closed.place)
    }

    /// A mistake where the message describes an attribute, or demands it.
    pub(super) fn mistake(&self, name: &str, problem: String) -> Option<Diagnostic> {
        let described = self.attributes.get(name).map(|attribute| &attribute.place);
        let place = described.or_else(|| self.required.get(name))?;
        Some(Diagnostic { problem, ..place.clone() })
    }

    /// A mistake where the message demands an attribute.
    pub(super) fn demand(&self, name: &str, problem: String) -> Option<Diagnostic> {
        Some(Diagnostic { problem, ..self.required.get(name)?.clone() })
    }
}

/// The value of an attribute as text.
pub(super) fn text_of(value: &Value) -> AttributeValue {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    AttributeValue::Text(text.into())
}

fn parsed<T, E: std::error::Error>(
    fixed: Option<(String, Diagnostic)>,
    parse: impl Fn(&str) -> Result<T, E>,
) -> Result<Option<T>, Diagnostic> {
    let Some((text, place)) = fixed else { return Ok(None) };
    let mistake = |error: E| Diagnostic { problem: error.to_string(), ..place };
    parse(&text).map(Some).map_err(mistake)
}

/// Compiles the schema of one attribute.
fn rules(library: &Library, at: &Location, bundle: &ContractBundle) -> Result<Rules, Diagnostic> {
    let mistake = |mistake: ContractMistake| {
        let place = bundle.origin(&mistake.pointer).unwrap_or_else(|| at.clone());
        let problem = format!("the schema of an attribute: {}", mistake.problem);
        library.mistake(&place, problem).with_help(mistake.help.unwrap_or_default())
    };
    let rules = Rules::compile(&bundle.refined()).map_err(mistake)?;
    let endless = |problem| mistake(ContractMistake::new("", problem));
    effort::check(&rules.shapes()).map_err(endless)?;
    Ok(rules)
}

/// Compiles which names a closed part lets members have.
fn closed(library: &Library, part: &ClosedPart) -> Result<ClosedRules, Diagnostic> {
    let names: Vec<&String> = part.names.iter().collect();
    let patterns = part.patterns.iter().map(|pattern| json!({ "pattern": pattern }));
    let known = if names.is_empty() { json!(false) } else { json!({ "enum": names }) };
    let either: Vec<Value> = patterns.chain([known]).collect();
    let names = Rules::compile(&json!({ "anyOf": either })).map_err(|mistake| {
        library.mistake(&part.at, format!("names of attributes: {}", mistake.problem))
    })?;
    Ok(ClosedRules { names, place: library.mistake(&part.at, "") })
}
