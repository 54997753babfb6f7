//! What the words of older dialects become in the normal form.

use serde_json::{Map, Value, json};

use crate::contract::collector::Collector;
use crate::contract::copied::{Copied, in_all_of};
use crate::contract::dialect::Dialect;
use crate::contract::keyword::{KeywordStanding, standing};
use crate::contract::pointer;
use crate::contract::reference::Location;
use crate::event::Diagnostic;

impl<'a> Collector<'a> {
    /// A list of schemas under `items`, which later became `prefixItems`.
    pub(super) fn items_of_old(
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

    pub(super) fn additional_items(
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
    pub(super) fn dependencies(
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
    pub(super) fn bound(
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
    ///
    /// Who asks about the items may stand in another file than `contains`.
    pub(super) fn counts_only(&self, schema: &Copied<'_>) -> bool {
        let asks = || {
            let mut files = self.library.files();
            files.any(|(_, text)| mentions(text.tree(), "unevaluatedItems"))
        };
        schema.scope.dialect == Dialect::Draft201909 && *self.asks_about_items.get_or_init(asks)
    }

    /// Where `contains` must not count as having looked at items, it stands under two negations:
    /// they demand the same, and tell nobody what was looked at.
    pub(super) fn contains_of_2019(
        &mut self,
        copy: &mut Map<String, Value>,
        schema: &Copied<'a>,
        at: &Location,
        value: &'a Value,
    ) -> Result<(), Diagnostic> {
        let held = self.held(schema, at, "contains", value)?;
        let mut counted = Map::from_iter([("contains".to_owned(), held)]);
        for bound in ["minContains", "maxContains"] {
            let beside = schema.object.get(bound);
            counted.extend(beside.map(|beside| (bound.to_owned(), beside.clone())));
        }
        in_all_of(copy, json!({ "not": { "not": counted } }));
        Ok(())
    }

    /// `nullable: true` adds `null` to the types of a schema (OpenAPI 3.0.3, Schema Object).
    pub(super) fn admit_null(&mut self, copy: &mut Map<String, Value>, schema: &Copied<'a>) {
        let at = schema.at.child("nullable");
        let known = standing("nullable", schema.scope.dialect) == KeywordStanding::Applied;
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

fn mentions(value: &Value, word: &str) -> bool {
    match value {
        Value::Object(members) => {
            members.contains_key(word) || members.values().any(|member| mentions(member, word))
        }
        Value::Array(items) => items.iter().any(|item| mentions(item, word)),
        _ => false,
    }
}
