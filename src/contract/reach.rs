//! What a schema says about one place in data: whether a value may stand there, and whether it must.
//!
//! Two sets are kept on the way: the schemas that may apply to a place, and those that apply to it
//! whatever the data. A place is undeclared only if none of the first set can declare it, a member is
//! required only if the second set says so: where data decides, the answer is the milder one.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::contract::demands::{allows, list, required_by, resolve, texts};
use crate::contract::rules::Rules;
use crate::event::{is_item_index, nearest};

/// Schemas that may apply to one place, at the most; beyond it nothing is claimed about the place.
const MAX_SCHEMAS: usize = 2_000;

/// How deeply schemas for the same value are followed into each other.
const MAX_DEPTH: usize = 32;

/// Schemas that one question about a place looks at; beyond it the answer is the milder one.
const MAX_EFFORT: usize = 10_000;

/// What a schema says about one place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// The object around it must have it.
    Required,
    /// It may be there.
    Optional,
    /// Anything may be there.
    Open,
    /// Nothing may be there.
    Undeclared {
        /// How many tokens of the pointer are declared before the one that is not.
        declared: usize,
        /// The declared name that is most like it.
        nearest: Option<String>,
    },
}

/// A place in data, with the schemas that speak about it.
#[derive(Clone)]
pub(super) struct SchemaPlace<'s> {
    root: &'s Value,
    possible: Vec<&'s Value>,
    certain: Vec<&'s Value>,
    open: bool,
}

/// What stands at a place, as far as the path to it tells.
#[derive(Clone, Copy, PartialEq, Eq)]
enum SchemaRole {
    /// The schema of a value of its own: `true` opens everything below it.
    Value,
    /// A part that adds to another schema: `true` says nothing.
    Added,
}

impl<'s> SchemaPlace<'s> {
    /// The data as a whole.
    pub(super) fn of(schema: &'s Value) -> Self {
        let mut place = Self::nowhere(schema);
        place.add(schema, true);
        place
    }

    fn nowhere(root: &'s Value) -> Self {
        Self { root, possible: Vec::new(), certain: Vec::new(), open: false }
    }

    /// Whether anything may stand here and below.
    pub(super) const fn is_open(&self) -> bool {
        self.open
    }

    /// The place that one token of a pointer leads to; nothing if no schema declares it.
    pub(super) fn step(&self, token: &str) -> Option<Self> {
        let mut below = Self::nowhere(self.root);
        if self.open {
            below.open = true;
            return Some(below);
        }
        let is_item = self.steps_to_items(token);
        let declared = self.member(token, &mut below);
        (is_item || declared).then_some(below)
    }

    /// The place of an item, whichever it is; nothing if no item may be there.
    pub(super) fn items(&self) -> Option<Self> {
        let mut below = Self::nowhere(self.root);
        below.open = self.open;
        if self.open || !self.may_be("array") {
            return self.open.then_some(below);
        }
        self.add_items(None, &mut below);
        Some(below)
    }

    /// The names of members that objects here must have, whatever else they have.
    pub(super) fn required(&self) -> BTreeSet<&'s str> {
        if self.open {
            return BTreeSet::new();
        }
        let mut left = MAX_EFFORT;
        let mut names = BTreeSet::new();
        for schema in &self.certain {
            names.append(&mut required_by(self.root, schema, MAX_DEPTH, &mut left));
        }
        names
    }

    /// Whether an alternative may demand a member here.
    pub(super) fn may_require(&self, name: &str) -> bool {
        let names = |schema: &&Value| schema.get("required").and_then(Value::as_array).cloned();
        self.possible.iter().filter_map(names).flatten().any(|required| required == name)
    }

    /// The names of members that objects here must have if they have `name`.
    pub(super) fn required_with(&self, name: &str) -> BTreeSet<&'s str> {
        let lists =
            self.certain.iter().filter(|_| !self.open).filter_map(|schema| {
                schema.get("dependentRequired").and_then(|lists| lists.get(name))
            });
        lists.flat_map(texts).collect()
    }

    /// Whether a value of a JSON type may stand here.
    pub(super) fn may_be(&self, kind: &str) -> bool {
        let mut left = MAX_EFFORT;
        self.open
            || self.certain.iter().all(|one| allows(self.root, one, kind, MAX_DEPTH, &mut left))
    }

    /// The declared name that is most like one that is not declared.
    pub(super) fn nearest(&self, name: &str) -> Option<String> {
        let names = self.possible.iter().filter_map(|schema| schema.get("properties")?.as_object());
        let names = names.flat_map(serde_json::Map::keys).map(String::as_str);
        nearest(name, names).map(str::to_owned)
    }

    /// The declared names, in order, a few of them.
    pub(super) fn names(&self) -> Vec<&'s str> {
        let names = self.possible.iter().filter_map(|schema| schema.get("properties")?.as_object());
        let names: BTreeSet<&str> =
            names.flat_map(serde_json::Map::keys).map(String::as_str).collect();
        names.into_iter().take(12).collect()
    }

    fn steps_to_items(&self, token: &str) -> bool {
        let is_item = is_item_index(token) || matches!(token, "-" | "*");
        is_item && self.may_be("array")
    }

    /// Adds what the schemas say about a member or an item; tells whether one declares the member.
    fn member(&self, token: &str, below: &mut Self) -> bool {
        if self.steps_to_items(token) {
            self.add_items(token.parse().ok(), below);
        }
        if !self.may_be("object") || self.forbids(token) {
            return false;
        }
        let mut found = self.add_named(token, below);
        for (rest, is_certain) in found.rest {
            let is_lax = self.is_true(rest);
            if rest == &Value::Bool(false) || (is_lax && found.declared_for_certain) {
                continue;
            }
            found.declared = true;
            below.add(rest, is_certain);
        }
        found.declared
    }

    /// Adds what the schemas say about a member by its name.
    fn add_named(&self, token: &str, below: &mut Self) -> Found<'s> {
        let mut found = Found::default();
        for schema in &self.possible {
            let is_certain = self.is_certain(schema);
            let named = Self::named(schema, token);
            for child in &named {
                found.declared = true;
                found.declared_for_certain |= is_certain;
                // A pattern that cannot be tried may not match, so it makes nothing certain.
                below.add(child.schema, is_certain && child.is_certain);
            }
            if named.is_empty() {
                let words = ["additionalProperties", "unevaluatedProperties"];
                let rest = words.into_iter().filter_map(|word| Some((word, schema.get(word)?)));
                found.rest.extend(
                    rest.map(|(word, rest)| (rest, is_certain && word == "additionalProperties")),
                );
            }
        }
        found
    }

    /// What one schema object says about a member by its name or by a pattern.
    fn named(schema: &'s Value, token: &str) -> Vec<NamedChild<'s>> {
        let mut found = Vec::new();
        if let Some(child) = schema.get("properties").and_then(|all| all.get(token)) {
            found.push(NamedChild { schema: child, is_certain: true });
        }
        let patterns = schema.get("patternProperties").and_then(Value::as_object);
        for (pattern, child) in patterns.into_iter().flatten() {
            match Rules::compile(&json!({ "pattern": pattern })) {
                Ok(rules) if !rules.accept(&Value::from(token)) => {}
                tried => found.push(NamedChild { schema: child, is_certain: tried.is_ok() }),
            }
        }
        found
    }

    /// Whether some schema that applies for certain lets no member of this name pass.
    fn forbids(&self, token: &str) -> bool {
        self.certain.iter().any(|schema| {
            let named = Self::named(schema, token);
            let closed = schema.get("additionalProperties") == Some(&Value::Bool(false));
            let never =
                |child: &NamedChild<'_>| child.is_certain && child.schema == &Value::Bool(false);
            (closed && named.is_empty()) || named.iter().any(never)
        })
    }

    fn add_items(&self, index: Option<usize>, below: &mut Self) {
        for schema in &self.possible {
            let is_certain = self.is_certain(schema);
            let (first, rest) = item_schemas(schema);
            match index {
                Some(index) if index < first.len() => {
                    // What is added with `-` or inserted moves what stands behind it.
                    for child in first {
                        below.add(child, false);
                    }
                }
                _ => {
                    for child in first {
                        below.add(child, false);
                    }
                    if let Some(rest) = rest {
                        below.add(rest, is_certain && first.is_empty());
                    }
                }
            }
            if let Some(rest) = schema.get("unevaluatedItems") {
                below.add(rest, false);
            }
        }
    }

    fn is_certain(&self, schema: &Value) -> bool {
        self.certain.iter().any(|certain| std::ptr::eq(*certain, schema))
    }

    /// Adds the schema of a value, and all that may apply with it.
    fn add(&mut self, schema: &'s Value, is_certain: bool) {
        let mut open = vec![(schema, is_certain, SchemaRole::Value)];
        while let Some((schema, is_certain, standing)) = open.pop() {
            if self.possible.len() > MAX_SCHEMAS {
                // Nothing is claimed about what nobody can oversee.
                self.open = true;
                return;
            }
            let Value::Object(object) = schema else {
                self.open |= schema == &Value::Bool(true) && standing == SchemaRole::Value;
                if schema == &Value::Bool(false) && is_certain && !self.is_certain(schema) {
                    self.certain.push(schema);
                }
                continue;
            };
            let is_known = self.possible.iter().any(|known| std::ptr::eq(*known, schema));
            if is_known && (!is_certain || self.is_certain(schema)) {
                continue;
            }
            if !is_known {
                self.possible.push(schema);
            }
            if is_certain {
                self.certain.push(schema);
            }
            open.extend(self.target(object).map(|target| (target, is_certain, standing)));
            open.extend(list(schema, "allOf").map(|part| (part, is_certain, SchemaRole::Added)));
            let choices = ["anyOf", "oneOf"].into_iter().flat_map(|word| list(schema, word));
            let has_condition = object.contains_key("if");
            let conditions = ["if", "then", "else"].into_iter().filter(|_| has_condition);
            let conditions = conditions.filter_map(|word| object.get(word));
            let dependent = object.get("dependentSchemas").and_then(Value::as_object);
            let dependent = dependent.into_iter().flat_map(serde_json::Map::values);
            let in_doubt = choices.chain(conditions).chain(dependent);
            open.extend(in_doubt.map(|part| (part, false, SchemaRole::Added)));
        }
    }

    fn target(&self, object: &'s serde_json::Map<String, Value>) -> Option<&'s Value> {
        resolve(self.root, object.get("$ref")?.as_str()?)
    }

    fn is_true(&self, schema: &'s Value) -> bool {
        let mut schema = schema;
        for _ in 0..MAX_DEPTH {
            match schema.as_object().and_then(|object| self.target(object)) {
                Some(target) => schema = target,
                None => return schema == &Value::Bool(true),
            }
        }
        false
    }
}

#[derive(Default)]
struct Found<'s> {
    declared: bool,
    declared_for_certain: bool,
    /// What schemas that do not name the member say about further ones.
    rest: Vec<(&'s Value, bool)>,
}

struct NamedChild<'s> {
    schema: &'s Value,
    is_certain: bool,
}

/// What a schema says about the place that a pointer's tokens lead to.
pub(super) fn reach<'t>(schema: &Value, tokens: impl IntoIterator<Item = &'t str>) -> Reach {
    let mut place = SchemaPlace::of(schema);
    let mut is_required = false;
    for (declared, token) in tokens.into_iter().enumerate() {
        if place.open {
            return Reach::Open;
        }
        is_required = place.required().contains(token);
        match place.step(token) {
            Some(below) => place = below,
            None => return Reach::Undeclared { declared, nearest: place.nearest(token) },
        }
    }
    match (place.open, is_required) {
        (_, true) => Reach::Required,
        (true, false) => Reach::Open,
        (false, false) => Reach::Optional,
    }
}

/// The schemas of the first items one by one, and of all after them.
fn item_schemas(schema: &Value) -> (&[Value], Option<&Value>) {
    let first = schema.get("prefixItems").and_then(Value::as_array);
    (first.map(Vec::as_slice).unwrap_or_default(), schema.get("items"))
}
