//! A discriminator names the branch of a `oneOf` or `anyOf` that applies (OpenAPI 3.0.3,
//! Discriminator Object; AsyncAPI, Schema Object).

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::contract::collector::{Collector, SchemaScope, Target};
use crate::contract::keyword::{Holds, holds};
use crate::contract::reference::Location;
use crate::event::nearest;

/// The words whose branches a discriminator tells apart.
const CHOICES: [&str; 2] = ["oneOf", "anyOf"];

/// Parts of one schema that are asked for the values of a member.
const MAX_PARTS: usize = 64;

impl Collector<'_> {
    /// Copies a discriminator as `{propertyName, mapping}`, whose mapping leads from each value to
    /// the definition of its branch.
    pub(super) fn discriminate(
        &mut self,
        copy: &mut Map<String, Value>,
        at: &Location,
        object: &Map<String, Value>,
        scope: &SchemaScope,
    ) {
        let Some(written) = object.get("discriminator") else { return };
        let at_word = at.child("discriminator");
        let member = written.as_str().or_else(|| written.get("propertyName")?.as_str());
        let Some(member) = member else {
            let help = "write `discriminator: { propertyName: kind }`";
            return self.mistake(&at_word, "`discriminator` names no member", help);
        };
        let branches = self.branches(copy, at, object, scope);
        if branches.is_empty() {
            let word = "`discriminator` without `oneOf` or `anyOf` of references".to_owned();
            self.unasserted.push((word, at_word));
            return;
        }
        let mut mapping = self.explicit(written, &at_word, &branches, scope);
        for branch in &branches {
            // A branch that says itself which values it is for needs no name.
            if !self.says(&branch.settled, member) {
                let name = branch.target.name();
                mapping.entry(name).or_insert_with(|| branch.definition.clone());
            }
        }
        let settled = json!({ "propertyName": member, "mapping": mapping });
        copy.insert("discriminator".to_owned(), settled);
    }

    /// The definitions that the author's own mapping leads to, by value.
    fn explicit(
        &mut self,
        written: &Value,
        at: &Location,
        branches: &[Branch],
        scope: &SchemaScope,
    ) -> BTreeMap<String, String> {
        let mut mapping = BTreeMap::new();
        self.only_known(written, at);
        let explicit = written.get("mapping").and_then(Value::as_object);
        for (value, target) in explicit.into_iter().flatten() {
            let place = at.child("mapping").child(value);
            let target = target.as_str().unwrap_or_default();
            match self.mapped(&place, target, branches, scope) {
                Some(definition) => {
                    mapping.insert(value.clone(), definition);
                }
                None => self.mistake(
                    &place,
                    format!("`{target}` is none of the alternatives"),
                    "name a schema that `oneOf` or `anyOf` lists",
                ),
            }
        }
        mapping
    }

    /// Notes what nobody reads in a discriminator.
    fn only_known(&mut self, written: &Value, at: &Location) {
        for (word, value) in written.as_object().into_iter().flatten() {
            let place = at.child(word);
            match word.as_str() {
                "mapping" if !value.is_object() => {
                    let help = "write `mapping: { card: '#/components/schemas/Card' }`";
                    self.mistake(&place, "`mapping` leads from values to schemas", help);
                }
                "propertyName" | "mapping" => {}
                _ if word.starts_with("x-") => {}
                _ => {
                    let meant = nearest(word, ["propertyName", "mapping"]);
                    let help =
                        meant.map_or_else(String::new, |name| format!("did you mean `{name}`?"));
                    self.mistake(&place, format!("a discriminator has no `{word}`"), &help);
                }
            }
        }
    }

    fn branches(
        &mut self,
        copy: &Map<String, Value>,
        at: &Location,
        object: &Map<String, Value>,
        scope: &SchemaScope,
    ) -> Vec<Branch> {
        let mut found = Vec::new();
        for choice in CHOICES {
            let written = object.get(choice).and_then(Value::as_array);
            let copied = copy.get(choice).and_then(Value::as_array);
            let both = written.into_iter().flatten().zip(copied.into_iter().flatten());
            for (index, (written, copied)) in both.enumerate() {
                let Some(reference) = written.get("$ref") else { continue };
                let Some(definition) = copied.get("$ref").and_then(Value::as_str) else { continue };
                let place = at.child(choice).child(&index.to_string()).child("$ref");
                // Where it leads nowhere, copying the branch has said so.
                let named = self.step(&place, reference, scope);
                let settled = self.target(&place, reference, scope);
                if let (Ok((target, _)), Ok(settled)) = (named, settled) {
                    let definition = definition.to_owned();
                    found.push(Branch { target, settled, definition });
                }
            }
        }
        found
    }

    /// The definition of the branch that a mapping names, by a reference or by the name of a schema.
    fn mapped(
        &mut self,
        at: &Location,
        target: &str,
        branches: &[Branch],
        scope: &SchemaScope,
    ) -> Option<String> {
        let by_name = branches.iter().find(|branch| branch.target.name() == target);
        if let Some(branch) = by_name {
            return Some(branch.definition.clone());
        }
        let (found, _) = self.target(at, &Value::from(target), scope).ok()?;
        let branch = branches.iter().find(|branch| branch.settled.0 == found)?;
        Some(branch.definition.clone())
    }

    /// Whether a schema fixes the values of a member itself, or a part of it does.
    fn says(&mut self, schema: &Target, member: &str) -> bool {
        let mut open = vec![schema.clone()];
        let mut seen = 0;
        while let Some((at, scope)) = open.pop() {
            seen += 1;
            let of_member = at.child("properties").child(member);
            if seen > MAX_PARTS || self.fixes(&of_member, &scope) {
                return seen <= MAX_PARTS;
            }
            open.extend(self.further(&at, &scope));
        }
        false
    }

    /// Whether the schema of a value lists the values that it may have.
    fn fixes(&mut self, at: &Location, scope: &SchemaScope) -> bool {
        let mut open = vec![(at.clone(), scope.clone())];
        let mut seen = 0;
        while let Some((at, scope)) = open.pop().filter(|_| seen < MAX_PARTS) {
            seen += 1;
            let is_there = |word: &&str| self.library.value(&at.child(word)).is_some();
            if ["const", "enum"].iter().any(is_there) {
                return true;
            }
            open.extend(self.further(&at, &scope));
        }
        false
    }

    /// What a schema takes in for the same value: where its `$ref` leads, and the parts of `allOf`.
    fn further(&mut self, at: &Location, scope: &SchemaScope) -> Vec<Target> {
        let Some(Value::Object(object)) = self.library.value(at) else { return Vec::new() };
        let mut found = Vec::new();
        if let Some(reference) = object.get("$ref") {
            found.extend(self.target(&at.child("$ref"), reference, scope));
        }
        let count = object.get("allOf").and_then(Value::as_array).map_or(0, Vec::len);
        let part = |index: usize| (at.child("allOf").child(&index.to_string()), scope.clone());
        found.extend((0..count).map(part));
        found
    }
}

/// An alternative that is a reference: where it leads, and the definition that it became.
struct Branch {
    target: Location,
    /// Where further references from there end.
    settled: Target,
    definition: String,
}

/// Has each discriminator refine its alternatives: a branch accepts only the values that the
/// mapping leads to it from.
pub(super) fn refine(schema: &mut Value) {
    let Value::Object(object) = schema else { return };
    for (keyword, value) in object.iter_mut() {
        match (holds(keyword), value) {
            (Holds::Other, _) => {}
            (Holds::Schema, value) => refine(value),
            (_, Value::Array(items)) => items.iter_mut().for_each(refine),
            (Holds::SchemaOrList, value) => refine(value),
            (_, Value::Object(members)) => members.values_mut().for_each(refine),
            _ => {}
        }
    }
    let discriminator = object.get("discriminator").cloned().unwrap_or_default();
    let member = discriminator.get("propertyName").and_then(Value::as_str);
    let mapping = discriminator.get("mapping").and_then(Value::as_object);
    let (Some(member), Some(mapping)) = (member, mapping) else { return };
    for choice in CHOICES {
        let Some(Value::Array(branches)) = object.get_mut(choice) else { continue };
        for branch in branches {
            refine_branch(branch, member, mapping);
        }
    }
}

fn refine_branch(branch: &mut Value, member: &str, mapping: &Map<String, Value>) {
    let of_branch = |(value, target): (&String, &Value)| {
        (Some(target) == branch.get("$ref")).then(|| value.clone())
    };
    let values: Vec<String> = mapping.iter().filter_map(of_branch).collect();
    if !values.is_empty() {
        let chosen = json!({ "properties": { member: { "enum": values } }, "required": [member] });
        *branch = json!({ "allOf": [chosen, branch.take()] });
    }
}
