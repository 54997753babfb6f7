//! What `docs/contracts.md` says of declared members, written down naively, with the crate's plain
//! validation to tell which branches apply. It shares nothing with what it judges.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;

use jsonschema::{Draft, Validator};
use serde_json::{Map, Value, json};

/// A schema in normal form: 2020-12, with references to `$defs` of the root only.
pub(super) struct Oracle<'a> {
    root: &'a Value,
    /// By the address of a schema, which the root keeps where it is.
    validators: RefCell<HashMap<usize, Rc<Validator>>>,
    patterns: RefCell<HashMap<String, Validator>>,
}

/// The schema objects that apply to one value, and whether anything may stand there.
#[derive(Default)]
struct Applied<'a> {
    schemas: Vec<&'a Map<String, Value>>,
    anything: bool,
}

impl<'a> Oracle<'a> {
    pub(super) fn new(root: &'a Value) -> Self {
        Self { root, validators: RefCell::default(), patterns: RefCell::default() }
    }

    /// The crate's plain validation of a part of this contract.
    pub(super) fn accepts(&self, schema: &'a Value, data: &Value) -> bool {
        let key = std::ptr::from_ref(schema).addr();
        let known = self.validators.borrow().get(&key).cloned();
        let validator = known.unwrap_or_else(|| {
            let definitions = self.root.get("$defs").cloned().unwrap_or_else(|| json!({}));
            let built = Rc::new(plain(&json!({ "allOf": [schema], "$defs": definitions })));
            self.validators.borrow_mut().insert(key, Rc::clone(&built));
            built
        });
        validator.is_valid(data)
    }

    fn matches(&self, pattern: &str, name: &str) -> bool {
        let mut patterns = self.patterns.borrow_mut();
        let validator = patterns
            .entry(pattern.to_owned())
            .or_insert_with(|| plain(&json!({ "pattern": pattern })));
        validator.is_valid(&Value::from(name))
    }

    /// Pointers to the members that no schema declares, in data that keeps the schema.
    pub(super) fn undeclared(&self, data: &Value) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        self.walk(&[self.root], data, "", &mut found);
        found
    }

    /// Schemas that stand for the value come in.
    fn walk(&self, standing: &[&'a Value], data: &Value, at: &str, found: &mut BTreeSet<String>) {
        let mut applied = Applied::default();
        for schema in standing {
            self.apply(schema, data, true, &mut applied);
        }
        if applied.anything {
            return;
        }
        match data {
            Value::Object(members) => {
                for (name, member) in members {
                    let at = format!("{at}/{}", name.replace('~', "~0").replace('/', "~1"));
                    match self.declarations(&applied, data, name) {
                        Some(standing) => self.walk(&standing, member, &at, found),
                        None => drop(found.insert(at)),
                    }
                }
            }
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    let standing = self.item(&applied, data, index);
                    self.walk(&standing, item, &format!("{at}/{index}"), found);
                }
            }
            _ => {}
        }
    }

    /// Rule 1: the schemas that apply to a value.
    fn apply(&self, schema: &'a Value, data: &Value, stands: bool, applied: &mut Applied<'a>) {
        let Value::Object(object) = schema else {
            // The literal `true` opens where a value stands, not where it only adds to a schema.
            applied.anything |= stands && *schema == Value::Bool(true);
            return;
        };
        applied.schemas.push(object);
        self.apply_beside(object, data, stands, applied);
    }

    /// The schemas that apply through a schema object.
    fn apply_beside(
        &self,
        object: &'a Map<String, Value>,
        data: &Value,
        stands: bool,
        applied: &mut Applied<'a>,
    ) {
        if let Some(Value::String(reference)) = object.get("$ref") {
            let definition = &self.root["$defs"][reference.trim_start_matches("#/$defs/")];
            self.apply(definition, data, stands, applied);
        }
        for part in list(object, "allOf") {
            self.apply(part, data, false, applied);
        }
        for part in list(object, "anyOf").iter().chain(list(object, "oneOf")) {
            if self.accepts(part, data) {
                self.apply(part, data, false, applied);
            }
        }
        if let Some(test) = object.get("if") {
            let kept = self.accepts(test, data);
            if kept {
                self.apply(test, data, false, applied);
            }
            if let Some(branch) = object.get(if kept { "then" } else { "else" }) {
                self.apply(branch, data, false, applied);
            }
        }
        for (name, part) in map(object, "dependentSchemas") {
            if data.get(name).is_some() {
                self.apply(part, data, false, applied);
            }
        }
    }

    /// Rules 2 and 3: the schemas that stand for a member; nothing if it is undeclared.
    fn declarations(
        &self,
        applied: &Applied<'a>,
        data: &Value,
        name: &str,
    ) -> Option<Vec<&'a Value>> {
        let mut firm = Vec::new();
        let mut others = Vec::new();
        for schema in &applied.schemas {
            let named = self.named(schema, name);
            if let (true, Some(rest)) = (named.is_empty(), schema.get("additionalProperties")) {
                others.push(rest);
            }
            if let Some(rest) = schema.get("unevaluatedProperties")
                && !self.is_evaluated(schema, data, name)
            {
                others.push(rest);
            }
            firm.extend(named);
        }
        others.retain(|rest| **rest != Value::Bool(false));
        if firm.is_empty() && others.is_empty() {
            return None;
        }
        // "That word opens members which nobody else declares."
        let declared = !firm.is_empty();
        others.retain(|rest| !(declared && **rest == Value::Bool(true)));
        firm.extend(others);
        Some(firm)
    }

    /// What `properties` and `patternProperties` of one schema object say of a member.
    fn named(&self, schema: &'a Map<String, Value>, name: &str) -> Vec<&'a Value> {
        let matching = map(schema, "patternProperties")
            .filter(|(pattern, _)| self.matches(pattern, name))
            .map(|(_, member)| member);
        schema
            .get("properties")
            .and_then(|members| members.get(name))
            .into_iter()
            .chain(matching)
            .collect()
    }

    /// Whether a member is evaluated beside an `unevaluatedProperties`: 2020-12, section 11.3.
    fn is_evaluated(&self, schema: &'a Map<String, Value>, data: &Value, name: &str) -> bool {
        let own =
            !self.named(schema, name).is_empty() || schema.contains_key("additionalProperties");
        own || self.beside(schema, data).iter().any(|part| {
            !self.named(part, name).is_empty()
                || part.contains_key("additionalProperties")
                || part.contains_key("unevaluatedProperties")
        })
    }

    fn beside(&self, schema: &'a Map<String, Value>, data: &Value) -> Vec<&'a Map<String, Value>> {
        let mut applied = Applied::default();
        self.apply_beside(schema, data, false, &mut applied);
        applied.schemas
    }

    /// The schemas that stand for an item.
    fn item(&self, applied: &Applied<'a>, data: &Value, index: usize) -> Vec<&'a Value> {
        let mut firm = Vec::new();
        let mut others = Vec::new();
        for schema in &applied.schemas {
            firm.extend(list(schema, "prefixItems").get(index).or_else(|| schema.get("items")));
            if let Some(rest) = schema.get("unevaluatedItems")
                && !self.is_evaluated_item(schema, data, index)
            {
                others.push(rest);
            }
        }
        let declared = !firm.is_empty();
        others.retain(|rest| !(declared && **rest == Value::Bool(true)));
        firm.extend(others);
        firm
    }

    /// Whether an item is evaluated beside an `unevaluatedItems`: 2020-12, section 11.2.
    fn is_evaluated_item(
        &self,
        schema: &'a Map<String, Value>,
        data: &Value,
        index: usize,
    ) -> bool {
        let evaluates = |part: &Map<String, Value>| {
            list(part, "prefixItems").len() > index
                || part.contains_key("items")
                || part.get("contains").is_some_and(|contains| self.accepts(contains, &data[index]))
        };
        evaluates(schema)
            || self
                .beside(schema, data)
                .iter()
                .any(|part| evaluates(part) || part.contains_key("unevaluatedItems"))
    }
}

fn list<'a>(schema: &'a Map<String, Value>, keyword: &str) -> &'a [Value] {
    schema.get(keyword).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn map<'a>(
    schema: &'a Map<String, Value>,
    keyword: &str,
) -> impl Iterator<Item = (&'a String, &'a Value)> {
    schema.get(keyword).and_then(Value::as_object).into_iter().flatten()
}

/// The crate's validation, which asserts formats.
fn plain(schema: &Value) -> Validator {
    let options = jsonschema::options().with_draft(Draft::Draft202012);
    options.should_validate_formats(true).build(schema).unwrap()
}
