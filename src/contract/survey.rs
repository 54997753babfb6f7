//! Looks over a whole document for what is wrong around its messages: references that lead nowhere,
//! fields that AsyncAPI does not know, null in place of a text.

use std::collections::HashSet;

use serde_json::{Map, Value};

use crate::contract::anatomy::{Field, FieldContent, Kind, fields};
use crate::contract::fields::Generation;
use crate::contract::reference::{Library, Location};
use crate::contract::survey_rules as rules;
use crate::contract::survey_schema;
use crate::event::{Diagnostic, nearest};

/// Objects of one document, those in files that it refers to included.
const MAX_OBJECTS: usize = 50_000;

/// Remarks about one document; nobody reads more.
const MAX_REMARKS: usize = 200;

/// Field names that are told where none is near.
const SHOWN: usize = 20;

/// Everything that is wrong around the messages of a document.
pub(super) fn of(library: &Library, root: &Location, generation: Generation) -> Vec<Diagnostic> {
    let mut survey = Survey {
        library,
        generation,
        root,
        seen: HashSet::new(),
        open: vec![(root.clone(), Kind::Document)],
        remarks: Vec::new(),
    };
    while let Some((at, kind)) = survey.open.pop() {
        if survey.seen.len() >= MAX_OBJECTS || survey.remarks.len() >= MAX_REMARKS {
            break;
        }
        if survey.seen.insert((at.clone(), kind)) {
            survey.visit(&at, kind);
        }
    }
    rules::parameters(library, root, generation, &mut survey.remarks);
    survey.remarks.truncate(MAX_REMARKS);
    survey.remarks
}

struct Survey<'a> {
    library: &'a Library,
    generation: Generation,
    root: &'a Location,
    seen: HashSet<(Location, Kind)>,
    open: Vec<(Location, Kind)>,
    remarks: Vec<Diagnostic>,
}

impl Survey<'_> {
    fn visit(&mut self, at: &Location, kind: Kind) {
        let library = self.library;
        if matches!(kind, Kind::Schema | Kind::Payload | Kind::Bindings) {
            return survey_schema::visit(library, at, kind, &mut self.remarks);
        }
        let Some(Value::Object(object)) = library.value(at) else {
            return self.remarks.push(library.mistake(at, "not an object"));
        };
        if object.contains_key("$ref") {
            match library.settle(at.clone()) {
                Ok(target)
                    if kind == Kind::SecurityScheme && !rules::is_scheme(library, &target) =>
                {
                    let problem = "`$ref` does not lead to a security scheme";
                    let help = "refer to one below `components.securitySchemes`";
                    let mistake = library.mistake(&at.child("$ref"), problem);
                    self.remarks.push(mistake.with_help(help));
                }
                Ok(target) => self.open.push((target, kind)),
                Err(mistake) => self.remarks.push(mistake),
            }
            // Only a channel of version 2 may say more beside its reference.
            if (kind, self.generation) != (Kind::Channel, Generation::Two) {
                return;
            }
        }
        match kind {
            Kind::Requirement => {
                rules::requirement(library, self.root, at, object, &mut self.remarks);
            }
            Kind::Message if is_choice(object) => {
                self.content(&at.child("oneOf"), FieldContent::List(Kind::Message), false);
            }
            Kind::Reply => rules::reply(library, self.root, at, &mut self.remarks),
            Kind::SecurityScheme if !rules::is_scheme(library, at) => {
                return self.remarks.push(rules::no_scheme(library, at));
            }
            _ => {}
        }
        if kind != Kind::Requirement && !(kind == Kind::Message && is_choice(object)) {
            self.fields(at, kind, object);
        }
    }

    fn fields(&mut self, at: &Location, kind: Kind, object: &Map<String, Value>) {
        let known = fields(kind, self.generation);
        // In version 2, a trait takes a field away by null.
        let may_be_null = matches!(kind, Kind::MessageTrait | Kind::OperationTrait);
        for name in object.keys().filter(|name| !name.starts_with("x-") && *name != "$ref") {
            let place = at.child(name);
            match known.iter().find(|(known, _)| known == name) {
                None => self.remarks.push(unknown(self.library, &place, name, known)),
                // Its format says whether it is a schema.
                Some((_, FieldContent::One(Kind::Payload))) if has_foreign_format(object) => {}
                Some((_, content)) => self.content(&place, *content, may_be_null),
            }
        }
    }

    fn content(&mut self, at: &Location, content: FieldContent, may_be_null: bool) {
        let library = self.library;
        let Some(value) = library.value(at) else { return };
        if value.is_null() {
            let is_fine =
                may_be_null || matches!(content, FieldContent::Nullable | FieldContent::Values);
            if !is_fine && content != FieldContent::One(Kind::Payload) {
                self.remarks.push(null(library, at, content));
            }
            return;
        }
        match (content, value) {
            (FieldContent::Values, _)
            | (FieldContent::Text | FieldContent::Nullable, Value::String(_)) => {}
            (FieldContent::Text | FieldContent::Nullable, _) => {
                let help = "write it in quotes";
                let mistake = library.mistake(at, format!("`{}` is not a text", at.name()));
                self.remarks.push(mistake.with_help(help));
            }
            (FieldContent::One(kind), _) => self.open.push((at.clone(), kind)),
            (FieldContent::Map(kind), Value::Object(members)) => {
                self.open.extend(members.keys().map(|key| (at.child(key), kind)));
            }
            (FieldContent::List(kind), Value::Array(items)) => {
                let item = |index: usize| (at.child(&index.to_string()), kind);
                self.open.extend((0..items.len()).map(item));
            }
            (FieldContent::Map(_), _) => {
                let problem = format!("`{}` is not an object", at.name());
                self.remarks.push(library.mistake(at, problem));
            }
            (FieldContent::List(_), _) => {
                let problem = format!("`{}` is not a list", at.name());
                self.remarks.push(library.mistake(at, problem));
            }
        }
    }
}

/// In version 2, an operation may have a list of messages in place of one.
fn is_choice(object: &Map<String, Value>) -> bool {
    object.get("oneOf").is_some_and(Value::is_array) && object.len() == 1
}

fn has_foreign_format(message: &Map<String, Value>) -> bool {
    let format = message.get("schemaFormat").and_then(Value::as_str);
    format.is_some_and(survey_schema::is_foreign)
}

fn null(library: &Library, at: &Location, content: FieldContent) -> Diagnostic {
    let what = match content {
        FieldContent::List(_) => "a list",
        FieldContent::One(_) | FieldContent::Map(_) => "an object",
        _ => "a text",
    };
    let problem = format!("`{}` is null, where {what} belongs", at.name());
    library.mistake(at, problem).with_help("leave it out, or fill it in")
}

fn unknown(library: &Library, at: &Location, name: &str, known: &[Field]) -> Diagnostic {
    let meant = nearest(name, known.iter().map(|(known, _)| *known));
    let help = meant.map_or_else(
        || {
            let names: Vec<&str> = known.iter().map(|(name, _)| *name).take(SHOWN).collect();
            format!("known here: {}; names of your own begin with `x-`", names.join(", "))
        },
        |meant| format!("did you mean `{meant}`?"),
    );
    library.mistake(at, format!("AsyncAPI knows no `{name}` here")).with_help(help)
}
