//! One schema in the words of each dialect.

use jsonschema::Draft;
use serde_json::{Map, Value, json};

/// What a dialect can say, and how it says it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Words {
    /// What a contract names it by; nothing: the contract names none.
    pub(super) format: Option<&'static str>,
    /// The draft of the crate that knows these words; nothing where no draft does.
    pub(super) draft: Option<Draft>,
    /// `true` and `false` stand for schemas.
    pub(super) booleans: bool,
    /// `const`, `contains` and `propertyNames`.
    pub(super) sixth: bool,
    /// `if`, `then`, `else`.
    pub(super) conditions: bool,
    /// `patternProperties` and `dependencies`, `dependentRequired` or `dependentSchemas`.
    pub(super) patterns: bool,
    /// Items by their index.
    pub(super) tuples: bool,
    /// `dependentRequired`, `minContains`, `unevaluatedProperties` and their kin.
    pub(super) later: bool,
    /// `prefixItems`.
    pub(super) prefix: bool,
    /// What stands beside a `$ref` applies.
    pub(super) siblings: bool,
    /// `nullable` in place of a list of types.
    pub(super) nullable: bool,
    /// `exclusiveMinimum: true`.
    pub(super) exclusive: bool,
}

const WHOLE: Words = Words {
    format: Some("application/schema+json;version=2020-12"),
    draft: Some(Draft::Draft202012),
    booleans: true,
    sixth: true,
    conditions: true,
    patterns: true,
    tuples: true,
    later: true,
    prefix: true,
    siblings: true,
    nullable: false,
    exclusive: false,
};

impl Words {
    pub(super) const fn draft_2020_12() -> Self {
        WHOLE
    }

    pub(super) const fn draft_2019_09() -> Self {
        Self {
            format: Some("application/schema+json;version=2019-09"),
            draft: Some(Draft::Draft201909),
            prefix: false,
            ..WHOLE
        }
    }

    pub(super) const fn draft_07() -> Self {
        Self {
            format: Some("application/schema+json;version=draft-07"),
            draft: Some(Draft::Draft7),
            later: false,
            prefix: false,
            siblings: false,
            ..WHOLE
        }
    }

    pub(super) const fn draft_04() -> Self {
        Self {
            format: Some("application/schema+json;version=draft-04"),
            draft: Some(Draft::Draft4),
            booleans: false,
            sixth: false,
            conditions: false,
            later: false,
            prefix: false,
            siblings: false,
            exclusive: true,
            ..WHOLE
        }
    }

    /// No dialect is named: draft-07, and the later words that it does not contradict.
    pub(super) const fn unnamed() -> Self {
        Self { format: None, draft: None, later: true, ..Self::draft_07() }
    }

    pub(super) const fn open_api() -> Self {
        Self {
            format: Some("application/vnd.oai.openapi+json;version=3.0.0"),
            draft: None,
            patterns: false,
            tuples: false,
            nullable: true,
            ..Self::draft_04()
        }
    }

    /// The schema in these words, its references beginning with `references`, `$defs` left out.
    pub(super) fn write(self, schema: &Value, references: &str) -> Value {
        let Value::Object(object) = schema else { return schema.clone() };
        let mut written = Map::new();
        for (keyword, value) in object {
            self.keyword(keyword, value, object, references, &mut written);
        }
        if let Some(reference) = written.remove("$ref") {
            if self.siblings || written.is_empty() {
                written.insert("$ref".to_owned(), reference);
            } else {
                let mut all = vec![json!({ "$ref": reference })];
                all.extend(
                    written
                        .remove("allOf")
                        .and_then(|all| all.as_array().cloned())
                        .into_iter()
                        .flatten(),
                );
                written.insert("allOf".to_owned(), Value::Array(all));
            }
        }
        Value::Object(written)
    }

    fn keyword(
        self,
        keyword: &str,
        value: &Value,
        beside: &Map<String, Value>,
        references: &str,
        written: &mut Map<String, Value>,
    ) {
        let mut put = |keyword: &str, value: Value| written.insert(keyword.to_owned(), value);
        let one = |schema: &Value| self.write(schema, references);
        let list =
            |schemas: &Value| schemas.as_array().unwrap().iter().map(one).collect::<Vec<Value>>();
        match keyword {
            "$defs" => {}
            "$ref" => {
                let name = value.as_str().unwrap().trim_start_matches("#/$defs/");
                put(keyword, Value::from(format!("{references}{name}")));
            }
            "prefixItems" if !self.prefix => {
                put("items", Value::Array(list(value)));
            }
            "items" if !self.prefix && beside.contains_key("prefixItems") => {
                put("additionalItems", one(value));
            }
            "dependentRequired" | "dependentSchemas" if !self.later => {
                let dependencies = written
                    .entry("dependencies")
                    .or_insert_with(|| json!({}))
                    .as_object_mut()
                    .unwrap();
                for (name, schema) in value.as_object().unwrap() {
                    dependencies.insert(name.clone(), one(schema));
                }
            }
            "const" if !self.sixth => {
                put("enum", json!([value]));
            }
            "exclusiveMinimum" | "exclusiveMaximum" if self.exclusive => {
                put(
                    if keyword == "exclusiveMinimum" { "minimum" } else { "maximum" },
                    value.clone(),
                );
                put(keyword, true.into());
            }
            "type" if self.nullable && value.is_array() => {
                put("type", value[0].clone());
                put("nullable", true.into());
            }
            "allOf" | "anyOf" | "oneOf" | "prefixItems" => {
                put(keyword, Value::Array(list(value)));
            }
            "properties" | "patternProperties" | "dependentSchemas" => {
                let members = value.as_object().unwrap().iter();
                put(keyword, members.map(|(name, schema)| (name.clone(), one(schema))).collect());
            }
            "additionalProperties"
            | "propertyNames"
            | "unevaluatedProperties"
            | "items"
            | "contains"
            | "unevaluatedItems"
            | "not"
            | "if"
            | "then"
            | "else" => {
                put(keyword, one(value));
            }
            _ => {
                put(keyword, value.clone());
            }
        }
    }

    /// The schema as the crate reads it, standing alone in this dialect.
    pub(super) fn alone(self, schema: &Value) -> Value {
        let container = if matches!(self.draft, Some(Draft::Draft4 | Draft::Draft7)) {
            "definitions"
        } else {
            "$defs"
        };
        let references = format!("#/{container}/");
        let written = self.write(schema, &references);
        // A reference at the root would hide the definitions beside it.
        let mut alone = if written.get("$ref").is_some() || !written.is_object() {
            json!({ "allOf": [written] })
        } else {
            written
        };
        let definitions = schema["$defs"].as_object().into_iter().flatten();
        alone[container] = definitions
            .map(|(name, schema)| (name.clone(), self.write(schema, &references)))
            .collect();
        alone
    }

    /// The files of a contract whose message `M` in `case.yaml` has this payload.
    pub(super) fn contract(self, schema: &Value) -> Vec<(String, String)> {
        let references = "#/components/schemas/";
        let mut schemas = Map::new();
        for (name, schema) in schema["$defs"].as_object().into_iter().flatten() {
            schemas.insert(name.clone(), self.write(schema, references));
        }
        schemas.insert("root".to_owned(), self.write(schema, references));
        let mut payload = json!({ "$ref": "./case.json#/components/schemas/root" });
        if let Some(format) = self.format {
            payload = json!({ "schemaFormat": format, "schema": payload });
        }
        let contract = json!({
            "asyncapi": "3.0.0", "info": {"title": "t", "version": "1"},
            "channels": {"c": {"messages": {"M": {"payload": payload}}}}
        });
        let parts = json!({ "components": { "schemas": schemas } });
        vec![
            ("case.yaml".to_owned(), contract.to_string()),
            ("case.json".to_owned(), parts.to_string()),
        ]
    }
}
