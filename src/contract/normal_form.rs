//! Copies schemas of any dialect into the words of JSON Schema 2020-12.
//!
//! What reads schemas after this file knows one dialect. Definitions stand at the root, every
//! reference leads to one of them, and what stands beside a reference applies, too.

use serde_json::{Map, Value, json};

use crate::contract::collector::{Collector, SchemaScope, Target};
use crate::contract::copied::{Copied, in_all_of};
use crate::contract::dialect::Dialect;
use crate::contract::format::TEXT_FORMATS;
use crate::contract::keyword::{Holds, KeywordStanding, holds, standing};
use crate::contract::pointer;
use crate::contract::reference::Location;
use crate::event::Diagnostic;

/// Schemas that one payload may consist of, definitions included.
const MAX_SCHEMAS: usize = 5_000;

/// Nesting of one schema between references.
const MAX_DEPTH: usize = 64;

/// Words that no schema of the normal form has: they name places, and all references are resolved.
const NAMES: [&str; 9] = [
    "$schema",
    "$id",
    "$anchor",
    "$dynamicAnchor",
    "$recursiveAnchor",
    "$vocabulary",
    "$defs",
    "definitions",
    "id",
];

impl<'a> Collector<'a> {
    /// Copies one schema to the pointer `to`; mistakes in it are noted.
    ///
    /// # Errors
    ///
    /// The caller's turn: there is too much of it.
    pub(super) fn copy(
        &mut self,
        at: &Location,
        to: &str,
        depth: usize,
        scope: &SchemaScope,
    ) -> Result<Value, Diagnostic> {
        self.schemas += 1;
        if depth > MAX_DEPTH || self.schemas > MAX_SCHEMAS {
            let problem = format!(
                "a payload of more than {MAX_SCHEMAS} schemas, or nested more than {MAX_DEPTH} deep"
            );
            return Err(self.library.mistake(at, problem));
        }
        let object = match self.library.value(at) {
            Some(Value::Object(object)) => object,
            Some(value @ Value::Bool(_)) => return Ok(value.clone()),
            _ => {
                self.mistake(at, "a schema is an object, `true` or `false`", "");
                return Ok(Value::Bool(true));
            }
        };
        self.origins.insert(to.to_owned(), at.clone());
        let scope = self.inside(at, scope);
        if scope.dialect.ignores_siblings() && object.contains_key("$ref") {
            self.note_siblings(at, object, scope.dialect);
            let mut copy = Map::new();
            self.refer(&mut copy, at, "$ref", object, &scope);
            return Ok(Value::Object(copy));
        }
        let schema = Copied { at: at.clone(), to: to.to_owned(), object, scope, depth };
        let mut copy = Map::new();
        for (keyword, value) in object {
            self.keyword(&mut copy, &schema, keyword, value)?;
        }
        self.admit_null(&mut copy, &schema);
        self.discriminate(&mut copy, at, object, &schema.scope);
        Ok(Value::Object(copy))
    }

    /// Notes the words beside a reference that would demand something in a newer dialect.
    fn note_siblings(&mut self, at: &Location, object: &Map<String, Value>, dialect: Dialect) {
        let asserts = |word: &str| {
            let named = word == "$ref" || NAMES.contains(&word);
            !named && !matches!(standing(word, dialect), KeywordStanding::Annotation)
        };
        for word in object.keys().filter(|word| asserts(word)) {
            self.unasserted.push((format!("`{word}` beside `$ref`"), at.child(word)));
        }
    }

    fn keyword(
        &mut self,
        copy: &mut Map<String, Value>,
        schema: &Copied<'a>,
        keyword: &'a str,
        value: &'a Value,
    ) -> Result<(), Diagnostic> {
        let at = schema.at.child(keyword);
        let dialect = schema.scope.dialect;
        if !self.is_known(&at, keyword, dialect) {
            return Ok(());
        }
        match keyword {
            // Both are settled once the whole schema is there.
            "nullable" | "discriminator" => {}
            _ if NAMES.contains(&keyword) => {}
            // Says nothing, and is warned of.
            "title" | "description" | "$comment" if value.is_null() => {}
            "$ref" | "$dynamicRef" | "$recursiveRef" => {
                self.refer(copy, &schema.at, keyword, schema.object, &schema.scope);
            }
            "items" if value.is_array() => self.items_of_old(copy, schema, &at, value)?,
            "additionalItems" => self.additional_items(copy, schema, &at)?,
            "dependencies" => self.dependencies(copy, schema, &at, value)?,
            "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum" => {
                self.bound(copy, schema, keyword, value);
            }
            "minContains" | "maxContains" if self.counts_only(schema) => {}
            "contains" if self.counts_only(schema) => {
                self.contains_of_2019(copy, schema, &at, value)?;
            }
            "allOf" => {
                // What other words have put there comes after what its author wrote.
                let ours = copy.remove(keyword);
                let theirs = self.held(schema, &at, keyword, value)?;
                copy.insert(keyword.to_owned(), theirs);
                for part in ours.into_iter().filter_map(|ours| ours.as_array().cloned()).flatten() {
                    in_all_of(copy, part);
                }
            }
            _ => {
                self.note_alone(&at, keyword, schema.object);
                self.note_unasserted(&at, keyword, value);
                let copied = self.held(schema, &at, keyword, value)?;
                copy.insert(keyword.to_owned(), copied);
            }
        }
        Ok(())
    }

    /// Whether a dialect knows a keyword; a mistake if not.
    fn is_known(&mut self, at: &Location, keyword: &str, dialect: Dialect) -> bool {
        match standing(keyword, dialect) {
            KeywordStanding::Applied | KeywordStanding::Annotation | KeywordStanding::Unchecked => {
                true
            }
            KeywordStanding::Foreign(help) => {
                let problem = format!("`{keyword}` is not a word of {}", dialect.name());
                self.mistake(at, problem, help);
                false
            }
            KeywordStanding::Unknown(meant) => {
                let help = match meant {
                    Some(meant) => format!("did you mean `{meant}`?"),
                    None => format!("words of your own begin with `x-`: `x-{keyword}`"),
                };
                let problem =
                    format!("`{keyword}` is a keyword that no dialect of JSON Schema knows");
                self.mistake(at, problem, &help);
                false
            }
        }
    }

    /// Notes a word that says something only beside another one, which is not there.
    fn note_alone(&mut self, at: &Location, keyword: &str, object: &Map<String, Value>) {
        let (needed, there): (&str, &[&str]) = match keyword {
            "then" | "else" => ("if", &["if"]),
            "if" => ("then` or `else", &["then", "else"]),
            "minContains" | "maxContains" => ("contains", &["contains"]),
            _ => return,
        };
        if !there.iter().any(|word| object.contains_key(*word)) {
            self.unasserted.push((format!("`{keyword}` without `{needed}`"), at.clone()));
        }
    }

    fn note_unasserted(&mut self, at: &Location, keyword: &str, value: &Value) {
        let unclaimed =
            |format: &&str| !TEXT_FORMATS.contains(format) && !matches!(*format, "int32" | "int64");
        match (keyword, value.as_str()) {
            ("format", Some(format)) if unclaimed(&format) => {
                self.unasserted.push((format!("`format: {format}`"), at.clone()));
            }
            ("contentEncoding" | "contentMediaType" | "contentSchema", _) => {
                self.unasserted.push((format!("`{keyword}`"), at.clone()));
            }
            _ => {}
        }
    }

    /// Copies what a keyword holds to the keyword of the same name.
    pub(super) fn held(
        &mut self,
        schema: &Copied<'a>,
        at: &Location,
        keyword: &str,
        value: &'a Value,
    ) -> Result<Value, Diagnostic> {
        let to = pointer::join(&schema.to, keyword);
        let below = schema.depth + 1;
        match (holds(keyword), value) {
            (Holds::Other | Holds::Definitions | Holds::Dependencies, _) => {
                self.origins.insert(to, at.clone());
                Ok(value.clone())
            }
            (Holds::List, Value::Array(items)) => {
                let mut list = Vec::with_capacity(items.len());
                for index in 0..items.len() {
                    let token = index.to_string();
                    let to = pointer::join(&to, &token);
                    list.push(self.copy(&at.child(&token), &to, below, &schema.scope)?);
                }
                Ok(Value::Array(list))
            }
            (Holds::Map, Value::Object(members)) => {
                let mut map = Map::new();
                for name in members.keys() {
                    let to = pointer::join(&to, name);
                    let member = self.copy(&at.child(name), &to, below, &schema.scope)?;
                    map.insert(name.clone(), member);
                }
                Ok(Value::Object(map))
            }
            (Holds::Schema | Holds::SchemaOrList, _) => self.copy(at, &to, below, &schema.scope),
            (Holds::List, _) => Ok(self.misheld(at, keyword, "a list of schemas", json!([true]))),
            (Holds::Map, _) => Ok(self.misheld(at, keyword, "schemas by name", json!({}))),
        }
    }

    fn misheld(&mut self, at: &Location, keyword: &str, what: &str, instead: Value) -> Value {
        self.mistake(at, format!("`{keyword}` holds {what}"), "");
        instead
    }

    /// Copies a reference as one to a definition.
    fn refer(
        &mut self,
        copy: &mut Map<String, Value>,
        at: &Location,
        keyword: &str,
        object: &Map<String, Value>,
        scope: &SchemaScope,
    ) {
        let Some(reference) = object.get(keyword) else { return };
        match self.referred(&at.child(keyword), keyword, reference, scope) {
            Ok(target) => {
                let reference = Value::from(format!("#/$defs/{}", self.name(target)));
                if copy.contains_key("$ref") {
                    in_all_of(copy, json!({ "$ref": reference }));
                } else {
                    copy.insert("$ref".to_owned(), reference);
                }
            }
            Err(mistake) => self.mistakes.push(mistake),
        }
    }

    fn referred(
        &mut self,
        at: &Location,
        keyword: &str,
        reference: &Value,
        scope: &SchemaScope,
    ) -> Result<Target, Diagnostic> {
        if keyword == "$ref" {
            return self.target(at, reference, scope);
        }
        let found = self.step(at, reference, scope)?;
        Ok(self.dynamic(keyword, reference, found, scope))
    }
}

#[cfg(test)]
#[path = "normal_form_tests.rs"]
mod tests;
