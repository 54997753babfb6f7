//! Copies schemas of any dialect into the words of JSON Schema 2020-12.
//!
//! What reads schemas after this file knows one dialect. Definitions stand at the root, every
//! reference leads to one of them, and what stands beside a reference applies, too.

use serde_json::{Map, Value, json};

use crate::contract::collector::{Collector, Scope, Target};
use crate::contract::dialect::Dialect;
use crate::contract::format::TEXT_FORMATS;
use crate::contract::keyword::{Holds, Standing, holds, standing};
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

/// A schema that is copied, and where to.
struct Copied<'v> {
    at: Location,
    to: String,
    object: &'v Map<String, Value>,
    scope: Scope,
    depth: usize,
}

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
        scope: &Scope,
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
            !named && !matches!(standing(word, dialect), Standing::Annotation)
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
                let held = self.held(schema, &at, keyword, value)?;
                let mut counted = Map::from_iter([(keyword.to_owned(), held)]);
                for bound in ["minContains", "maxContains"] {
                    let beside = schema.object.get(bound);
                    counted.extend(beside.map(|beside| (bound.to_owned(), beside.clone())));
                }
                // Two negations demand the same, and tell nobody what was looked at.
                in_all_of(copy, json!({ "not": { "not": counted } }));
            }
            "allOf" => {
                let copied = self.held(schema, &at, keyword, value)?;
                match (copy.get_mut("allOf"), copied) {
                    // What other words have put there comes after what its author wrote.
                    (Some(Value::Array(ours)), Value::Array(mut theirs)) => {
                        theirs.append(ours);
                        *ours = theirs;
                    }
                    (_, copied) => {
                        copy.insert(keyword.to_owned(), copied);
                    }
                }
            }
            _ => {
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
            Standing::Applied | Standing::Annotation | Standing::Unchecked => true,
            Standing::Foreign(help) => {
                let problem = format!("`{keyword}` is not a word of {}", dialect.name());
                self.mistake(at, problem, help);
                false
            }
            Standing::Unknown(meant) => {
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
    fn held(
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
        scope: &Scope,
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
        scope: &Scope,
    ) -> Result<Target, Diagnostic> {
        if keyword == "$ref" {
            return self.target(at, reference, scope);
        }
        let found = self.step(at, reference, scope)?;
        Ok(self.dynamic(keyword, reference, found, scope))
    }

    /// A list of schemas under `items`, which later became `prefixItems`.
    fn items_of_old(
        &mut self,
        copy: &mut Map<String, Value>,
        schema: &Copied<'a>,
        at: &Location,
        value: &'a Value,
    ) -> Result<(), Diagnostic> {
        if schema.scope.dialect == Dialect::Draft202012 || schema.object.contains_key("prefixItems")
        {
            let help = "write the list under `prefixItems`, and the rest under `items`";
            self.mistake(at, "`items` holds one schema here", help);
            return Ok(());
        }
        let list = self.held(schema, at, "prefixItems", value)?;
        copy.insert("prefixItems".to_owned(), list);
        Ok(())
    }

    fn additional_items(
        &mut self,
        copy: &mut Map<String, Value>,
        schema: &Copied<'a>,
        at: &Location,
    ) -> Result<(), Diagnostic> {
        // Without a list before it, it says nothing (draft-07, section 6.4.2).
        if !schema.object.get("items").is_some_and(Value::is_array) {
            let word = "`additionalItems` without a list of `items`".to_owned();
            self.unasserted.push((word, at.clone()));
            return Ok(());
        }
        let to = pointer::join(&schema.to, "items");
        let rest = self.copy(at, &to, schema.depth + 1, &schema.scope)?;
        copy.insert("items".to_owned(), rest);
        Ok(())
    }

    /// Lists of names become `dependentRequired`, schemas `dependentSchemas`.
    fn dependencies(
        &mut self,
        copy: &mut Map<String, Value>,
        schema: &Copied<'a>,
        at: &Location,
        value: &'a Value,
    ) -> Result<(), Diagnostic> {
        let Value::Object(members) = value else {
            self.mistake(at, "`dependencies` holds schemas or lists of names, by name", "");
            return Ok(());
        };
        let mut names = Map::new();
        let mut schemas = Map::new();
        for (name, member) in members {
            if member.is_array() {
                names.insert(name.clone(), member.clone());
            } else {
                let to = pointer::join(&pointer::join(&schema.to, "dependentSchemas"), name);
                let copied = self.copy(&at.child(name), &to, schema.depth + 1, &schema.scope)?;
                schemas.insert(name.clone(), copied);
            }
        }
        for (keyword, held) in [("dependentRequired", names), ("dependentSchemas", schemas)] {
            if held.is_empty() {
                continue;
            }
            if schema.object.contains_key(keyword) {
                in_all_of(copy, json!({ keyword: held }));
            } else {
                self.origins.insert(pointer::join(&schema.to, keyword), at.clone());
                copy.insert(keyword.to_owned(), held.into());
            }
        }
        Ok(())
    }

    /// In draft-04 `exclusiveMinimum: true` makes `minimum` exclusive.
    fn bound(
        &mut self,
        copy: &mut Map<String, Value>,
        schema: &Copied<'a>,
        keyword: &str,
        value: &Value,
    ) {
        let at = schema.at.child(keyword);
        let (inclusive, exclusive) = match keyword {
            "minimum" | "exclusiveMinimum" => ("minimum", "exclusiveMinimum"),
            _ => ("maximum", "exclusiveMaximum"),
        };
        let flag = schema.object.get(exclusive).and_then(Value::as_bool);
        if keyword == exclusive && flag.is_some() {
            let dialect = schema.scope.dialect;
            if !dialect.has_boolean_bounds() {
                let problem = format!("`{exclusive}` is a number in {}", dialect.name());
                let help = format!("write the bound under `{exclusive}` in place of `{inclusive}`");
                self.mistake(&at, problem, &help);
            } else if !schema.object.contains_key(inclusive) {
                let word = format!("`{exclusive}: true` without `{inclusive}`");
                self.unasserted.push((word, at));
            }
            return;
        }
        if keyword == exclusive && matches!(schema.scope.dialect, Dialect::Draft4) {
            let problem = format!("`{exclusive}` is `true` or `false` in JSON Schema draft-04");
            self.mistake(&at, problem, &format!("write the bound under `{inclusive}`"));
            return;
        }
        let name = if flag == Some(true) { exclusive } else { keyword };
        self.origins.insert(pointer::join(&schema.to, name), at);
        copy.insert(name.to_owned(), value.clone());
    }

    /// Whether `contains` must not count as having looked at items (2019-09, section 9.3.1.4).
    fn counts_only(&self, schema: &Copied<'_>) -> bool {
        schema.scope.dialect == Dialect::Draft201909
            && self
                .library
                .value(&Location::root(&schema.at.file))
                .is_some_and(|file| mentions(file, "unevaluatedItems"))
    }

    /// `nullable: true` adds `null` to the types of a schema (OpenAPI 3.0.3, Schema Object).
    fn admit_null(&mut self, copy: &mut Map<String, Value>, schema: &Copied<'a>) {
        let at = schema.at.child("nullable");
        let known = standing("nullable", schema.scope.dialect) == Standing::Applied;
        match schema.object.get("nullable").filter(|_| known) {
            None | Some(Value::Bool(false)) => {}
            Some(Value::Bool(true)) => match copy.get_mut("type") {
                Some(Value::Array(types)) => {
                    if !types.contains(&json!("null")) {
                        types.push(json!("null"));
                    }
                }
                Some(one) if *one != "null" => *one = json!([one.take(), "null"]),
                Some(_) => {}
                None => self.unasserted.push(("`nullable` without `type`".to_owned(), at)),
            },
            Some(_) => self.mistake(&at, "`nullable` is `true` or `false`", ""),
        }
    }
}

/// Adds a schema that applies to the same value.
fn in_all_of(copy: &mut Map<String, Value>, schema: Value) {
    if let Value::Array(parts) = copy.entry("allOf").or_insert_with(|| json!([])) {
        parts.push(schema);
    }
}

fn mentions(value: &Value, word: &str) -> bool {
    match value {
        Value::Object(members) => {
            members.contains_key(word) || members.values().any(|member| mentions(member, word))
        }
        Value::Array(items) => items.iter().any(|item| mentions(item, word)),
        _ => false,
    }
}

#[cfg(test)]
#[path = "normal_form_tests.rs"]
mod tests;
