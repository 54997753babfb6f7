//! What a schema lets pass, as a digest that stays the same however the schema is written.

use serde_json::Value;

use crate::contract::meaning::graph::Graph;

/// The first byte of every meaning: raised when equal schemas get other digests than before, so
/// that a meaning of before is compared with none of now.
const GENERATION: u8 = 1;

/// What a schema means: equal for two schemas that say the same, whatever stands in them that asserts
/// nothing, in whatever order, under whatever names of definitions, referred to or written out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SchemaMeaning([u8; 33]);

impl SchemaMeaning {
    /// The meaning of a schema that stands alone: its references lead to its own definitions.
    pub fn of(schema: &Value) -> Self {
        let mark = Graph::of(schema).refine();
        let mut bytes = [GENERATION; 33];
        for (to, from) in bytes.iter_mut().skip(1).zip(mark) {
            *to = from;
        }
        Self(bytes)
    }

    /// Its bytes.
    pub const fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether the bytes of two meanings were made by the same rules and are others. Bytes by other
    /// rules tell nothing.
    pub fn differ(new: &[u8], kept: &[u8]) -> bool {
        kept.first() == new.first() && kept != new
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Map, json};

    use super::*;
    use crate::contract::meaning::words::ANNOTATIONS;

    fn same(one: &Value, other: &Value) -> bool {
        SchemaMeaning::of(one) == SchemaMeaning::of(other)
    }

    /// A schema with a bit of everything.
    fn order() -> Value {
        json!({
            "type": "object", "required": ["id", "lines"],
            "properties": {
                "id": {"type": "integer", "minimum": 1},
                "state": {"enum": ["open", "closed", 1.5]},
                "lines": {"type": "array", "items": {"$ref": "#/$defs/line"}, "minItems": 1},
                "parent": {"$ref": "#/$defs/node"},
                "pay": {"oneOf": [{"$ref": "#/$defs/card"}, {"$ref": "#/$defs/cash"}]},
                "open": true, "meta": {"additionalProperties": true},
            },
            "if": {"required": ["state"]}, "then": {"maxProperties": 9},
            "dependentRequired": {"pay": ["id", "state"]},
            "$defs": {
                "line": {"type": "object", "properties": {"sku": {"type": "string", "pattern": "^a"}}},
                "node": {"type": "object", "properties": {"next": {"$ref": "#/$defs/node"}}},
                "card": {"required": ["number"], "properties": {"number": {"maxLength": 19}}},
                "cash": {"required": ["till"], "properties": {"till": {"const": {"a": 1, "b": 2}}}},
            },
        })
    }

    /// Calls `change` on every object that stands where a schema does.
    fn each_schema(schema: &mut Value, change: &mut impl FnMut(&mut Map<String, Value>)) {
        let Value::Object(object) = schema else { return };
        for (word, value) in object.iter_mut() {
            match (word.as_str(), value) {
                ("properties" | "$defs", Value::Object(members)) => {
                    members.iter_mut().for_each(|(_, member)| each_schema(member, change));
                }
                ("oneOf" | "allOf", Value::Array(items)) => {
                    for item in items {
                        each_schema(item, change);
                    }
                }
                ("items" | "if" | "then", schema) => each_schema(schema, change),
                _ => {}
            }
        }
        change(object);
    }

    #[test]
    fn annotations_and_orders_and_the_spelling_of_numbers_mean_nothing() {
        let mut noted = order();
        each_schema(&mut noted, &mut |object| {
            for word in ANNOTATIONS {
                object.insert(word.to_owned(), json!({"type": "string", "x": [1]}));
            }
            object.insert("x-team".to_owned(), json!("shop"));
            object.insert("contentMediaType".to_owned(), json!("text/plain"));
        });
        noted["required"] = json!(["lines", "id", "lines"]);
        noted["properties"]["state"]["enum"] =
            serde_json::from_str(r#"[1.50,"closed","open"]"#).unwrap();
        noted["properties"]["id"]["minimum"] = serde_json::from_str("1.0").unwrap();
        noted["properties"]["id"]["type"] = json!(["integer"]);
        noted["dependentRequired"]["pay"] = json!(["state", "id"]);
        noted["properties"]["pay"]["oneOf"].as_array_mut().unwrap().reverse();
        noted["properties"]["id"]["required"] = json!([]);

        assert!(same(&order(), &noted));
    }

    #[test]
    fn names_of_definitions_and_whether_they_are_written_out_mean_nothing() {
        let text = order().to_string();
        let renamed = text.replace("#/$defs/line", "#/$defs/l2").replace("\"line\":", "\"l2\":");
        let mut written_out = order();
        written_out["properties"]["lines"]["items"] = order()["$defs"]["line"].clone();
        let next = json!({"type": "object", "properties": {"next": {"$ref": "#/$defs/node"}}});
        written_out["properties"]["parent"] = next;
        let mut unused = order();
        unused["$defs"]["other"] = json!({"type": "null"});
        let wrapped = json!({"allOf": [{"$ref": "#/$defs/root"}], "$defs": {
            "root": {"type": "string", "description": "moved"}}});

        assert!(same(&order(), &serde_json::from_str(&renamed).unwrap()));
        assert!(same(&order(), &written_out));
        assert!(same(&order(), &unused));
        assert!(same(&json!({"type": "string"}), &wrapped));
    }

    #[test]
    fn every_assertion_counts() {
        let base = order();
        let changes: &[(&str, Value)] = &[
            ("/type", json!("array")),
            ("/required", json!(["id"])),
            ("/properties/id/minimum", json!(2)),
            ("/properties/id/type", json!(["integer", "null"])),
            ("/properties/state/enum", json!(["open", "closed"])),
            ("/properties/lines/items", json!(true)),
            ("/properties/lines/minItems", json!(2)),
            ("/properties/open", json!({})),
            ("/properties/meta/additionalProperties", json!(false)),
            ("/properties/pay/oneOf/1", json!({"$ref": "#/$defs/card"})),
            ("/if/required", json!(["pay"])),
            ("/then/maxProperties", json!(8)),
            ("/dependentRequired/pay", json!(["id"])),
            ("/$defs/line/properties/sku/pattern", json!("^b")),
            ("/$defs/node/properties/next", json!({"$ref": "#/$defs/line"})),
            ("/$defs/node/type", json!("array")),
            ("/$defs/card/properties/number/maxLength", json!(20)),
            ("/$defs/cash/properties/till/const", json!({"a": 1, "b": 3})),
        ];
        let mut meanings = vec![SchemaMeaning::of(&base)];
        for (place, value) in changes {
            let mut changed = base.clone();
            *changed.pointer_mut(place).unwrap() = value.clone();
            meanings.push(SchemaMeaning::of(&changed));
        }
        for added in [
            json!({"unevaluatedProperties": false}),
            json!({"discriminator": {
            "propertyName": "kind", "mapping": {"c": "#/$defs/card"}}}),
        ] {
            let mut changed = base.clone();
            changed.as_object_mut().unwrap().extend(added.as_object().unwrap().clone());
            meanings.push(SchemaMeaning::of(&changed));
        }
        for (at, one) in meanings.iter().enumerate() {
            assert!(!meanings[..at].contains(one), "{:?}", changes.get(at.wrapping_sub(1)));
        }
        assert!(!same(&json!(true), &json!({})), "`true` opens, `{{}}` does not");
    }

    #[test]
    fn circles_are_told_apart_however_long_they_are() {
        let ring = |names: &[&str], last: &str| {
            let mut defs = Map::new();
            for (at, name) in names.iter().enumerate() {
                let next = names[(at + 1) % names.len()];
                let word = if at + 1 == names.len() { last } else { "string" };
                defs.insert(
                    (*name).to_owned(),
                    json!({"properties": {
                    "next": {"$ref": format!("#/$defs/{next}")}, "value": {"type": word}}}),
                );
            }
            json!({"$ref": format!("#/$defs/{}", names[0]), "$defs": defs})
        };

        assert!(same(&ring(&["a"], "string"), &ring(&["a", "b", "c"], "string")));
        assert!(!same(&ring(&["a", "b", "c"], "string"), &ring(&["a", "b", "c"], "integer")));
        assert!(same(&ring(&["a", "b", "c"], "integer"), &ring(&["x", "z", "y"], "integer")));
        assert!(!same(&ring(&["a", "b"], "integer"), &ring(&["a", "b", "c"], "integer")));
    }

    #[test]
    fn a_long_chain_needs_no_deep_stack_and_ends() {
        let mut defs = Map::new();
        for at in 0..3_000 {
            let next = json!({"properties": {"a": {"$ref": format!("#/$defs/s{}", at + 1)}}});
            defs.insert(format!("s{at}"), next);
        }
        let chain = |last: Value| {
            let mut defs = defs.clone();
            defs.insert("s3000".to_owned(), last);
            json!({"$ref": "#/$defs/s0", "$defs": defs})
        };

        assert!(!same(&chain(json!({"type": "string"})), &chain(json!({"type": "null"}))));
        let circle = json!({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a"}}});
        SchemaMeaning::of(&circle);
    }

    #[test]
    fn bytes_by_other_rules_tell_nothing() {
        let (one, other) = (json!({"type": "string"}), json!({"type": "null"}));
        let (one, other) = (SchemaMeaning::of(&one), SchemaMeaning::of(&other));

        let differs = |kept: &[u8]| SchemaMeaning::differ(one.bytes(), kept);
        assert!(differs(other.bytes()) && !differs(one.bytes()));
        assert!(!differs(&[&[0], &other.bytes()[1..]].concat()) && !differs(&[]));
    }

    proptest! {
        #[test]
        fn any_value_has_a_meaning(text in "[{}\\[\\]:,\"a-z$#/0-9 ]{0,60}", word in "allOf|\\$ref|items|properties|enum") {
            if let Ok(value) = serde_json::from_str::<Value>(&text) {
                let schema = json!({word: value, "$defs": {"a": value}});
                prop_assert_eq!(SchemaMeaning::of(&schema), SchemaMeaning::of(&schema));
            }
        }
    }
}
